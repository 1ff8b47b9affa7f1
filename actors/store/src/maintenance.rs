//! The store's maintenance actor: sweeps what has expired at intervals, and answers how the store is.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, WrapFuture};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;
use vumi_kit::{
    health::{AskHealth, Health, State},
    store::Request,
};

use crate::writer::{
    health::WriterHealth,
    queue::{Queued, Sweep},
};

/// Time between sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// A transaction that takes longer than this delays all others: the store is then reported as away.
const STUCK: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct Maintenance {
    pub(crate) jobs: mpsc::WeakSender<Queued>,
    pub(crate) health: Arc<WriterHealth>,
    pub(crate) sweeps: bool,
}

impl Actor for Maintenance {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.sweeps {
            ctx.spawn(sweep(self.jobs.clone()).into_actor(self));
        }
    }
}

async fn sweep(queue: mpsc::WeakSender<Queued>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let mut more = true;
        while more {
            let Some(jobs) = queue.upgrade() else { return };
            let (reply, answer) = oneshot::channel();
            if jobs.send(Request { operation: Sweep, reply }.into()).await.is_err() {
                return;
            }
            drop(jobs);
            more = match answer.await {
                Ok(Ok(more)) => more,
                Ok(Err(error)) => {
                    // The writer logs its failures.
                    debug!(%error, "what has expired could not be swept; tried again soon");
                    false
                }
                Err(_) => return,
            };
        }
    }
}

impl Handler<AskHealth> for Maintenance {
    type Result = MessageResult<AskHealth>;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        let queue = self.jobs.upgrade().filter(|jobs| !jobs.is_closed());
        let stuck = self.health.busy_for().filter(|busy| *busy > STUCK);
        let away = |detail| Health { state: State::Away, detail };
        MessageResult(match (queue, self.health.failing(), stuck) {
            (None, ..) => Health { state: State::Failed, detail: "the writer has ended".to_owned() },
            (Some(_), Some(error), _) => away(error),
            (Some(_), None, Some(busy)) => away(format!("the database has not answered for {busy:.0?}")),
            (Some(jobs), None, None) => {
                let (waiting, most) = (jobs.max_capacity() - jobs.capacity(), jobs.max_capacity());
                let detail = format!("{waiting} of {most} requests wait; {} commits", self.health.commits());
                Health { state: State::Up, detail }
            }
        })
    }
}
