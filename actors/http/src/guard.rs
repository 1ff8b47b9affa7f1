//! What requests pass before their handler: calls of the API a log-in, a rate and a time limit, public pages a rate.

use std::sync::Arc;

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::AUTHORIZATION,
    middleware::Next,
    web,
};
use vumi_front_kit::client_prefix::client_prefix;
use vumi_kit::{
    account::{Account, AccountId, AccountRole},
    name::Name,
};

use crate::{
    auth::audit_log,
    connection::track::connection_of,
    limits::call_rates::{RateClass, RateLeft},
    request::{
        body::{BufferedBody, content_type_charset},
        cross_site::is_cross_site,
    },
    response::error::ApiError,
    state::ApiState,
    webhooks::protected::ProtectedWebhooks,
};

/// A call by an account that is logged in.
pub(crate) struct ApiCall<'a> {
    pub(crate) state: &'a ApiState,
    pub(crate) request: &'a HttpRequest,
    pub(crate) account: AccountId,
    /// The account as a whole.
    pub(crate) caller: Arc<Account>,
}

impl ApiCall<'_> {
    /// A segment of the path, by its name in the route.
    pub(crate) fn segment(&self, name: &str) -> &str {
        segment(self.request, name)
    }

    /// The id in the path: digits alone, no sign, no space.
    pub(crate) fn id(&self) -> Result<i64, ApiError> {
        let text = self.segment("id");
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        number.ok_or_else(|| ApiError::field("id", text, "an id is a number"))
    }

    /// Whether the path names a transport: the calls of SMS that routes send do not.
    pub(crate) fn names_transport(&self) -> bool {
        self.request.match_info().get("transport").is_some()
    }

    /// The transport that the path names; none in a call of SMS that routes send, whichever transport carries them.
    pub(crate) fn transport_or_routed(&self) -> Result<Option<Name>, ApiError> {
        if self.names_transport() { self.transport().cloned().map(Some) } else { Ok(None) }
    }

    /// The transport that the path names.
    pub(crate) fn transport(&self) -> Result<&Name, ApiError> {
        transport(self.state, self.request).map(|(name, _)| name)
    }

    /// Reads the body, within the limits on its size and time. JSON is in UTF-8 then, whatever it came in.
    pub(crate) async fn body(&self, payload: web::Payload) -> Result<BufferedBody, ApiError> {
        let body = self.state.body_reader.read(self.request, payload).await?;
        body.json_in_utf8(content_type_charset(self.request))
    }
}

const MAY_BE_KEPT_LATE: &str = "the answer took too long; what was sent may have been kept: ask again with the same \
     Idempotency-Key, which does nothing twice";

/// A segment of the path, by its name in the route.
pub(crate) fn segment<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    request.match_info().get(name).unwrap_or_default()
}

/// The transport that the path names, and its webhooks.
pub(crate) fn transport<'a>(
    state: &'a ApiState,
    request: &HttpRequest,
) -> Result<(&'a Name, &'a ProtectedWebhooks), ApiError> {
    let named = segment(request, "transport");
    state.transports.get_key_value(named).ok_or_else(|| {
        let shown: String = named.chars().take(64).collect();
        let names: Vec<&str> = state.transports.keys().map(Name::as_str).collect();
        ApiError::NotFound(format!("there is no transport `{shown}`; there are: {}", names.join(", ")))
    })
}

/// Runs the work within the time limit, and turns its result into a response.
pub(crate) async fn answered<W>(request: &HttpRequest, work: W) -> HttpResponse
where
    W: AsyncFnOnce(&ApiState) -> Result<HttpResponse, ApiError>,
{
    let Some(state) = request.app_data::<web::Data<ApiState>>() else {
        return HttpResponse::InternalServerError().finish();
    };
    let answer = tokio::time::timeout(state.answer_within, work(state.get_ref())).await;
    let late = ApiError::Unavailable(5, MAY_BE_KEPT_LATE);
    answer.unwrap_or(Err(late)).unwrap_or_else(|error| {
        let refused = error.response();
        state.tally.count_refusal(refused.status());
        refused
    })
}

/// The account whose credentials a request has. The sandbox's is let in only while the settings have a sandbox, and never
/// through a trusted proxy: everybody knows its password.
pub(crate) async fn log_in(state: &ApiState, request: &HttpRequest) -> Result<Arc<Account>, ApiError> {
    let client = state.trusted_proxies.client_of(request);
    let prefix = client.map(client_prefix);
    let proxied = request.peer_addr().is_some_and(|peer| state.trusted_proxies.trusts(peer.ip()));
    let sandbox = state.sandbox_account && !proxied;
    let header = request.headers().get(AUTHORIZATION);
    let log_in = state.authenticator.authenticate(header, prefix, sandbox).await.inspect_err(|error| {
        if *error == ApiError::Unauthenticated {
            audit_log::wrong_credentials(&state.audit, header, client);
        }
    })?;
    // Whoever has shown the right credentials learns why they are not enough.
    if let Some(refused) = log_in.no_access(client, state.clock.wall()) {
        audit_log::no_access(&state.audit, &log_in, refused, client);
        return Err(ApiError::Forbidden(refused.sentence(&log_in, client)));
    }
    audit_log::logged_in(&state.audit, &log_in, client);
    admit_connection(request);
    Ok(log_in.account)
}

/// Somebody who may call has called: the connection may go on.
pub(crate) fn admit_connection(request: &HttpRequest) {
    if let Some(connection) = connection_of(request) {
        connection.logged_in();
    }
}

/// Authenticates a request, counts it, runs the work within the time limit, and turns the result into a response.
pub(crate) async fn guarded<W>(request: &HttpRequest, class: RateClass, work: W) -> HttpResponse
where
    W: AsyncFnOnce(ApiCall<'_>) -> Result<HttpResponse, ApiError>,
{
    let mut left = None;
    let mut response = answered(request, async |state| admitted(state, request, class, &mut left, work).await).await;
    if let Some(left) = left {
        left.write_headers(response.headers_mut());
    }
    response
}

async fn admitted<W>(
    state: &ApiState,
    request: &HttpRequest,
    class: RateClass,
    left: &mut Option<RateLeft>,
    work: W,
) -> Result<HttpResponse, ApiError>
where
    W: AsyncFnOnce(ApiCall<'_>) -> Result<HttpResponse, ApiError>,
{
    // A link to a page that only reads may stand anywhere.
    if !request.method().is_safe() && is_cross_site(request) {
        return Err(ApiError::CrossSite);
    }
    let account = log_in(state, request).await?;
    if let Some(why) = role_error(&account, request) {
        return Err(ApiError::Forbidden(why));
    }
    let (now_left, allowed) = state.rates.count(class, account.id);
    *left = now_left;
    allowed?;
    work(ApiCall { state, request, account: account.id, caller: account }).await
}

/// Why the account has not the role for a call of the API, if it has not.
fn role_error(account: &Account, request: &HttpRequest) -> Option<String> {
    let (name, reads) = (&account.username, account.roles.has(AccountRole::ReadOnly));
    if account.roles.has(AccountRole::Client) || (reads && request.method().is_safe()) {
        return None;
    }
    let may = if reads { "read only (GET)" } else { "call webhooks only" };
    Some(format!("`{name}` may {may}; a client's account has the role client: `vumi account role {name} client`"))
}

/// Middleware of what needs no log-in: bounds the requests a minute from one address.
pub(crate) async fn limit_public(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let error = request.app_data::<web::Data<ApiState>>().and_then(|state| public_error(state, request.request()));
    match error {
        Some(error) => Ok(request.into_response(error.response())),
        None => Ok(next.call(request).await?.map_into_boxed_body()),
    }
}

fn public_error(state: &ApiState, request: &HttpRequest) -> Option<ApiError> {
    let taken = state.public_rate.take(state.trusted_proxies.client_prefix_of(request));
    taken.err().map(|wait_s| ApiError::TooManyRequests(wait_s, "requests from one address"))
}
