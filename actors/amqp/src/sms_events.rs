//! The events about an SMS of a campaign elsewhere: one ack or nack, and delivery reports after an ack.

use serde_json::Map;
use sha2::{Digest, Sha256};
use vumi_kit::{
    clock::Timestamp,
    message::{DeliveryStatus, Event, EventKind},
    name::Name,
    sms::{Sms, TransportStatus},
};

/// What is new in an SMS's status since `reported`, the status at the last event.
pub(super) fn events_since(reported: Option<TransportStatus>, sms: &Sms) -> Vec<EventKind> {
    let status = sms.status;
    // Pending, or unknown to the provider: it is submitted again, or fails.
    if matches!(status, TransportStatus::Pending | TransportStatus::UnknownMessage) {
        return vec![];
    }
    let report = EventKind::DeliveryReport {
        status: match status {
            TransportStatus::Delivered => DeliveryStatus::Delivered,
            failed if failed.is_final() => DeliveryStatus::Failed,
            _ => DeliveryStatus::Pending,
        },
    };
    match reported {
        Some(before) if before == status => vec![],
        Some(_) => vec![report],
        None if status.is_final() && status != TransportStatus::Delivered && sms.provider_id.is_none() => {
            let reason = sms.provider_response.clone().filter(|text| !text.is_empty());
            vec![EventKind::Nack { reason: reason.unwrap_or_else(|| status.display().to_owned()) }]
        }
        None => {
            let ack = EventKind::Ack { sent_message_id: sms.provider_id.clone().unwrap_or_else(|| sms.id.to_string()) };
            if status.is_final() { vec![ack, report] } else { vec![ack] }
        }
    }
}

/// The event about an SMS that a campaign sent under `message_id`.
pub(super) fn sms_event(queue: &str, message_id: &str, transport: &Name, what: EventKind, at: Timestamp) -> Event {
    Event {
        event_id: event_id(queue, message_id, &what),
        timestamp: at,
        user_message_id: message_id.to_owned(),
        transport_name: transport.clone(),
        what,
        transport_metadata: Map::new(),
        helper_metadata: Map::new(),
        routing_metadata: Map::new(),
        sent_by: None,
        other: Map::new(),
    }
}

/// The same event has the same id in every process, so that a campaign can recognise a repeated one.
fn event_id(queue: &str, message_id: &str, what: &EventKind) -> String {
    let kind = match what {
        EventKind::Ack { .. } | EventKind::Nack { .. } => "sent or not",
        EventKind::DeliveryReport { status: DeliveryStatus::Pending } => "pending",
        EventKind::DeliveryReport { .. } => "end",
    };
    let mut digest = Sha256::new();
    for part in [queue, message_id, kind] {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use vumi_kit::{
        address::Msisdn,
        life::SmsState,
        message::{DeliveryStatus, EventKind},
        name::Name,
        sms::{Sms, TransportStatus},
        sms_options::{Content, Priority},
        testing::moment,
    };

    use super::{event_id, events_since};

    fn sms(status: i16, provider_id: Option<&str>) -> Sms {
        let number = Msisdn::parse("27831234567").unwrap();
        Sms {
            id: 7,
            account: 1,
            transport: Name::parse("clickatell").unwrap(),
            to: number.clone(),
            from: number.into(),
            message: "hello".to_owned(),
            state: SmsState::at_rest(status.into(), false),
            status: status.into(),
            provider_response: Some("ERR: 114".to_owned()),
            provider_id: provider_id.map(str::to_owned),
            attempts: 1,
            delivered_at: None,
            created_at: moment(),
            updated_at: moment(),
            segments: 1,
            priority: Priority::Normal,
            content: Content::Text,
            scheduled_at: None,
            expires_at: moment(),
            reference: None,
            callback_url: None,
            receipts: None,
            route: None,
        }
    }

    #[test]
    fn every_sms_gets_one_ack_or_nack_and_reports_only_after_an_ack() {
        let ack = |id: &str| EventKind::Ack { sent_message_id: id.to_owned() };
        let report = |status| EventKind::DeliveryReport { status };
        let nack = EventKind::Nack { reason: "ERR: 114".to_owned() };
        for (reported, status, provider_id, expected) in [
            (None, 0, None, vec![]),
            (None, 1, Some("p"), vec![]),
            (None, 2, Some("p"), vec![ack("p")]),
            (None, 3, None, vec![ack("7")]),
            (None, 4, Some("p"), vec![ack("p"), report(DeliveryStatus::Delivered)]),
            (None, 7, Some("p"), vec![ack("p"), report(DeliveryStatus::Failed)]),
            (None, 5, None, vec![nack.clone()]),
            (None, 10, None, vec![nack]),
            (Some(2), 2, Some("p"), vec![]),
            (Some(2), 3, Some("p"), vec![report(DeliveryStatus::Pending)]),
            (Some(3), 4, Some("p"), vec![report(DeliveryStatus::Delivered)]),
            (Some(3), 10, None, vec![report(DeliveryStatus::Failed)]),
        ] {
            let events = events_since(reported.map(TransportStatus::from), &sms(status, provider_id));
            assert_eq!(events, expected, "{reported:?} {status}");
        }
    }

    #[test]
    fn the_same_event_has_the_same_id_in_every_process() {
        let ack = |id: &str| EventKind::Ack { sent_message_id: id.to_owned() };
        let id = event_id("quiz.event", "m1", &ack("p"));
        assert_eq!((id.len(), &id), (32, &event_id("quiz.event", "m1", &ack("7"))));
        assert_ne!(id, event_id("quiz.event", "m2", &ack("p")));
        let delivered = EventKind::DeliveryReport { status: DeliveryStatus::Delivered };
        assert_ne!(id, event_id("quiz.event", "m1", &delivered));
    }
}
