//! Messages enter their chains of middleware, and leave them.

use actix::{AsyncContext, Context, Handler, Message, ResponseFuture};
use tokio::time::Instant;
use tracing::debug;
use vumi_kit::{
    ledger::SettleReceived,
    message::UserMessage,
    middleware::ChainOutcome,
    router::Refused,
    sms::Received,
    store::{Ask, Store},
};

use super::{Router, log_failure};
use crate::{
    passage::{ChainArrival, ChainJob},
    received_queues::Arrived,
};

impl Router {
    /// Answers whether there is a place.
    pub(super) fn enter_chain(&mut self, received: Received, claimed: bool, ctx: &mut Context<Self>) -> bool {
        match self.in_chains.arrive(received, claimed, Instant::now()) {
            ChainArrival::Begin(job) => self.run_chain(*job, ctx),
            ChainArrival::Waits => {}
            ChainArrival::Full => return false,
        }
        true
    }

    /// Takes a person's first SMS through its chain; the end comes as [`LeftChain`].
    fn run_chain(&self, job: ChainJob, ctx: &mut Context<Self>) {
        let ChainJob { received, claimed, arrived } = job;
        let (passage, router, person) = (self.passage.clone(), ctx.address(), received.sms.from.as_str().to_owned());
        actix::spawn(async move {
            let (received, outcome) = passage.received(received, arrived).await;
            // An error: the router is gone. The ledger's lease outlives it.
            let _gone = router.send(LeftChain { person, received, claimed, outcome }).await;
        });
    }
}

/// A person's SMS has left its chain.
#[derive(Message)]
#[rtype(result = "()")]
struct LeftChain {
    /// Whose it was as it came: a middleware may translate addresses.
    person: String,
    received: Received,
    claimed: bool,
    outcome: ChainOutcome,
}

impl Handler<LeftChain> for Router {
    type Result = ();

    fn handle(&mut self, LeftChain { person, received, claimed, outcome }: LeftChain, ctx: &mut Self::Context) {
        let id = received.id;
        if let Some(next) = self.in_chains.left(&person, id) {
            self.run_chain(next, ctx);
        }
        match outcome {
            ChainOutcome::Passed => {
                if self.route_received(received, claimed, ctx) == Arrived::Returned {
                    self.release_received(vec![id]);
                }
            }
            ChainOutcome::Held(why) | ChainOutcome::Refused(why) => self.settle_unroutable(&received, why),
            // Its lease ends, and it is claimed again.
            ChainOutcome::Later(why) => debug!(why, "a received SMS waits for its middleware"),
        }
    }
}

/// Notes that a campaign's answer is not sent, and why.
pub(super) async fn settle_refused(store: &Store, message_id: String, why: String) -> Result<(), Refused> {
    let settle = SettleReceived { outcome: why.clone(), ..SettleReceived::by_campaign(message_id, None, None) };
    if let Err(error) = store.ledger.ask_waiting(settle).await {
        log_failure(&error, "an answer that a middleware refused could not be noted: its SMS will be routed again");
    }
    Err(Refused::Middleware(why))
}

/// A message from a person that needs no chain, or has left it.
#[derive(Message)]
#[rtype(result = "Result<(), Refused>")]
pub(super) struct PassedInbound(pub(super) UserMessage);

impl Handler<PassedInbound> for Router {
    type Result = ResponseFuture<Result<(), Refused>>;

    fn handle(&mut self, PassedInbound(message): PassedInbound, _: &mut Self::Context) -> Self::Result {
        self.hand_to_campaign(message)
    }
}
