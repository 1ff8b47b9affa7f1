//! Messages as bytes on the broker, in the family's JSON (docs/broker.md). MSISDNs have a leading `+` there, and none
//! inside Vumi.

use vumi_kit::message::{Event, MESSAGE_VERSION, UserMessage};

const MSISDN: &str = "msisdn";

/// Why a body is no message.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undecodable {
    /// It is not the JSON of such a message.
    #[error("the body is not {0}: {1}")]
    Json(&'static str, serde_json::Error),
    /// A key that must have a value is empty.
    #[error("`{0}` is empty")]
    Empty(&'static str),
    /// It has another version of the format.
    #[error("`message_version` is `{0}`, and `20110921` is the one we know")]
    Version(String),
}

/// Reads a user message.
pub(super) fn read_message(body: &[u8]) -> Result<UserMessage, Undecodable> {
    let mut message: UserMessage =
        serde_json::from_slice(body).map_err(|error| Undecodable::Json("a user message", error))?;
    if message.message_version != MESSAGE_VERSION {
        return Err(Undecodable::Version(message.message_version));
    }
    complete(&message).map_err(Undecodable::Empty)?;
    remove_plus(&mut message.from_addr, &mut message.from_addr_type);
    remove_plus(&mut message.to_addr, &mut message.to_addr_type);
    Ok(message)
}

/// Reads an event.
pub(super) fn read_event(body: &[u8]) -> Result<Event, Undecodable> {
    let event: Event = serde_json::from_slice(body).map_err(|error| Undecodable::Json("an event", error))?;
    match () {
        () if event.event_id.is_empty() => Err(Undecodable::Empty("event_id")),
        () if event.user_message_id.is_empty() => Err(Undecodable::Empty("user_message_id")),
        () => Ok(event),
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
    use vumi_kit::message::SessionEvent;

    use super::{read_event, read_message, write_message};

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
        assert!(read_event(b"{}").is_err());
    }
}
