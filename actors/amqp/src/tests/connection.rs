//! Connections that are lost, refused or stalled.

use std::time::Duration;

use serde_json::json;
use vumi_kit::{
    health::State,
    message::{Event, EventKind, UserMessage},
    router::{Happened, Inbound, Outbound, Refused},
    testing::moment,
};

use super::{answer, fixture::with_broker};
use crate::{AmqpSettings, AmqpTopology, try_connect};

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
