//! The message between a transport and a campaign, and the event that reports what became of one.
//!
//! One type serves the components and the broker: field names, values and nulls are those of the Vumi family. So
//! the router treats a peer in another process like one in its own.

mod event;
mod screen_limit;

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

pub use self::screen_limit::ScreenLimit;
use crate::{clock::Timestamp, ids, name::Name};

/// The version every message carries.
pub const MESSAGE_VERSION: &str = "20110921";

/// The key of [`UserMessage::transport_metadata`] that has the session's id.
const SESSION_ID: &str = "session_id";

/// The longest session id that a transport may give, in bytes: a longer one is cut.
const LONGEST_SESSION_ID: usize = 200;

/// What a message does to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEvent {
    /// Begins it.
    New,
    /// Continues it.
    Resume,
    /// Ends it, after this text where there is one.
    Close,
}

/// The kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the family's own words; each names its network")]
pub enum TransportType {
    Sms,
    Ussd,
    HttpApi,
    Irc,
    Telnet,
    Twitter,
    Xmpp,
    Mxit,
    Wechat,
}

/// A message from or to a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserMessage {
    /// [`MESSAGE_VERSION`].
    pub message_version: String,
    /// Always `user_message`.
    pub message_type: UserMessageTag,
    /// When it was made.
    #[serde(with = "family_time")]
    pub timestamp: Timestamp,
    /// 32 hex digits; any non-empty text from a peer.
    pub message_id: String,
    /// Where it goes: the code or number of the service, or the person.
    pub to_addr: String,
    /// Where it comes from.
    pub from_addr: String,
    /// The message it answers.
    #[serde(default)]
    pub in_reply_to: Option<String>,
    /// What it does to its session.
    #[serde(default)]
    pub session_event: Option<SessionEvent>,
    /// The text; none for a new USSD session.
    #[serde(default)]
    pub content: Option<String>,
    /// The transport it came by or goes by.
    pub transport_name: Name,
    /// The kind of network.
    pub transport_type: TransportType,
    /// The transport's; copied to replies.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub transport_metadata: Map<String, Value>,
    /// For use by campaigns and peers; the router ignores it.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub helper_metadata: Map<String, Value>,
    /// `endpoint_name`, absent for `default`.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub routing_metadata: Map<String, Value>,
    /// The group, on networks with groups.
    #[serde(default)]
    pub group: Option<String>,
    /// The mobile network operator.
    #[serde(default)]
    pub provider: Option<String>,
    /// `msisdn` or null.
    #[serde(default)]
    pub to_addr_type: Option<String>,
    /// `msisdn` or null.
    #[serde(default)]
    pub from_addr_type: Option<String>,
    /// The component of this process that handed it to the router and is told what becomes of it; where there is none,
    /// the campaign that serves `from_addr` is told. It does not leave the process.
    #[serde(skip)]
    pub sent_by: Option<Name>,
    /// What the person dialled beyond the code of the route, one by one: `1`, `2` of `*120*663*79*1*2#` where
    /// `*120*663*79#` is the route. The router sets it at the beginning of a session. It does not leave the process.
    #[serde(skip)]
    pub dialled_inputs: Vec<String>,
    /// How much a screen of the person's session holds; none: [`ScreenLimit::default`]. Its transport sets it. It does not
    /// leave the process.
    #[serde(skip)]
    pub screen_limit: Option<ScreenLimit>,
    /// The campaign that a message from a person goes to, whatever address it names: the one that the network began the
    /// dialogue for ([`crate::ussd_push`]). None: the campaign that serves the address. It does not leave the process.
    #[serde(skip)]
    pub for_campaign: Option<Name>,
    /// Unknown keys, passed on.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The text `user_message`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserMessageTag {
    /// `user_message`.
    #[default]
    UserMessage,
}

impl UserMessage {
    /// A message from a person (`from`) to a service (`to`), as a transport makes it.
    #[must_use]
    pub fn from_person(transport: &Name, kind: TransportType, from: &str, to: &str, at: Timestamp) -> Self {
        Self {
            message_version: MESSAGE_VERSION.to_owned(),
            message_type: UserMessageTag::UserMessage,
            timestamp: at,
            message_id: ids::message_id(),
            to_addr: to.to_owned(),
            from_addr: from.to_owned(),
            in_reply_to: None,
            session_event: None,
            content: None,
            transport_name: transport.clone(),
            transport_type: kind,
            transport_metadata: Map::new(),
            helper_metadata: Map::new(),
            routing_metadata: Map::new(),
            group: None,
            provider: None,
            to_addr_type: None,
            from_addr_type: Some("msisdn".to_owned()),
            sent_by: None,
            dialled_inputs: Vec::new(),
            screen_limit: None,
            for_campaign: None,
            other: Map::new(),
        }
    }

    /// The id of the session that it belongs to: the same in all messages of a dialogue with a person, in both directions,
    /// and no other dialogue of its transport has it. None where the network has no sessions (SMS), and where a peer names
    /// none. On the broker it is `session_id` of `transport_metadata`, which every worker of the family copies to replies.
    #[must_use]
    pub fn session_id(&self) -> Option<Cow<'_, str>> {
        match self.transport_metadata.get(SESSION_ID)? {
            Value::String(id) if !id.is_empty() => Some(Cow::Borrowed(cut(id))),
            Value::Number(id) => Some(Cow::Owned(id.to_string())),
            _ => None,
        }
    }

    /// Notes the session that it belongs to; of an id the first 200 bytes. Transports with sessions call it after they have set
    /// the other metadata.
    pub fn set_session_id(&mut self, id: &str) {
        self.transport_metadata.insert(SESSION_ID.to_owned(), cut(id).into());
    }

    /// The answer to this message: addresses swapped, transport, metadata, group and provider copied.
    #[must_use]
    pub fn reply(&self, content: Option<String>, session_event: Option<SessionEvent>, at: Timestamp) -> Self {
        Self {
            message_version: MESSAGE_VERSION.to_owned(),
            message_type: UserMessageTag::UserMessage,
            timestamp: at,
            message_id: ids::message_id(),
            to_addr: self.from_addr.clone(),
            from_addr: self.to_addr.clone(),
            in_reply_to: Some(self.message_id.clone()),
            session_event,
            content,
            transport_name: self.transport_name.clone(),
            transport_type: self.transport_type,
            transport_metadata: self.transport_metadata.clone(),
            helper_metadata: Map::new(),
            routing_metadata: self.routing_metadata.clone(),
            group: self.group.clone(),
            provider: self.provider.clone(),
            to_addr_type: self.from_addr_type.clone(),
            from_addr_type: self.to_addr_type.clone(),
            sent_by: None,
            dialled_inputs: Vec::new(),
            screen_limit: None,
            for_campaign: None,
            other: Map::new(),
        }
    }

    /// As [`UserMessage::reply`], without copying.
    #[must_use]
    pub fn into_reply(self, content: Option<String>, session_event: Option<SessionEvent>, at: Timestamp) -> Self {
        Self {
            timestamp: at,
            message_id: ids::message_id(),
            to_addr: self.from_addr,
            from_addr: self.to_addr,
            in_reply_to: Some(self.message_id),
            session_event,
            content,
            helper_metadata: Map::new(),
            to_addr_type: self.from_addr_type,
            from_addr_type: self.to_addr_type,
            sent_by: None,
            dialled_inputs: Vec::new(),
            screen_limit: None,
            for_campaign: None,
            other: Map::new(),
            ..self
        }
    }
}

fn cut(id: &str) -> &str {
    id.get(..id.floor_char_boundary(LONGEST_SESSION_ID)).unwrap_or(id)
}

/// What became of an outbound message: every one gets exactly one ack or nack, and perhaps delivery reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "event::OnTheBroker", into = "event::OnTheBroker")]
pub struct Event {
    /// 32 hex digits.
    pub event_id: String,
    /// When.
    pub timestamp: Timestamp,
    /// The outbound message.
    pub user_message_id: String,
    /// The transport it went by.
    pub transport_name: Name,
    /// What happened.
    pub what: EventKind,
    /// Further facts from the transport, such as `replaced_characters`: those that its network lacks.
    pub transport_metadata: Map<String, Value>,
    /// For use by campaigns and peers; the router ignores it.
    pub helper_metadata: Map<String, Value>,
    /// `endpoint_name`, absent for `default`.
    pub routing_metadata: Map<String, Value>,
    /// [`UserMessage::sent_by`] of the message that it is about.
    pub sent_by: Option<Name>,
    /// Unknown keys, passed on.
    pub other: Map<String, Value>,
}

/// What happened to an outbound message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was sent.
    Ack {
        /// The id it was sent under.
        sent_message_id: String,
    },
    /// It was not and will not be sent.
    Nack {
        /// Why.
        reason: String,
    },
    /// What the network reports of its delivery.
    DeliveryReport {
        /// How far it came.
        status: DeliveryStatus,
    },
}

/// How far a message came on its way to the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// On its way.
    Pending,
    /// It did not arrive and will not.
    Failed,
    /// It arrived.
    Delivered,
}

impl Event {
    /// The message was sent.
    #[must_use]
    pub fn ack(of: &UserMessage, at: Timestamp) -> Self {
        Self::about(of, EventKind::Ack { sent_message_id: of.message_id.clone() }, at)
    }

    /// The message will not be sent, and why.
    #[must_use]
    pub fn nack(of: &UserMessage, reason: impl Into<String>, at: Timestamp) -> Self {
        Self::about(of, EventKind::Nack { reason: reason.into() }, at)
    }

    fn about(of: &UserMessage, what: EventKind, at: Timestamp) -> Self {
        Self {
            event_id: ids::message_id(),
            timestamp: at,
            user_message_id: of.message_id.clone(),
            transport_name: of.transport_name.clone(),
            what,
            transport_metadata: Map::new(),
            helper_metadata: Map::new(),
            routing_metadata: Map::new(),
            sent_by: of.sent_by.clone(),
            other: Map::new(),
        }
    }
}

/// Peers write null for an unused key.
fn null_is_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Map<String, Value>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

mod family_time {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Timestamp;
    use serde::de::Error as _;

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&at.to_micros_text())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        Timestamp::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a time: YYYY-MM-DD HH:MM:SS.ffffff, UTC")))
    }
}

#[cfg(test)]
mod tests {
    use super::{SessionEvent, UserMessage};

    #[test]
    fn a_message_of_the_family_is_read_and_written_whole() {
        let theirs = r#"{"message_version":"20110921","message_type":"user_message","timestamp":"2012-04-11 09:25:00.000001",
            "message_id":"5b1d","to_addr":"*120*663*79#","from_addr":"+27831234567","in_reply_to":null,"session_event":"new",
            "content":null,"transport_name":"truteq","transport_type":"ussd","transport_metadata":{"a":1},"helper_metadata":{},
            "routing_metadata":{},"group":null,"provider":null,"to_addr_type":null,"from_addr_type":"msisdn","extra":[1]}"#;
        let message: UserMessage = serde_json::from_str(theirs).unwrap();
        assert_eq!(message.session_event, Some(SessionEvent::New));
        let written: serde_json::Value = serde_json::to_value(&message).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(theirs).unwrap());
    }

    #[test]
    fn the_sessions_id_is_in_the_metadata_that_replies_copy_and_not_beside_the_familys_keys() {
        let theirs = r#"{"message_version":"20110921","message_type":"user_message","timestamp":"2012-04-11T09:25:00Z",
            "message_id":"5b1d","to_addr":"*120#","from_addr":"+27831234567","transport_name":"truteq","transport_type":"ussd"}"#;
        let mut message: UserMessage = serde_json::from_str(theirs).unwrap();
        assert_eq!(message.session_id(), None);
        message.set_session_id("s1");
        assert_eq!(message.reply(None, None, message.timestamp).session_id().as_deref(), Some("s1"));
        let written = serde_json::to_value(&message).unwrap();
        assert_eq!(written.pointer("/transport_metadata/session_id"), Some(&"s1".into()));
        assert_eq!(written.get("session_id"), None);
        assert_eq!(written.get("dialled_inputs"), None);
        for (value, id) in [("7", Some("7")), ("\"\"", None), ("null", None), ("[1]", None)] {
            message.transport_metadata.insert("session_id".to_owned(), serde_json::from_str(value).unwrap());
            assert_eq!(message.session_id().as_deref(), id, "{value}");
        }
        message.set_session_id(&"é".repeat(200));
        assert_eq!(message.session_id().map(|id| id.len()), Some(200));
    }

    #[test]
    fn a_reply_swaps_the_addresses_and_copies_the_metadata() {
        let theirs = r#"{"message_version":"20110921","message_type":"user_message","timestamp":"2012-04-11T09:25:00Z",
            "message_id":"5b1d","to_addr":"*120#","from_addr":"+27831234567","transport_name":"truteq","transport_type":"ussd",
            "transport_metadata":{"a":1},"provider":"mtn"}"#;
        let message: UserMessage = serde_json::from_str(theirs).unwrap();
        let reply = message.reply(Some("hi".to_owned()), Some(SessionEvent::Close), message.timestamp);
        assert_eq!((reply.to_addr.as_str(), reply.from_addr.as_str()), ("+27831234567", "*120#"));
        assert_eq!(reply.in_reply_to.as_deref(), Some("5b1d"));
        assert_eq!(reply.transport_metadata, message.transport_metadata);
        assert_eq!(reply.provider.as_deref(), Some("mtn"));

        let made_of_it =
            message.clone().into_reply(Some("hi".to_owned()), Some(SessionEvent::Close), message.timestamp);
        assert_eq!(UserMessage { message_id: reply.message_id.clone(), ..made_of_it }, reply);
    }
}
