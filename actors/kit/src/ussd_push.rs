//! USSD that the network begins: the message that asks a transport for it.
//!
//! It is a message to a person whose `session_event` is `new`. Its `from_addr` is the code, which stands for the service as if
//! the person had dialled it. [`METADATA`] in its `transport_metadata` says who answers.

use serde_json::{Map, Value, json};

use crate::{
    address::{Msisdn, UssdCode},
    clock::Timestamp,
    message::{SessionEvent, TransportType, UserMessage},
    name::Name,
};

/// The key in `transport_metadata`.
pub const METADATA: &str = "ussd_push";

/// What is shown first, and who hears the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UssdPush {
    /// A campaign writes the first screen, as if the person had dialled, and hears the answers.
    Campaign(Name),
    /// The text; the campaign that serves the code hears the answers.
    Question,
    /// The text; there is nothing to answer.
    Notification,
}

impl UssdPush {
    /// What a message asks for that begins a dialogue.
    #[must_use]
    pub fn of(message: &UserMessage) -> Self {
        let push = message.transport_metadata.get(METADATA);
        let campaign = push.and_then(|push| push.get("campaign")).and_then(Value::as_str);
        match campaign.and_then(|name| Name::parse(name).ok()) {
            Some(campaign) => Self::Campaign(campaign),
            None if push.and_then(|push| push.get("notify")) == Some(&Value::Bool(true)) => Self::Notification,
            None => Self::Question,
        }
    }

    /// The message that asks for it; `text` is not used where a campaign writes the screen.
    #[must_use]
    pub fn message(
        &self,
        transport: &Name,
        to: &Msisdn,
        code: &UssdCode,
        text: Option<String>,
        at: Timestamp,
    ) -> UserMessage {
        let mut message = UserMessage::from_person(transport, TransportType::Ussd, code.as_str(), to.as_str(), at);
        (message.from_addr_type, message.to_addr_type) = (None, Some("msisdn".to_owned()));
        message.session_event = Some(SessionEvent::New);
        message.content = text.filter(|_| !matches!(self, Self::Campaign(_)));
        let push = match self {
            Self::Campaign(campaign) => json!({ "campaign": campaign }),
            Self::Question => json!({}),
            Self::Notification => json!({ "notify": true }),
        };
        message.transport_metadata = Map::from_iter([(METADATA.to_owned(), push)]);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::UssdPush;
    use crate::{
        address::{Msisdn, UssdCode},
        clock::Timestamp,
        message::UserMessage,
        name::Name,
    };

    #[test]
    fn a_push_is_the_same_after_it_went_over_the_broker() {
        let (transport, to) = (Name::parse("smsc").unwrap(), Msisdn::parse("27831234567").unwrap());
        let code = UssdCode::parse("*120#").unwrap();
        for push in [UssdPush::Campaign(Name::parse("quiz").unwrap()), UssdPush::Question, UssdPush::Notification] {
            let message = push.message(&transport, &to, &code, Some("hi".to_owned()), Timestamp::from_seconds(1));
            assert_eq!(message.content.is_some(), !matches!(push, UssdPush::Campaign(_)));
            let text = serde_json::to_string(&message).unwrap();
            let read: UserMessage = serde_json::from_str(&text).unwrap();
            assert_eq!(UssdPush::of(&read), push, "{text}");
            assert_eq!((read.from_addr.as_str(), read.to_addr.as_str()), ("*120#", "27831234567"));
        }
    }
}
