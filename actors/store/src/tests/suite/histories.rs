//! Random histories of SMS: whatever clients, operators, providers and crashes do, each SMS keeps the promises of its life
//! (`docs/message-life.md`).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use vumi_kit::{
    ledger::{AcceptSms, Accepted, Outcome, RecordOutcomes, RecordReceipts, Then},
    levers::{Lever, PullLever, SearchSms, SmsFilter},
    life::{LifeEvent, SmsState, is_step},
    sms::{NewSms, Receipt, Sms, SmsId, Submission, TransportStatus},
    sms_options::{Priority, SmsOptions},
};

use super::{ALICE, BOB, StoreHarness, opera, sms};

/// Submissions that may follow one whose answer was lost.
const MAX_RESUBMISSIONS: i32 = 2;

const WINDOW: usize = 2;
const CAPACITY: usize = 5;

/// A step of a random history.
#[derive(Clone, Debug)]
enum Happening {
    /// An account hands in so many SMS, with a schedule and a validity in seconds.
    Accept { of_bob: bool, count: usize, send_in: Option<u64>, validity: Option<u64>, high: bool },
    /// The clock goes on by this, as do leases and deadlines.
    Wait { seconds: u64 },
    /// The outbox claims what it has room for, and begins what it may.
    Claim,
    /// The provider answers the submission that has been under way for longest.
    Answer(ProviderAnswer),
    /// The process ends, and the next one starts.
    Crash,
    /// A receipt for one of the SMS: for which, and what it says.
    Receipt { which: usize, status: i16 },
    /// Somebody pulls a lever for one of them.
    Pull { which: usize, lever: Lever },
    /// The store removes what has expired.
    Sweep,
}

#[derive(Clone, Copy, Debug)]
enum ProviderAnswer {
    Taken,
    Refused,
    Later,
    Lost,
    NotSentAfterAll,
}

fn happening() -> impl Strategy<Value = Happening> {
    let accept = (any::<bool>(), 1..4_usize, prop::option::of(0..200_u64), prop::option::of(1..300_u64), any::<bool>());
    let accept = accept.prop_map(|(of_bob, count, send_in, validity, high)| Happening::Accept {
        of_bob,
        count,
        send_in,
        validity,
        high,
    });
    let answer = prop_oneof![
        3 => Just(ProviderAnswer::Taken),
        1 => Just(ProviderAnswer::Refused),
        1 => Just(ProviderAnswer::Later),
        2 => Just(ProviderAnswer::Lost),
        1 => Just(ProviderAnswer::NotSentAfterAll),
    ];
    let status = prop::sample::select(vec![1_i16, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    let lever = prop::sample::select(vec![Lever::Hold, Lever::Release, Lever::Cancel, Lever::Resend]);
    prop_oneof![
        3 => accept,
        3 => (1..200_u64).prop_map(|seconds| Happening::Wait { seconds }),
        4 => Just(Happening::Claim),
        5 => answer.prop_map(Happening::Answer),
        1 => Just(Happening::Crash),
        2 => (0..40_usize, status).prop_map(|(which, status)| Happening::Receipt { which, status }),
        3 => (0..40_usize, lever).prop_map(|(which, lever)| Happening::Pull { which, lever }),
        1 => Just(Happening::Sweep),
    ]
}

/// What is known of an SMS beside the ledger.
#[derive(Default)]
struct Known {
    /// Submissions since it was accepted, or sent again.
    submissions: i32,
    state: Option<SmsState>,
}

/// The ledger, an outbox that does as the real one does, and what was seen of each SMS.
struct World {
    harness: StoreHarness,
    known: BTreeMap<SmsId, Known>,
    held: VecDeque<Submission>,
    begun: VecDeque<Submission>,
}

macro_rules! check {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(TestCaseError::fail(format!($($words)+)));
        }
    };
}

impl World {
    async fn happens(&mut self, happening: &Happening) -> Result<(), TestCaseError> {
        let mut by = Vec::new();
        match happening {
            Happening::Accept { of_bob, count, send_in, validity, high } => {
                self.accept(*of_bob, *count, (*send_in, *validity), *high).await;
            }
            Happening::Wait { seconds } => {
                self.harness.advance(*seconds);
                by = vec![LifeEvent::ComeDue];
            }
            Happening::Claim => {
                self.claim().await;
                self.begin().await?;
                by = vec![LifeEvent::Claim, LifeEvent::Begin, LifeEvent::Expire];
            }
            Happening::Answer(answer) => {
                self.answer(*answer).await?;
                let Some(ends) = ENDS.get(*answer as usize) else { return Ok(()) };
                by = [*ends, &[LifeEvent::Begin, LifeEvent::Expire]].concat();
            }
            Happening::Crash => {
                self.crash().await;
                by = vec![LifeEvent::Return];
            }
            Happening::Receipt { which, status } => {
                self.receipt(*which, *status).await;
                by = vec![LifeEvent::Receipt];
            }
            Happening::Pull { which, lever } => {
                self.pull(*which, *lever).await?;
                by = vec![lever.event()];
            }
            Happening::Sweep => {
                self.harness.sweep().await;
                by = vec![LifeEvent::Expire];
            }
        }
        self.look(happening, &by).await
    }

    async fn accept(
        &mut self,
        of_bob: bool,
        count: usize,
        (send_in, validity): (Option<u64>, Option<u64>),
        high: bool,
    ) {
        let after = |seconds| self.harness.now().plus(Duration::from_secs(seconds));
        let options = Arc::new(SmsOptions {
            priority: if high { Priority::High } else { Priority::Normal },
            send_at: send_in.map(after),
            validity: validity.map(Duration::from_secs),
            ..SmsOptions::default()
        });
        let account = if of_bob { BOB } else { ALICE };
        let new = || NewSms { account, options: options.clone(), ..sms("hello") };
        let batch = std::iter::repeat_with(new).take(count).collect();
        let Accepted::Now(kept) = self.harness.ledger(AcceptSms { batch, idempotency: None }).await else { return };
        self.known.extend(kept.iter().map(|sms| (sms.id, Known::default())));
        while let Some(handed) = self.harness.handed_submissions() {
            self.take(handed);
        }
    }

    fn take(&mut self, submissions: Vec<Submission>) {
        for submission in submissions {
            if submission.begun { self.submit(submission) } else { self.held.push_back(submission) }
        }
    }

    /// Its first byte goes out.
    fn submit(&mut self, submission: Submission) {
        self.begun.push_back(submission);
    }

    async fn claim(&mut self) {
        let room = CAPACITY.saturating_sub(self.held.len() + self.begun.len());
        let claimed = self.harness.claim(room).await;
        let in_hand: BTreeSet<SmsId> = self.held.iter().chain(&self.begun).map(|submission| submission.id).collect();
        self.take(claimed.into_iter().filter(|submission| !in_hand.contains(&submission.id)).collect());
    }

    /// Asks the ledger for those that may go out next, and checks that none goes out that may not.
    async fn begin(&mut self) -> Result<(), TestCaseError> {
        let ids: Vec<SmsId> = self.held.iter().take(WINDOW).map(|submission| submission.id).collect();
        let states = self.states(&ids).await;
        let now = self.harness.now();
        let answer = self.harness.begin(&ids).await;
        for id in &answer.begun {
            let before = &states[id];
            check!(before.state == SmsState::Claimed, "{id} was begun and was {}", before.state);
            check!(before.expires_at > now, "{id} was begun after it had expired");
        }
        for submission in std::mem::take(&mut self.held) {
            if answer.begun.contains(&submission.id) {
                self.submit(submission);
            } else if !answer.gone.contains(&submission.id) {
                self.held.push_back(submission);
            }
        }
        Ok(())
    }

    async fn answer(&mut self, answer: ProviderAnswer) -> Result<(), TestCaseError> {
        let Some(submission) = self.begun.pop_front() else { return self.begin().await };
        let (id, now) = (submission.id, self.harness.now());
        let later = now.plus(Duration::from_secs(10));
        let done = |status| Then::Done { status, provider_id: Some(format!("p{id}")) };
        let untried = Then::Untried { at: submission.due_at, held_until: submission.lease_until };
        let then = if submission.give_up_at <= now {
            Then::Done { status: TransportStatus::Expired, provider_id: None }
        } else if submission.lease_until <= now {
            untried
        } else if submission.unknown_outcomes > MAX_RESUBMISSIONS {
            Then::Unknown
        } else {
            match answer {
                ProviderAnswer::NotSentAfterAll => untried,
                sent => {
                    let known = self.known.get_mut(&id).expect("an SMS that was accepted");
                    known.submissions += 1;
                    let submissions = known.submissions;
                    check!(
                        submissions <= 1 + MAX_RESUBMISSIONS || matches!(sent, ProviderAnswer::Later),
                        "{id} went out {submissions} times"
                    );
                    match sent {
                        ProviderAnswer::Taken => done(TransportStatus::Queued),
                        ProviderAnswer::Refused => done(TransportStatus::RoutingError),
                        // The provider said that it did not take it.
                        ProviderAnswer::Later => {
                            known.submissions -= 1;
                            Then::Again { at: later, unknown_outcome: false }
                        }
                        _ => Then::Again { at: later, unknown_outcome: true },
                    }
                }
            }
        };
        let attempts = submission.attempts;
        let outcome = Outcome { id, at: now, attempts, detail: "said".to_owned(), then, parts: Vec::new() };
        self.harness.ledger(RecordOutcomes { transport: opera(), outcomes: vec![outcome], begin: vec![] }).await;
        self.begin().await
    }

    async fn crash(&mut self) {
        // What was under way may have been sent.
        for submission in self.begun.drain(..) {
            if let Some(known) = self.known.get_mut(&submission.id) {
                known.submissions += 1;
            }
        }
        self.held.clear();
        self.harness.open_window(CAPACITY, WINDOW).await;
    }

    async fn receipt(&mut self, which: usize, status: i16) {
        let Some(id) = self.nth(which) else { return };
        let receipt = Receipt { sms: Some(id), ..Receipt::new(status.into(), Vec::new()) };
        self.harness.ledger(RecordReceipts { transport: opera(), receipts: vec![receipt] }).await;
    }

    async fn pull(&mut self, which: usize, lever: Lever) -> Result<(), TestCaseError> {
        let Some(id) = self.nth(which) else { return Ok(()) };
        let pulled = self.harness.ledger(PullLever { lever, ids: vec![id], reason: "a test".into() }).await;
        let under_way = self.begun.iter().any(|submission| submission.id == id);
        let takes_back = matches!(lever, Lever::Hold | Lever::Cancel);
        check!(!(takes_back && under_way && pulled.done > 0), "{id} was taken back while it went out");
        if lever == Lever::Resend
            && pulled.done > 0
            && let Some(known) = self.known.get_mut(&id)
        {
            // One that is still under way is not of this round.
            known.submissions = if under_way { -1 } else { 0 };
        }
        Ok(())
    }

    fn nth(&self, which: usize) -> Option<SmsId> {
        self.known.keys().nth(which % self.known.len().max(1)).copied()
    }

    async fn states(&self, ids: &[SmsId]) -> BTreeMap<SmsId, Sms> {
        let filter = SmsFilter { ids: ids.to_vec(), ..SmsFilter::default() };
        if ids.is_empty() {
            return BTreeMap::new();
        }
        let page = self.harness.ledger(SearchSms { filter, after: 0, limit: SearchSms::MOST }).await;
        page.found.into_iter().map(|sms| (sms.id, sms)).collect()
    }

    /// Looks at every SMS: it took one of the steps that there are, by what happened.
    async fn look(&mut self, happening: &Happening, by: &[LifeEvent]) -> Result<(), TestCaseError> {
        let ids: Vec<SmsId> = self.known.keys().copied().collect();
        for (id, sms) in self.states(&ids).await {
            let known = self.known.entry(id).or_default();
            if let Some(before) = known.state.replace(sms.state) {
                let after = sms.state;
                let by_one = by.iter().any(|event| is_step(before, *event, after));
                // Several steps at once: it comes due and is claimed, is returned and claimed.
                let by_two = by.iter().any(|first| {
                    SmsState::ALL.iter().any(|between| {
                        is_step(before, *first, *between) && by.iter().any(|event| is_step(*between, *event, after))
                    })
                });
                check!(before == after || by_one || by_two, "{id}: {before} -> {after} by {happening:?}");
                check!(
                    before != SmsState::Delivered || after == SmsState::Delivered,
                    "{id} left delivered by {happening:?}"
                );
            }
        }
        Ok(())
    }

    /// Everybody releases what they hold, and time passes until nothing waits.
    async fn comes_to_rest(&mut self) -> Result<(), TestCaseError> {
        for which in 0..self.known.len() {
            self.happens(&Happening::Pull { which, lever: Lever::Release }).await?;
        }
        for _ in 0..400 {
            for happening in
                [Happening::Claim, Happening::Answer(ProviderAnswer::Lost), Happening::Wait { seconds: 130 }]
            {
                self.happens(&happening).await?;
            }
            if self.known.values().all(|known| known.state.is_none_or(SmsState::is_at_rest)) {
                break;
            }
        }
        let ended: BTreeMap<SmsId, Option<SmsState>> =
            self.known.iter().map(|(id, known)| (*id, known.state)).collect();
        check!(ended.values().all(|state| state.is_none_or(SmsState::is_at_rest)), "not at rest: {ended:?}");
        for happening in [
            Happening::Wait { seconds: 100_000 },
            Happening::Claim,
            Happening::Sweep,
            Happening::Crash,
            Happening::Claim,
        ] {
            self.happens(&happening).await?;
        }
        for (id, known) in &self.known {
            check!(known.state == ended[id], "{id} moved on by itself: {:?} -> {:?}", ended[id], known.state);
        }
        Ok(())
    }
}

/// What a provider's answers do, in the order of [`ProviderAnswer`]; each may find the SMS expired, its lease ended, or its answers
/// lost too often.
const ENDS: [&[LifeEvent]; 5] = [
    &[LifeEvent::Submit, LifeEvent::Return, LifeEvent::LoseTrack],
    &[LifeEvent::Refuse, LifeEvent::Return, LifeEvent::LoseTrack],
    &[LifeEvent::Return, LifeEvent::LoseTrack],
    &[LifeEvent::Return, LifeEvent::LoseTrack],
    &[LifeEvent::Return, LifeEvent::LoseTrack],
];

fn history(happenings: &[Happening]) -> Result<(), TestCaseError> {
    actix_rt::System::new().block_on(async {
        let give_up_after = Duration::from_secs(1000);
        let Some(harness) = StoreHarness::with(|settings| settings.give_up_after = give_up_after) else {
            return Ok(());
        };
        harness.open_window(CAPACITY, WINDOW).await;
        let mut world = World { harness, known: BTreeMap::new(), held: VecDeque::new(), begun: VecDeque::new() };
        for happening in happenings {
            world.happens(happening).await?;
        }
        world.comes_to_rest().await
    })
}

#[test]
fn whatever_happens_every_sms_comes_to_rest_in_one_end_and_goes_out_no_more_often_than_allowed() {
    let config = Config { cases: super::HISTORIES, failure_persistence: None, ..Config::default() };
    let histories = prop::collection::vec(happening(), 1..40);
    if let Err(why) = TestRunner::new(config).run(&histories, |happenings| history(&happenings)) {
        panic!("{why}");
    }
}
