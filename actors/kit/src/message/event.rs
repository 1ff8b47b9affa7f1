//! An event as JSON on the broker: the keys of all types are always written, those that its type does not use as null.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{DeliveryStatus, Event, EventKind, MESSAGE_VERSION, family_time, null_is_empty};
use crate::{clock::Timestamp, name::Name};

/// The keys of an event.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct OnTheBroker {
    message_version: String,
    message_type: EventTag,
    #[serde(with = "family_time")]
    timestamp: Timestamp,
    event_id: String,
    user_message_id: String,
    event_type: EventType,
    #[serde(default)]
    sent_message_id: Option<String>,
    #[serde(default)]
    nack_reason: Option<String>,
    #[serde(default)]
    delivery_status: Option<DeliveryStatus>,
    transport_name: Name,
    #[serde(default, deserialize_with = "null_is_empty")]
    transport_metadata: Map<String, Value>,
    #[serde(default, deserialize_with = "null_is_empty")]
    helper_metadata: Map<String, Value>,
    #[serde(default, deserialize_with = "null_is_empty")]
    routing_metadata: Map<String, Value>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// The text `event`.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EventTag {
    Event,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EventType {
    Ack,
    Nack,
    DeliveryReport,
}

/// Why JSON with the keys of an event is not an event.
#[derive(Debug, thiserror::Error)]
#[error("an event of this type needs `{0}`")]
pub(super) struct Lacks(&'static str);

impl TryFrom<OnTheBroker> for Event {
    type Error = Lacks;

    fn try_from(read: OnTheBroker) -> Result<Self, Lacks> {
        let what = match read.event_type {
            EventType::Ack => EventKind::Ack { sent_message_id: read.sent_message_id.ok_or(Lacks("sent_message_id"))? },
            EventType::Nack => EventKind::Nack { reason: read.nack_reason.ok_or(Lacks("nack_reason"))? },
            EventType::DeliveryReport => {
                EventKind::DeliveryReport { status: read.delivery_status.ok_or(Lacks("delivery_status"))? }
            }
        };
        Ok(Self {
            event_id: read.event_id,
            timestamp: read.timestamp,
            user_message_id: read.user_message_id,
            transport_name: read.transport_name,
            what,
            transport_metadata: read.transport_metadata,
            helper_metadata: read.helper_metadata,
            routing_metadata: read.routing_metadata,
            sent_by: None,
            other: read.other,
        })
    }
}

impl From<Event> for OnTheBroker {
    fn from(event: Event) -> Self {
        let (mut sent_message_id, mut nack_reason, mut delivery_status) = (None, None, None);
        let event_type = match event.what {
            EventKind::Ack { sent_message_id: id } => {
                sent_message_id = Some(id);
                EventType::Ack
            }
            EventKind::Nack { reason } => {
                nack_reason = Some(reason);
                EventType::Nack
            }
            EventKind::DeliveryReport { status } => {
                delivery_status = Some(status);
                EventType::DeliveryReport
            }
        };
        Self {
            message_version: MESSAGE_VERSION.to_owned(),
            message_type: EventTag::Event,
            timestamp: event.timestamp,
            event_id: event.event_id,
            user_message_id: event.user_message_id,
            event_type,
            sent_message_id,
            nack_reason,
            delivery_status,
            transport_name: event.transport_name,
            transport_metadata: event.transport_metadata,
            helper_metadata: event.helper_metadata,
            routing_metadata: event.routing_metadata,
            other: event.other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{DeliveryStatus, Event, EventKind};

    fn theirs(more: serde_json::Value) -> serde_json::Value {
        let mut event = json!({
            "message_version": "20110921", "message_type": "event", "timestamp": "2012-04-11 09:25:00.000001",
            "event_id": "e1", "user_message_id": "m1", "event_type": "ack", "sent_message_id": null,
            "nack_reason": null, "delivery_status": null, "transport_name": "truteq", "transport_metadata": {},
            "helper_metadata": {"tag": 1}, "routing_metadata": {"endpoint_name": "default"}, "hop": 3,
        });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    }

    #[test]
    fn each_type_of_event_is_read_and_written_whole() {
        for (more, what) in [
            (json!({"sent_message_id": "s1"}), EventKind::Ack { sent_message_id: "s1".to_owned() }),
            (json!({"event_type": "nack", "nack_reason": "no"}), EventKind::Nack { reason: "no".to_owned() }),
            (
                json!({"event_type": "delivery_report", "delivery_status": "delivered"}),
                EventKind::DeliveryReport { status: DeliveryStatus::Delivered },
            ),
        ] {
            let event: Event = serde_json::from_value(theirs(more.clone())).unwrap();
            assert_eq!(event.what, what);
            assert_eq!(serde_json::to_value(&event).unwrap(), theirs(more));
        }
    }

    #[test]
    fn nulls_and_absent_keys_that_are_not_used_are_read() {
        let mut event = theirs(json!({"sent_message_id": "s1", "transport_metadata": null}));
        event.as_object_mut().unwrap().remove("nack_reason");
        let event: Event = serde_json::from_value(event).unwrap();
        assert!(event.transport_metadata.is_empty());
    }

    #[test]
    fn an_event_without_what_its_type_says_is_refused() {
        for more in [json!({}), json!({"event_type": "nack"}), json!({"event_type": "delivery_report"})] {
            let error = serde_json::from_value::<Event>(theirs(more)).unwrap_err();
            assert!(error.to_string().contains("needs"), "{error}");
        }
    }
}
