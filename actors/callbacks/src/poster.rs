//! The actor: claims the deliveries that are due, posts them, records the attempts.

use std::{collections::HashSet, mem, sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle,
    WrapFuture,
};
use reqwest::dns::Resolve;
use tokio::sync::oneshot;
use tracing::{debug, error, info, warn};
use vumi_kit::{
    backoff::Backoff,
    callback::{
        CallbackId, Callbacks, ClaimDeliveries, ClaimedDeliveries, Delivery, DeliveryAttempt, DeliveryThen,
        RecordDeliveryAttempts,
    },
    clock::{Clock, Timestamp},
    component::{CALL_LIMIT, Component, Drain, Lifeline, StartError, lifeline},
    health::{AskHealth, Health, State},
    store::{Ask, Store, StoreError},
};

use crate::{attempt::attempt_of, callback_client::CallbackClient, guard::SystemResolver, settings::CallbackSettings};

/// A lease lasts for one post and this long: then a delivery that a crash left in flight can be claimed again. The store
/// may take as long to record an attempt before another process can repeat the post.
const LEASE_BEYOND_LIMIT: Duration = Duration::from_secs(50);

/// The waits between attempts to record while the store is not available.
const RECORD_AGAIN: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));

/// What the callbacks get at their start.
#[derive(Clone, Debug)]
pub struct CallbackContext {
    /// Keeps the deliveries.
    pub store: Store,
    /// Decides what is due, and when a lease ends.
    pub clock: Clock,
}

/// Starts the callbacks on the present arbiter: at start-up, and again for a restart.
///
/// # Errors
///
/// When the settings cannot work, or the HTTP client cannot be made: it needs the system's CA certificates.
pub fn start(context: CallbackContext, settings: CallbackSettings) -> Result<Component, StartError> {
    open(context.store.callbacks, context.clock, settings, Arc::new(SystemResolver))
}

pub(crate) fn open(
    store: Callbacks,
    clock: Clock,
    settings: CallbackSettings,
    names: Arc<dyn Resolve>,
) -> Result<Component, StartError> {
    if let Some(problem) = settings.check().into_iter().next() {
        return Err(StartError(format!("callbacks.{}: {}", problem.key, problem.what)));
    }
    let client = CallbackClient::new(&settings, names)?;
    let (lifeline, ended) = lifeline();
    let poster = Poster::new(store, clock, settings, client, lifeline).start();
    Ok(Component { endpoints: None, health: poster.clone().recipient(), drain: poster.recipient(), ended })
}

struct Poster {
    store: Callbacks,
    clock: Clock,
    settings: Arc<CallbackSettings>,
    client: CallbackClient,
    /// Deliveries claimed and not yet recorded. `most_at_once` bounds them, and with them every list here.
    in_flight: usize,
    /// Behind which callback the next claim goes on; 0: with the first.
    claim_after: CallbackId,
    /// Attempts that no request to the store contains yet.
    unrecorded: Vec<DeliveryAttempt>,
    /// When the pending request was made; at most one of each kind is pending.
    claiming: Option<Timestamp>,
    recording: Option<Timestamp>,
    /// An attempt was recorded while a claim was pending: the claim may have missed deliveries that this made claimable.
    claim_again: bool,
    /// Failures to record in a row. Above 0, nothing is claimed.
    record_failures: u32,
    /// Since when the store fails, and its error.
    store_failure: Option<(Timestamp, String)>,
    /// The callbacks whose last answer was prompt; at most as many as there are callbacks.
    prompt: Arc<HashSet<CallbackId>>,
    counts: AttemptCounts,
    poll: SpawnHandle,
    draining: bool,
    drained: Vec<oneshot::Sender<()>>,
    _lifeline: Lifeline,
}

/// The attempts since the start, by outcome.
#[derive(Default)]
struct AttemptCounts {
    done: u64,
    failed: u64,
    parked: u64,
}

/// A post has ended.
#[derive(Message)]
#[rtype(result = "()")]
struct AttemptFinished {
    attempt: DeliveryAttempt,
    callback: CallbackId,
    prompt: bool,
}

/// An answer is prompt if it takes at most this fraction of the time limit. Slow URLs hold their places so long that a
/// few of them would hold them all.
const PROMPT_PART: u32 = 4;

impl Actor for Poster {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Every post may end at the same moment; the supervisor asks too.
        ctx.set_mailbox_capacity(self.settings.most_at_once + 16);
        self.poll = ctx.run_interval(self.settings.poll, Self::claim);
        self.claim(ctx);
    }
}

impl Poster {
    fn new(
        store: Callbacks,
        clock: Clock,
        settings: CallbackSettings,
        client: CallbackClient,
        lifeline: Lifeline,
    ) -> Self {
        Self {
            store,
            clock,
            settings: Arc::new(settings),
            client,
            in_flight: 0,
            claim_after: 0,
            unrecorded: Vec::new(),
            claiming: None,
            recording: None,
            claim_again: false,
            record_failures: 0,
            store_failure: None,
            prompt: Arc::default(),
            counts: AttemptCounts::default(),
            poll: SpawnHandle::default(),
            draining: false,
            drained: Vec::new(),
            _lifeline: lifeline,
        }
    }

    /// Claims as many deliveries as can be posted at once; each post starts as soon as it is claimed.
    fn claim(&mut self, ctx: &mut Context<Self>) {
        let limit = self.settings.most_at_once.saturating_sub(self.in_flight);
        if limit == 0 || self.claiming.is_some() || self.draining || self.record_failures > 0 {
            return;
        }
        self.claiming = Some(self.clock.now());
        let store = self.store.clone();
        let ask = ClaimDeliveries {
            after: self.claim_after,
            limit,
            most_per_callback: self.settings.most_per_callback,
            prompt: Arc::clone(&self.prompt),
            most_of_others: self.settings.most_at_once.div_ceil(2),
            lease_s: (self.settings.limit + LEASE_BEYOND_LIMIT).as_secs(),
        };
        ctx.spawn(async move { store.ask(ask).await }.into_actor(self).map(Self::claimed));
    }

    fn claimed(answer: Result<ClaimedDeliveries, StoreError>, this: &mut Self, ctx: &mut Context<Self>) {
        this.claiming = None;
        match answer {
            Ok(ClaimedDeliveries { deliveries, next }) => {
                this.store_answered();
                this.in_flight += deliveries.len();
                for delivery in deliveries {
                    this.start_post(delivery, ctx);
                }
                this.claim_after = next.unwrap_or(0);
                if mem::take(&mut this.claim_again) || next.is_some() {
                    this.claim(ctx);
                }
            }
            // The next poll claims again.
            Err(error) => this.store_failed(&error),
        }
        this.answer_drains();
    }

    fn start_post(&mut self, delivery: Delivery, ctx: &mut Context<Self>) {
        if self.store.token().is_replaced() {
            // The fresh one posts it when the lease ends.
            return ctx.stop();
        }
        let at = self.clock.now();
        if delivery.lease_until.since(at) < self.settings.limit {
            // Another process could claim and post it before this post ends.
            debug!(delivery = delivery.id, "the lease is too short for a post; it will be claimed again");
            self.in_flight = self.in_flight.saturating_sub(1);
            return;
        }
        let (client, clock, settings) = (self.client.clone(), self.clock.clone(), Arc::clone(&self.settings));
        let poster = ctx.address();
        // In a task of its own only its own socket wakes it.
        actix_rt::spawn(async move {
            let started = tokio::time::Instant::now();
            // Who is posted to compares with a clock of his own.
            let outcome = client.post(&delivery, clock.wall()).await;
            let prompt = started.elapsed() <= settings.limit / PROMPT_PART;
            let attempt = attempt_of(outcome, &delivery, at, clock.now(), &settings);
            log_attempt(&delivery, &attempt);
            if poster.send(AttemptFinished { attempt, callback: delivery.callback, prompt }).await.is_err() {
                warn!(delivery = delivery.id, "the callbacks have stopped; this one will be posted again");
            }
        });
    }

    /// Records all unrecorded attempts in one request; later attempts wait for the next request.
    fn record(&mut self, ctx: &mut Context<Self>) {
        if self.recording.is_some() || self.unrecorded.is_empty() {
            return;
        }
        self.recording = Some(self.clock.now());
        let attempts = mem::take(&mut self.unrecorded);
        let disable_after = self.settings.disable_after;
        let (store, ask) = (self.store.clone(), RecordDeliveryAttempts { attempts: attempts.clone(), disable_after });
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
                self.release(attempts.len());
                self.record(ctx);
                self.claim_again = self.claiming.is_some();
                self.claim(ctx);
            }
            Err(StoreError::Stopped) if self.draining => {
                let lost = attempts.len() + self.unrecorded.len();
                error!(attempts = lost, "the store stopped before it recorded these; they will be posted again");
                self.unrecorded.clear();
                self.release(lost);
            }
            Err(error) => {
                self.store_failed(&error);
                attempts.append(&mut self.unrecorded);
                self.unrecorded = attempts;
                self.record_failures = self.record_failures.saturating_add(1);
                // `recording` stays set: later attempts wait with these.
                ctx.run_later(RECORD_AGAIN.wait(self.record_failures), |this, ctx| {
                    this.recording = None;
                    this.record(ctx);
                });
            }
        }
        self.answer_drains();
    }

    fn release(&mut self, recorded: usize) {
        self.recording = None;
        self.in_flight = self.in_flight.saturating_sub(recorded);
    }

    fn store_answered(&mut self) {
        if self.store_failure.take().is_some() {
            info!("the store answers the callbacks again");
        }
    }

    fn store_failed(&mut self, error: &StoreError) {
        if self.store_failure.is_none() {
            warn!(%error, "callbacks wait for the store; nothing is lost");
            self.store_failure = Some((self.clock.now(), error.to_string()));
        }
    }

    /// Answers the drain requests once nothing is in flight.
    fn answer_drains(&mut self) {
        if self.in_flight == 0 && self.claiming.is_none() {
            for waiting in self.drained.drain(..) {
                let _requester_gave_up = waiting.send(());
            }
        }
    }

    /// Why the callbacks wait for the store, and since when.
    fn store_delay(&self) -> Option<String> {
        if let Some((since, error)) = &self.store_failure {
            return Some(format!("the store fails since {}: {error}", since.to_seconds_text()));
        }
        let asked = self.claiming.into_iter().chain(self.recording).min()?;
        (self.clock.now().since(asked) > CALL_LIMIT)
            .then(|| format!("the store has not answered since {}", asked.to_seconds_text()))
    }
}

/// Logs an attempt: a warning if the delivery is given up, else at debug level.
fn log_attempt(delivery: &Delivery, attempt: &DeliveryAttempt) {
    let (id, callback, status) = (delivery.id, delivery.callback, attempt.http_status);
    let error = attempt.error.as_deref().unwrap_or_default();
    match attempt.then {
        DeliveryThen::Done => debug!(delivery = id, callback, status, "posted"),
        DeliveryThen::Again(at) => debug!(delivery = id, callback, status, error, ?at, "not posted; again later"),
        DeliveryThen::Gone => debug!(delivery = id, callback, status, error, "not posted; the URL wants no more"),
        DeliveryThen::Parked => {
            vumi_kit::warn_limited!(
                &callback.to_string(),
                delivery = id,
                callback,
                status,
                error,
                "not posted and given up; see `vumi callbacks list`"
            );
        }
    }
}

impl Handler<AttemptFinished> for Poster {
    type Result = ();

    fn handle(&mut self, AttemptFinished { attempt, callback, prompt }: AttemptFinished, ctx: &mut Self::Context) {
        // The set is copied only while a pending claim shares it, and only if it changes.
        if prompt && !self.prompt.contains(&callback) {
            Arc::make_mut(&mut self.prompt).insert(callback);
        } else if !prompt && self.prompt.contains(&callback) {
            Arc::make_mut(&mut self.prompt).remove(&callback);
        }
        match attempt.then {
            DeliveryThen::Done => self.counts.done += 1,
            DeliveryThen::Again(_) => self.counts.failed += 1,
            DeliveryThen::Parked | DeliveryThen::Gone => self.counts.parked += 1,
        }
        self.unrecorded.push(attempt);
        self.record(ctx);
    }
}

impl Handler<AskHealth> for Poster {
    type Result = Health;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Health {
        let AttemptCounts { done, failed, parked } = self.counts;
        let numbers = format!("{} in flight; {done} posted, {failed} failed, {parked} given up", self.in_flight);
        let (state, detail) = match self.store_delay() {
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
        let (done, drained) = oneshot::channel();
        self.drained.push(done);
        self.answer_drains();
        Box::pin(async move {
            let _drained_or_stopped = drained.await;
        })
    }
}
