//! Stories of the engine, and the actor around it.

mod harness;

use std::{collections::HashSet, rc::Rc, sync::Arc, time::Duration};

use tokio::sync::oneshot;
use vumi_kit::{
    clock::{Clock, Timestamp},
    component::{Component, Drain},
    health::{AskHealth, State},
    ledger::{Ledger, OpenOutbox, Then},
    name::Name,
    router::Submit,
    sms::{Submission, TransportStatus},
    store::Request,
    testing::FakeStore,
};

use super::EngineCommand;
use crate::outbox::{OutboxActor, OutboxSettings};
use harness::{
    EngineHarness, LEASE, START, ScriptedProvider, ScriptedSubmitter, SharedLedger, fake_ledger, many, settings, sms,
};

/// Runs a story on a paused clock with actix's system in place.
macro_rules! story {
    ($name:ident, |$harness:ident| $settings:expr, $story:expr) => {
        #[test]
        fn $name() {
            actix::System::with_tokio_rt(|| {
                tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
            })
            .block_on(async {
                let $harness = EngineHarness::start($settings);
                $harness.pass(Duration::from_millis(1)).await;
                $story
            });
        }
    };
}

const SECOND: Duration = Duration::from_secs(1);

story!(each_decision_becomes_its_outcome, |harness| settings(), {
    harness.submit(vec![sms(1, "hello"), sms(2, "reject"), sms(3, "retry")]).await;
    harness.pass(SECOND).await;
    assert_eq!(harness.then(1), Then::Done { status: TransportStatus::Queued, provider_id: Some("p".to_owned()) });
    assert_eq!(harness.then(2), Then::Done { status: TransportStatus::RoutingError, provider_id: None });
    let Then::Again { at, unknown_outcome: true } = harness.then(3) else { panic!("{:?}", harness.then(3)) };
    assert!(at >= START.plus(5 * SECOND) && at <= START.plus(12 * SECOND), "{at:?}");
});

story!(a_transport_that_was_replaced_goes_no_further_when_its_thread_is_free, |harness| settings(), {
    harness.submit(vec![sms(1, "held")]).await;
    harness.pass(SECOND).await;
    assert_eq!(*harness.provider.submitted.borrow(), [1]);
    harness.token.replace();
    harness.provider.released.notify_one();
    harness.submit(vec![sms(2, "hello")]).await;
    harness.pass(SECOND).await;
    assert_eq!(*harness.provider.submitted.borrow(), [1]);
    assert!(!harness.provider.went_on.get(), "what was under way goes no further");
    assert_eq!(harness.recorded(), 0);
});

story!(what_an_earlier_start_had_claimed_and_comes_late_is_not_sent_by_this_one, |harness| settings(), {
    let earlier = Submission { claim_token: "local/0".into(), ..sms(1, "hello") };
    harness.submit(vec![earlier.clone(), sms(2, "hello")]).await;
    harness.pass(SECOND).await;
    assert_eq!(*harness.provider.submitted.borrow(), [2], "the first is due in the ledger");
    assert_eq!(harness.recorded(), 1);
    harness.ledger.lock().unwrap().waiting = vec![Submission { unknown_outcomes: 1, ..sms(1, "not found") }].into();
    harness.pass(3 * SECOND).await;
    harness.submit(vec![earlier]).await;
    harness.pass(SECOND).await;
    assert_eq!(*harness.provider.submitted.borrow(), [2, 1]);
});

story!(no_more_than_the_window_is_in_flight_and_all_of_it_is_used, |harness| settings(), {
    harness.submit(many(20, "hello")).await;
    harness.pass(SECOND).await;
    assert_eq!(harness.recorded(), 20);
    assert_eq!(harness.provider.most_in_flight.get(), 4);
});

story!(what_waits_in_the_ledger_is_claimed_and_no_more_than_the_queue_takes, |harness| settings(), {
    harness.ledger.lock().unwrap().waiting = many(500, "hello").into();
    harness.pass(10 * SECOND).await;
    assert_eq!(harness.recorded(), 500);
    let ledger = harness.ledger.lock().unwrap();
    assert_eq!(ledger.opened_with, Some(20));
    assert!(ledger.claims.iter().all(|limit| *limit <= 20), "{:?}", ledger.claims);
});

fn held(count: i64, message: &str) -> Vec<Submission> {
    many(count, message).into_iter().map(|sms| Submission { begun: false, ..sms }).collect()
}

story!(what_is_held_goes_out_once_the_ledger_has_begun_it_and_a_window_of_it_at_a_time, |harness| settings(), {
    harness.submit(held(10, "held")).await;
    harness.pass(SECOND).await;
    assert_eq!(harness.ledger.lock().unwrap().begins, [[1, 2, 3, 4]]);
    assert_eq!(*harness.provider.submitted.borrow(), [1, 2, 3, 4]);
    harness.provider.released.notify_waiters();
    harness.pass(SECOND).await;
    let begins = harness.ledger.lock().unwrap().begins.concat();
    assert_eq!(begins, [1, 2, 3, 4, 5, 6, 7, 8], "no sooner than the outcomes before");
    assert_eq!(harness.recorded(), 4);
});

story!(what_the_ledger_does_not_begin_is_not_sent, |harness| settings(), {
    harness.ledger.lock().unwrap().gone = vec![2];
    harness.submit(held(6, "hello")).await;
    harness.pass(SECOND).await;
    let mut submitted = harness.provider.submitted.borrow().clone();
    submitted.sort_unstable();
    assert_eq!(submitted, [1, 3, 4, 5, 6]);
    assert_eq!(harness.health().detail, "0 in flight, 0 waiting here");
});

story!(nothing_begins_while_the_ledger_keeps_nothing, |harness| settings(), {
    harness.ledger.lock().unwrap().refuse_records = 2;
    harness.submit(held(3, "hello")).await;
    harness.pass(SECOND).await;
    assert!(harness.provider.submitted.borrow().is_empty());
    harness.pass(60 * SECOND).await;
    assert_eq!(harness.provider.submitted.borrow().len(), 3);
});

story!(one_in_flight_whose_lease_ended_is_not_sent_again, |harness| settings(), {
    harness.submit(vec![sms(1, "held")]).await;
    harness.pass(SECOND).await;
    let again = Submission { renewed: true, ..sms(1, "held") };
    harness.ledger.lock().unwrap().waiting = vec![again, sms(2, "hello")].into();
    harness.pass(3 * SECOND).await;
    harness.provider.released.notify_waiters();
    harness.pass(SECOND).await;
    assert_eq!(*harness.provider.submitted.borrow(), [1, 2]);
    assert_eq!(harness.recorded(), 2);
});

story!(one_that_is_claimed_anew_before_its_last_outcome_is_known_to_be_kept_stays_in_hand, |harness| settings(), {
    harness.ledger.lock().unwrap().refuse_records = 1;
    harness.submit(vec![sms(1, "retry")]).await;
    harness.pass(SECOND).await;
    harness.ledger.lock().unwrap().waiting = vec![sms(1, "held")].into();
    harness.pass(6 * SECOND).await;
    assert_eq!((harness.recorded(), harness.provider.submitted.borrow().len()), (1, 2), "the first outcome, kept late");
    harness.ledger.lock().unwrap().waiting = vec![Submission { renewed: true, ..sms(1, "held") }].into();
    harness.pass(2 * SECOND).await;
    assert_eq!(harness.provider.submitted.borrow().len(), 2, "the second is in flight");
});

story!(what_ends_while_the_ledger_commits_does_not_wait_for_its_answer, |harness| settings(), {
    harness.ledger.lock().unwrap().silent_records = true;
    harness.submit(vec![sms(1, "hello")]).await;
    harness.pass(SECOND).await;
    for id in 2..=9 {
        harness.submit(vec![sms(id, "hello")]).await;
        harness.pass(SECOND).await;
    }
    let ledger = harness.ledger.lock().unwrap();
    assert_eq!(ledger.unanswered.len(), 4, "so many requests at the most");
    assert_eq!(harness.provider.submitted.borrow().len(), 9);
});

story!(one_that_is_not_in_hand_is_sent_though_it_was_claimed_before, |harness| settings(), {
    harness.ledger.lock().unwrap().waiting = vec![Submission { renewed: true, ..sms(1, "hello") }].into();
    harness.pass(3 * SECOND).await;
    assert_eq!(*harness.provider.submitted.borrow(), [1]);
});

story!(what_exceeds_the_queue_is_returned_untried, |harness| settings(), {
    harness.submit(many(30, "hello")).await;
    harness.pass(SECOND).await;
    assert!(matches!(harness.then(30), Then::Untried { at: START, .. }));
    assert_eq!(harness.provider.submitted.borrow().len(), 20);
});

story!(a_panic_in_one_submission_loses_neither_it_nor_the_others, |harness| settings(), {
    harness.submit(vec![sms(1, "panic"), sms(2, "hello")]).await;
    harness.pass(SECOND).await;
    assert!(matches!(harness.then(1), Then::Again { unknown_outcome: true, .. }));
    assert!(matches!(harness.then(2), Then::Done { .. }));
});

story!(a_provider_that_never_answers_is_cut_off, |harness| settings(), {
    harness.submit(vec![sms(1, "silence")]).await;
    harness.pass(12 * SECOND).await;
    assert!(matches!(harness.then(1), Then::Again { unknown_outcome: true, .. }));
});

story!(an_sms_of_unknown_outcome_is_looked_up_first, |harness| settings(), {
    let unknown = |id, text| Submission { unknown_outcomes: 1, ..sms(id, text) };
    harness.submit(vec![unknown(1, "arrived"), unknown(2, "hello"), sms(3, "arrived")]).await;
    harness.pass(SECOND).await;
    assert_eq!(*harness.provider.looked_up.borrow(), [1, 2]);
    let mut submitted = harness.provider.submitted.borrow().clone();
    submitted.sort_unstable();
    assert_eq!(submitted, [2, 3]);
    assert_eq!(harness.recorded(), 3);
});

story!(an_unreachable_provider_and_a_failed_look_up_are_no_unknown_outcomes, |harness| settings(), {
    harness.provider.down.set(true);
    let unknown = |id, text| Submission { unknown_outcomes: 1, ..sms(id, text) };
    harness.submit(vec![unknown(1, "hello"), unknown(2, "no look-up")]).await;
    harness.pass(SECOND).await;
    assert!(matches!(harness.then(1), Then::Again { unknown_outcome: false, .. }));
    assert!(matches!(harness.then(2), Then::Again { unknown_outcome: false, .. }));
    assert_eq!(*harness.provider.submitted.borrow(), [1]);
});

story!(where_the_provider_can_not_tell_it_is_resubmitted_so_often_and_no_more, |harness| settings(), {
    let unknown = |id, unknown_outcomes, text| Submission { unknown_outcomes, ..sms(id, text) };
    harness.submit(vec![unknown(1, 2, "hello"), unknown(2, 3, "hello"), unknown(3, 3, "not found")]).await;
    harness.pass(SECOND).await;
    let mut submitted = harness.provider.submitted.borrow().clone();
    submitted.sort_unstable();
    assert_eq!(submitted, [1, 3], "the second was sent three times, the third is known not to have arrived");
    assert_eq!(harness.then(2), Then::Unknown);
    let detail = harness.detail(2);
    assert!(detail.contains("outcome unknown: answers lost: 3") && detail.contains("may have arrived"), "{detail}");
});

story!(
    with_no_resubmissions_nothing_is_ever_sent_twice,
    |harness| OutboxSettings { max_resubmissions: 0, ..settings() },
    {
        harness.submit(vec![Submission { unknown_outcomes: 1, ..sms(1, "hello") }, sms(2, "hello")]).await;
        harness.pass(SECOND).await;
        assert_eq!(*harness.provider.submitted.borrow(), [2]);
    }
);

story!(a_throttle_pauses_the_whole_transport_and_costs_no_attempt, |harness| settings(), {
    harness.submit(vec![sms(1, "throttle")]).await;
    harness.pass(SECOND).await;
    assert!(matches!(harness.then(1), Then::Untried { at, .. } if at >= START.plus(29 * SECOND)));
    harness.submit(vec![sms(2, "hello")]).await;
    harness.pass(20 * SECOND).await;
    assert_eq!(*harness.provider.submitted.borrow(), [1]);
    harness.pass(20 * SECOND).await;
    assert_eq!(*harness.provider.submitted.borrow(), [1, 2]);
    assert_eq!(harness.health().state, State::Up);
});

story!(a_refused_account_degrades_the_transport_and_costs_no_attempt, |harness| settings(), {
    harness.submit(vec![sms(1, "account"), sms(2, "account")]).await;
    harness.pass(SECOND).await;
    assert!(matches!(harness.then(1), Then::Untried { .. }));
    assert!(matches!(harness.then(2), Then::Untried { .. }));
    let health = harness.health();
    assert_eq!(health.state, State::Degraded);
    assert!(health.detail.contains("no credit"), "{}", health.detail);
});

story!(one_sms_that_is_answered_as_if_the_account_were_wrong_holds_up_nobody_and_is_refused, |harness| settings(), {
    for round in 0..5 {
        harness.submit(vec![sms(1, "account"), sms(10 + round, "hello")]).await;
        harness.pass(SECOND).await;
        assert!(matches!(harness.then(10 + round), Then::Done { status: TransportStatus::Queued, .. }), "{round}");
    }
    assert_eq!(harness.then(1), Then::Done { status: TransportStatus::MessageError, provider_id: None });
    assert_eq!(harness.health().state, State::Up);
});

story!(an_outage_costs_a_few_attempts_and_ends_by_itself, |harness| settings(), {
    harness.provider.down.set(true);
    harness.ledger.lock().unwrap().waiting =
        many(200, "hello").into_iter().map(|sms| Submission { lease_until: sms.give_up_at, ..sms }).collect();
    harness.pass(300 * SECOND).await;
    let attempts = harness.provider.submitted.borrow().len();
    assert!(attempts < 30, "{attempts}");
    let health = harness.health();
    assert_eq!(health.state, State::Degraded);
    assert!(health.detail.contains("since 1970-01-12 13:46:4"), "{}", health.detail);
    assert!(health.detail.contains("connection refused"), "{}", health.detail);
    harness.provider.down.set(false);
    harness.pass(120 * SECOND).await;
    assert_eq!(harness.health().state, State::Up);
    assert_eq!(harness.provider.submitted.borrow().iter().collect::<HashSet<_>>().len(), 200);
});

story!(a_pause_longer_than_a_lease_returns_the_queue, |harness| settings(), {
    let short = |id| Submission { lease_until: START.plus(30 * SECOND), ..sms(id, "hello") };
    harness.submit(vec![sms(1, "throttle"), short(2), short(3), short(4), short(5), short(6)]).await;
    harness.pass(SECOND).await;
    assert!(matches!(harness.then(6), Then::Untried { at, .. } if at >= START.plus(29 * SECOND)));
});

story!(one_whose_lease_is_nearly_over_is_returned_due_as_before_and_counted, |harness| settings(), {
    let held_until = START.plus(5 * SECOND);
    let due_at = Timestamp::from_seconds(999_000);
    harness.submit(vec![Submission { lease_until: held_until, due_at, ..sms(1, "hello") }, sms(2, "hello")]).await;
    harness.pass(SECOND).await;
    assert_eq!(*harness.provider.submitted.borrow(), [2]);
    assert_eq!(harness.then(1), Then::Untried { at: due_at, held_until });
    let health = harness.health();
    assert!(health.detail.contains("1 given back since their lease was nearly over"), "{}", health.detail);
});

story!(one_whose_time_is_up_expires_and_is_not_sent, |harness| settings(), {
    harness.submit(vec![Submission { give_up_at: START, ..sms(1, "hello") }]).await;
    harness.pass(SECOND).await;
    assert_eq!(harness.then(1), Then::Done { status: TransportStatus::Expired, provider_id: None });
    assert!(harness.provider.submitted.borrow().is_empty());
});

story!(a_retry_that_would_come_too_late_ends_with_the_last_reason, |harness| settings(), {
    harness.submit(vec![Submission { give_up_at: START.plus(3 * SECOND), ..sms(1, "retry") }]).await;
    harness.pass(SECOND).await;
    assert_eq!(harness.then(1), Then::Done { status: TransportStatus::Expired, provider_id: None });
    assert!(harness.ledger.lock().unwrap().recorded[0].detail.contains("later"));
});

story!(outcomes_survive_a_database_that_fails, |harness| settings(), {
    harness.ledger.lock().unwrap().refuse_records = 3;
    harness.submit(many(10, "hello")).await;
    harness.pass(SECOND).await;
    assert_eq!(harness.recorded(), 0);
    let health = harness.health();
    assert_eq!(health.state, State::Degraded);
    assert!(health.detail.contains("disk full"), "{}", health.detail);
    harness.pass(200 * SECOND).await;
    assert_eq!(harness.recorded(), 10);
    assert_eq!(harness.health().state, State::Up);
});

story!(
    with_a_slow_provider_no_more_is_held_than_it_takes_in_half_a_second,
    |harness| OutboxSettings { queue: 100, ..settings() },
    {
        assert_eq!(harness.ledger.lock().unwrap().opened_with, Some(104));
        let due_at = Timestamp::from_seconds(999_000);
        let silence = |sms| Submission { due_at, ..sms };
        harness.submit(many(104, "silence").into_iter().map(silence).collect()).await;
        harness.pass(12 * SECOND).await;
        // Four in flight, 11 s each, and one behind them. Three were still in flight when the first told how slow they are.
        let given_back = Then::Untried { at: due_at, held_until: START.plus(LEASE) };
        assert_eq!(harness.then(104), given_back);
        assert_eq!(harness.then(10), given_back);
        assert_eq!(harness.recorded(), 4 + 104 - 6);
        harness.ledger.lock().unwrap().waiting = many(50, "silence").into();
        harness.pass(60 * SECOND).await;
        let ledger = harness.ledger.lock().unwrap();
        assert!(ledger.claims.iter().skip(1).all(|limit| *limit <= 5), "{:?}", ledger.claims);
    }
);

story!(
    what_ends_without_a_call_does_not_count_as_the_providers_speed,
    |harness| OutboxSettings { queue: 100, ..settings() },
    {
        harness.submit(vec![sms(1, "silence")]).await;
        harness.pass(12 * SECOND).await;
        let ended = many(60, "hello").into_iter().map(|sms| Submission { unknown_outcomes: 3, ..sms });
        harness.ledger.lock().unwrap().waiting = ended.collect();
        harness.pass(10 * SECOND).await;
        assert_eq!(harness.recorded(), 61);
        let ledger = harness.ledger.lock().unwrap();
        assert!(ledger.claims.iter().rev().take(5).all(|limit| *limit == 5), "{:?}", ledger.claims);
    }
);

story!(a_rate_is_kept, |harness| OutboxSettings { rate: Some(5.0), ..settings() }, {
    harness.submit(many(7, "hello")).await;
    harness.pass(SECOND).await;
    let begun = harness.provider.submitted.borrow().len();
    assert!((4..=6).contains(&begun), "{begun}");
});

story!(
    at_a_rate_no_more_is_claimed_ahead_than_goes_out_in_half_a_second,
    |harness| OutboxSettings { queue: 100, rate: Some(10.0), ..settings() },
    {
        assert_eq!(harness.ledger.lock().unwrap().opened_with, Some(4 + 5), "no more is handed over");
        harness.ledger.lock().unwrap().waiting = many(200, "hello").into();
        harness.pass(5 * SECOND).await;
        let ledger = harness.ledger.lock().unwrap();
        let taken = 200 - ledger.waiting.len();
        let sent = harness.provider.submitted.borrow().len();
        assert!(sent >= 38 && taken <= sent + 7, "{taken} claimed, {sent} sent");
    }
);

story!(a_drain_finishes_what_is_in_flight_and_returns_the_rest, |harness| settings(), {
    harness.submit(many(10, "held")).await;
    harness.pass(SECOND).await;
    let (done, drained) = oneshot::channel();
    assert!(harness.commands.send(EngineCommand::Drain(done)).await.is_ok());
    harness.pass(SECOND).await;
    assert!(harness.ledger.lock().unwrap().closed);
    harness.provider.released.notify_waiters();
    drained.await.unwrap();
    assert_eq!(harness.recorded(), 10);
    assert_eq!(harness.provider.submitted.borrow().len(), 4);
    assert!(matches!(harness.then(1), Then::Done { .. }));
    assert!(matches!(harness.then(10), Then::Untried { .. }));
    harness.submit(vec![sms(11, "hello")]).await;
    harness.pass(SECOND).await;
    assert!(matches!(harness.then(11), Then::Untried { .. }), "work that comes too late goes back");
});

fn open(ledger: Ledger, provider: &Rc<ScriptedProvider>) -> Component {
    let (name, submitter) = (Name::parse("fake").unwrap(), ScriptedSubmitter(provider.clone()));
    OutboxActor::start_with(name, ledger, Clock::held(START), Arc::default(), &settings(), submitter)
}

#[test]
fn the_actor_takes_sms_answers_how_it_is_and_drains() {
    actix::System::new().block_on(async {
        let state = SharedLedger::default();
        let outbox = open(fake_ledger(&state), &Rc::default());
        let submit = outbox.endpoints.as_ref().and_then(|to| to.submit().cloned()).unwrap();
        submit.send(Submit(vec![sms(1, "hello"), sms(2, "reject")])).await.unwrap();
        outbox.drain.send(Drain).await.unwrap();
        assert_eq!(state.lock().unwrap().recorded.len(), 2);
        assert_eq!(outbox.health.send(AskHealth).await.unwrap().state, State::Stopping);
    });
}

#[test]
fn the_actor_ends_when_the_store_has_stopped() {
    actix::System::new().block_on(async {
        let stopped = FakeStore::default().on_request(|request: Request<OpenOutbox>| drop(request));
        open(stopped.start_store().ledger, &Rc::default()).ended.wait().await;
    });
}
