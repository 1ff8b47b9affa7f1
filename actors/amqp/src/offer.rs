//! Offers a message to the router until it is taken, refused for good, or out of time.

use std::time::Duration;

use actix::{Message, Recipient};
use tokio::time::{Instant, sleep, timeout};
use vumi_kit::{backoff::Backoff, component::CALL_LIMIT, router::Refused};

use super::shutdown::Shutdown;

/// The waits before a message is offered again.
const OFFER_AGAIN: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

/// What became of an offer.
pub(super) enum OfferOutcome {
    Taken,
    /// For good, and why.
    Refused(String),
    /// Not taken in time: the broker gets the delivery back.
    Later,
}

/// Offers a message for at most `offer_for`; once where the front-end stops.
pub(super) async fn offer<M>(
    to: &Recipient<M>,
    mut message: impl FnMut() -> M,
    offer_for: Duration,
    shutdown: &Shutdown,
) -> OfferOutcome
where
    M: Message<Result = Result<(), Refused>> + Send + 'static,
{
    let until = Instant::now() + offer_for;
    let mut failures = 0;
    loop {
        match timeout(CALL_LIMIT, to.send(message())).await {
            Ok(Ok(Ok(()))) => return OfferOutcome::Taken,
            Ok(Ok(Err(refused @ (Refused::NoRoute(_) | Refused::NoTransport(_))))) => {
                return OfferOutcome::Refused(refused.to_string());
            }
            Ok(Ok(Err(Refused::Busy(_) | Refused::Away(_))) | Err(_)) | Err(_) => failures += 1,
        }
        if Instant::now() >= until || shutdown.is_begun() {
            return OfferOutcome::Later;
        }
        sleep(OFFER_AGAIN.wait(failures)).await;
    }
}
