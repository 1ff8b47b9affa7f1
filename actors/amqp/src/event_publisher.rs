//! Publishes acks, nacks and delivery reports: each is tried until it is confirmed, however long the broker is away.

use std::{rc::Rc, time::Duration};

use tokio::time::sleep;
use vumi_kit::backoff::Backoff;

use super::{event_queue::OutgoingEvent, message_codec::write_event, publication::Publication, state::AmqpState};

/// The waits while an event can't be published.
const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// Publishes what is in the event queue, until the front-end ends.
pub(super) async fn publish_events(state: Rc<AmqpState>) {
    loop {
        match state.events.next() {
            Some(event) => {
                actix_rt::spawn(publish_event(state.clone(), event));
            }
            None => state.events.arrived().await,
        }
    }
}

async fn publish_event(state: Rc<AmqpState>, outgoing: OutgoingEvent) {
    let OutgoingEvent { connector, queue, event, settles, acknowledges } = outgoing;
    match write_event(&event) {
        Ok(body) => {
            let publication = || Publication::json(&queue, &event.event_id, body.clone());
            let mut failures = 0;
            while let Err(error) = state.publisher.publish(publication()).await {
                failures += 1;
                tracing::debug!(queue, %error, failures, "an event is not with the broker yet");
                sleep(RETRY.wait(failures)).await;
            }
        }
        Err(error) => tracing::error!(queue, %error, "an event can't be written"),
    }
    state.events.published(connector);
    state.deliveries.acknowledge_all(acknowledges).await;
    match settles {
        Some(key) => state.deliveries.settle(&key).await,
        None => state.shutdown.progressed(),
    }
}
