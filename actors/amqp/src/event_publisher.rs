//! Acks and nacks on their way to the broker: each is published until it is confirmed, however long the broker is
//! away.

use std::{rc::Rc, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use vumi_kit::backoff::Backoff;

use super::{
    core::{AmqpCore, Telling},
    publication::Publication,
    wire::write_event,
};

/// Events that are published at once.
const AT_ONCE: usize = 256;
/// The waits while an event can't be published.
const AGAIN: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// Publishes what is told, until the front-end ends.
pub(super) async fn event_publisher(core: Rc<AmqpCore>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let next = core.events.borrow_mut().pop_front();
        match next {
            Some(telling) => {
                core.counts.telling.set(core.counts.telling.get() + 1);
                actix_rt::spawn(tell(core.clone(), telling, place));
            }
            None => core.event_waits.notified().await,
        }
    }
}

async fn tell(core: Rc<AmqpCore>, telling: Telling, _place: OwnedSemaphorePermit) {
    let Telling { queue, event, settles } = telling;
    match write_event(&event) {
        Ok(body) => {
            let mut failures = 0;
            while let Err(error) = core.publish(Publication::json(&queue, &event.event_id, body.clone())).await {
                failures += 1;
                tracing::debug!(queue, %error, failures, "an event is not with the broker yet");
                sleep(AGAIN.wait(failures)).await;
            }
        }
        Err(error) => tracing::error!(queue, %error, "an event can't be written"),
    }
    core.counts.telling.set(core.counts.telling.get().saturating_sub(1));
    match settles {
        Some(key) => core.settle(&key).await,
        None => core.progress.notify_waiters(),
    }
}
