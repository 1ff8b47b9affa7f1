//! Processes that run a part each of the same settings.

use std::time::Duration;

use serde_json::json;
use vumi_kit::{
    message::{Event, UserMessage},
    router::{Happened, Inbound, Outbound},
    testing::moment,
};

use super::{
    answer,
    fixture::{AmqpFixture, RunningFrontEnd, with_broker},
};
use crate::{AmqpSettings, AmqpTopology, PeerComponents};

/// Starts the front-end of the process with the campaign, or of that with the transport.
async fn start_peer(fixture: &AmqpFixture, with_campaign: bool) -> RunningFrontEnd {
    let (ussd, quiz) = (vec![fixture.name("ussd")], vec![fixture.name("quiz")]);
    let peers = if with_campaign {
        PeerComponents { campaigns_here: quiz, transports_elsewhere: ussd, ..PeerComponents::default() }
    } else {
        PeerComponents { transports_here: ussd, campaigns_elsewhere: quiz, ..PeerComponents::default() }
    };
    // A delivery that is not settled stays in work for longer than a test waits.
    let hold_for = Duration::from_secs(600);
    let settings = AmqpSettings { connectors: [].into(), hold_for, ..fixture.settings() };
    let topology = AmqpTopology::of_tables(&settings).with_peers(peers);
    fixture.start_in(settings, topology).await
}

#[actix::test]
async fn a_campaigns_process_reads_the_campaigns_queue_and_answers_into_the_transports() {
    with_broker(async |fixture| {
        let front_end = start_peer(&fixture, true).await;
        let (ussd, quiz) = (fixture.name("ussd"), fixture.name("quiz"));
        fixture.publish(&format!("{quiz}.inbound"), &fixture.message("m1", json!({}))).await;
        let message = fixture.inbound().await;
        front_end.until(" 1 deliveries in work").await;
        let reply = answer(&message, "hello");
        let endpoint = front_end.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(endpoint.send(Outbound(reply.clone())).await.unwrap(), Ok(()));
        let (_, sent) = fixture.read(&format!("{ussd}.outbound")).await;
        assert_eq!(sent["in_reply_to"], json!("m1"));
        front_end.until(" 0 deliveries in work").await;
    })
    .await;
}

#[actix::test]
async fn a_transports_process_writes_to_the_campaigns_queues_and_reads_its_own() {
    with_broker(async |fixture| {
        let front_end = start_peer(&fixture, false).await;
        let (ussd, quiz) = (fixture.name("ussd"), fixture.name("quiz"));
        let endpoints = front_end.endpoints(&quiz);
        let ours: UserMessage = serde_json::from_value(fixture.message("m1", json!({}))).unwrap();
        assert_eq!(endpoints.inbound().cloned().unwrap().send(Inbound(ours)).await.unwrap(), Ok(()));
        assert_eq!(fixture.read(&format!("{quiz}.inbound")).await.1["message_id"], json!("m1"));

        let reply = json!({"to_addr": "+27831234567", "from_addr": "*120*663#", "in_reply_to": "m1"});
        fixture.publish(&format!("{ussd}.outbound"), &fixture.message("m2", reply)).await;
        let reply = fixture.outbound().await;
        front_end.until(" 1 deliveries in work").await;
        let event = Event::ack(&reply, moment());
        endpoints.events().cloned().unwrap().send(Happened { service: "*120*663#".to_owned(), event }).await.unwrap();
        assert_eq!(fixture.read(&format!("{quiz}.event")).await.1["user_message_id"], json!("m2"));
        front_end.until(" 0 deliveries in work").await;
    })
    .await;
}

#[actix::test]
async fn an_sms_comes_as_often_as_the_ledger_brings_it_and_is_answered_there() {
    with_broker(async |fixture| {
        let sms = fixture.message(
            "m1",
            json!({"transport_type": "sms", "transport_name": "clickatell",
            "to_addr": "38080", "content": "quiz", "session_event": null}),
        );
        let ours: UserMessage = serde_json::from_value(sms.clone()).unwrap();
        let (ussd, quiz) = (fixture.name("ussd"), fixture.name("quiz"));
        let inbound_queue = format!("{quiz}.inbound");

        let from = start_peer(&fixture, false).await;
        for _ in 0..2 {
            let endpoint = from.endpoints(&quiz).inbound().cloned().unwrap();
            assert_eq!(endpoint.send(Inbound(ours.clone())).await.unwrap(), Ok(()));
            fixture.read(&inbound_queue).await;
        }

        let to = start_peer(&fixture, true).await;
        for _ in 0..2 {
            fixture.publish(&inbound_queue, &sms).await;
            assert_eq!(fixture.inbound().await.message_id, "m1");
            to.until(" 0 deliveries in work").await;
        }
        assert_eq!(fixture.waiting(&inbound_queue).await, 0);
        // A transport of a peer takes the answer too: the ledger is shared.
        let endpoint = to.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(endpoint.send(Outbound(answer(&ours, "thanks"))).await.unwrap(), Ok(()));
        assert_eq!(fixture.waiting(&format!("{ussd}.outbound")).await, 0);
    })
    .await;
}
