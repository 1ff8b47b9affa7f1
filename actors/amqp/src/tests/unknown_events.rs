//! Events about messages that this process does not know, as after a restart.

use serde_json::json;
use vumi_kit::{message::Event, router::Outbound, testing::moment};

use super::{answer, fake_router::RouterInput, fixture::with_broker};
use crate::{
    AmqpSettings,
    dead_letters::{self, Replay},
};

#[actix::test]
async fn unknown_events_delay_no_others_and_are_dead_letters_with_a_reason() {
    with_broker(async |fixture| {
        let settings = AmqpSettings { prefetch: 4, ..fixture.settings() };
        let front_end = fixture.start_with(settings.clone()).await;
        let ussd = fixture.name("ussd");
        fixture.publish(&format!("{ussd}.inbound"), &fixture.message("m1", json!({}))).await;
        let reply = answer(&fixture.inbound().await, "hello");
        let endpoint = front_end.endpoints(&ussd).outbound().cloned().unwrap();
        assert_eq!(endpoint.send(Outbound(reply.clone())).await.unwrap(), Ok(()));

        let queue = format!("{ussd}.event");
        let event = |id: String| {
            let mut event = serde_json::to_value(Event::ack(&reply, moment())).unwrap();
            event["user_message_id"] = json!(id);
            event
        };
        // Ten times as many as may be in work at once.
        for number in 0..40 {
            fixture.publish(&queue, &event(format!("unknown{number}"))).await;
        }
        fixture.publish(&queue, &event(reply.message_id.clone())).await;
        let RouterInput::Happened(_, known) = fixture.router_input().await else { panic!("an event") };
        assert_eq!(known.user_message_id, reply.message_id);
        let letters = dead_letters::count(&settings).await.unwrap();
        assert_eq!(letters, 0, "the others still wait for a process that knows them");

        front_end.until("40 dead letters").await;
        let letters = dead_letters::list(&settings, 100).await.unwrap();
        assert_eq!(letters.len(), 40);
        let letter = &letters[0];
        assert_eq!(letter.queue.as_deref(), Some(&*queue), "a replay puts it where it came from");
        assert!(letter.reason.contains("no running process published"), "{}", letter.reason);
        front_end.until(" 0 deliveries in work").await;

        // It is tried again as one that is new.
        assert_eq!(dead_letters::replay(&settings, &Replay::One(letter.id.clone())).await.unwrap(), 1);
        front_end.until("41 dead letters").await;
    })
    .await;
}
