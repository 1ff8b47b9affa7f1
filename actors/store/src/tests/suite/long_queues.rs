//! Callbacks with long queues: what is parked is bounded, and nothing is done to all of it in one transaction.

use vumi_kit::callback::{
    CallbackFormat, CallbackName, CreateCallback, CreatedCallback, DeleteCallback, DroppedDeliveries, ListParked,
    ParkedSelection, ReplayParked,
};

use super::{ALICE, StoreHarness};

/// More than fits into two pieces.
const LONG: i64 = 1_200;

impl StoreHarness {
    async fn callback_of(&self, url: &str) -> i64 {
        let (name, format, secret) = (CallbackName::SmsReceived, CallbackFormat::Form, "whsec_x".to_owned());
        let create = CreateCallback { account: ALICE, name, url: url.to_owned(), format, secret };
        match self.callbacks(create).await {
            CreatedCallback::New(callback) => callback.id,
            other => panic!("{other:?}"),
        }
    }

    /// So many deliveries with an attempt each, as earlier days left them.
    fn has_deliveries(&self, callback: i64, count: i64, waiting: bool) {
        let (next, parked) = if waiting { ("n", "NULL") } else { ("NULL", "n") };
        let numbers =
            format!("WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})");
        let columns = "callback, name, body, attempts, created_at, next_attempt_at, parked_at";
        let deliveries = format!(
            "INSERT INTO callback_deliveries ({columns}) {numbers} \
             SELECT {callback}, 'sms_received', 'x', 1, 1, CAST({next} AS BIGINT), CAST({parked} AS BIGINT) FROM numbers"
        );
        let attempts = "INSERT INTO callback_attempts (delivery, attempt, at) \
             SELECT id, 1, 1 FROM callback_deliveries WHERE NOT EXISTS \
             (SELECT 1 FROM callback_attempts WHERE delivery = id)";
        let mut conn = self.fixture.connect();
        for statement in [deliveries.as_str(), attempts] {
            diesel::connection::SimpleConnection::batch_execute(&mut conn, statement).unwrap();
        }
    }
}

#[actix_rt::test]
async fn so_many_are_parked_of_one_callback_and_the_oldest_go_counted_and_shown() {
    let Some(harness) = StoreHarness::with(|settings| settings.waiting_per_callback = 3) else { return };
    let (full, other) = (harness.callback_of("http://full/").await, harness.callback_of("http://other/").await);
    harness.has_deliveries(full, 3 + 600, false);
    harness.has_deliveries(other, 3, false);
    while harness.sweep().await {}
    harness.sweep().await;
    let parked = harness.callbacks(ListParked { limit: 10 }).await;
    assert_eq!(parked.total, 3 + 3);
    let dropped = DroppedDeliveries { callback: full, url: "http://full/".to_owned(), count: 600 };
    assert_eq!(parked.dropped, [dropped]);
    let newest: Vec<i64> = parked.listed.iter().filter(|one| one.url == "http://full/").map(|one| one.id).collect();
    assert_eq!(newest, [603, 602, 601], "the newest stay");
    assert_eq!(harness.rows("callback_attempts"), 6, "with their attempts");
}

#[actix_rt::test]
async fn a_deleted_callback_is_gone_at_once_and_its_queue_piece_by_piece() {
    let Some(harness) = StoreHarness::new() else { return };
    let callback = harness.callback_of("http://a/").await;
    harness.has_deliveries(callback, LONG, true);
    harness.has_deliveries(callback, LONG, false);
    assert!(harness.callbacks(DeleteCallback { account: ALICE, id: callback }).await);
    assert_eq!(harness.callbacks(ListParked { limit: 10 }).await.total, 0, "nothing of it is seen");
    let mut left = harness.rows("callback_deliveries");
    assert!(left > LONG, "{left}");
    while harness.sweep().await {
        let now_left = harness.rows("callback_deliveries");
        assert!(left - now_left <= 500, "{left} {now_left}");
        left = now_left;
    }
    harness.sweep().await;
    assert_eq!((harness.rows("callback_deliveries"), harness.rows("callback_attempts")), (0, 0));
}

#[actix_rt::test]
async fn a_replay_of_all_is_made_in_steps_and_ends() {
    let Some(harness) = StoreHarness::new() else { return };
    let callback = harness.callback_of("http://a/").await;
    harness.has_deliveries(callback, LONG, false);
    let (mut cursor, mut steps) = (None, Vec::new());
    loop {
        let step = harness.callbacks(ReplayParked { which: ParkedSelection::All(cursor) }).await;
        steps.push(step.due);
        // What is parked meanwhile is not replayed again and again.
        harness.advance(1);
        cursor = step.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(steps, [500, 500, 200]);
    assert_eq!(harness.callbacks(ListParked { limit: 1 }).await.total, 0);
}
