//! The actor: takes steps as long as broadcasts are due.

use std::{mem, time::Duration};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};
use tokio::sync::oneshot;
use tracing::warn;
use vumi_kit::{
    campaign_sms::CampaignSmsOffice,
    component::{Component, ComponentContext, Drain, Lifeline, lifeline},
    health::{AskHealth, Health, State},
    store::{Store, StoreError},
};

use crate::steps::{self, StepsTaken};

/// How long it waits where nothing was due, or the store failed.
const IDLE: Duration = Duration::from_millis(250);
/// How long it waits where something was: others' writes come between.
const BUSY: Duration = Duration::from_millis(10);

/// Starts the broadcasts on the present arbiter: at start-up, and again for a restart.
#[must_use]
pub fn start(context: ComponentContext) -> Component {
    let (lifeline, ended) = lifeline();
    let ComponentContext { store, campaign_sms, .. } = context;
    let broadcaster = Broadcaster {
        store,
        office: campaign_sms,
        stepping: false,
        lines: 0,
        failure: None,
        draining: false,
        drained: Vec::new(),
        _lifeline: lifeline,
    }
    .start();
    Component { endpoints: None, health: broadcaster.clone().recipient(), drain: broadcaster.recipient(), ended }
}

struct Broadcaster {
    store: Store,
    office: CampaignSmsOffice,
    /// Whether a step is under way; there is one at the most.
    stepping: bool,
    /// Lines taken since the start.
    lines: u64,
    /// Why the store did not take the last step.
    failure: Option<String>,
    draining: bool,
    drained: Vec<oneshot::Sender<()>>,
    _lifeline: Lifeline,
}

impl Actor for Broadcaster {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.step(ctx);
    }
}

impl Broadcaster {
    fn step(&mut self, ctx: &mut Context<Self>) {
        if self.draining {
            return;
        }
        if self.store.ledger.token().is_replaced() {
            return ctx.stop();
        }
        self.stepping = true;
        let (store, office) = (self.store.clone(), self.office.clone());
        let step = async move { steps::take(&store, &office).await };
        ctx.spawn(step.into_actor(self).map(Self::stepped));
    }

    fn stepped(taken: Result<StepsTaken, StoreError>, this: &mut Self, ctx: &mut Context<Self>) {
        this.stepping = false;
        for drained in mem::take(&mut this.drained) {
            let _nobody_waits = drained.send(());
        }
        let wait = match taken {
            Ok(StepsTaken { due, lines }) => {
                this.lines += lines as u64;
                this.failure = None;
                if due > 0 { BUSY } else { IDLE }
            }
            Err(error) => {
                if this.failure.is_none() {
                    warn!(sort = error.sort(), "a broadcast's step was not kept; it is taken again");
                }
                this.failure = Some(error.to_string());
                IDLE
            }
        };
        ctx.run_later(wait, Self::step);
    }
}

impl Handler<AskHealth> for Broadcaster {
    type Result = Health;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Health {
        let numbers = format!("{} lines taken since the start", self.lines);
        let (state, detail) = match &self.failure {
            _ if self.draining => (State::Stopping, numbers),
            Some(why) => (State::Degraded, format!("{why}; {numbers}")),
            None => (State::Up, numbers),
        };
        Health { state, detail }
    }
}

impl Handler<Drain> for Broadcaster {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> ResponseFuture<()> {
        self.draining = true;
        let (done, drained) = oneshot::channel();
        if self.stepping {
            self.drained.push(done);
        } else {
            let _at_once = done.send(());
        }
        Box::pin(async move {
            let _drained_or_stopped = drained.await;
        })
    }
}
