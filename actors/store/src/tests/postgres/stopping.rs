//! An account is stopped by one process while another one is accepting its SMS.

use std::time::Duration;

use diesel::{connection::SimpleConnection, prelude::*, sql_types::BigInt};
use vumi_kit::{
    account::AccountChange,
    ledger::{AcceptSms, Accepted},
    store::Ask,
};

use super::{
    HOLD, beside,
    suite::{quotas, sms, stopped_accounts::change},
};

#[actix_rt::test]
async fn who_stops_an_account_waits_for_what_others_are_about_to_begin_and_nothing_begins_afterwards() {
    let Some(first) = quotas::harness(Vec::new()).await else { return };
    let second = beside(&first);
    second.open_outbox(10).await;
    let mut held = first.fixture.connect();
    held.batch_execute(HOLD).unwrap();
    let accept = || AcceptSms { batch: vec![sms("x")], idempotency: None };
    let ledger = second.store.store.ledger.clone();
    let accepting = actix_rt::spawn(async move { ledger.ask_waiting(accept()).await.unwrap() });
    // It has found that the account may send, and waits for the table.
    let waits = "(SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'sms'::regclass)";
    let mut watch = first.fixture.connect();
    while diesel::select(diesel::dsl::sql::<BigInt>(waits)).get_result::<i64>(&mut watch).unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    let mut stopping = Box::pin(change(&first, AccountChange::Stop));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut stopping).await.is_err(), "it does not wait");
    held.batch_execute("COMMIT").unwrap();
    let Accepted::Now(kept) = accepting.await.unwrap() else { panic!("not now") };
    stopping.await;
    assert_eq!((kept.len(), second.sms_rows("begun = 1")), (1, 1), "it had begun before");
    assert_eq!(second.ledger(accept()).await, Accepted::AccountStopped);
    assert_eq!(second.sms_rows("begun = 1"), 1);
}
