//! The stop of the front-end.

use serde_json::json;
use vumi_kit::{
    component::Drain,
    health::State,
    router::{Outbound, Refused},
};

use super::{answer, fixture::with_broker, sms::unprompted_sms};

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
async fn a_front_end_that_was_replaced_takes_publishes_and_acknowledges_nothing_more() {
    with_broker(async |fixture| {
        let front_end = fixture.start().await;
        let ussd = fixture.name("ussd");
        let (inbound_queue, outbound_queue) = (format!("{ussd}.inbound"), format!("{ussd}.outbound"));
        fixture.publish(&inbound_queue, &fixture.message("m1", json!({}))).await;
        let message = fixture.inbound().await;
        fixture.token.replace();
        let endpoint = front_end.endpoints(&ussd).outbound().cloned().unwrap();
        assert!(endpoint.send(Outbound(answer(&message, "hello"))).await.unwrap().is_err(), "the fresh one answers");
        fixture.publish(&inbound_queue, &fixture.message("m2", json!({"session_event": "close"}))).await;
        fixture.proxy.cut();
        fixture.until_waiting(&inbound_queue, 2).await;
        assert_eq!(fixture.waiting(&outbound_queue).await, 0);
        assert!(fixture.router_has_no_more_input());
    })
    .await;
}
