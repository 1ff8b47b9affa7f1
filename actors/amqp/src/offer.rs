//! Offers a message to the router until it is taken, refused for good, or out of time.

use std::{rc::Rc, time::Duration};

use actix::Message;
use tokio::time::{Instant, sleep, timeout};
use vumi_kit::{
    backoff::Backoff,
    component::CALL_LIMIT,
    name::Name,
    router::{Refused, RouterPort},
};

use super::{counter::Counter, shutdown::Shutdown};

/// The waits before a message is offered again.
const OFFER_AGAIN: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

/// How long a message may wait for its component while too many others wait as well.
const WAIT_IN_A_CROWD: Duration = Duration::from_secs(1);

/// What became of an offer.
pub(super) enum OfferOutcome {
    Taken,
    /// For good, and why.
    Refused(String),
    /// Not taken in time, and why: the broker gets the delivery back.
    Later(String),
}

/// How long a message is offered.
pub(super) struct OfferRules<'a> {
    pub(super) offer_for: Duration,
    /// The transports of the settings: one that is not there now is being started.
    pub(super) transports: &'a [Name],
    /// Messages of the same queue that are offered again.
    pub(super) waiting: &'a Rc<Counter>,
    /// Beyond so many they hold up messages to others: those that have waited for a while are refused.
    pub(super) most_waiting: u64,
    pub(super) shutdown: &'a Shutdown,
}

impl OfferRules<'_> {
    fn is_final(&self, refused: &Refused) -> bool {
        match refused {
            Refused::NoRoute(_)
            | Refused::NoSessions(_)
            | Refused::Middleware(_)
            | Refused::NotConnected(_)
            | Refused::InDialogue
            | Refused::UnfitPush(_) => true,
            Refused::NoTransport(name) => !self.transports.contains(name),
            Refused::Busy(_) | Refused::Away(_) | Refused::Replaced => false,
        }
    }
}

/// Counts a message among those that wait, while it lives.
struct Waiting(Rc<Counter>);

impl Waiting {
    fn begin(waiting: &Rc<Counter>) -> Self {
        waiting.increment();
        Self(waiting.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.decrement();
    }
}

/// Offers a message for at most `offer_for`; once where the front-end stops.
pub(super) async fn offer<M>(to: &RouterPort<M>, mut message: impl FnMut() -> M, rules: OfferRules<'_>) -> OfferOutcome
where
    M: Message<Result = Result<(), Refused>> + Send + 'static,
{
    let begun = Instant::now();
    let (mut failures, mut waits) = (0, None);
    loop {
        let why = match timeout(CALL_LIMIT, to.send(message())).await {
            Ok(Ok(Ok(()))) => return OfferOutcome::Taken,
            Ok(Ok(Err(refused))) if rules.is_final(&refused) => return OfferOutcome::Refused(refused.to_string()),
            Ok(Ok(Err(refused))) => refused.to_string(),
            Ok(Err(_)) => "the router is gone".to_owned(),
            Err(_) => format!("the router did not answer within {CALL_LIMIT:?}"),
        };
        failures += 1;
        waits.get_or_insert_with(|| Waiting::begin(rules.waiting));
        if begun.elapsed() >= rules.offer_for || rules.shutdown.is_begun() {
            return OfferOutcome::Later(why);
        }
        if begun.elapsed() >= WAIT_IN_A_CROWD && rules.waiting.get() > rules.most_waiting {
            return OfferOutcome::Refused(format!("{why}, and too many messages wait for components that take none"));
        }
        sleep(OFFER_AGAIN.wait(failures)).await;
    }
}
