//! Two processes on one connector: each consumes what belongs to the other, too.

use std::collections::BTreeSet;

use serde_json::json;
use vumi_kit::{message::Event, router::Outbound, testing::moment};

use super::{answer, fake_router::RouterInput, fixture::with_broker};

#[actix::test]
async fn an_event_reaches_the_process_that_published_its_message() {
    with_broker(async |fixture| {
        let front_ends = [fixture.start().await, fixture.start().await];
        let ussd = fixture.name("ussd");
        let (mut published, mut events) = (BTreeSet::new(), vec![]);
        for number in 0..10 {
            let person = json!({"from_addr": format!("+2783123000{number}")});
            fixture.publish(&format!("{ussd}.inbound"), &fixture.message(&format!("m{number}"), person)).await;
            let reply = answer(&fixture.inbound().await, "hello");
            // Whichever of the two had the message: the campaign's process is the one that answers.
            let endpoint = front_ends[number / 5].endpoints(&ussd).outbound().cloned().unwrap();
            assert_eq!(endpoint.send(Outbound(reply.clone())).await.unwrap(), Ok(()));
            events.push(serde_json::to_value(Event::ack(&reply, moment())).unwrap());
            published.insert(reply.message_id);
        }
        for event in events {
            fixture.publish(&format!("{ussd}.event"), &event).await;
        }
        for _ in 0..10 {
            let RouterInput::Happened(service, event) = fixture.router_input().await else { panic!("an event") };
            assert_eq!(service, "*120*663#");
            assert!(published.remove(&event.user_message_id), "each once");
        }
        assert!(published.is_empty());
    })
    .await;
}
