mod harness;
mod peers;

use serde_json::{Value, json};
use vumi_kit::{
    component::Drain,
    health::State,
    message::{Event, EventKind, SessionEvent, UserMessage},
    name::Name,
    router::{Happened, Inbound, Outbound, Refused},
    sms::TransportStatus,
};

use super::{
    AmqpSettings,
    dead::{self, Replay},
    try_connect,
};
use harness::{AmqpHarness, HeardByPeer, on_stage};
use vumi_kit::testing::moment;

async fn inbound(harness: &AmqpHarness) -> UserMessage {
    match harness.heard().await {
        HeardByPeer::Inbound(message) => message,
        other => panic!("{other:?}"),
    }
}

async fn outbound(harness: &AmqpHarness) -> UserMessage {
    match harness.heard().await {
        HeardByPeer::Outbound(message) => message,
        other => panic!("{other:?}"),
    }
}

fn answer(message: &UserMessage, text: &str) -> UserMessage {
    message.reply(Some(text.to_owned()), None, moment())
}

#[actix::test]
async fn our_campaign_serves_a_transport_that_lives_elsewhere() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let ussd = harness.name("ussd");
        harness.publish(&format!("{ussd}.inbound"), &harness.message("m1", json!({"hop": 7}))).await;
        let message = inbound(&harness).await;
        assert_eq!((message.from_addr.as_str(), message.to_addr.as_str()), ("27831234567", "*120*663#"));
        assert_eq!(message.other.get("hop"), Some(&json!(7)));

        let reply = answer(&message, "hello");
        let component = front.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(component.send(Outbound(reply.clone())).await.unwrap(), Ok(()));
        let (properties, sent) = harness.read(&format!("{ussd}.outbound")).await;
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), reply.message_id);
        assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
        assert_eq!(*properties.delivery_mode(), Some(2));
        assert_eq!((&sent["to_addr"], &sent["in_reply_to"]), (&json!("+27831234567"), &json!("m1")));
        front.until(" 0 deliveries in work").await;

        let event = Event::ack(&reply, moment());
        harness.publish(&format!("{ussd}.event"), &serde_json::to_value(&event).unwrap()).await;
        let HeardByPeer::Happened(service, heard) = harness.heard().await else { panic!("an event") };
        assert_eq!((service.as_str(), heard), ("*120*663#", event));
    })
    .await;
}

#[actix::test]
async fn a_campaign_that_lives_elsewhere_serves_our_transport() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let quiz = harness.name("quiz");
        let ours: UserMessage =
            serde_json::from_value(harness.message("m1", json!({"from_addr": "27831234567"}))).unwrap();
        let endpoints = front.endpoints(&quiz);
        let component = endpoints.inbound().cloned().unwrap();
        assert_eq!(component.send(Inbound(ours)).await.unwrap(), Ok(()));
        let (_, theirs) = harness.read(&format!("{quiz}.inbound")).await;
        assert_eq!(theirs, harness.message("m1", json!({})), "all keys, and the MSISDN with its +");

        let reply = harness.message(
            "m2",
            json!({"to_addr": "+27831234567", "to_addr_type": "msisdn",
            "from_addr": "*120*663#", "from_addr_type": null, "in_reply_to": "m1", "content": "hello",
            "session_event": "resume"}),
        );
        harness.publish(&format!("{quiz}.outbound"), &reply).await;
        let reply = outbound(&harness).await;
        assert_eq!((reply.to_addr.as_str(), reply.session_event), ("27831234567", Some(SessionEvent::Resume)));

        front.until(" 1 deliveries in work").await;
        let event = Event::ack(&reply, moment());
        endpoints.events().cloned().unwrap().send(Happened { service: "*120*663#".to_owned(), event }).await.unwrap();
        let (_, told) = harness.read(&format!("{quiz}.event")).await;
        assert_eq!((&told["event_type"], &told["user_message_id"]), (&json!("ack"), &json!("m2")));
        assert_eq!((&told["nack_reason"], &told["delivery_status"]), (&Value::Null, &Value::Null));
        front.until(" 0 deliveries in work").await;
    })
    .await;
}

#[actix::test]
async fn what_can_not_be_decoded_is_a_dead_letter_and_the_queue_moves_on() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let queue = format!("{}.inbound", harness.name("ussd"));
        harness.publish_raw(&queue, b"\x00 not JSON").await;
        harness.publish(&queue, &harness.message("m1", json!({}))).await;
        assert_eq!(inbound(&harness).await.message_id, "m1");
        front.until("1 dead letters").await;

        let letters = dead::list(&harness.settings(), 10).await.unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!((letters[0].queue.as_deref(), letters[0].body.as_slice()), (Some(&*queue), &b"\x00 not JSON"[..]));
        assert!(letters[0].reason.contains("not a user message"), "{}", letters[0].reason);
        assert_eq!(letters[0].at, moment().to_seconds_text());
        assert_eq!(dead::show(&harness.settings(), &letters[0].id).await.unwrap().as_ref(), letters.first());
    })
    .await;
}

#[actix::test]
async fn a_dead_letter_that_is_replayed_is_tried_again() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let queue = format!("{}.inbound", harness.name("ussd"));
        harness.answers.lock().unwrap().push_back(Err(Refused::NoRoute("*120*663#".to_owned())));
        harness.publish(&queue, &harness.message("m1", json!({}))).await;
        front.until("1 dead letters").await;
        let letters = dead::list(&harness.settings(), 10).await.unwrap();
        assert!(letters[0].reason.contains("no campaign serves"), "{}", letters[0].reason);
        assert_eq!(dead::replay(&harness.settings(), &Replay::One("another".to_owned())).await.unwrap(), 0);
        assert_eq!(dead::replay(&harness.settings(), &Replay::One(letters[0].id.clone())).await.unwrap(), 1);
        assert_eq!(inbound(&harness).await.message_id, "m1");
        assert_eq!(dead::list(&harness.settings(), 10).await.unwrap(), []);
    })
    .await;
}

#[actix::test]
async fn a_message_to_nobody_we_know_is_refused_with_a_nack() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let quiz = harness.name("quiz");
        let nobody = Name::parse("nobody").unwrap();
        harness.answers.lock().unwrap().push_back(Err(Refused::NoTransport(nobody)));
        harness.publish(&format!("{quiz}.outbound"), &harness.message("m1", json!({"in_reply_to": "m0"}))).await;
        let (_, told) = harness.read(&format!("{quiz}.event")).await;
        assert_eq!((&told["event_type"], &told["user_message_id"]), (&json!("nack"), &json!("m1")));
        assert!(told["nack_reason"].as_str().unwrap().contains("nobody"));
        front.until("1 dead letters").await;
    })
    .await;
}

#[actix::test]
async fn a_message_that_comes_twice_is_handed_on_once() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let queue = format!("{}.inbound", harness.name("ussd"));
        for id in ["m1", "m1", "m2"] {
            harness.publish(&queue, &harness.message(id, json!({"session_event": "close"}))).await;
        }
        assert_eq!(inbound(&harness).await.message_id, "m1");
        assert_eq!(inbound(&harness).await.message_id, "m2");
        front.until(" 0 deliveries in work").await;
        assert!(harness.has_heard_nothing_more());
    })
    .await;
}

#[actix::test]
async fn a_busy_router_is_asked_again() {
    on_stage(async |harness| {
        let _front = harness.start().await;
        let refused = || Err(Refused::Busy(harness.name("quiz")));
        harness.answers.lock().unwrap().extend([refused(), refused()]);
        let queue = format!("{}.inbound", harness.name("ussd"));
        for (id, event) in [("m1", "new"), ("m2", "close")] {
            harness.publish(&queue, &harness.message(id, json!({"session_event": event}))).await;
        }
        assert_eq!(inbound(&harness).await.message_id, "m1", "one person's messages keep their order");
        assert_eq!(inbound(&harness).await.message_id, "m2");
    })
    .await;
}

#[actix::test]
async fn a_lost_connection_comes_back_and_what_was_in_work_is_finished_once() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let ussd = harness.name("ussd");
        let (inbound_queue, outbound_queue) = (format!("{ussd}.inbound"), format!("{ussd}.outbound"));
        harness.publish(&inbound_queue, &harness.message("m1", json!({}))).await;
        let message = inbound(&harness).await;

        harness.cut_the_wire();
        let health = front.until("is away since").await;
        assert_eq!(health.state, State::Degraded);
        let component = front.endpoints(&ussd).outbound().cloned().unwrap();
        let other = UserMessage { in_reply_to: None, ..answer(&message, "too early") };
        assert_eq!(component.send(Outbound(other)).await.unwrap(), Err(Refused::Away(ussd.clone())));
        harness.publish(&inbound_queue, &harness.message("m2", json!({"session_event": "close"}))).await;

        harness.mend_the_wire();
        assert_eq!(front.until("connected").await.state, State::Up);
        assert_eq!(inbound(&harness).await.message_id, "m2");
        assert_eq!(component.send(Outbound(answer(&message, "hello"))).await.unwrap(), Ok(()));
        assert_eq!(harness.read(&outbound_queue).await.1["content"], json!("hello"));
        front.until(" 0 deliveries in work").await;
        assert!(harness.has_heard_nothing_more(), "m1 was delivered again, and not handed on again");
    })
    .await;
}

#[actix::test]
async fn what_a_process_leaves_unanswered_goes_to_the_next_one() {
    on_stage(async |harness| {
        let first = harness.start().await;
        let queue = format!("{}.inbound", harness.name("ussd"));
        harness.publish(&queue, &harness.message("m1", json!({}))).await;
        inbound(&harness).await;
        drop(first);
        // Its connections end with it; a process that is killed has no say in that either.
        harness.cut_the_wire();
        harness.mend_the_wire();
        let _second = harness.start().await;
        assert_eq!(inbound(&harness).await.message_id, "m1");
    })
    .await;
}

#[actix::test]
async fn what_keeps_us_from_the_broker_is_told_in_words() {
    on_stage(async |harness| {
        let _front = harness.start().await;
        try_connect(&harness.settings()).await.unwrap();
        let vhost = AmqpSettings { vhost: "/nowhere".to_owned(), ..harness.settings() };
        let told = try_connect(&vhost).await.unwrap_err().to_string();
        assert!(told.contains("rabbitmqctl add_vhost"), "{told}");
        let password = AmqpSettings { password: "wrong".into(), ..harness.settings() };
        let told = try_connect(&password).await.unwrap_err().to_string();
        assert!(told.contains("`amqp.password`") && !told.contains("wrong"), "{told}");
        harness.declare_with_a_limit(&format!("{}.dead2", harness.prefix)).await;
        let in_the_way = AmqpSettings { dead_letters: format!("{}.dead2", harness.prefix), ..harness.settings() };
        let told = try_connect(&in_the_way).await.unwrap_err().to_string();
        assert!(told.contains("delete it") && told.contains("dead2"), "{told}");
        harness.cut_the_wire();
        let told = try_connect(&harness.settings()).await.unwrap_err().to_string();
        assert!(told.contains("is the broker running"), "{told}");
    })
    .await;
}

#[actix::test]
async fn a_queue_that_was_deleted_is_declared_again() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let ussd = harness.name("ussd");
        let (inbound_queue, outbound_queue) = (format!("{ussd}.inbound"), format!("{ussd}.outbound"));
        for queue in [&inbound_queue, &outbound_queue] {
            harness.peer.queue_delete(queue.as_str().into(), Default::default()).await.unwrap();
        }
        front.until("was the queue deleted?").await;
        front.until("connected").await;
        harness.publish(&inbound_queue, &harness.message("m1", json!({}))).await;
        assert_eq!(inbound(&harness).await.message_id, "m1");
        assert_eq!(harness.waiting(&outbound_queue).await, 0);
    })
    .await;
}

#[actix::test]
async fn an_event_waits_for_the_broker() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let quiz = harness.name("quiz");
        let message: UserMessage = serde_json::from_value(harness.message("m1", json!({}))).unwrap();
        harness.cut_the_wire();
        front.until("is away since").await;
        let event = Event::nack(&message, "no", moment());
        let happened = front.endpoints(&quiz).events().cloned().unwrap();
        happened.send(Happened { service: "*120*663#".to_owned(), event: event.clone() }).await.unwrap();
        harness.mend_the_wire();
        let told: Event = serde_json::from_value(harness.read(&format!("{quiz}.event")).await.1).unwrap();
        assert_eq!((told.event_id, told.what), (event.event_id, EventKind::Nack { reason: "no".to_owned() }));
    })
    .await;
}

fn own_accord(harness: &AmqpHarness, id: &str) -> Value {
    let more = json!({"transport_type": "sms", "transport_name": "clickatell", "to_addr": "+27831234567",
        "from_addr": "38080", "session_event": null, "content": "hello"});
    harness.message(id, more)
}

#[actix::test]
async fn an_sms_of_a_campaigns_own_accord_is_acknowledged_when_the_provider_has_it() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let quiz = harness.name("quiz");
        let (outbound_queue, event_queue) = (format!("{quiz}.outbound"), format!("{quiz}.event"));
        harness.publish(&outbound_queue, &own_accord(&harness, "m1")).await;
        let kept = harness.until_kept(1).await;
        assert_eq!((kept[0].to.as_str(), kept[0].message.as_str()), ("27831234567", "hello"));
        front.until(" 1 deliveries in work").await;
        assert_eq!(harness.waiting(&event_queue).await, 0, "the ledger has it, and the provider not yet");

        harness.provider_says(kept[0].id, TransportStatus::AtGateway, Some("p1")).await;
        let told = harness.read(&event_queue).await.1;
        assert_eq!((&told["event_type"], &told["user_message_id"]), (&json!("ack"), &json!("m1")));
        assert_eq!((&told["sent_message_id"], &told["transport_name"]), (&json!("p1"), &json!("clickatell")));
        front.until(" 0 deliveries in work").await;

        harness.provider_says(kept[0].id, TransportStatus::Delivered, Some("p1")).await;
        let told = harness.read(&event_queue).await.1;
        assert_eq!((&told["event_type"], &told["user_message_id"]), (&json!("delivery_report"), &json!("m1")));
        assert_eq!((&told["delivery_status"], &told["sent_message_id"]), (&json!("delivered"), &Value::Null));
        assert!(harness.has_heard_nothing_more());
    })
    .await;
}

#[actix::test]
async fn an_sms_that_the_provider_refuses_for_good_gets_a_nack() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let quiz = harness.name("quiz");
        harness.publish(&format!("{quiz}.outbound"), &own_accord(&harness, "m1")).await;
        let kept = harness.until_kept(1).await;
        harness.provider_says(kept[0].id, TransportStatus::RoutingError, None).await;
        let told = harness.read(&format!("{quiz}.event")).await.1;
        assert_eq!((&told["event_type"], &told["user_message_id"]), (&json!("nack"), &json!("m1")));
        assert_eq!(told["nack_reason"], "as the provider says");
        front.until(" 0 deliveries in work").await;
    })
    .await;
}

#[actix::test]
async fn an_sms_whose_process_dies_is_kept_once_and_another_process_tells_its_ack() {
    on_stage(async |harness| {
        let first = harness.start().await;
        let quiz = harness.name("quiz");
        harness.publish(&format!("{quiz}.outbound"), &own_accord(&harness, "m1")).await;
        first.until(" 1 deliveries in work").await;
        let kept = harness.until_kept(1).await;
        drop(first);
        harness.cut_the_wire();
        harness.mend_the_wire();
        let second = harness.start().await;
        second.until(" 1 deliveries in work").await;
        harness.provider_says(kept[0].id, TransportStatus::Queued, Some("p1")).await;
        let told = harness.read(&format!("{quiz}.event")).await.1;
        assert_eq!((&told["event_type"], &told["sent_message_id"]), (&json!("ack"), &json!("p1")));
        assert_eq!(harness.until_kept(1).await.len(), 1, "not a second time");
        second.until(" 0 deliveries in work").await;
    })
    .await;
}

#[actix::test]
async fn a_carrier_that_stands_still_leaves_room_for_dialogues() {
    on_stage(async |harness| {
        let front = harness.start_with(AmqpSettings { prefetch: 4, ..harness.settings() }).await;
        let queue = format!("{}.outbound", harness.name("quiz"));
        for id in ["m1", "m2", "m3", "m4", "m5", "m6"] {
            harness.publish(&queue, &own_accord(&harness, id)).await;
        }
        let kept = harness.until_kept(6).await;
        front.until(" 2 deliveries in work").await;
        harness.publish(&queue, &harness.message("u1", json!({"in_reply_to": "m0"}))).await;
        assert_eq!(outbound(&harness).await.message_id, "u1");
        // Also of those that the broker has forgotten, the campaign is told.
        for sms in kept {
            harness.provider_says(sms.id, TransportStatus::Queued, Some("p")).await;
        }
        for _ in 0..6 {
            assert_eq!(harness.read(&format!("{}.event", harness.name("quiz"))).await.1["event_type"], "ack");
        }
    })
    .await;
}

#[actix::test]
async fn at_the_stop_what_was_not_begun_goes_back_before_the_rest_is_finished() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let (ussd, quiz) = (harness.name("ussd"), harness.name("quiz"));
        let (inbound_queue, outbound_queue) = (format!("{ussd}.inbound"), format!("{quiz}.outbound"));
        harness.publish(&inbound_queue, &harness.message("m1", json!({}))).await;
        let message = inbound(&harness).await;
        harness.publish(&outbound_queue, &own_accord(&harness, "s1")).await;
        harness.until_kept(1).await;
        harness.answers.lock().unwrap().extend((0..1000).map(|_| Err(Refused::Busy(quiz.clone()))));
        for id in ["m2", "m3"] {
            harness.publish(&inbound_queue, &harness.message(id, json!({}))).await;
        }
        front.until(" 3 deliveries in work").await;

        let drained = actix_rt::spawn(front.0.drain.clone().send(Drain));
        harness.until_waiting(&inbound_queue, 2).await;
        harness.until_waiting(&outbound_queue, 1).await;
        let health = front.until(" 1 deliveries in work").await;
        assert_eq!(health.state, State::Stopping, "m1 is finished, the rest is for others");
        harness.publish(&inbound_queue, &harness.message("m4", json!({}))).await;
        let component = front.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(component.send(Outbound(answer(&message, "hello"))).await.unwrap(), Ok(()));
        drained.await.unwrap().unwrap();
        harness.until_waiting(&inbound_queue, 3).await;
        assert!(harness.has_heard_nothing_more());
    })
    .await;
}

#[actix::test]
async fn it_stops_when_what_is_under_way_is_done() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let ussd = harness.name("ussd");
        harness.publish(&format!("{ussd}.inbound"), &harness.message("m1", json!({}))).await;
        let message = inbound(&harness).await;
        let drained = actix_rt::spawn(front.0.drain.clone().send(Drain));
        assert_eq!(front.until("finishing").await.state, State::Stopping);
        let component = front.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(component.send(Outbound(answer(&message, "hello"))).await.unwrap(), Ok(()));
        drained.await.unwrap().unwrap();
        assert_eq!(harness.waiting(&format!("{ussd}.inbound")).await, 0);
        front.0.ended.wait().await;
    })
    .await;
}

#[actix::test]
async fn a_message_that_the_broker_does_not_confirm_is_not_said_to_be_in_good_hands() {
    on_stage(async |harness| {
        let within = std::time::Duration::from_millis(200);
        let settings = AmqpSettings { unconfirmed: 1, confirm_within: within, ..harness.settings() };
        let front = harness.start_with(settings).await;
        let quiz = harness.name("quiz");
        let component = front.endpoints(&quiz).inbound().cloned().unwrap();
        let message = |id| Inbound(serde_json::from_value(harness.message(id, json!({}))).unwrap());
        harness.stall_the_wire();
        assert_eq!(component.send(message("m1")).await.unwrap(), Err(Refused::Busy(quiz.clone())));
        assert_eq!(
            component.send(message("m2")).await.unwrap(),
            Err(Refused::Busy(quiz.clone())),
            "one is unconfirmed"
        );
        harness.cut_the_wire();
        front.until("is away since").await;
        harness.mend_the_wire();
        front.until("connected").await;
        assert_eq!(component.send(message("m3")).await.unwrap(), Ok(()));
    })
    .await;
}

#[actix::test]
async fn an_answer_that_could_not_be_published_is_asked_for_again() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let ussd = harness.name("ussd");
        harness.publish(&format!("{ussd}.inbound"), &harness.message("m1", json!({}))).await;
        let message = inbound(&harness).await;
        harness.cut_the_wire();
        front.until("is away since").await;
        let component = front.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(
            component.send(Outbound(answer(&message, "hello"))).await.unwrap(),
            Err(Refused::Away(ussd.clone()))
        );
        harness.mend_the_wire();
        let again = inbound(&harness).await;
        assert_eq!(again.message_id, "m1");
        assert_eq!(component.send(Outbound(answer(&again, "hello"))).await.unwrap(), Ok(()));
        assert_eq!(harness.read(&format!("{ussd}.outbound")).await.1["content"], json!("hello"));
    })
    .await;
}

#[actix::test]
async fn a_received_sms_that_nobody_answers_is_published_once() {
    on_stage(async |harness| {
        let front = harness.start().await;
        let quiz = harness.name("quiz");
        let component = front.endpoints(&quiz).inbound().cloned().unwrap();
        let sms = || {
            let message =
                harness.message("m1", json!({"transport_type": "sms", "session_event": null, "content": "hi"}));
            Inbound(serde_json::from_value(message).unwrap())
        };
        assert_eq!(component.send(sms()).await.unwrap(), Ok(()));
        assert_eq!(component.send(sms()).await.unwrap(), Ok(()), "it is settled");
        harness.read(&format!("{quiz}.inbound")).await;
        assert_eq!(harness.waiting(&format!("{quiz}.inbound")).await, 0);
    })
    .await;
}
