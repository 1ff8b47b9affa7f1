//! The store's maintenance actor: sweeps what has expired at intervals, refuses what waits for too long, finds out when a
//! database that refused keeps what it is given again, and answers how the store is. Where the settings say so, it removes
//! what is not kept any longer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, WrapFuture};
use tokio::sync::oneshot;
use tracing::{debug, info};
use vumi_kit::{
    health::{AskHealth, Health, State},
    store::Request,
};

use crate::{
    storage::{Storage, Watch},
    writer::{
        commands::{Probe, RetainStep, Sweep},
        health::WriterHealth,
        queue::{WeakQueue, WriteQueue},
    },
};

/// Time between sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Time between runs of retention.
const RETAIN_EVERY: Duration = Duration::from_secs(600);

/// After each step of retention the writer is left alone for so many times as long as the step took.
const RETAIN_REST: u32 = 4;

/// Time between looks at what waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Time between tries of a database that refused.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// A transaction that takes longer than this delays all others: the store is then reported as away.
const STUCK: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct Maintenance {
    pub(crate) queue: WeakQueue,
    pub(crate) health: Arc<WriterHealth>,
    pub(crate) sweeps: bool,
    /// What retention did; none: everything is kept.
    pub(crate) retention: Option<Arc<Mutex<RetentionRun>>>,
    /// SQLite's file, and who watches it.
    pub(crate) storage: Option<(Arc<Storage>, Watch)>,
}

/// What the last run of retention that found anything did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RetentionRun {
    texts: usize,
    rows: usize,
}

impl Actor for Maintenance {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.sweeps {
            ctx.spawn(sweep(self.queue.clone()).into_actor(self));
        }
        if let Some(last) = &self.retention {
            ctx.spawn(retain(self.queue.clone(), Arc::clone(last)).into_actor(self));
        }
        ctx.run_interval(LOOK_EVERY, |actor, _| match actor.queue.upgrade() {
            Some(queue) => queue.refuse_overdue(),
            // Nobody has the file any more.
            None => actor.storage = None,
        });
        ctx.run_interval(PROBE_EVERY, |actor, _| actor.probe());
    }
}

impl Maintenance {
    fn probe(&self) {
        if self.health.failing().is_none() {
            return;
        }
        if let Some(queue) = self.queue.upgrade() {
            let probe = Request { patient: false, ..Request::new(Probe, oneshot::channel().0) };
            // Where there is no room for it, others find out.
            let _tried_soon = queue.try_send(probe.into());
        }
    }

    fn describe(&self, queue: &WriteQueue) -> String {
        let (state, commits) = (queue.state(), self.health.commits());
        let storage = self.storage.as_ref().map(|(storage, _)| format!("; {}", storage.sizes()));
        let oldest = state.oldest.as_millis();
        let retention = self.retention.as_ref().map(|last| {
            let RetentionRun { texts, rows } = *last.lock().unwrap_or_else(PoisonError::into_inner);
            format!("; retention last removed {texts} texts and {rows} SMS")
        });
        let (storage, retention) = (storage.unwrap_or_default(), retention.unwrap_or_default());
        format!("{} requests wait, {oldest} ms; {commits} commits{storage}{retention}", state.waiting)
    }
}

async fn sweep(queue: WeakQueue) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let mut more = true;
        while more {
            let Some(jobs) = queue.upgrade() else { return };
            let (reply, answer) = oneshot::channel();
            if jobs.send(Request::new(Sweep, reply).into()).await.is_err() {
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

/// Removes what is not kept any longer, run by run.
async fn retain(queue: WeakQueue, last: Arc<Mutex<RetentionRun>>) {
    loop {
        let mut run = RetentionRun::default();
        loop {
            let Some(jobs) = queue.upgrade() else { return };
            let (reply, answer) = oneshot::channel();
            let began = Instant::now();
            if jobs.send(Request::new(RetainStep, reply).into()).await.is_err() {
                return;
            }
            drop(jobs);
            match answer.await {
                Ok(Ok(step)) => {
                    run.texts += step.texts;
                    run.rows += step.rows;
                    if step.whole {
                        break;
                    }
                }
                Ok(Err(error)) => {
                    // The writer logs its failures.
                    debug!(%error, "what is old could not be removed; tried again with the next run");
                    break;
                }
                Err(_) => return,
            }
            tokio::time::sleep(began.elapsed() * RETAIN_REST).await;
        }
        if run.texts + run.rows > 0 {
            let RetentionRun { texts, rows } = run;
            info!(texts, rows, "retention: removed what store.keep_texts and store.keep_rows do not keep");
            *last.lock().unwrap_or_else(PoisonError::into_inner) = run;
        }
        tokio::time::sleep(RETAIN_EVERY).await;
    }
}

impl Handler<AskHealth> for Maintenance {
    type Result = MessageResult<AskHealth>;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        let away = |detail| Health { state: State::Away, detail };
        let fault = self.storage.as_ref().and_then(|(storage, _)| storage.fault());
        let stuck = self.health.busy_for().filter(|busy| *busy > STUCK);
        MessageResult(match (self.queue.upgrade(), fault.or_else(|| self.health.failing()), stuck) {
            (None, ..) => Health { state: State::Failed, detail: "the writer has ended".to_owned() },
            (Some(_), Some(error), _) => away(error),
            (Some(_), None, Some(busy)) => away(format!("the database has not answered for {busy:.0?}")),
            (Some(queue), None, None) => Health { state: State::Up, detail: self.describe(&queue) },
        })
    }
}
