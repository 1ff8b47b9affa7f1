//! SMS of a campaign elsewhere, and SMS for one.

use serde_json::{Value, json};
use vumi_kit::{router::Inbound, sms::TransportStatus};

use super::fixture::{AmqpFixture, with_broker};
use crate::AmqpSettings;

/// An SMS that answers none.
pub(super) fn unprompted_sms(fixture: &AmqpFixture, id: &str) -> Value {
    let more = json!({"transport_type": "sms", "transport_name": "clickatell", "to_addr": "+27831234567",
        "from_addr": "38080", "session_event": null, "content": "hello"});
    fixture.message(id, more)
}

#[actix::test]
async fn an_unprompted_sms_is_acknowledged_when_the_provider_has_it() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let quiz = fixture.name("quiz");
        let (outbound_queue, event_queue) = (format!("{quiz}.outbound"), format!("{quiz}.event"));
        fixture.publish(&outbound_queue, &unprompted_sms(&fixture, "m1")).await;
        let accepted = fixture.until_accepted(1).await;
        assert_eq!((accepted[0].to.as_str(), accepted[0].message.as_str()), ("27831234567", "hello"));
        front_end.until(" 1 deliveries in work").await;
        assert_eq!(fixture.waiting(&event_queue).await, 0, "the ledger has it, and the provider does not yet");

        fixture.ledger.record(accepted[0].id, TransportStatus::AtGateway, Some("p1"));
        let event = fixture.read(&event_queue).await.1;
        assert_eq!((&event["event_type"], &event["user_message_id"]), (&json!("ack"), &json!("m1")));
        assert_eq!((&event["sent_message_id"], &event["transport_name"]), (&json!("p1"), &json!("clickatell")));
        front_end.until(" 0 deliveries in work").await;

        fixture.ledger.record(accepted[0].id, TransportStatus::Delivered, Some("p1"));
        let event = fixture.read(&event_queue).await.1;
        assert_eq!((&event["event_type"], &event["user_message_id"]), (&json!("delivery_report"), &json!("m1")));
        assert_eq!((&event["delivery_status"], &event["sent_message_id"]), (&json!("delivered"), &Value::Null));
        assert!(fixture.router_has_no_more_input());
    })
    .await;
}

#[actix::test]
async fn an_sms_that_the_provider_refuses_for_good_gets_a_nack() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let quiz = fixture.name("quiz");
        fixture.publish(&format!("{quiz}.outbound"), &unprompted_sms(&fixture, "m1")).await;
        let accepted = fixture.until_accepted(1).await;
        fixture.ledger.record(accepted[0].id, TransportStatus::RoutingError, None);
        let event = fixture.read(&format!("{quiz}.event")).await.1;
        assert_eq!((&event["event_type"], &event["user_message_id"]), (&json!("nack"), &json!("m1")));
        assert_eq!(event["nack_reason"], "as the provider says");
        front_end.until(" 0 deliveries in work").await;
    })
    .await;
}

#[actix::test]
async fn an_sms_whose_process_dies_is_accepted_once_and_another_process_publishes_its_ack() {
    with_broker(async |fixture| {
        let first = fixture.start().await;
        let quiz = fixture.name("quiz");
        fixture.publish(&format!("{quiz}.outbound"), &unprompted_sms(&fixture, "m1")).await;
        first.until(" 1 deliveries in work").await;
        let accepted = fixture.until_accepted(1).await;
        drop(first);
        fixture.proxy.cut();
        fixture.proxy.mend();
        let second = fixture.start().await;
        second.until(" 1 deliveries in work").await;
        fixture.ledger.record(accepted[0].id, TransportStatus::Queued, Some("p1"));
        let event = fixture.read(&format!("{quiz}.event")).await.1;
        assert_eq!((&event["event_type"], &event["sent_message_id"]), (&json!("ack"), &json!("p1")));
        assert_eq!(fixture.until_accepted(1).await.len(), 1, "not a second time");
        second.until(" 0 deliveries in work").await;
    })
    .await;
}

#[actix::test]
async fn sms_of_a_provider_that_does_not_answer_leave_capacity_for_sessions() {
    with_broker(async |fixture| {
        let front_end = fixture.start_with(AmqpSettings { prefetch: 4, ..fixture.settings() }).await;
        let queue = format!("{}.outbound", fixture.name("quiz"));
        for id in ["m1", "m2", "m3", "m4", "m5", "m6"] {
            fixture.publish(&queue, &unprompted_sms(&fixture, id)).await;
        }
        let accepted = fixture.until_accepted(6).await;
        front_end.until(" 2 deliveries in work").await;
        fixture.publish(&queue, &fixture.message("u1", json!({"in_reply_to": "m0"}))).await;
        assert_eq!(fixture.outbound().await.message_id, "u1");
        // The campaign gets an ack also for SMS whose delivery was acknowledged early.
        for sms in accepted {
            fixture.ledger.record(sms.id, TransportStatus::Queued, Some("p"));
        }
        for _ in 0..6 {
            assert_eq!(fixture.read(&format!("{}.event", fixture.name("quiz"))).await.1["event_type"], "ack");
        }
    })
    .await;
}

#[actix::test]
async fn a_received_sms_that_nobody_answers_is_published_once() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let quiz = fixture.name("quiz");
        let endpoint = front_end.endpoints(&quiz).inbound().cloned().unwrap();
        let sms = || {
            let message =
                fixture.message("m1", json!({"transport_type": "sms", "session_event": null, "content": "hi"}));
            Inbound(serde_json::from_value(message).unwrap())
        };
        assert_eq!(endpoint.send(sms()).await.unwrap(), Ok(()));
        assert_eq!(endpoint.send(sms()).await.unwrap(), Ok(()), "it is settled");
        fixture.read(&format!("{quiz}.inbound")).await;
        assert_eq!(fixture.waiting(&format!("{quiz}.inbound")).await, 0);
    })
    .await;
}
