//! Broadcasts: each line is one SMS, whoever takes it and however often.

use std::time::Duration;

use vumi_kit::{
    account::{AccountChange, QuotaCharge},
    address::Address,
    broadcast::{
        AddBroadcastLines, AddedLines, Broadcast, BroadcastLine, BroadcastSpec, BroadcastState, BroadcastStep,
        CreateBroadcast, CreatedBroadcast, FindBroadcast, FindDueBroadcasts, LineOutcome, MAX_OPEN, SteerBroadcast,
        SteeredBroadcast, TakeBroadcastLines, TakenLines,
    },
    campaign_sms::PreparedSms,
    name::Name,
};

use super::{ALICE, StoreHarness, quotas, sms};

fn days() -> Name {
    Name::parse("days").unwrap()
}

fn spec(template: &str) -> BroadcastSpec {
    let from = Address::try_from("38080".to_owned()).unwrap();
    BroadcastSpec { template: template.to_owned(), transport: None, from, pace: Some(4) }
}

fn create(name: &str, template: &str) -> CreateBroadcast {
    let (name, spec) = (Name::parse(name).unwrap(), spec(template));
    CreateBroadcast { account: ALICE, username: "alice".to_owned(), name, spec }
}

fn lines(numbers: std::ops::RangeInclusive<u64>) -> AddBroadcastLines {
    let line = |line| BroadcastLine { line, to: "27831234567".to_owned(), text: format!("line {line}") };
    AddBroadcastLines { account: ALICE, name: days(), lines: numbers.map(line).collect() }
}

fn accepted(count: u64) -> Vec<LineOutcome> {
    (0..count).map(|n| LineOutcome::Accept(Box::new(PreparedSms { sms: sms(&format!("{n}")), charge: None }))).collect()
}

impl StoreHarness {
    async fn steer(&self, step: BroadcastStep) -> SteeredBroadcast {
        self.ledger(SteerBroadcast { account: ALICE, name: days(), step }).await
    }

    async fn broadcast(&self) -> Broadcast {
        self.ledger(FindBroadcast { account: ALICE, name: days() }).await.unwrap().0
    }

    /// A broadcast of so many lines that runs.
    async fn running(&self, count: u64) -> Broadcast {
        self.ledger(create("days", "hello")).await;
        self.ledger(lines(1..=count)).await;
        let SteeredBroadcast::Now(broadcast) = self.steer(BroadcastStep::Start(count)).await else { panic!("no") };
        broadcast
    }

    async fn take(&self, taken: u64, outcomes: Vec<LineOutcome>) -> TakenLines {
        let id = self.broadcast().await.id;
        let (wait, why, pause) = (Duration::from_secs(1), None, false);
        self.ledger(TakeBroadcastLines { id, taken, outcomes, wait, why, pause }).await
    }

    async fn due(&self) -> Vec<u64> {
        let due = self.ledger(FindDueBroadcasts { limit: 10 }).await;
        due.into_iter().flat_map(|(_, lines)| lines).map(|line| line.line).collect()
    }
}

#[actix_rt::test]
async fn lines_are_added_once_and_in_their_order_until_the_start() {
    let Some(harness) = StoreHarness::new() else { return };
    assert!(matches!(harness.ledger(create("days", "hello")).await, CreatedBroadcast::New(_)));
    assert!(matches!(harness.ledger(create("days", "hello")).await, CreatedBroadcast::Existing(_)));
    assert_eq!(harness.ledger(create("days", "other")).await, CreatedBroadcast::Different);
    assert_eq!(harness.ledger(lines(2..=3)).await, AddedLines::Gap(1));
    for numbers in [1..=150, 1..=150, 101..=250] {
        assert!(matches!(harness.ledger(lines(numbers)).await, AddedLines::Loaded(_)));
    }
    assert_eq!(harness.broadcast().await.loaded, 250);
    assert!(matches!(harness.steer(BroadcastStep::Start(249)).await, SteeredBroadcast::Refused(_)));
    assert_eq!(harness.due().await, Vec::<u64>::new(), "nothing goes before the start");
    assert!(matches!(harness.steer(BroadcastStep::Start(250)).await, SteeredBroadcast::Now(_)));
    assert!(matches!(harness.steer(BroadcastStep::Start(250)).await, SteeredBroadcast::Now(_)), "asked again");
    assert!(matches!(harness.ledger(lines(251..=251)).await, AddedLines::Started(_)));
    assert_eq!(harness.due().await, (1..=100).collect::<Vec<_>>());
}

#[actix_rt::test]
async fn a_step_is_taken_once_and_its_lines_are_sms_in_the_same_transaction() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.running(3).await;
    let mut outcomes = accepted(1);
    outcomes.push(LineOutcome::Refuse("nobody's number".to_owned()));
    assert_eq!(harness.take(0, outcomes.clone()).await.lines, 2);
    assert_eq!(harness.take(0, outcomes).await, TakenLines::default(), "another process was first");
    assert_eq!(harness.rows("sms"), 1);
    assert_eq!(harness.due().await, Vec::<u64>::new(), "it waits for its pace");
    harness.advance(1);
    assert_eq!(harness.due().await, [3]);
    let harness = harness.restarted().await;
    assert_eq!(harness.take(2, accepted(1)).await.lines, 1);
    let (done, refusals) = harness.ledger(FindBroadcast { account: ALICE, name: days() }).await.unwrap();
    assert_eq!((done.state, done.taken, done.accepted, done.refused), (BroadcastState::Done, 3, 2, 1));
    assert_eq!(refusals, [(2, "nobody's number".to_owned())]);
    assert_eq!((harness.rows("sms"), harness.rows("broadcast_chunks")), (2, 0));
}

#[actix_rt::test]
async fn one_that_is_paused_or_cancelled_takes_no_more_lines() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.running(200).await;
    assert!(matches!(harness.steer(BroadcastStep::Pause).await, SteeredBroadcast::Now(_)));
    assert_eq!(harness.take(0, accepted(1)).await, TakenLines::default(), "a step that was prepared before");
    assert_eq!(harness.due().await, Vec::<u64>::new());
    assert!(matches!(harness.steer(BroadcastStep::Resume).await, SteeredBroadcast::Now(_)));
    assert_eq!(harness.take(0, accepted(1)).await.lines, 1);
    assert!(matches!(harness.steer(BroadcastStep::Cancel).await, SteeredBroadcast::Now(_)));
    assert_eq!(harness.take(1, accepted(1)).await, TakenLines::default());
    assert!(matches!(harness.steer(BroadcastStep::Resume).await, SteeredBroadcast::Refused(_)));
    assert_eq!((harness.rows("sms"), harness.rows("broadcast_chunks")), (1, 0));
}

#[actix_rt::test]
async fn one_that_was_never_started_is_gone_when_it_is_cancelled_and_so_many_may_be_open() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.ledger(create("days", "hello")).await;
    harness.ledger(lines(1..=2)).await;
    assert!(matches!(harness.steer(BroadcastStep::Cancel).await, SteeredBroadcast::Now(_)));
    assert_eq!((harness.rows("broadcasts"), harness.rows("broadcast_chunks")), (0, 0));
    for n in 0..MAX_OPEN {
        assert!(matches!(harness.ledger(create(&format!("n{n}"), "hello")).await, CreatedBroadcast::New(_)));
    }
    assert_eq!(harness.ledger(create("days", "hello")).await, CreatedBroadcast::TooMany);
}

#[actix_rt::test]
async fn what_the_quotas_do_not_allow_waits() {
    let Some(harness) = quotas::harness(vec![AccountChange::MostWaiting(Some(2))]).await else { return };
    harness.running(3).await;
    let outcome = |n: u64| {
        let prepared = PreparedSms { sms: sms(&format!("{n}")), charge: Some(QuotaCharge::default()) };
        LineOutcome::Accept(Box::new(prepared))
    };
    assert_eq!(harness.take(0, (0..3).map(outcome).collect()).await.lines, 2);
    let held = harness.broadcast().await;
    assert_eq!((held.state, held.taken, held.accepted), (BroadcastState::Running, 2, 2));
    assert_eq!(held.why.as_deref(), Some("it is beyond the account's quotas"));
    harness.advance(10);
    assert_eq!(harness.due().await, [3]);
}
