//! The front_end-end on a real broker.

mod fake_ledger;
mod fake_router;
mod fixture;
mod peers;
mod proxy;

use std::time::Duration;

use serde_json::{Value, json};
use vumi_kit::{
    component::Drain,
    health::State,
    message::{Event, EventKind, SessionEvent, UserMessage},
    name::Name,
    router::{Happened, Inbound, Outbound, Refused},
    sms::TransportStatus,
    testing::moment,
};

use super::{
    AmqpSettings, AmqpTopology,
    dead_letters::{self, Replay},
    try_connect,
};
use fake_router::RouterInput;
use fixture::{AmqpFixture, with_broker};

fn answer(message: &UserMessage, text: &str) -> UserMessage {
    message.reply(Some(text.to_owned()), None, moment())
}

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

#[actix::test]
async fn a_lost_connection_comes_back_and_work_in_progress_is_finished_once() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let ussd = fixture.name("ussd");
        let (inbound_queue, outbound_queue) = (format!("{ussd}.inbound"), format!("{ussd}.outbound"));
        fixture.publish(&inbound_queue, &fixture.message("m1", json!({}))).await;
        let message = fixture.inbound().await;

        fixture.proxy.cut();
        let health = front_end.until("is away since").await;
        assert_eq!(health.state, State::Degraded);
        let endpoint = front_end.endpoints(&ussd).outbound().cloned().unwrap();
        let other = UserMessage { in_reply_to: None, ..answer(&message, "too early") };
        assert_eq!(endpoint.send(Outbound(other)).await.unwrap(), Err(Refused::Away(ussd.clone())));
        fixture.publish(&inbound_queue, &fixture.message("m2", json!({"session_event": "close"}))).await;

        fixture.proxy.mend();
        assert_eq!(front_end.until("connected").await.state, State::Up);
        assert_eq!(fixture.inbound().await.message_id, "m2");
        assert_eq!(endpoint.send(Outbound(answer(&message, "hello"))).await.unwrap(), Ok(()));
        assert_eq!(fixture.read(&outbound_queue).await.1["content"], json!("hello"));
        front_end.until(" 0 deliveries in work").await;
        assert!(fixture.router_has_no_more_input(), "m1 was delivered again, and not handed on again");
    })
    .await;
}

#[actix::test]
async fn a_message_that_a_process_leaves_unanswered_goes_to_the_next_one() {
    with_broker(async |fixture| {
        let first = fixture.start().await;
        let queue = format!("{}.inbound", fixture.name("ussd"));
        fixture.publish(&queue, &fixture.message("m1", json!({}))).await;
        fixture.inbound().await;
        drop(first);
        // Its connections end with it, as those of a killed process do.
        fixture.proxy.cut();
        fixture.proxy.mend();
        let _second = fixture.start().await;
        assert_eq!(fixture.inbound().await.message_id, "m1");
    })
    .await;
}

#[actix::test]
async fn an_error_of_the_connection_says_what_to_do() {
    with_broker(async |fixture| {
        let _front_end = fixture.start().await;
        let connect = async |settings: &AmqpSettings| try_connect(settings, &AmqpTopology::of_tables(settings)).await;
        connect(&fixture.settings()).await.unwrap();
        let vhost = AmqpSettings { vhost: "/nowhere".to_owned(), ..fixture.settings() };
        let error = connect(&vhost).await.unwrap_err().to_string();
        assert!(error.contains("rabbitmqctl add_vhost"), "{error}");
        let password = AmqpSettings { password: "wrong".into(), ..fixture.settings() };
        let error = connect(&password).await.unwrap_err().to_string();
        assert!(error.contains("`amqp.password`") && !error.contains("wrong"), "{error}");
        fixture.declare_with_a_limit(&format!("{}.dead2", fixture.prefix)).await;
        let in_the_way = AmqpSettings { dead_letters: format!("{}.dead2", fixture.prefix), ..fixture.settings() };
        let error = connect(&in_the_way).await.unwrap_err().to_string();
        assert!(error.contains("delete it") && error.contains("dead2"), "{error}");
        fixture.proxy.cut();
        let error = connect(&fixture.settings()).await.unwrap_err().to_string();
        assert!(error.contains("is the broker running"), "{error}");
    })
    .await;
}

#[actix::test]
async fn a_queue_that_was_deleted_is_declared_again() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let ussd = fixture.name("ussd");
        let (inbound_queue, outbound_queue) = (format!("{ussd}.inbound"), format!("{ussd}.outbound"));
        for queue in [&inbound_queue, &outbound_queue] {
            fixture.peer.queue_delete(queue.as_str().into(), Default::default()).await.unwrap();
        }
        front_end.until("was the queue deleted?").await;
        front_end.until("connected").await;
        fixture.publish(&inbound_queue, &fixture.message("m1", json!({}))).await;
        assert_eq!(fixture.inbound().await.message_id, "m1");
        assert_eq!(fixture.waiting(&outbound_queue).await, 0);
    })
    .await;
}

#[actix::test]
async fn an_event_waits_for_the_broker() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let quiz = fixture.name("quiz");
        let message: UserMessage = serde_json::from_value(fixture.message("m1", json!({}))).unwrap();
        fixture.proxy.cut();
        front_end.until("is away since").await;
        let event = Event::nack(&message, "no", moment());
        let happened = front_end.endpoints(&quiz).events().cloned().unwrap();
        happened.send(Happened { service: "*120*663#".to_owned(), event: event.clone() }).await.unwrap();
        fixture.proxy.mend();
        let published: Event = serde_json::from_value(fixture.read(&format!("{quiz}.event")).await.1).unwrap();
        assert_eq!((published.event_id, published.what), (event.event_id, EventKind::Nack { reason: "no".to_owned() }));
    })
    .await;
}

fn unprompted_sms(fixture: &AmqpFixture, id: &str) -> Value {
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
async fn at_the_stop_deliveries_that_were_not_begun_go_back_before_the_rest_is_finished() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let (ussd, quiz) = (fixture.name("ussd"), fixture.name("quiz"));
        let (inbound_queue, outbound_queue) = (format!("{ussd}.inbound"), format!("{quiz}.outbound"));
        fixture.publish(&inbound_queue, &fixture.message("m1", json!({}))).await;
        let message = fixture.inbound().await;
        fixture.publish(&outbound_queue, &unprompted_sms(&fixture, "s1")).await;
        fixture.until_accepted(1).await;
        fixture.answers.lock().unwrap().extend((0..1000).map(|_| Err(Refused::Busy(quiz.clone()))));
        for id in ["m2", "m3"] {
            fixture.publish(&inbound_queue, &fixture.message(id, json!({}))).await;
        }
        front_end.until(" 3 deliveries in work").await;

        let drained = actix_rt::spawn(front_end.0.drain.clone().send(Drain));
        fixture.until_waiting(&inbound_queue, 2).await;
        fixture.until_waiting(&outbound_queue, 1).await;
        let health = front_end.until(" 1 deliveries in work").await;
        assert_eq!(health.state, State::Stopping, "m1 is finished, the rest is for others");
        fixture.publish(&inbound_queue, &fixture.message("m4", json!({}))).await;
        let endpoint = front_end.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(endpoint.send(Outbound(answer(&message, "hello"))).await.unwrap(), Ok(()));
        drained.await.unwrap().unwrap();
        fixture.until_waiting(&inbound_queue, 3).await;
        assert!(fixture.router_has_no_more_input());
    })
    .await;
}

#[actix::test]
async fn the_front_end_stops_when_work_in_progress_is_done() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let ussd = fixture.name("ussd");
        fixture.publish(&format!("{ussd}.inbound"), &fixture.message("m1", json!({}))).await;
        let message = fixture.inbound().await;
        let drained = actix_rt::spawn(front_end.0.drain.clone().send(Drain));
        assert_eq!(front_end.until("finishing").await.state, State::Stopping);
        let endpoint = front_end.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(endpoint.send(Outbound(answer(&message, "hello"))).await.unwrap(), Ok(()));
        drained.await.unwrap().unwrap();
        assert_eq!(fixture.waiting(&format!("{ussd}.inbound")).await, 0);
        front_end.0.ended.wait().await;
    })
    .await;
}

#[actix::test]
async fn a_message_that_the_broker_does_not_confirm_is_not_reported_as_taken() {
    with_broker(async |fixture| {
        let within = Duration::from_millis(200);
        let settings = AmqpSettings { unconfirmed: 1, confirm_within: within, ..fixture.settings() };
        let front_end = fixture.start_with(settings).await;
        let quiz = fixture.name("quiz");
        let endpoint = front_end.endpoints(&quiz).inbound().cloned().unwrap();
        let message = |id| Inbound(serde_json::from_value(fixture.message(id, json!({}))).unwrap());
        fixture.proxy.stall();
        assert_eq!(endpoint.send(message("m1")).await.unwrap(), Err(Refused::Busy(quiz.clone())));
        assert_eq!(endpoint.send(message("m2")).await.unwrap(), Err(Refused::Busy(quiz.clone())), "one is unconfirmed");
        fixture.proxy.cut();
        front_end.until("is away since").await;
        fixture.proxy.mend();
        front_end.until("connected").await;
        assert_eq!(endpoint.send(message("m3")).await.unwrap(), Ok(()));
    })
    .await;
}

#[actix::test]
async fn an_answer_that_could_not_be_published_is_asked_for_again() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let ussd = fixture.name("ussd");
        fixture.publish(&format!("{ussd}.inbound"), &fixture.message("m1", json!({}))).await;
        let message = fixture.inbound().await;
        fixture.proxy.cut();
        front_end.until("is away since").await;
        let endpoint = front_end.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(endpoint.send(Outbound(answer(&message, "hello"))).await.unwrap(), Err(Refused::Away(ussd.clone())));
        fixture.proxy.mend();
        let again = fixture.inbound().await;
        assert_eq!(again.message_id, "m1");
        assert_eq!(endpoint.send(Outbound(answer(&again, "hello"))).await.unwrap(), Ok(()));
        assert_eq!(fixture.read(&format!("{ussd}.outbound")).await.1["content"], json!("hello"));
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
