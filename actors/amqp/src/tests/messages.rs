//! Messages within sessions, and dead letters.

use serde_json::{Value, json};
use vumi_kit::{
    message::{Event, SessionEvent, UserMessage},
    name::Name,
    router::{Happened, Inbound, Outbound, Refused},
    testing::moment,
};

use super::{answer, fake_router::RouterInput, fixture::with_broker};
use crate::dead_letters::{self, Replay};

#[actix::test]
async fn our_campaign_serves_a_transport_that_lives_elsewhere() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let ussd = fixture.name("ussd");
        fixture.publish(&format!("{ussd}.inbound"), &fixture.message("m1", json!({"hop": 7}))).await;
        let message = fixture.inbound().await;
        assert_eq!((message.from_addr.as_str(), message.to_addr.as_str()), ("27831234567", "*120*663#"));
        assert_eq!(message.other.get("hop"), Some(&json!(7)));

        let reply = answer(&message, "hello");
        let endpoint = front_end.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(endpoint.send(Outbound(reply.clone())).await.unwrap(), Ok(()));
        let (properties, sent) = fixture.read(&format!("{ussd}.outbound")).await;
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), reply.message_id);
        assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
        assert_eq!(*properties.delivery_mode(), Some(2));
        assert_eq!((&sent["to_addr"], &sent["in_reply_to"]), (&json!("+27831234567"), &json!("m1")));
        front_end.until(" 0 deliveries in work").await;

        let event = Event::ack(&reply, moment());
        fixture.publish(&format!("{ussd}.event"), &serde_json::to_value(&event).unwrap()).await;
        let RouterInput::Happened(service, received) = fixture.router_input().await else { panic!("an event") };
        assert_eq!((service.as_str(), received), ("*120*663#", event));
    })
    .await;
}

#[actix::test]
async fn a_campaign_that_lives_elsewhere_serves_our_transport() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let quiz = fixture.name("quiz");
        let ours: UserMessage =
            serde_json::from_value(fixture.message("m1", json!({"from_addr": "27831234567"}))).unwrap();
        let endpoints = front_end.endpoints(&quiz);
        let endpoint = endpoints.inbound().cloned().unwrap();
        assert_eq!(endpoint.send(Inbound(ours)).await.unwrap(), Ok(()));
        let (_, theirs) = fixture.read(&format!("{quiz}.inbound")).await;
        assert_eq!(theirs, fixture.message("m1", json!({})), "all keys, and the MSISDN with its +");

        let reply = fixture.message(
            "m2",
            json!({"to_addr": "+27831234567", "to_addr_type": "msisdn",
            "from_addr": "*120*663#", "from_addr_type": null, "in_reply_to": "m1", "content": "hello",
            "session_event": "resume"}),
        );
        fixture.publish(&format!("{quiz}.outbound"), &reply).await;
        let reply = fixture.outbound().await;
        assert_eq!((reply.to_addr.as_str(), reply.session_event), ("27831234567", Some(SessionEvent::Resume)));

        front_end.until(" 1 deliveries in work").await;
        let event = Event::ack(&reply, moment());
        endpoints.events().cloned().unwrap().send(Happened { service: "*120*663#".to_owned(), event }).await.unwrap();
        let (_, event) = fixture.read(&format!("{quiz}.event")).await;
        assert_eq!((&event["event_type"], &event["user_message_id"]), (&json!("ack"), &json!("m2")));
        assert_eq!((&event["nack_reason"], &event["delivery_status"]), (&Value::Null, &Value::Null));
        front_end.until(" 0 deliveries in work").await;
    })
    .await;
}

#[actix::test]
async fn a_body_that_can_not_be_decoded_is_a_dead_letter_and_the_queue_moves_on() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let queue = format!("{}.inbound", fixture.name("ussd"));
        fixture.publish_raw(&queue, b"\x00 not JSON").await;
        fixture.publish(&queue, &fixture.message("m1", json!({}))).await;
        assert_eq!(fixture.inbound().await.message_id, "m1");
        front_end.until("1 dead letters").await;

        let letters = dead_letters::list(&fixture.settings(), 10).await.unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!((letters[0].queue.as_deref(), letters[0].body.as_slice()), (Some(&*queue), &b"\x00 not JSON"[..]));
        assert!(letters[0].reason.contains("not a user message"), "{}", letters[0].reason);
        assert_eq!(letters[0].at, moment().to_seconds_text());
        assert_eq!(dead_letters::show(&fixture.settings(), &letters[0].id).await.unwrap().as_ref(), letters.first());
    })
    .await;
}

#[actix::test]
async fn a_dead_letter_that_is_replayed_is_tried_again() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let queue = format!("{}.inbound", fixture.name("ussd"));
        fixture.answers.lock().unwrap().push_back(Err(Refused::NoRoute("*120*663#".to_owned())));
        fixture.publish(&queue, &fixture.message("m1", json!({}))).await;
        front_end.until("1 dead letters").await;
        let letters = dead_letters::list(&fixture.settings(), 10).await.unwrap();
        assert!(letters[0].reason.contains("no campaign serves"), "{}", letters[0].reason);
        assert_eq!(dead_letters::replay(&fixture.settings(), &Replay::One("another".to_owned())).await.unwrap(), 0);
        assert_eq!(dead_letters::replay(&fixture.settings(), &Replay::One(letters[0].id.clone())).await.unwrap(), 1);
        assert_eq!(fixture.inbound().await.message_id, "m1");
        assert_eq!(dead_letters::list(&fixture.settings(), 10).await.unwrap(), []);
    })
    .await;
}

#[actix::test]
async fn a_message_to_nobody_we_know_is_refused_with_a_nack() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let quiz = fixture.name("quiz");
        let nobody = Name::parse("nobody").unwrap();
        fixture.answers.lock().unwrap().push_back(Err(Refused::NoTransport(nobody)));
        fixture.publish(&format!("{quiz}.outbound"), &fixture.message("m1", json!({"in_reply_to": "m0"}))).await;
        let (_, event) = fixture.read(&format!("{quiz}.event")).await;
        assert_eq!((&event["event_type"], &event["user_message_id"]), (&json!("nack"), &json!("m1")));
        assert!(event["nack_reason"].as_str().unwrap().contains("nobody"));
        front_end.until("1 dead letters").await;
    })
    .await;
}

#[actix::test]
async fn a_message_that_comes_twice_is_handed_on_once() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let queue = format!("{}.inbound", fixture.name("ussd"));
        for id in ["m1", "m1", "m2"] {
            fixture.publish(&queue, &fixture.message(id, json!({"session_event": "close"}))).await;
        }
        assert_eq!(fixture.inbound().await.message_id, "m1");
        assert_eq!(fixture.inbound().await.message_id, "m2");
        front_end.until(" 0 deliveries in work").await;
        assert!(fixture.router_has_no_more_input());
    })
    .await;
}

#[actix::test]
async fn a_busy_router_is_asked_again() {
    with_broker(async |fixture| {
        let _front_end = fixture.start().await;
        let refused = || Err(Refused::Busy(fixture.name("quiz")));
        fixture.answers.lock().unwrap().extend([refused(), refused()]);
        let queue = format!("{}.inbound", fixture.name("ussd"));
        for (id, event) in [("m1", "new"), ("m2", "close")] {
            fixture.publish(&queue, &fixture.message(id, json!({"session_event": event}))).await;
        }
        assert_eq!(fixture.inbound().await.message_id, "m1", "one person's messages keep their order");
        assert_eq!(fixture.inbound().await.message_id, "m2");
    })
    .await;
}
