//! As whom, over what and to whom an account may send.

use crate::{
    address::{Address, CountryCode, Msisdn},
    name::Name,
};

/// What an account's SMS may be. An empty list allows everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendingRights {
    /// The senders it may use.
    pub senders: Vec<Address>,
    /// The transports it may send over.
    pub transports: Vec<Name>,
    /// The countries of the recipients.
    pub countries: Vec<CountryCode>,
    /// The country of recipients that begin with a single 0; none: what the transport says.
    pub country_code: Option<CountryCode>,
}

impl SendingRights {
    /// What is wrong with a sender, if anything.
    #[must_use]
    pub fn sender_error(&self, sender: &Address) -> Option<String> {
        let allowed = self.senders.is_empty() || self.senders.contains(sender);
        (!allowed).then(|| format!("the account may not send as this; it may send as: {}", listed(&self.senders)))
    }

    /// What is wrong with a recipient, in international form, if anything.
    #[must_use]
    pub fn recipient_error(&self, to: &Msisdn) -> Option<String> {
        let allowed =
            self.countries.is_empty() || self.countries.iter().any(|code| to.as_str().starts_with(code.as_str()));
        (!allowed).then(|| {
            let codes = self.countries.iter().map(CountryCode::as_str);
            format!(
                "the account may not send to this country; it may send to numbers that begin with: {}",
                listed(codes)
            )
        })
    }

    /// Why it may not send over a transport, if it may not.
    #[must_use]
    pub fn transport_error(&self, transport: &Name) -> Option<String> {
        let allowed = self.transports.is_empty() || self.transports.contains(transport);
        (!allowed).then(|| {
            let names = listed(&self.transports);
            format!("the account may not send over `{transport}`; it may send over: {names}")
        })
    }
}

fn listed(items: impl IntoIterator<Item = impl ToString>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Address, CountryCode, Msisdn, Name, SendingRights};

    #[test]
    fn what_is_not_listed_is_refused_and_an_empty_list_allows_everything() {
        let (sender, to) = (Address::sender("38080").unwrap(), Msisdn::parse("27831234567").unwrap());
        let opera = Name::parse("opera").unwrap();
        let free = SendingRights::default();
        assert_eq!(
            (free.sender_error(&sender), free.recipient_error(&to), free.transport_error(&opera)),
            Default::default()
        );
        let bound = SendingRights {
            senders: vec![Address::sender("MYCLINIC").unwrap(), sender.clone()],
            transports: vec![Name::parse("clickatell").unwrap()],
            countries: vec![CountryCode::parse("234").unwrap(), CountryCode::parse("27").unwrap()],
            country_code: None,
        };
        assert_eq!((bound.sender_error(&sender), bound.recipient_error(&to)), (None, None));
        let refused = bound.sender_error(&Address::sender("myclinic").unwrap()).unwrap();
        assert!(refused.ends_with("it may send as: MYCLINIC, 38080"), "{refused}");
        let refused = bound.recipient_error(&Msisdn::parse("447700900123").unwrap()).unwrap();
        assert!(refused.ends_with("begin with: 234, 27"), "{refused}");
        let refused = bound.transport_error(&opera).unwrap();
        assert_eq!(refused, "the account may not send over `opera`; it may send over: clickatell");
    }
}
