//! What the other side does and should not: each message is taken, or is a dead letter with a nack.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vumi_kit::{
    account::{Budget, BudgetUnit, Micros, OverQuota, QuotaCharge},
    address::Address,
    message::Event,
    router::{Outbound, Refused},
    sms::TransportStatus,
    testing::moment,
};

use super::{
    answer,
    fake_router::RouterInput,
    fixture::{AmqpFixture, RunningFrontEnd, with_broker},
    sms::unprompted_sms,
};
use crate::{
    AmqpSettings,
    dead_letters::{self, DeadLetter},
};

async fn letters(fixture: &AmqpFixture) -> Vec<DeadLetter> {
    dead_letters::list(&fixture.settings(), 500).await.unwrap()
}

/// The campaign gets a nack, and there is a dead letter, both with these words.
async fn is_refused(fixture: &AmqpFixture, front_end: &RunningFrontEnd, id: &str, words: &str) {
    let event = fixture.read(&format!("{}.event", fixture.name("quiz"))).await.1;
    assert_eq!((&event["event_type"], &event["user_message_id"]), (&json!("nack"), &json!(id)));
    assert!(event["nack_reason"].as_str().unwrap().contains(words), "{event}");
    assert!(event["transport_name"].is_string(), "{event}");
    front_end.until(" 0 deliveries in work").await;
    let letters = letters(fixture).await;
    assert!(letters.iter().any(|letter| letter.reason.contains(words)), "{letters:?}");
}

/// Whether every delivery was acknowledged: none comes back when the front-end is gone.
async fn all_acknowledged(fixture: &AmqpFixture, front_end: RunningFrontEnd, queue: &str) {
    front_end.until(" 0 deliveries in work").await;
    drop(front_end);
    fixture.proxy.cut();
    fixture.proxy.mend();
    assert_eq!(fixture.waiting(queue).await, 0);
}

fn with(mut message: Value, more: Value) -> Value {
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message
}

#[actix::test]
async fn an_sms_without_a_text_is_refused_and_not_acknowledged_as_sent() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let queue = format!("{}.outbound", fixture.name("quiz"));
        for (id, more) in [("m1", json!({"content": null})), ("m2", json!({"content": "", "in_reply_to": "unknown"}))] {
            fixture.publish(&queue, &with(unprompted_sms(&fixture, id), more)).await;
            is_refused(&fixture, &front_end, id, "`content` is empty").await;
        }
        assert!(fixture.ledger.accepted().is_empty());
    })
    .await;
}

#[actix::test]
async fn what_the_account_may_not_send_is_refused_with_the_reason() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let queue = format!("{}.outbound", fixture.name("quiz"));
        fixture.ledger.change_account(|account| account.rights.senders = vec![Address::sender("MYCLINIC").unwrap()]);
        fixture.publish(&queue, &unprompted_sms(&fixture, "m1")).await;
        is_refused(&fixture, &front_end, "m1", "it may send as: MYCLINIC").await;
        fixture.ledger.change_account(|account| {
            account.rights.senders.clear();
            account.stopped_at = Some(moment());
        });
        fixture.publish(&queue, &unprompted_sms(&fixture, "m2")).await;
        is_refused(&fixture, &front_end, "m2", "the account `client` is stopped").await;
        assert!(fixture.ledger.accepted().is_empty());
    })
    .await;
}

#[actix::test]
async fn an_sms_beyond_a_quota_is_refused_with_the_reason_and_taken_when_it_is_replayed_within_it() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let queue = format!("{}.outbound", fixture.name("quiz"));
        let budget = Budget { unit: BudgetUnit::Segments, balance: Micros::default(), spent: Micros::whole(5) };
        fixture.ledger.change_account(|account| account.quotas.budget = Some(budget));
        let (unit, balance, asked) = (BudgetUnit::Segments, Micros::default(), Micros::whole(1));
        fixture.ledger.set_over_quota(Some(OverQuota::Budget { unit, balance, asked }));
        fixture.publish(&queue, &unprompted_sms(&fixture, "m1")).await;
        is_refused(&fixture, &front_end, "m1", "budget has 0 segments left").await;
        fixture.ledger.set_over_quota(Some(OverQuota::Waiting { most: 10, waiting: 10, asked: 1 }));
        fixture.publish(&queue, &unprompted_sms(&fixture, "m2")).await;
        is_refused(&fixture, &front_end, "m2", "10 SMS of the account wait").await;
        assert!(fixture.ledger.accepted().is_empty());
        // What `vumi dead replay` does once the operator has added to the budget.
        fixture.ledger.set_over_quota(None);
        fixture.publish(&queue, &unprompted_sms(&fixture, "m1")).await;
        fixture.until_accepted(1).await;
        let charge = QuotaCharge { unit: Some(unit), of_each: vec![asked] };
        assert_eq!(fixture.ledger.charges(), vec![charge; 3]);
    })
    .await;
}

#[actix::test]
async fn recipients_a_minute_are_counted_over_the_broker_too_and_a_message_that_comes_again_only_once() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let queue = format!("{}.outbound", fixture.name("quiz"));
        fixture.ledger.change_account(|account| account.quotas.recipients_per_minute = Some(1));
        fixture.publish(&queue, &unprompted_sms(&fixture, "m1")).await;
        fixture.until_accepted(1).await;
        drop(front_end);
        fixture.proxy.cut();
        fixture.proxy.mend();
        // A new process has counted nothing yet, and the broker delivers m1 again.
        let front_end = fixture.start().await;
        front_end.until(" 1 deliveries in work").await;
        fixture.publish(&queue, &unprompted_sms(&fixture, "m2")).await;
        for sms in fixture.until_accepted(2).await {
            fixture.ledger.record(sms.id, TransportStatus::Queued, Some("p"));
            assert_eq!(fixture.read(&format!("{}.event", fixture.name("quiz"))).await.1["event_type"], "ack");
        }
        fixture.publish(&queue, &unprompted_sms(&fixture, "m3")).await;
        is_refused(&fixture, &front_end, "m3", "1 recipients a minute").await;
        assert_eq!(fixture.ledger.accepted().len(), 2);
    })
    .await;
}

#[actix::test]
async fn each_message_is_an_sms_of_its_own_and_a_repeated_one_is_not() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let quiz = fixture.name("quiz");
        let queue = format!("{quiz}.outbound");
        // Both answer the same SMS, which is unknown here.
        let sms =
            |id: &str, text: &str| with(unprompted_sms(&fixture, id), json!({"in_reply_to": "m0", "content": text}));
        for message in [sms("m1", "one"), sms("m2", "two"), sms("m1", "one")] {
            fixture.publish(&queue, &message).await;
        }
        fixture.publish(&queue, &sms("m1", "three")).await;
        is_nacked_while_another_is_followed(&fixture).await;
        let accepted = fixture.until_accepted(2).await;
        for sms in &accepted {
            fixture.ledger.record(sms.id, TransportStatus::Queued, Some("p"));
        }
        let mut acked = vec![];
        for _ in 0..2 {
            let event = fixture.read(&format!("{quiz}.event")).await.1;
            assert_eq!(event["event_type"], "ack");
            acked.push(event["user_message_id"].as_str().unwrap().to_owned());
        }
        acked.sort();
        assert_eq!(acked, ["m1", "m2"]);
        // Also when it was settled before.
        fixture.publish(&queue, &sms("m2", "four")).await;
        is_refused(&fixture, &front_end, "m2", "used for another message").await;
        assert_eq!(fixture.ledger.accepted().len(), 2);
        all_acknowledged(&fixture, front_end, &queue).await;
    })
    .await;
}

async fn is_nacked_while_another_is_followed(fixture: &AmqpFixture) {
    let event = fixture.read(&format!("{}.event", fixture.name("quiz"))).await.1;
    assert_eq!((&event["event_type"], &event["user_message_id"]), (&json!("nack"), &json!("m1")));
    assert!(event["nack_reason"].as_str().unwrap().contains("used for another message"), "{event}");
}

#[actix::test]
async fn messages_that_no_component_will_ever_take_hold_up_no_other() {
    with_broker(async |fixture| {
        let _front_end = fixture.start().await;
        let quiz = fixture.name("quiz");
        let (queue, events) = (format!("{quiz}.outbound"), format!("{quiz}.event"));
        let ussd = fixture.name("ussd");
        fixture.answers.lock().unwrap().extend((0..205).map(|_| Err(Refused::NoSessions(ussd.clone()))));
        for number in 0..205 {
            let to = format!("+2783{number:07}");
            fixture.publish(&queue, &fixture.message(&format!("bad{number}"), json!({"to_addr": to}))).await;
        }
        let begun = Instant::now();
        fixture.publish(&queue, &unprompted_sms(&fixture, "good")).await;
        let sms = fixture.until_accepted(1).await;
        fixture.ledger.record(sms[0].id, TransportStatus::Queued, Some("p"));
        let mut nacks = 0;
        loop {
            let event = fixture.read(&events).await.1;
            if event["event_type"] == "ack" {
                assert_eq!(event["user_message_id"], "good");
                break;
            }
            nacks += 1;
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        for _ in nacks..205 {
            assert_eq!(fixture.read(&events).await.1["event_type"], "nack");
        }
        assert_eq!(letters(&fixture).await.len(), 205);
    })
    .await;
}

#[actix::test]
async fn messages_for_a_component_that_is_away_leave_places_for_others() {
    with_broker(async |fixture| {
        // They are offered for longer than the test lasts.
        let settings = AmqpSettings { prefetch: 4, offer_for: Duration::from_secs(600), ..fixture.settings() };
        let _front_end = fixture.start_with(settings).await;
        let quiz = fixture.name("quiz");
        let (queue, ussd) = (format!("{quiz}.outbound"), fixture.name("ussd"));
        fixture.answers.lock().unwrap().extend((0..10_000).map(|_| Err(Refused::NoTransport(ussd.clone()))));
        for number in 0..4 {
            let to = format!("+2783{number:07}");
            fixture.publish(&queue, &fixture.message(&format!("bad{number}"), json!({"to_addr": to}))).await;
        }
        fixture.publish(&queue, &unprompted_sms(&fixture, "good")).await;
        fixture.until_accepted(1).await;
        let event = fixture.read(&format!("{quiz}.event")).await.1;
        assert_eq!(event["event_type"], "nack");
        assert!(event["nack_reason"].as_str().unwrap().contains("too many messages wait"), "{event}");
    })
    .await;
}

#[actix::test]
async fn what_is_refused_again_and_again_is_buried() {
    with_broker(async |fixture| {
        let short = Duration::from_millis(1);
        let settings = AmqpSettings { offer_for: short, max_returns: 1, ..fixture.settings() };
        let front_end = fixture.start_with(settings).await;
        let quiz = fixture.name("quiz");
        fixture.answers.lock().unwrap().extend((0..1_000).map(|_| Err(Refused::Away(quiz.clone()))));
        fixture.publish(&format!("{quiz}.outbound"), &fixture.message("m1", json!({}))).await;
        is_refused(&fixture, &front_end, "m1", "given back 1 times").await;
        let inbound = format!("{}.inbound", fixture.name("ussd"));
        fixture.publish(&inbound, &fixture.message("m2", json!({}))).await;
        front_end.until("2 dead letters").await;
        all_acknowledged(&fixture, front_end, &inbound).await;
    })
    .await;
}

#[actix::test]
async fn what_can_not_be_read_gets_a_nack_where_its_id_can() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let queue = format!("{}.outbound", fixture.name("quiz"));
        let long = "x".repeat(9_000);
        for (more, words) in [
            (json!({"transport_type": "smoke"}), "not a user message"),
            (json!({"from_addr": null}), "not a user message"),
            (json!({"transport_type": "smoke".repeat(50_000)}), "not a user message"),
            (json!({"content": "a\0b"}), "U+0000"),
            (json!({"in_reply_to": long}), "longer than 255 bytes"),
        ] {
            fixture.publish(&queue, &with(unprompted_sms(&fixture, "m1"), more)).await;
            is_refused(&fixture, &front_end, "m1", words).await;
        }
        for id in [long.as_str(), "a\0b"] {
            fixture.publish(&queue, &unprompted_sms(&fixture, id)).await;
            is_refused(&fixture, &front_end, id, "`message_id`").await;
        }
        fixture.publish(&queue, &unprompted_sms(&fixture, "good")).await;
        assert_eq!(fixture.until_accepted(1).await.len(), 1);
    })
    .await;
}

#[actix::test]
async fn what_only_python_writes_is_taken() {
    with_broker(async |fixture| {
        let _front_end = fixture.start().await;
        let body = serde_json::to_string(&with(unprompted_sms(&fixture, "m1"), json!({"content": "HALF"}))).unwrap();
        let body =
            body.replace("HALF", "a\\ud83d").replace("\"helper_metadata\":{}", "\"helper_metadata\":{\"n\":NaN}");
        assert!(serde_json::from_str::<Value>(&body).is_err(), "the standard does not allow it");
        fixture.publish_raw(&format!("{}.outbound", fixture.name("quiz")), body.as_bytes()).await;
        assert_eq!(fixture.until_accepted(1).await[0].message, "a\u{fffd}");
    })
    .await;
}

#[actix::test]
async fn an_event_of_vumi2_names_no_transport_and_is_taken() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let (ussd, quiz) = (fixture.name("ussd"), fixture.name("quiz"));
        fixture.publish(&format!("{ussd}.inbound"), &fixture.message("m1", json!({}))).await;
        let mut reply = answer(&fixture.inbound().await, "hello");
        reply.sent_by = Some(quiz.clone());
        let endpoint = front_end.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(endpoint.send(Outbound(reply.clone())).await.unwrap(), Ok(()));
        let mut event = serde_json::to_value(Event::ack(&reply, moment())).unwrap();
        event.as_object_mut().unwrap().remove("transport_name");
        fixture.publish(&format!("{ussd}.event"), &event).await;
        let RouterInput::Happened(_, event) = fixture.router_input().await else { panic!("an event") };
        assert_eq!((event.transport_name, event.sent_by), (ussd, Some(quiz)));
        assert!(letters(&fixture).await.is_empty());
    })
    .await;
}

#[actix::test]
async fn the_connectors_name_stands_for_its_one_transport() {
    with_broker(async |fixture| {
        let mut settings = fixture.settings();
        let quiz = fixture.name("quiz");
        let junebugs = |id: &str| with(unprompted_sms(&fixture, id), json!({"transport_name": quiz}));
        let queue = format!("{quiz}.outbound");
        let without = fixture.start().await;
        fixture.publish(&queue, &junebugs("m1")).await;
        is_refused(&fixture, &without, "m1", "there is no transport").await;
        all_acknowledged(&fixture, without, &queue).await;

        settings.connectors.get_mut(&quiz).unwrap().transport = Some("clickatell".to_owned().try_into().unwrap());
        let _front_end = fixture.start_with(settings).await;
        fixture.publish(&queue, &junebugs("m2")).await;
        let accepted = fixture.until_accepted(1).await;
        assert_eq!(accepted[0].transport.as_str(), "clickatell");
    })
    .await;
}
