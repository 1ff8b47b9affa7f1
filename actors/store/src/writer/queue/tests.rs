//! What the next transaction takes, and who is refused.

use std::time::Duration;

use tokio::sync::oneshot;
use vumi_kit::{
    ledger::{AcceptSms, Accepted, ClaimSms},
    name::Name,
    session::CloseSession,
    store::{Request, StoreError},
};

use super::{NotQueued, QueueLimits, QueueReceiver, Queued, WriteQueue};
use crate::tests::one_sms;

const LIMITS: QueueLimits = QueueLimits { places: 100, most_per_commit: 512, max_wait: Duration::from_secs(60) };

fn name(name: &str) -> Name {
    Name::parse(name).unwrap()
}

fn batch(rows: usize, patient: bool) -> (Queued, oneshot::Receiver<Result<Accepted, StoreError>>) {
    let (reply, answer) = oneshot::channel();
    let operation = AcceptSms { batch: vec![one_sms("x"); rows], idempotency: None };
    (Request { patient, ..Request::new(operation, reply) }.into(), answer)
}

fn accept(rows: usize) -> Queued {
    batch(rows, false).0
}

fn session() -> Queued {
    let (owner, person) = (name("quiz"), "a".to_owned());
    let operation = CloseSession { owner, person, after: None, answers: Vec::new(), sms: Vec::new() };
    Request::new(operation, oneshot::channel().0).into()
}

fn claim(limit: usize) -> Queued {
    let operation = ClaimSms { transport: name("opera"), limit, capacity: limit };
    Request::new(operation, oneshot::channel().0).into()
}

fn send(queue: &WriteQueue, job: Queued) {
    assert!(queue.try_send(job).is_ok());
}

/// The rows of what the next transaction does.
fn next(receiver: &QueueReceiver) -> Vec<usize> {
    receiver.next().unwrap().into_iter().map(|job| job.0.rows()).collect()
}

#[test]
fn a_session_waits_for_one_transaction_at_the_most_and_batches_get_on_all_the_same() {
    let (queue, receiver) = WriteQueue::new(LIMITS);
    for _ in 0..3 {
        send(&queue, accept(2_000));
    }
    assert_eq!(next(&receiver), [2_000], "nothing else waits");
    send(&queue, session());
    send(&queue, session());
    assert_eq!(next(&receiver), [1, 1], "sessions before batches, and none beside them");
    send(&queue, session());
    assert_eq!(next(&receiver), [2_000], "then it is the batch's turn");
    send(&queue, session());
    assert_eq!(next(&receiver), [1, 1], "and the sessions' again");
    assert_eq!(next(&receiver), [2_000]);
}

#[test]
fn what_is_small_shares_a_transaction_up_to_its_bound() {
    let (queue, receiver) = WriteQueue::new(LIMITS);
    send(&queue, accept(300));
    send(&queue, claim(200));
    send(&queue, accept(300));
    send(&queue, session());
    assert_eq!(next(&receiver), [1, 200, 300]);
    assert_eq!(next(&receiver), [300]);
}

#[test]
fn batches_and_the_outboxes_take_turns() {
    let (queue, receiver) = WriteQueue::new(LIMITS);
    for _ in 0..2 {
        send(&queue, accept(2_000));
        send(&queue, claim(1_000));
    }
    let order: Vec<_> = (0..4).flat_map(|_| next(&receiver)).collect();
    assert_eq!(order, [1_000, 2_000, 1_000, 2_000]);
}

#[test]
fn a_closed_queue_is_emptied_and_then_ends() {
    let (queue, receiver) = WriteQueue::new(LIMITS);
    send(&queue, accept(2_000));
    send(&queue, session());
    queue.close();
    assert!(matches!(queue.try_send(session()), Err(NotQueued::Closed(_))));
    assert_eq!((next(&receiver), next(&receiver)), (vec![1], vec![2_000]));
    assert!(receiver.next().is_none());
    let (queue, receiver) = WriteQueue::new(LIMITS);
    drop(queue);
    assert!(receiver.next().is_none(), "nobody can ask any more");
}

#[test]
fn who_can_be_refused_is_once_the_first_has_waited_for_half_of_the_bound() {
    let (queue, _receiver) = WriteQueue::new(QueueLimits { max_wait: Duration::from_secs(10), ..LIMITS });
    send(&queue, accept(100));
    send(&queue, accept(100));
    let (queue, _receiver) = WriteQueue::new(QueueLimits { max_wait: Duration::ZERO, ..LIMITS });
    send(&queue, accept(100));
    assert!(matches!(queue.try_send(accept(100)), Err(NotQueued::Full(_))));
    send(&queue, batch(100, true).0);
    send(&queue, session());
}

#[test]
fn who_waits_for_too_long_is_told_and_who_is_patient_stays_in_order() {
    let (queue, receiver) = WriteQueue::new(QueueLimits { max_wait: Duration::ZERO, ..LIMITS });
    let (refusable, mut told) = batch(100, false);
    send(&queue, refusable);
    for rows in [101, 102] {
        send(&queue, batch(rows, true).0);
    }
    queue.refuse_overdue();
    assert!(matches!(told.try_recv(), Ok(Err(StoreError::Busy))));
    assert_eq!(next(&receiver), [101, 102]);
}
