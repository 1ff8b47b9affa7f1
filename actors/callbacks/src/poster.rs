//! The actor: claims what is due, has it posted, records what came of it.

use std::{collections::HashSet, mem, sync::Arc, time::Duration};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle, WrapFuture};
use reqwest::dns::Resolve;
use tokio::sync::oneshot;
use tracing::{debug, error, info, warn};
use vumi_kit::{
    backoff::Backoff,
    callback::{
        CallbackId, Callbacks, ClaimDeliveries, Delivery, DeliveryAttempt, DeliveryThen, RecordDeliveryAttempts,
    },
    clock::{Clock, Timestamp},
    component::{CALL_LIMIT, Component, Drain, Lifeline, StartError, lifeline},
    health::{AskHealth, Health, State},
    store::{Ask, Store, StoreError},
};

use crate::{call::Caller, guard::SystemNames, settings::CallbackSettings, verdict::judge};

#[cfg(test)]
mod tests;

/// A claim holds for one post and this much: what a crash left is free again after it. The store may take as long
/// to record an attempt before another process could repeat it.
const LEASE_BEYOND_LIMIT: Duration = Duration::from_secs(50);

/// Waits between tries to record while the store is away.
const RECORD_AGAIN: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));

/// What the callbacks need of the house.
#[derive(Clone, Debug)]
pub struct CallbackContext {
    /// Where deliveries are kept.
    pub store: Store,
    /// The time.
    pub clock: Clock,
}

/// Starts the callbacks on the present arbiter: at start-up, and again for a restart.
///
/// # Errors
///
/// When the settings cannot work, or the HTTP client cannot be made: it needs the system's CA certificates.
pub fn start(context: CallbackContext, settings: CallbackSettings) -> Result<Component, StartError> {
    open(context.store.callbacks, context.clock, settings, Arc::new(SystemNames))
}

fn open(
    store: Callbacks,
    clock: Clock,
    settings: CallbackSettings,
    names: Arc<dyn Resolve>,
) -> Result<Component, StartError> {
    if let Some(problem) = settings.check().into_iter().next() {
        return Err(StartError(format!("callbacks.{}: {}", problem.key, problem.what)));
    }
    let caller = Caller::new(&settings, names)?;
    let (line, ended) = lifeline();
    let poster = Poster::new(store, clock, settings, caller, line).start();
    Ok(Component { endpoints: None, health: poster.clone().recipient(), drain: poster.recipient(), ended })
}

struct Poster {
    store: Callbacks,
    clock: Clock,
    settings: Arc<CallbackSettings>,
    caller: Caller,
    /// Deliveries claimed and not yet recorded: `most_at_once` bounds them, and with them everything kept here.
    taken: usize,
    /// Attempts made that nobody is recording yet.
    unrecorded: Vec<DeliveryAttempt>,
    /// When the open question was asked; one of each at a time.
    claiming: Option<Timestamp>,
    recording: Option<Timestamp>,
    /// Something was recorded while a claim was under way: it may have missed what that freed.
    claim_again: bool,
    /// Failures to record in a row. While there are any, nothing is claimed.
    record_failures: u32,
    /// Since when the store fails, and how.
    trouble: Option<(Timestamp, String)>,
    /// The callbacks whose last answer came promptly: as many as there are callbacks, at the most.
    prompt: Arc<HashSet<CallbackId>>,
    tally: Tally,
    poll: SpawnHandle,
    draining: bool,
    drained: Vec<oneshot::Sender<()>>,
    _line: Lifeline,
}

/// What became of the attempts since the start.
#[derive(Default)]
struct Tally {
    done: u64,
    failed: u64,
    parked: u64,
}

/// An attempt is over.
#[derive(Message)]
#[rtype(result = "()")]
struct Finished {
    attempt: DeliveryAttempt,
    callback: CallbackId,
    prompt: bool,
}

/// An answer is prompt that takes no more than this part of the time limit. One that is not holds its place for so long
/// that a few such URLs would hold them all.
const PROMPT_PART: u32 = 4;

impl Actor for Poster {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Room for every attempt to finish at the same moment, and for the supervisor.
        ctx.set_mailbox_capacity(self.settings.most_at_once + 16);
        self.poll = ctx.run_interval(self.settings.poll, Self::claim);
        self.claim(ctx);
    }
}

impl Poster {
    fn new(store: Callbacks, clock: Clock, settings: CallbackSettings, caller: Caller, line: Lifeline) -> Self {
        Self {
            store,
            clock,
            settings: Arc::new(settings),
            caller,
            taken: 0,
            unrecorded: Vec::new(),
            claiming: None,
            recording: None,
            claim_again: false,
            record_failures: 0,
            trouble: None,
            prompt: Arc::default(),
            tally: Tally::default(),
            poll: SpawnHandle::default(),
            draining: false,
            drained: Vec::new(),
            _line: line,
        }
    }

    /// Asks for as many deliveries as there is room for: each is begun as soon as it is claimed.
    fn claim(&mut self, ctx: &mut Context<Self>) {
        let limit = self.settings.most_at_once.saturating_sub(self.taken);
        if limit == 0 || self.claiming.is_some() || self.draining || self.record_failures > 0 {
            return;
        }
        self.claiming = Some(self.clock.now());
        let store = self.store.clone();
        let ask = ClaimDeliveries {
            limit,
            most_per_callback: self.settings.most_per_callback,
            prompt: Arc::clone(&self.prompt),
            most_of_others: self.settings.most_at_once.div_ceil(2),
            lease_s: (self.settings.limit + LEASE_BEYOND_LIMIT).as_secs(),
        };
        ctx.spawn(async move { store.ask(ask).await }.into_actor(self).map(Self::claimed));
    }

    fn claimed(answer: Result<Vec<Delivery>, StoreError>, this: &mut Self, ctx: &mut Context<Self>) {
        this.claiming = None;
        match answer {
            Ok(deliveries) => {
                this.store_answered();
                this.taken += deliveries.len();
                for delivery in deliveries {
                    this.begin(delivery, ctx);
                }
                if mem::take(&mut this.claim_again) {
                    this.claim(ctx);
                }
            }
            // The next poll asks again.
            Err(error) => this.store_failed(&error),
        }
        this.settle();
    }

    fn begin(&mut self, delivery: Delivery, ctx: &mut Context<Self>) {
        let at = self.clock.now();
        if delivery.lease_until.since(at) < self.settings.limit {
            // Another could claim and post it while this post is under way.
            debug!(delivery = delivery.id, "the lease is too short for a post; it will be claimed again");
            self.taken = self.taken.saturating_sub(1);
            return;
        }
        let (caller, clock, settings) = (self.caller.clone(), self.clock.clone(), Arc::clone(&self.settings));
        let poster = ctx.address();
        // A task of its own, so that it is woken by its own socket only.
        actix_rt::spawn(async move {
            let began = tokio::time::Instant::now();
            let answer = caller.post(&delivery, at).await;
            let prompt = began.elapsed() <= settings.limit / PROMPT_PART;
            let attempt = judge(answer, &delivery, at, clock.now(), &settings);
            note(&delivery, &attempt);
            if poster.send(Finished { attempt, callback: delivery.callback, prompt }).await.is_err() {
                warn!(delivery = delivery.id, "the callbacks have stopped; this one will be posted again");
            }
        });
    }

    /// Records all attempts there are, in one question; what comes in meanwhile goes with the next.
    fn record(&mut self, ctx: &mut Context<Self>) {
        if self.recording.is_some() || self.unrecorded.is_empty() {
            return;
        }
        self.recording = Some(self.clock.now());
        let attempts = mem::take(&mut self.unrecorded);
        let (store, ask) = (self.store.clone(), RecordDeliveryAttempts { attempts: attempts.clone() });
        ctx.spawn(
            async move { store.ask_waiting(ask).await }
                .into_actor(self)
                .map(move |answer, this, ctx| this.recorded(attempts, answer, ctx)),
        );
    }

    fn recorded(
        &mut self,
        mut attempts: Vec<DeliveryAttempt>,
        answer: Result<(), StoreError>,
        ctx: &mut Context<Self>,
    ) {
        match answer {
            Ok(()) => {
                self.store_answered();
                self.record_failures = 0;
                self.let_go(attempts.len());
                self.record(ctx);
                self.claim_again = self.claiming.is_some();
                self.claim(ctx);
            }
            Err(StoreError::Stopped) if self.draining => {
                let lost = attempts.len() + self.unrecorded.len();
                error!(attempts = lost, "the store stopped before it recorded these; they will be posted again");
                self.unrecorded.clear();
                self.let_go(lost);
            }
            Err(error) => {
                self.store_failed(&error);
                attempts.append(&mut self.unrecorded);
                self.unrecorded = attempts;
                self.record_failures = self.record_failures.saturating_add(1);
                // `recording` stays set: what comes in waits with the rest.
                ctx.run_later(RECORD_AGAIN.wait(self.record_failures), |this, ctx| {
                    this.recording = None;
                    this.record(ctx);
                });
            }
        }
        self.settle();
    }

    fn let_go(&mut self, recorded: usize) {
        self.recording = None;
        self.taken = self.taken.saturating_sub(recorded);
    }

    fn store_answered(&mut self) {
        if self.trouble.take().is_some() {
            info!("the store answers the callbacks again");
        }
    }

    fn store_failed(&mut self, error: &StoreError) {
        if self.trouble.is_none() {
            warn!(%error, "callbacks wait for the store; nothing is lost");
            self.trouble = Some((self.clock.now(), error.to_string()));
        }
    }

    /// Answers those who wait for the drain once nothing is under way.
    fn settle(&mut self) {
        if self.taken == 0 && self.claiming.is_none() {
            for waiting in self.drained.drain(..) {
                let _nobody_waits_any_more = waiting.send(());
            }
        }
    }

    /// Since when the store has kept the callbacks waiting, and why.
    fn kept_waiting(&self) -> Option<String> {
        if let Some((since, error)) = &self.trouble {
            return Some(format!("the store fails since {}: {error}", since.to_seconds_text()));
        }
        let asked = self.claiming.into_iter().chain(self.recording).min()?;
        (self.clock.now().since(asked) > CALL_LIMIT)
            .then(|| format!("the store has not answered since {}", asked.to_seconds_text()))
    }
}

/// Logs an attempt: what is over for good as a warning, the rest for those who look.
fn note(delivery: &Delivery, attempt: &DeliveryAttempt) {
    let (id, callback, status) = (delivery.id, delivery.callback, attempt.http_status);
    let error = attempt.error.as_deref().unwrap_or_default();
    match attempt.then {
        DeliveryThen::Done => debug!(delivery = id, callback, status, "posted"),
        DeliveryThen::Again(at) => debug!(delivery = id, callback, status, error, ?at, "not posted; again later"),
        DeliveryThen::Parked => {
            warn!(delivery = id, callback, status, error, "not posted and given up; see `vumi callbacks list`");
        }
    }
}

impl Handler<Finished> for Poster {
    type Result = ();

    fn handle(&mut self, Finished { attempt, callback, prompt }: Finished, ctx: &mut Self::Context) {
        // Nothing is copied unless a claim is under way, and nothing at all as long as it stays as it was.
        if prompt && !self.prompt.contains(&callback) {
            Arc::make_mut(&mut self.prompt).insert(callback);
        } else if !prompt && self.prompt.contains(&callback) {
            Arc::make_mut(&mut self.prompt).remove(&callback);
        }
        match attempt.then {
            DeliveryThen::Done => self.tally.done += 1,
            DeliveryThen::Again(_) => self.tally.failed += 1,
            DeliveryThen::Parked => self.tally.parked += 1,
        }
        self.unrecorded.push(attempt);
        self.record(ctx);
    }
}

impl Handler<AskHealth> for Poster {
    type Result = Health;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Health {
        let Tally { done, failed, parked } = self.tally;
        let numbers = format!("{} under way; {done} posted, {failed} failed, {parked} given up", self.taken);
        let (state, detail) = match self.kept_waiting() {
            _ if self.draining => (State::Stopping, numbers),
            Some(why) => (State::Degraded, format!("{why}; {numbers}")),
            None => (State::Up, numbers),
        };
        Health { state, detail }
    }
}

impl Handler<Drain> for Poster {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) -> ResponseFuture<()> {
        self.draining = true;
        ctx.cancel_future(self.poll);
        let (done, wait) = oneshot::channel();
        self.drained.push(done);
        self.settle();
        Box::pin(async move {
            let _answered_or_stopped = wait.await;
        })
    }
}
