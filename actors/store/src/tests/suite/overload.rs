//! More to do than can be done: who is refused and how soon, and who does not wait for whom.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use diesel::connection::SimpleConnection;
use tokio::sync::oneshot;
use vumi_kit::{
    account::FindAccount,
    ledger::{AcceptSms, Accepted, FindSms},
    name::Name,
    session::FindSession,
    store::{Ask, Request, StoreError},
};

use super::{ALICE, HOLD, StoreHarness, opera, sms};
use crate::readers::HoldReader;

fn batch(rows: usize) -> AcceptSms {
    AcceptSms { batch: vec![sms("x"); rows], idempotency: None }
}

#[actix_rt::test]
async fn who_can_be_refused_is_before_long_and_who_is_patient_is_served_in_the_end() {
    let max_wait = Duration::from_millis(300);
    let Some(harness) = StoreHarness::with(|settings| settings.max_wait = max_wait) else { return };
    let mut other = harness.fixture.connect();
    other.batch_execute(HOLD).unwrap();
    let ledger = harness.store.store.ledger.clone();
    // The writer is at the first one, and waits for the other program.
    let (first, patient) = (ledger.clone(), ledger.clone());
    while !harness.writer_is_idle().await {}
    let first = actix_rt::spawn(async move { first.ask_waiting(batch(1)).await });
    while harness.writer_is_idle().await {}
    let patient = actix_rt::spawn(async move { patient.ask_waiting(batch(30)).await });
    let asked = Instant::now();
    let refused = ledger.ask(batch(30)).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    let waited = asked.elapsed();
    assert!(waited >= max_wait / 2 && waited < Duration::from_secs(2), "{waited:?}");
    let asked = Instant::now();
    let refused = ledger.ask(batch(30)).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert!(asked.elapsed() < max_wait, "those before it wait: it is refused at once");
    other.batch_execute("COMMIT").unwrap();
    for served in [first, patient] {
        assert!(matches!(served.await.unwrap(), Ok(Accepted::Now(_))));
    }
    assert!(ledger.ask(batch(30)).await.is_ok(), "it is over");
}

#[actix_rt::test]
async fn a_slow_read_is_given_up_and_neither_writes_nor_log_ins_nor_sessions_wait_for_it() {
    let read_limit = Duration::from_millis(200);
    let with = StoreHarness::with(|settings| (settings.readers, settings.read_limit) = (1, read_limit));
    let Some(harness) = with else { return };
    let (release, released) = mpsc::channel();
    let (reply, slow) = oneshot::channel();
    let operation = HoldReader(Arc::new(Mutex::new(released)));
    harness.store.readers.dispatch(Request::new(operation, reply));
    let store = &harness.store.store;
    let find = || FindSms { account: ALICE, transport: Some(opera()), id: 1 };
    // More than may wait for the reader. Those that wait wait for as long as a read may take.
    let waiting: Vec<_> = (0..300)
        .map(|_| {
            let ledger = store.ledger.clone();
            actix_rt::spawn(async move { ledger.ask(find()).await })
        })
        .collect();
    assert_eq!(harness.accept(1).await.len(), 1);
    let nobody = store.accounts.ask(FindAccount { username: "nobody".to_owned() }).await;
    assert!(matches!(nobody, Ok(None)));
    let session = FindSession { owner: Name::parse("quiz").unwrap(), person: "p".to_owned() };
    assert!(matches!(store.sessions.ask(session).await, Ok(None)));
    for refused in waiting {
        assert!(matches!(refused.await.unwrap(), Err(StoreError::Busy)));
    }
    assert!(matches!(slow.await.unwrap(), Err(StoreError::TooSlow)));
    release.send(()).unwrap();
    while store.ledger.ask(find()).await.is_err() {}
}
