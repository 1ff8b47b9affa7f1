//! Messages as bytes on the broker, in the family's JSON (docs/broker.md). MSISDNs have a leading `+` there, and none
//! inside Vumi.

use serde::Deserialize;
use serde_json::{Map, Value};
use vumi_kit::{
    json,
    message::{Event, MESSAGE_VERSION, UserMessage},
    name::Name,
};

const MSISDN: &str = "msisdn";

/// The longest id or address, in bytes: both are keys of databases.
const LONGEST_KEY: usize = 255;
/// The longest text, in bytes: an SMS has 255 parts at the most.
const LONGEST_TEXT: usize = 64 * 1024;

/// Why a body is no message.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undecodable {
    /// It is not the JSON of such a message.
    #[error("the body is not {0}: {1}")]
    Json(&'static str, serde_json::Error),
    /// A key that must have a value is empty.
    #[error("`{0}` is empty")]
    Empty(&'static str),
    /// No database keeps that much in a key.
    #[error("`{0}` is longer than {1} bytes")]
    TooLong(&'static str, usize),
    /// Not every database keeps it.
    #[error("`{0}` contains the character U+0000")]
    Nul(&'static str),
    /// It has another version of the format.
    #[error("`message_version` is another one than `20110921`, the one we know")]
    Version,
}

/// Reads a user message.
pub(super) fn read_message(body: &[u8]) -> Result<UserMessage, Undecodable> {
    let mut message: UserMessage = json::read(body).map_err(|error| Undecodable::Json("a user message", error))?;
    if message.message_version != MESSAGE_VERSION {
        return Err(Undecodable::Version);
    }
    complete(&message).map_err(Undecodable::Empty)?;
    let UserMessage { message_id, to_addr, from_addr, in_reply_to, content, .. } = &message;
    let keys = [("message_id", Some(message_id)), ("to_addr", Some(to_addr)), ("from_addr", Some(from_addr))];
    for (key, value) in keys.into_iter().chain([("in_reply_to", in_reply_to.as_ref())]) {
        keepable(key, value, LONGEST_KEY)?;
    }
    keepable("content", content.as_ref(), LONGEST_TEXT)?;
    remove_plus(&mut message.from_addr, &mut message.from_addr_type);
    remove_plus(&mut message.to_addr, &mut message.to_addr_type);
    Ok(message)
}

/// Reads an event. One that names no transport, as those of vumi2, is about a message that went by `transport`.
pub(super) fn read_event(body: &[u8], transport: &Name) -> Result<Event, Undecodable> {
    let event: Event = json::read(body)
        .or_else(|_| with_transport(body, transport))
        .map_err(|error| Undecodable::Json("an event", error))?;
    for (key, value) in [("event_id", &event.event_id), ("user_message_id", &event.user_message_id)] {
        if value.is_empty() {
            return Err(Undecodable::Empty(key));
        }
        keepable(key, Some(value), LONGEST_KEY)?;
    }
    Ok(event)
}

fn with_transport(body: &[u8], transport: &Name) -> serde_json::Result<Event> {
    let mut keys: Map<String, Value> = json::read(body)?;
    if keys.get("transport_name").and_then(Value::as_str).is_none_or(|name| Name::parse(name).is_err()) {
        keys.insert("transport_name".to_owned(), transport.as_str().into());
    }
    serde_json::from_value(Value::Object(keys))
}

fn keepable(key: &'static str, value: Option<&String>, longest: usize) -> Result<(), Undecodable> {
    match value {
        Some(value) if value.len() > longest => Err(Undecodable::TooLong(key, longest)),
        Some(value) if value.contains('\0') => Err(Undecodable::Nul(key)),
        _ => Ok(()),
    }
}

/// What a nack needs of a message to a person that can't be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnreadMessage {
    pub(super) message_id: String,
    pub(super) transport: Option<Name>,
    /// The service that sent it.
    pub(super) from: Option<String>,
}

/// Reads the id of a message that [`read_message`] refuses, where it has one.
pub(super) fn read_unreadable(body: &[u8]) -> Option<UnreadMessage> {
    // Serde skips what a struct does not name, however deep it is.
    #[derive(Deserialize)]
    struct Keys {
        message_id: String,
        #[serde(default)]
        transport_name: TextOrOther,
        #[serde(default)]
        from_addr: TextOrOther,
    }
    let Keys { message_id, transport_name, from_addr } = json::read(body).ok()?;
    let transport = transport_name.text().and_then(|name| Name::parse(&name).ok());
    (!message_id.is_empty()).then(|| UnreadMessage { message_id, transport, from: from_addr.text() })
}

/// A key's value: only a text is of use.
#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrOther {
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl Default for TextOrOther {
    fn default() -> Self {
        Self::Other(serde::de::IgnoredAny)
    }
}

impl TextOrOther {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(_) => None,
        }
    }
}

/// Why a message can't be published. A worker of the family stops reading a queue at the first body that it can't
/// decode.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritable {
    /// A key that must have a value is empty.
    #[error("`{0}` is empty")]
    Empty(&'static str),
    /// It can't be JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Writes a user message.
pub(super) fn write_message(mut message: UserMessage) -> Result<Vec<u8>, Unwritable> {
    complete(&message).map_err(Unwritable::Empty)?;
    add_plus(&mut message.from_addr, message.from_addr_type.as_deref());
    add_plus(&mut message.to_addr, message.to_addr_type.as_deref());
    Ok(serde_json::to_vec(&message)?)
}

/// Writes an event.
pub(super) fn write_event(event: &Event) -> Result<Vec<u8>, Unwritable> {
    Ok(serde_json::to_vec(event)?)
}

fn complete(message: &UserMessage) -> Result<(), &'static str> {
    let parts = [("message_id", &message.message_id), ("to_addr", &message.to_addr), ("from_addr", &message.from_addr)];
    parts.into_iter().find(|(_, value)| value.is_empty()).map_or(Ok(()), |(key, _)| Err(key))
}

/// `+27…` becomes `27…` with the type `msisdn`, by which the reply gets its `+` back.
fn remove_plus(address: &mut String, kind: &mut Option<String>) {
    if address.strip_prefix('+').is_some_and(is_number) && kind.as_deref().is_none_or(|kind| kind == MSISDN) {
        address.remove(0);
        *kind = Some(MSISDN.to_owned());
    }
}

fn add_plus(address: &mut String, kind: Option<&str>) {
    if kind == Some(MSISDN) && is_number(address) {
        address.insert(0, '+');
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vumi_kit::{
        message::{EventKind, SessionEvent},
        name::Name,
    };

    use super::{UnreadMessage, read_event, read_message, read_unreadable, write_message};

    fn family_message(more: Value) -> Vec<u8> {
        let mut message = json!({
            "message_version": "20110921", "message_type": "user_message", "timestamp": "2012-04-11 09:25:00.000001",
            "message_id": "m1", "to_addr": "*120*663#", "from_addr": "+27831234567", "in_reply_to": null,
            "session_event": "new", "content": null, "transport_name": "truteq", "transport_type": "ussd",
            "transport_metadata": {"a": {"b": 1}}, "helper_metadata": {}, "routing_metadata": {}, "group": null,
            "provider": null, "to_addr_type": null, "from_addr_type": "msisdn", "hop": [1],
        });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::to_vec(&message).unwrap()
    }

    #[test]
    fn an_msisdn_has_a_plus_on_the_broker_and_none_inside() {
        let message = read_message(&family_message(json!({}))).unwrap();
        assert_eq!((message.from_addr.as_str(), message.to_addr.as_str()), ("27831234567", "*120*663#"));
        let written = write_message(message.clone()).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&written).unwrap(),
            serde_json::from_slice::<Value>(&family_message(json!({}))).unwrap()
        );
        let reply = write_message(message.reply(None, Some(SessionEvent::Close), message.timestamp)).unwrap();
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        assert_eq!((&reply["to_addr"], &reply["from_addr"]), (&json!("+27831234567"), &json!("*120*663#")));
    }

    #[test]
    fn a_reply_goes_to_the_address_in_the_form_it_came_in() {
        for (from, kind, to) in [
            ("+27831234567", Value::Null, "+27831234567"),
            ("27831234567", Value::Null, "27831234567"),
            ("27831234567", json!("msisdn"), "+27831234567"),
            ("+me", json!("twitter_handle"), "+me"),
            ("+1", json!("twitter_handle"), "+1"),
        ] {
            let message = read_message(&family_message(json!({"from_addr": from, "from_addr_type": kind}))).unwrap();
            let reply = write_message(message.reply(None, None, message.timestamp)).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&reply).unwrap()["to_addr"], to);
        }
    }

    #[test]
    fn what_the_family_allows_is_read() {
        for more in [
            json!({"timestamp": "2012-04-11T09:25:00Z"}),
            json!({"timestamp": "2012-04-11 09:25:00"}),
            json!({"helper_metadata": null, "transport_metadata": null, "session_event": "resume"}),
            json!({"message_id": "any text at all"}),
        ] {
            read_message(&family_message(more)).unwrap();
        }
    }

    #[test]
    fn what_it_does_not_allow_is_named() {
        for (more, what) in [
            (json!({"to_addr": null}), "not a user message"),
            (json!({"to_addr": ""}), "`to_addr` is empty"),
            (json!({"message_id": ""}), "`message_id` is empty"),
            (json!({"message_type": "event"}), "not a user message"),
            (json!({"message_version": "1"}), "20110921"),
            (json!({"transport_type": "smoke"}), "not a user message"),
        ] {
            let error = read_message(&family_message(more)).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert!(read_message(b"\xff{").is_err());
        assert!(read_event(b"{}", &name("ussd")).is_err());
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn what_no_database_keeps_is_refused_by_its_key() {
        let long = "x".repeat(9_000);
        for key in ["message_id", "to_addr", "from_addr", "in_reply_to"] {
            for (value, what) in [(long.as_str(), "longer than 255 bytes"), ("a\0b", "U+0000")] {
                let error = read_message(&family_message(json!({key: value}))).unwrap_err().to_string();
                assert!(error.contains(key) && error.contains(what), "{error}");
            }
        }
        assert!(read_message(&family_message(json!({"content": "a\0b"}))).is_err());
        assert!(read_message(&family_message(json!({"content": long}))).is_ok());
    }

    #[test]
    fn an_event_that_names_no_transport_went_by_the_connectors() {
        let theirs = |more: Value| {
            let mut event = json!({"message_version": "20110921", "message_type": "event", "event_type": "ack",
                "timestamp": "2012-04-11 09:25:00.000001", "event_id": "e1", "user_message_id": "m1",
                "sent_message_id": "s1", "nack_reason": null, "delivery_status": null, "helper_metadata": {},
                "routing_metadata": {}, "transport_metadata": {}});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::to_vec(&event).unwrap()
        };
        for (more, transport) in [
            (json!({}), "ussd"),
            (json!({"transport_name": null}), "ussd"),
            (json!({"transport_name": "No Name"}), "ussd"),
            (json!({"transport_name": "truteq"}), "truteq"),
        ] {
            let event = read_event(&theirs(more), &name("ussd")).unwrap();
            assert_eq!(event.transport_name, name(transport));
            assert_eq!(event.what, EventKind::Ack { sent_message_id: "s1".to_owned() });
        }
        assert!(read_event(&theirs(json!({"sent_message_id": null})), &name("ussd")).is_err());
        assert!(read_event(&theirs(json!({"event_id": "x".repeat(9_000)})), &name("ussd")).is_err());
    }

    #[test]
    fn the_id_of_a_message_that_can_not_be_read_is_read_where_there_is_one() {
        let unread = |transport: Option<&str>, from: Option<&str>| {
            Some(UnreadMessage {
                message_id: "m1".to_owned(),
                transport: transport.map(name),
                from: from.map(str::to_owned),
            })
        };
        let person = Some("+27831234567");
        for (more, expected) in [
            (json!({"transport_type": "smoke"}), unread(Some("truteq"), person)),
            (json!({"transport_name": "No Name", "from_addr": null}), unread(None, None)),
            (json!({"message_id": 7}), None),
            (json!({"message_id": ""}), None),
        ] {
            assert_eq!(read_unreadable(&family_message(more)), expected);
        }
        let deep = format!("{{\"message_id\": \"m1\", \"deep\": {}{}}}", "[".repeat(1_000), "]".repeat(1_000));
        assert!(read_message(deep.as_bytes()).is_err());
        assert_eq!(read_unreadable(deep.as_bytes()), unread(None, None));
        assert_eq!(read_unreadable(b"{\"message_id\": \"m1\""), None);
    }
}
