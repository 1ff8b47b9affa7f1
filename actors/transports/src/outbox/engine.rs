//! What is under way in a transport: the queue, the submissions in flight, and what waits to be recorded.
//!
//! The contract with the ledger (`vumi_kit::ledger`): a claimed SMS is ours until its lease runs out; every one we
//! had is answered by an outcome, or left to its lease. Outcomes are kept here until the ledger has them.

mod books;

use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use vumi_kit::{
    clock::{Clock, Timestamp},
    health::State,
    ledger::{CloseOutbox, Ledger, OpenOutbox, Outcome, Then},
    name::Name,
    sms::{Decision, Submission, TransportStatus},
    store::{Ask, StoreError},
};

use super::{
    OutboxSettings, Provider, Redactor,
    attempt::{Bounds, Came, Landed, attempt},
    breaker::{Breaker, Trouble, Why},
    pace::Pace,
    shown::Shown,
    throughput::Throughput,
};
use books::Back;

/// What the actor tells the engine.
pub(super) enum Told {
    Work(Vec<Submission>),
    Drain(oneshot::Sender<()>),
}

/// See the module.
pub(super) struct Engine<P> {
    name: Name,
    ledger: Rc<Ledger>,
    clock: Clock,
    settings: OutboxSettings,
    provider: Rc<P>,
    redactor: Redactor,
    told: mpsc::Receiver<Told>,
    shown: Rc<RefCell<Shown>>,
    pace: Pace,
    throughput: Throughput,
    /// How long a claim holds.
    lease: Duration,
    queue: VecDeque<Submission>,
    flying: FuturesUnordered<LocalBoxFuture<'static, Landed>>,
    outcomes: VecDeque<Outcome>,
    asking: FuturesUnordered<LocalBoxFuture<'static, Back>>,
    recording: usize,
    claiming: bool,
    /// More waits in the ledger, as far as we know.
    more: bool,
    poll_at: Instant,
    record_at: Instant,
    store_failures: u32,
    draining: Vec<oneshot::Sender<()>>,
    drained: bool,
}

impl<P: Provider> Engine<P> {
    pub(super) fn new(
        name: Name,
        ledger: Rc<Ledger>,
        clock: Clock,
        settings: OutboxSettings,
        provider: P,
        told: mpsc::Receiver<Told>,
    ) -> Self {
        let shown = Shown {
            state: State::Starting,
            in_flight: 0,
            waiting: 0,
            unrecorded: 0,
            late: 0,
            store_error: None,
            breaker: Breaker::new(settings.retry),
        };
        Self {
            name,
            ledger,
            clock,
            redactor: Redactor::of(&provider.secrets()),
            provider: Rc::new(provider),
            told,
            shown: Rc::new(RefCell::new(shown)),
            pace: Pace::new(settings.rate),
            throughput: Throughput::default(),
            lease: Duration::ZERO,
            queue: VecDeque::new(),
            flying: FuturesUnordered::new(),
            outcomes: VecDeque::new(),
            asking: FuturesUnordered::new(),
            recording: 0,
            claiming: false,
            more: true,
            poll_at: Instant::now(),
            record_at: Instant::now(),
            store_failures: 0,
            draining: Vec::new(),
            drained: false,
            settings,
        }
    }

    pub(super) fn shown(&self) -> Rc<RefCell<Shown>> {
        self.shown.clone()
    }

    /// Runs until the store or the actor is gone.
    pub(super) async fn run(mut self) {
        if self.open().await.is_err() {
            return;
        }
        loop {
            self.begin_submissions();
            self.ask_ledger();
            self.show();
            self.answer_drained();
            let wake = self.next_wake();
            tokio::select! {
                told = self.told.recv() => match told {
                    Some(Told::Work(batch)) => self.take_work(batch),
                    Some(Told::Drain(done)) => self.drain(done),
                    None => return,
                },
                Some(landed) = self.flying.next(), if !self.flying.is_empty() => {
                    self.land(landed);
                    while let Some(Some(landed)) = self.flying.next().now_or_never() {
                        self.land(landed);
                    }
                }
                Some(back) = self.asking.next(), if !self.asking.is_empty() => {
                    if self.hear_ledger(back).is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// How many submissions there is ever room for here, in flight, waiting or unrecorded.
    fn most(&self) -> usize {
        self.settings.window + self.settings.queue
    }

    /// How many of them are held: a window's worth at least, and no more than the carrier takes in a third of a lease.
    /// What waits longer could lose its lease, and its place in the line with it.
    fn room(&self) -> usize {
        let reach = self.throughput.within(self.lease / 3, self.settings.window, self.settings.rate);
        reach.clamp(self.settings.window, self.most())
    }

    fn free(&self) -> usize {
        let taken = self.queue.len() + self.flying.len() + self.outcomes.len() + self.recording;
        self.room().saturating_sub(taken)
    }

    /// Gives back the end of the queue where the carrier has become slower than was thought.
    fn shed(&mut self) {
        let at = self.clock.now();
        while self.queue.len() + self.flying.len() > self.room()
            && let Some(submission) = self.queue.pop_back()
        {
            self.hand_back(&submission, "its carrier is slow: it waits in the ledger", at, submission.due_at);
        }
    }

    /// Opens the outbox, however long the store takes; an error once it has stopped.
    async fn open(&mut self) -> Result<(), StoreError> {
        loop {
            let open = OpenOutbox { transport: self.name.clone(), room: self.most() };
            match self.ledger.as_ref().ask_waiting(open).await {
                Ok(lease) => {
                    self.lease = lease;
                    break;
                }
                Err(StoreError::Stopped) => return Err(StoreError::Stopped),
                Err(error) => {
                    self.store_failures += 1;
                    tracing::warn!(transport = %self.name, %error, "the outbox does not open yet");
                    self.shown.borrow_mut().store_error = Some(error.to_string());
                    tokio::time::sleep(self.settings.retry.wait(self.store_failures)).await;
                }
            }
        }
        self.store_failures = 0;
        let mut shown = self.shown.borrow_mut();
        shown.store_error = None;
        shown.state = State::Up;
        Ok(())
    }

    fn stopping(&self) -> bool {
        self.drained || !self.draining.is_empty()
    }

    fn begin_submissions(&mut self) {
        let now = Instant::now();
        let at = self.clock.now();
        while self.flying.len() < self.settings.window
            && self.pace.next() <= now
            && self.shown.borrow().breaker.lets_begin(now, self.flying.len())
        {
            let Some(submission) = self.queue.pop_front() else { break };
            let calls = if submission.unsure > 0 { 2 } else { 1 };
            if submission.give_up_at <= at {
                self.give_up(&submission, "its time ran out before it could be sent", at);
            } else if submission.lease_until < at.plus(self.settings.call_bound() * calls) {
                // Not ours for long enough.
                self.shown.borrow_mut().late += 1;
                self.hand_back(&submission, "its lease was nearly over", at, submission.due_at);
            } else {
                self.pace.take(now);
                let bounds =
                    Bounds { call: self.settings.call_bound(), max_resubmissions: self.settings.max_resubmissions };
                let call = attempt(self.provider.clone(), submission, bounds);
                self.flying.push(call.boxed_local());
            }
        }
    }

    fn land(&mut self, Landed { submission, came, took }: Landed) {
        let (now, at) = (Instant::now(), self.clock.now());
        let decision = match came {
            Came::Decided(decision) => {
                // Who can't be reached says nothing of how long a call takes.
                if !matches!(decision, Decision::Retry { unsure: false, .. }) {
                    self.throughput.took(took);
                }
                self.redacted(decision)
            }
            Came::Unknown => return self.end_unknown(&submission, at),
        };
        let pause_begins = {
            let mut shown = self.shown.borrow_mut();
            let before = shown.breaker.trouble().map(|trouble| trouble.why);
            let pause_begins = shown.breaker.learn(&decision, now, at);
            self.tell_change(before, shown.breaker.trouble(), now);
            pause_begins
        };
        let outcome = self.outcome(&submission, decision, now, at);
        self.outcomes.push_back(outcome);
        if pause_begins {
            let waiting = std::mem::take(&mut self.queue);
            self.keep_or_return(waiting);
        }
        self.shed();
    }

    fn tell_change(&self, before: Option<Why>, after: Option<&Trouble>, now: Instant) {
        match (before, after) {
            (_, Some(Trouble { why, said, until, .. })) if before != Some(*why) => {
                let next_try_in = until.saturating_duration_since(now);
                tracing::warn!(transport = %self.name, ?why, %said, ?next_try_in, "paused");
            }
            (Some(why), None) => tracing::info!(transport = %self.name, ?why, "works again"),
            _ => {}
        }
    }

    fn redacted(&self, mut decision: Decision) -> Decision {
        let (Decision::Accepted { said, .. }
        | Decision::Retry { said, .. }
        | Decision::Throttled { said, .. }
        | Decision::Rejected { said, .. }
        | Decision::Misconfigured { said }) = &mut decision;
        *said = self.redactor.clean(std::mem::take(said));
        decision
    }

    fn outcome(&self, submission: &Submission, decision: Decision, now: Instant, at: Timestamp) -> Outcome {
        let id = submission.id;
        let (said, then) = match decision {
            Decision::Accepted { provider_id, status, said } => (said, Then::Done { status, provider_id }),
            Decision::Rejected { status, said } => (said, Then::Done { status, provider_id: None }),
            Decision::Retry { said, unsure } => {
                let attempts = u32::try_from(submission.attempts).unwrap_or(0).saturating_add(1);
                let next = at.plus(self.settings.retry.wait(attempts));
                if next >= submission.give_up_at {
                    let then = Then::Done { status: TransportStatus::Expired, provider_id: None };
                    let may_be_there = if unsure || submission.unsure > 0 { "; it may have arrived" } else { "" };
                    (format!("given up, its time runs out: {said}{may_be_there}"), then)
                } else {
                    (said, Then::Again { at: next, unsure })
                }
            }
            Decision::Throttled { said, .. } | Decision::Misconfigured { said } => {
                (said, Then::Untried { at: self.resumes_at(now, at), held_until: submission.lease_until })
            }
        };
        Outcome { id, at, said, then }
    }

    /// The end of the present pause on the ledger's clock; now, if there is none.
    fn resumes_at(&self, now: Instant, at: Timestamp) -> Timestamp {
        let until = self.shown.borrow().breaker.paused_until(now);
        at.plus(until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now)))
    }

    fn give_up(&mut self, submission: &Submission, why: &str, at: Timestamp) {
        let then = Then::Done { status: TransportStatus::Expired, provider_id: None };
        let may_be_there = if submission.unsure > 0 { "; an earlier attempt may have arrived" } else { "" };
        self.outcomes.push_back(Outcome { id: submission.id, at, said: format!("{why}{may_be_there}"), then });
    }

    /// Ends one that may have arrived or not. A receipt that comes later may still say that it was delivered.
    fn end_unknown(&mut self, submission: &Submission, at: Timestamp) {
        let said = format!(
            "outcome unknown: answers lost: {}; it may have arrived, so it is not sent again",
            submission.unsure
        );
        tracing::warn!(transport = %self.name, sms = submission.id, %said, "given up");
        let then = Then::Done { status: TransportStatus::DeliveryError, provider_id: None };
        self.outcomes.push_back(Outcome { id: submission.id, at, said, then });
    }

    fn hand_back(&mut self, submission: &Submission, why: &str, at: Timestamp, due: Timestamp) {
        let then = Then::Untried { at: due, held_until: submission.lease_until };
        self.outcomes.push_back(Outcome { id: submission.id, at, said: why.to_owned(), then });
    }

    fn take_work(&mut self, batch: Vec<Submission>) {
        let at = self.clock.now();
        if self.stopping() {
            for submission in batch {
                self.hand_back(&submission, "the transport is stopping", at, submission.due_at);
            }
            return;
        }
        let room = self.free();
        let mut batch = VecDeque::from(batch);
        let surplus = batch.split_off(room.min(batch.len()));
        for submission in surplus {
            self.hand_back(&submission, "the transport has no room", at, submission.due_at);
        }
        self.keep_or_return(batch);
    }

    /// Queues submissions, except those that a pause would outlast: they go back to the ledger until its end.
    fn keep_or_return(&mut self, submissions: VecDeque<Submission>) {
        let (now, at) = (Instant::now(), self.clock.now());
        let resumes_at = self.resumes_at(now, at);
        let needed_until = resumes_at.plus(self.settings.call_bound() * 2);
        for submission in submissions {
            if resumes_at > at && submission.lease_until < needed_until {
                self.hand_back(&submission, "the transport is paused", at, resumes_at);
            } else {
                self.queue.push_back(submission);
            }
        }
    }

    fn drain(&mut self, done: oneshot::Sender<()>) {
        if !self.stopping() {
            let close = CloseOutbox { transport: self.name.clone() };
            let ledger = self.ledger.clone();
            self.asking.push(async move { Back::Closed(ledger.as_ref().ask_waiting(close).await) }.boxed_local());
            self.shown.borrow_mut().state = State::Stopping;
            let at = self.clock.now();
            for submission in std::mem::take(&mut self.queue) {
                self.hand_back(&submission, "the transport is stopping", at, submission.due_at);
            }
        }
        self.drained = false;
        self.draining.push(done);
    }

    fn answer_drained(&mut self) {
        let busy = !self.flying.is_empty() || !self.outcomes.is_empty() || !self.asking.is_empty();
        if self.draining.is_empty() || busy {
            return;
        }
        self.drained = true;
        for done in self.draining.drain(..) {
            // Whoever asked may have stopped waiting.
            let _heard = done.send(());
        }
    }

    fn show(&self) {
        let mut shown = self.shown.borrow_mut();
        shown.in_flight = self.flying.len();
        shown.waiting = self.queue.len();
        shown.unrecorded = self.outcomes.len() + self.recording;
    }

    /// When there is something to do though nothing happens.
    fn next_wake(&self) -> Instant {
        let now = Instant::now();
        let mut wake = self.poll_at;
        if !self.outcomes.is_empty() && self.recording == 0 {
            wake = wake.min(self.record_at);
        }
        if let Some(until) = self.shown.borrow().breaker.paused_until(now) {
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
