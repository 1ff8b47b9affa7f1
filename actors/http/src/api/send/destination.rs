//! Where the SMS of a call go: to the transport that its path names, or to those that the routes choose.

use vumi_kit::{
    carries::Carries,
    name::Name,
    outbound::{OutboundRoutes, Routable, RouteChoice, RouteExplanation},
    sms_options::Content,
    transport_settings::TransportSettings,
};

use crate::{
    guard::{ApiCall, transport},
    request::fields::RequestFields,
    response::{
        error::ApiError,
        field_errors::{FieldError, FieldErrors},
    },
    webhooks::protected::ProtectedWebhooks,
};

/// Where the SMS of a call go. It also says what is taken as their addresses.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// All to the transport that the path names.
    Named { transport: Name, addresses: TransportSettings, carries: Carries },
    /// Each by the route that takes it.
    Routed { routes: OutboundRoutes, account: String, addresses: TransportSettings },
}

impl Destination {
    /// As the path says.
    pub(crate) fn of(call: &ApiCall<'_>) -> Result<Self, ApiError> {
        let named = call.names_transport().then(|| transport(call.state, call.request)).transpose()?;
        Self::to(call, named)
    }

    /// To this transport, or where the routes choose.
    pub(super) fn for_transport(call: &ApiCall<'_>, named: Option<&Name>) -> Result<Self, ApiError> {
        let known = |name: &Name| {
            let missing = || ApiError::field("transport", name.as_str(), "there is no such transport");
            call.state.transports.get_key_value(name).ok_or_else(missing)
        };
        Self::to(call, named.map(known).transpose()?)
    }

    fn to(call: &ApiCall<'_>, named: Option<(&Name, &ProtectedWebhooks)>) -> Result<Self, ApiError> {
        let own_country = &call.caller.rights.country_code;
        if let Some((name, protected)) = named {
            if let Some(refused) = call.caller.sending_error(name) {
                return Err(ApiError::Forbidden(refused));
            }
            let (transport, mut addresses) = (name.clone(), protected.settings.clone());
            addresses.country_code = own_country.clone().or(addresses.country_code);
            return Ok(Self::Named { transport, addresses, carries: protected.carries });
        }
        if let Some(refused) = call.caller.stopped_error() {
            return Err(ApiError::Forbidden(refused));
        }
        let routes = call.state.routes.clone().ok_or_else(|| {
            let what = "there are no routes: [[outbound]] of the settings has them choose a transport; without them name one, as \
                        in sms/{transport}/send.json";
            ApiError::NotFound(what.to_owned())
        })?;
        let of_all = call.state.transports.values().map(|transport| &transport.settings);
        let addresses = TransportSettings::of_any(of_all, own_country.as_ref());
        Ok(Self::Routed { routes, account: call.caller.username.clone(), addresses })
    }

    /// Whether `[[outbound]]` chooses a transport for each SMS, instead of the path.
    pub(super) const fn is_routed(&self) -> bool {
        matches!(self, Self::Routed { .. })
    }

    /// What is taken as addresses.
    pub(crate) const fn addresses(&self) -> &TransportSettings {
        match self {
            Self::Named { addresses, .. } | Self::Routed { addresses, .. } => addresses,
        }
    }

    /// What is wrong with SMS of this content. Routes pass over what can't carry it.
    pub(super) fn refusal(&self, content: &Content) -> Option<FieldError> {
        match self {
            Self::Named { transport, carries, .. } => carries.refusal(transport, content),
            Self::Routed { .. } => None,
        }
    }

    /// The transport of an SMS, with the choice where a route chose it; none: no route takes it.
    pub(super) fn transport(&self, sms: Routable<'_>) -> Option<(Name, Option<Box<RouteChoice>>)> {
        match self {
            Self::Named { transport, .. } => Some((transport.clone(), None)),
            Self::Routed { routes, account, .. } => {
                let choice = routes.choose(&Routable { account, ..sms })?;
                Some((choice.transport.clone(), Some(Box::new(choice))))
            }
        }
    }

    /// What [`Self::transport`] would answer now, and why; none: the call names a transport.
    pub(super) fn explain(&self, sms: Routable<'_>) -> Option<RouteExplanation> {
        match self {
            Self::Named { .. } => None,
            Self::Routed { routes, account, .. } => Some(routes.explain(&Routable { account, ..sms })),
        }
    }
}

/// The longest tag, in bytes.
const MAX_TAG: usize = 64;

/// The `tag` of a call, if it has one; what is wrong with it is added to the errors.
pub(super) fn tag<'f>(fields: &'f RequestFields<'_>, errors: &mut FieldErrors) -> Option<&'f str> {
    let tag = fields.one("tag", errors)?;
    if !(1..=MAX_TAG).contains(&tag.len()) || tag.chars().any(char::is_control) {
        errors.push(FieldError::new("tag", tag, "a tag is 1 to 64 bytes, none of them a control character"));
    }
    Some(tag)
}
