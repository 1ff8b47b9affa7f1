//! The work of an outbox: the queue, the submissions in flight, and the outcomes that wait to be recorded.
//!
//! The contract with the ledger (`vumi_kit::ledger`): a claimed SMS is ours until its lease ends; each is answered by
//! an outcome, or left to its lease. Outcomes are kept here until the ledger has them. Nothing goes out before the ledger
//! has marked it as begun: what takes the place of a finished submission is marked with the outcome of that one. What an
//! earlier start of the transport claimed, and comes here late, is due in the ledger already and not taken.

mod in_hand;
mod ledger_io;
mod outcomes;
mod submission_queue;

use std::{
    cell::RefCell, collections::VecDeque, future::poll_fn, pin::pin, rc::Rc, sync::Arc, task::Poll, time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use vumi_kit::{
    clock::{Clock, Timestamp},
    health::State,
    ledger::{CloseOutbox, Ledger, Outcome},
    name::Name,
    sms::Submission,
    store::Ask,
};

use super::{
    OutboxSettings, SubmitSms,
    attempt::{AttemptLimits, Completed, attempt},
    breaker::Breaker,
    pace::Pace,
    redactor::Redactor,
    status::OutboxStatus,
    throughput::Throughput,
};
use in_hand::InHand;
use ledger_io::{LedgerReply, UnderWay};
use submission_queue::SubmissionQueue;

/// How far ahead SMS are claimed: long enough for the ledger to answer, short enough that one that is claimed now goes out soon.
/// A lease is longer than three times this (`OutboxSettings::least_lease`).
const REACH: Duration = Duration::from_millis(500);

/// What the actor tells the engine.
pub(super) enum EngineCommand {
    Submit(Vec<Submission>),
    /// Take nothing more; answer when all outcomes are recorded.
    Drain(oneshot::Sender<()>),
}

/// See the module.
pub(super) struct Engine<S> {
    name: Name,
    ledger: Rc<Ledger>,
    clock: Clock,
    settings: OutboxSettings,
    submitter: Rc<S>,
    redactor: Redactor,
    commands: mpsc::Receiver<EngineCommand>,
    status: Rc<RefCell<OutboxStatus>>,
    pace: Pace,
    throughput: Throughput,
    /// How long a claim holds.
    lease: Duration,
    /// Of the claims that are this outbox's.
    claim_token: Arc<str>,
    queue: SubmissionQueue,
    in_hand: InHand,
    in_flight: FuturesUnordered<LocalBoxFuture<'static, Completed>>,
    /// Of the window, taken by those in flight.
    places_taken: usize,
    outcomes: VecDeque<Outcome>,
    ledger_requests: FuturesUnordered<LocalBoxFuture<'static, LedgerReply>>,
    /// What is in the requests to record and to begin that are under way.
    recording: UnderWay,
    /// A claim is under way.
    claiming: bool,
    /// More SMS wait in the ledger, as far as we know.
    more_in_ledger: bool,
    poll_at: Instant,
    record_at: Instant,
    store_failures: u32,
    draining: Vec<oneshot::Sender<()>>,
    drained: bool,
}

impl<S: SubmitSms> Engine<S> {
    pub(super) fn new(
        name: Name,
        ledger: Rc<Ledger>,
        clock: Clock,
        settings: OutboxSettings,
        submitter: S,
        commands: mpsc::Receiver<EngineCommand>,
    ) -> Self {
        Self {
            name,
            ledger,
            clock,
            redactor: Redactor::of(&submitter.credentials()),
            submitter: Rc::new(submitter),
            commands,
            status: Rc::new(RefCell::new(OutboxStatus::starting(Breaker::new(settings.breaker_limits())))),
            pace: Pace::new(settings.rate),
            throughput: Throughput::default(),
            lease: Duration::ZERO,
            claim_token: Arc::default(),
            queue: SubmissionQueue::default(),
            in_hand: InHand::default(),
            in_flight: FuturesUnordered::new(),
            places_taken: 0,
            outcomes: VecDeque::new(),
            ledger_requests: FuturesUnordered::new(),
            recording: UnderWay::default(),
            claiming: false,
            more_in_ledger: true,
            poll_at: Instant::now(),
            record_at: Instant::now(),
            store_failures: 0,
            draining: Vec::new(),
            drained: false,
            settings,
        }
    }

    pub(super) fn status(&self) -> Rc<RefCell<OutboxStatus>> {
        self.status.clone()
    }

    /// Runs until the store or the actor has ended, or the transport was replaced.
    pub(super) async fn run(mut self) {
        if self.open().await.is_err() {
            return;
        }
        // One that was blocked, and goes on after a fresh one has taken its place, submits nothing more.
        while !self.ledger.token().is_replaced() {
            self.return_unless_ready();
            self.begin_submissions();
            self.send_ledger_requests();
            self.update_status();
            self.answer_drains();
            let wake = self.next_wake();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(EngineCommand::Submit(batch)) => self.accept(batch),
                    Some(EngineCommand::Drain(done)) => self.drain(done),
                    None => return,
                },
                Some(completed) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    self.complete(completed);
                    while let Some(Some(completed)) = self.in_flight.next().now_or_never() {
                        self.complete(completed);
                    }
                }
                Some(reply) = self.ledger_requests.next(), if !self.ledger_requests.is_empty() => {
                    if self.on_ledger_reply(reply).is_err() {
                        return;
                    }
                }
                () = self.submitter.readiness_changed() => self.more_in_ledger = true,
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// How many places there are now.
    fn window(&self) -> usize {
        self.settings.window.min(self.submitter.readiness().window())
    }

    /// What waits here waits in the ledger while nothing can be submitted: another transport may take it from there.
    fn return_unless_ready(&mut self) {
        if self.queue.is_empty() || self.window() > 0 {
            return;
        }
        let at = self.clock.now();
        for submission in self.queue.take() {
            self.return_untried(&submission, "the transport is not connected", at, submission.due_at);
        }
    }

    /// How many submissions may be held now: as many as are in flight at once, and behind them no more than the provider takes
    /// within [`REACH`]: what comes later, of another account or of a higher priority, waits for these and for no others.
    fn capacity(&self) -> usize {
        let OutboxSettings { queue, rate, .. } = self.settings;
        let window = self.window();
        if window == 0 {
            return 0;
        }
        let processes = f64::from(self.status.borrow().gauge.processes());
        let rate = rate.map(|rate| rate / processes);
        let reach = self.throughput.within(REACH, window, rate);
        self.throughput.in_flight(window, rate).saturating_add(reach.clamp(1, queue))
    }

    fn free(&self) -> usize {
        let taken = self.queue.len() + self.in_flight.len() + self.outcomes.len() + self.recording.outcomes;
        self.capacity().saturating_sub(taken)
    }

    /// Returns the end of the queue where the provider has become much slower. A little more than it takes is not worth a write.
    fn return_excess(&mut self) {
        if self.queue.len() + self.in_flight.len() <= self.capacity().saturating_mul(2) {
            return;
        }
        let at = self.clock.now();
        while self.queue.len() + self.in_flight.len() > self.capacity()
            && let Some(submission) = self.queue.pop_last()
        {
            self.return_untried(&submission, "its provider is slow: it waits in the ledger", at, submission.due_at);
        }
    }

    fn stopping(&self) -> bool {
        self.drained || !self.draining.is_empty()
    }

    fn begin_submissions(&mut self) {
        let now = Instant::now();
        while self.places_taken < self.window()
            && self.pace.next() <= now
            && self.status.borrow().breaker.allows(now, self.in_flight.len())
        {
            let Some(submission) = self.queue.pop_begun() else { break };
            self.begin(submission, now);
        }
    }

    fn begin(&mut self, submission: Submission, now: Instant) {
        let at = self.clock.now();
        let calls = if submission.unknown_outcomes > 0 { 2 } else { 1 };
        let needed = self.settings.call_cut_off() * calls;
        if submission.give_up_at <= at {
            self.expire(&submission, at);
        } else if submission.lease_until < at.plus(needed) {
            self.status.borrow_mut().returned_for_lease += 1;
            self.return_untried(&submission, "its lease was nearly over", at, submission.due_at);
        } else {
            let places = self.submitter.places(&submission);
            self.places_taken += places;
            let parts = submission.segments.max(u32::try_from(places).unwrap_or(1));
            self.pace.take(now, parts, self.status.borrow().gauge.processes());
            let (call, max_resubmissions) = (self.settings.call_limit, self.settings.max_resubmissions);
            let limits = AttemptLimits { call, max_resubmissions };
            let (token, submitter) = (self.ledger.token().clone(), self.submitter.clone());
            let unless_replaced = async move {
                let mut attempt = pin!(attempt(submitter, submission, limits));
                poll_fn(|cx| if token.is_replaced() { Poll::Pending } else { attempt.as_mut().poll(cx) }).await
            };
            self.in_flight.push(unless_replaced.boxed_local());
            self.status.borrow_mut().silent_since.get_or_insert(now);
        }
    }

    /// How many of those held are to be marked as begun: as many as the window has places, and one as a probe while the
    /// provider takes nothing.
    fn places_to_begin(&self, now: Instant) -> usize {
        let begun = self.in_flight.len() + self.queue.begun_or_beginning();
        let status = self.status.borrow();
        match status.breaker.interruption() {
            Some(_) => usize::from(begun == 0 && status.breaker.paused_until(now).is_none()),
            None => self.window().saturating_sub(begun),
        }
    }

    fn accept(&mut self, mut batch: Vec<Submission>) {
        let at = self.clock.now();
        let handed = batch.len();
        batch.retain(|submission| submission.claim_token == self.claim_token);
        let late = handed - batch.len();
        if late > 0 {
            tracing::debug!(transport = %self.name, late, "claimed by an earlier start: they are due in the ledger");
        }
        self.in_hand.add(&batch);
        if self.stopping() {
            for submission in batch {
                self.return_untried(&submission, "the transport is stopping", at, submission.due_at);
            }
            return;
        }
        let free = self.free();
        let mut batch = VecDeque::from(batch);
        let surplus = batch.split_off(free.min(batch.len()));
        for submission in surplus {
            self.return_untried(&submission, "the transport's queue is full", at, submission.due_at);
        }
        self.enqueue_or_return(batch);
    }

    /// Queues submissions, except those whose lease would end within the pause, or for which there may be another transport:
    /// they are due again at its end.
    fn enqueue_or_return(&mut self, submissions: VecDeque<Submission>) {
        let (now, at) = (Instant::now(), self.clock.now());
        let resumes_at = self.resumes_at(now, at);
        let needed_until = resumes_at.plus(self.settings.call_cut_off() * 2);
        // What a route sent here may go by another transport meanwhile.
        let may_go_elsewhere = self.status.borrow().gauge.is_routed();
        for submission in submissions {
            if resumes_at > at && (may_go_elsewhere || submission.lease_until < needed_until) {
                self.return_untried(&submission, "the transport is paused", at, resumes_at);
            } else {
                self.queue.push(submission);
            }
        }
    }

    /// The end of the present pause on the ledger's clock; now, if there is none.
    fn resumes_at(&self, now: Instant, at: Timestamp) -> Timestamp {
        let until = self.status.borrow().breaker.paused_until(now);
        at.plus(until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now)))
    }

    fn drain(&mut self, done: oneshot::Sender<()>) {
        if !self.stopping() {
            let close = CloseOutbox { transport: self.name.clone() };
            let ledger = self.ledger.clone();
            let request = async move { LedgerReply::Closed(ledger.as_ref().ask_waiting(close).await) };
            self.ledger_requests.push(request.boxed_local());
            self.status.borrow_mut().state = State::Stopping;
            let at = self.clock.now();
            for submission in self.queue.take() {
                self.return_untried(&submission, "the transport is stopping", at, submission.due_at);
            }
        }
        self.drained = false;
        self.draining.push(done);
    }

    fn answer_drains(&mut self) {
        let busy = !self.in_flight.is_empty() || !self.outcomes.is_empty() || !self.ledger_requests.is_empty();
        if self.draining.is_empty() || busy {
            return;
        }
        self.drained = true;
        for done in self.draining.drain(..) {
            // Whoever asked may have stopped waiting.
            let _heard = done.send(());
        }
    }

    fn update_status(&self) {
        let mut status = self.status.borrow_mut();
        status.in_flight = self.in_flight.len();
        status.waiting = self.queue.len();
        (status.readiness, status.found_pace) = (self.submitter.readiness(), self.pace.found());
        status.unrecorded = self.outcomes.len() + self.recording.outcomes;
        status.usual_call = self.throughput.usual_call();
        status.tell();
    }

    /// When to go on though no event comes.
    fn next_wake(&self) -> Instant {
        let now = Instant::now();
        let mut wake = self.poll_at;
        if self.record_at > now && (!self.outcomes.is_empty() || !self.queue.is_empty()) {
            wake = wake.min(self.record_at);
        }
        if let Some(until) = self.status.borrow().breaker.paused_until(now) {
            wake = wake.min(until);
        }
        if !self.queue.is_empty() && self.pace.next() > now {
            wake = wake.min(self.pace.next());
        }
        wake
    }
}

#[cfg(test)]
mod tests;
