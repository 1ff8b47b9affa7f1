//! Processes that run a part each of the same settings.

use std::time::Duration;

use serde_json::json;
use vumi_kit::{
    message::{Event, UserMessage},
    router::{Happened, Inbound, Outbound},
};

use super::{
    AmqpSettings, answer,
    harness::{AmqpHarness, on_stage},
    inbound, moment, outbound,
};
use crate::Peers;

/// The process with the campaign, or that with the transport.
fn settings(harness: &AmqpHarness, with_campaign: bool) -> AmqpSettings {
    let (ussd, quiz) = (vec![harness.name("ussd")], vec![harness.name("quiz")]);
    let peers = if with_campaign {
        Peers { campaigns_here: quiz, transports_elsewhere: ussd, ..Peers::default() }
    } else {
        Peers { transports_here: ussd, campaigns_elsewhere: quiz, ..Peers::default() }
    };
    // What is not acknowledged when it is done stays in work for longer than a test waits.
    AmqpSettings { connectors: [].into(), peers, hold_for: Duration::from_secs(600), ..harness.settings() }
}

#[actix::test]
async fn a_campaigns_process_reads_the_campaigns_queue_and_answers_into_the_transports() {
    on_stage(async |harness| {
        let front = harness.start_with(settings(&harness, true)).await;
        let (ussd, quiz) = (harness.name("ussd"), harness.name("quiz"));
        harness.publish(&format!("{quiz}.inbound"), &harness.message("m1", json!({}))).await;
        let message = inbound(&harness).await;
        front.until(" 1 deliveries in work").await;
        let reply = answer(&message, "hello");
        let component = front.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(component.send(Outbound(reply.clone())).await.unwrap(), Ok(()));
        let (_, sent) = harness.read(&format!("{ussd}.outbound")).await;
        assert_eq!(sent["in_reply_to"], json!("m1"));
        front.until(" 0 deliveries in work").await;
    })
    .await;
}

#[actix::test]
async fn a_transports_process_writes_to_the_campaigns_queues_and_reads_its_own() {
    on_stage(async |harness| {
        let front = harness.start_with(settings(&harness, false)).await;
        let (ussd, quiz) = (harness.name("ussd"), harness.name("quiz"));
        let endpoints = front.endpoints(&quiz);
        let ours: UserMessage = serde_json::from_value(harness.message("m1", json!({}))).unwrap();
        assert_eq!(endpoints.inbound().cloned().unwrap().send(Inbound(ours)).await.unwrap(), Ok(()));
        assert_eq!(harness.read(&format!("{quiz}.inbound")).await.1["message_id"], json!("m1"));

        let reply = json!({"to_addr": "+27831234567", "from_addr": "*120*663#", "in_reply_to": "m1"});
        harness.publish(&format!("{ussd}.outbound"), &harness.message("m2", reply)).await;
        let reply = outbound(&harness).await;
        front.until(" 1 deliveries in work").await;
        let event = Event::ack(&reply, moment());
        endpoints.events().cloned().unwrap().send(Happened { service: "*120*663#".to_owned(), event }).await.unwrap();
        assert_eq!(harness.read(&format!("{quiz}.event")).await.1["user_message_id"], json!("m2"));
        front.until(" 0 deliveries in work").await;
    })
    .await;
}

#[actix::test]
async fn an_sms_comes_as_often_as_the_ledger_brings_it_and_is_answered_there() {
    on_stage(async |harness| {
        let sms = harness.message(
            "m1",
            json!({"transport_type": "sms", "transport_name": "clickatell",
            "to_addr": "38080", "content": "quiz", "session_event": null}),
        );
        let ours: UserMessage = serde_json::from_value(sms.clone()).unwrap();
        let (ussd, quiz) = (harness.name("ussd"), harness.name("quiz"));
        let inbound_queue = format!("{quiz}.inbound");

        let from = harness.start_with(settings(&harness, false)).await;
        for _ in 0..2 {
            let component = from.endpoints(&quiz).inbound().cloned().unwrap();
            assert_eq!(component.send(Inbound(ours.clone())).await.unwrap(), Ok(()));
            harness.read(&inbound_queue).await;
        }

        let to = harness.start_with(settings(&harness, true)).await;
        for _ in 0..2 {
            harness.publish(&inbound_queue, &sms).await;
            assert_eq!(inbound(&harness).await.message_id, "m1");
            to.until(" 0 deliveries in work").await;
        }
        assert_eq!(harness.waiting(&inbound_queue).await, 0);
        // By a transport that is at home elsewhere, too: the ledger is the same one.
        let component = to.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(component.send(Outbound(answer(&ours, "thanks"))).await.unwrap(), Ok(()));
        assert_eq!(harness.waiting(&format!("{ussd}.outbound")).await, 0);
    })
    .await;
}
