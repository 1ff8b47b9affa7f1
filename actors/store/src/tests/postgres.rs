//! The suite on PostgreSQL, a schema for each test; and what only a server can do.

mod fixture;
mod processes;
#[path = "suite/mod.rs"]
mod suite;

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use diesel::{Connection, PgConnection, connection::SimpleConnection, sql_types::BigInt};
use tokio::sync::mpsc;
use vumi_kit::{
    clock::Clock,
    export::{ExportFilter, ExportSms, FindLedgerEnd, NumberRange},
    health::{AskHealth, State},
    ledger::{AcceptSms, FindSms, IdempotencyKey, OpenOutbox, ReleaseSms},
    store::{Ask, StoreError},
};

use super::commit_cutter::{CommitCutter, Cut};
use fixture::{Away, Fixture, german};
use suite::{ALICE, StoreHarness, opera, sms};

use crate::dialect::postgres as dialect;
use crate::{CopyError, OpenError, StoreSettings, copy, open};

/// Holds off all others that write, until COMMIT.
const HOLD: &str = "BEGIN; LOCK TABLE sms IN EXCLUSIVE MODE";

/// Random histories that are played.
const HISTORIES: u32 = 12;

/// Lets neither SMS be kept nor what the writer finds a refusing database by.
const REFUSE: &str = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ \
     BEGIN RAISE EXCEPTION 'the disk is on fire'; END $$; \
     CREATE TRIGGER refuse BEFORE INSERT ON sms FOR EACH ROW EXECUTE FUNCTION refuse(); \
     CREATE TRIGGER refuse BEFORE INSERT ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION refuse()";

/// Lets them be kept again.
const ALLOW: &str = "DROP TRIGGER refuse ON sms; DROP TRIGGER refuse ON idempotency_keys";

/// How the database goes about a statement: what reads a table from end to end, or sorts it, is in the second list.
/// The tables are empty, and a small one is best read whole: so that is what it is told not to do.
fn plan(conn: &mut dialect::Conn, statement: &str) -> (Vec<String>, Vec<String>) {
    #[derive(diesel::QueryableByName)]
    struct Step {
        #[diesel(sql_type = diesel::sql_types::Text, column_name = "QUERY PLAN")]
        detail: String,
    }
    let parameters = (1..).take_while(|n| statement.contains(&format!("${n}"))).count();
    let nulls = vec!["NULL"; parameters].join(", ");
    let arguments = if parameters == 0 { String::new() } else { format!("({nulls})") };
    let prepare = format!(
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; \
         PREPARE looked_at AS {statement}"
    );
    conn.batch_execute(&prepare).unwrap();
    let explain = diesel::sql_query(format!("EXPLAIN EXECUTE looked_at{arguments}"));
    let steps: Vec<Step> = diesel::RunQueryDsl::load(explain, conn).unwrap();
    conn.batch_execute("DEALLOCATE looked_at").unwrap();
    let steps: Vec<String> = steps.into_iter().map(|step| step.detail).collect();
    // Rows that come in order, but for those that are equal, are sorted a handful at a time.
    let sorts = |step: &&String| step.contains("Sort  (") && !step.contains("Incremental Sort");
    let slow = steps.iter().filter(|step| step.contains("Seq Scan") || sorts(step));
    (steps.clone(), slow.cloned().collect())
}

/// The columns as migrated: table, name, type, whether it may be NULL, its position in the primary key.
const COLUMNS: &str = "SELECT c.relname::text AS table_name, a.attname::text AS name, \
     format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable, \
     coalesce(array_position(i.indkey::smallint[], a.attnum) + 1, 0)::integer AS key \
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
     LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
     WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped";

/// The index that rows are found by their number with, and that of the counts.
const BY_ID: &str = "_pkey";
const COUNTS: &str = "answer_counts_pkey";

/// Which of two indexes is the better one depends on what the tables hold.
const FILL: &str = "INSERT INTO sms (account, transport, recipient, sender, message, status, attempts, created_at, \
     updated_at, give_up_at, unsure) SELECT n % 5, 'opera', '27831234567', '38080', 'x', 4, 1, n, n, n, 0 \
     FROM generate_series(1, 10000) AS n; \
     INSERT INTO receipts (transport, provider_id, status, fields, received_at, digest) \
     SELECT 'opera', 'p' || n, 4, '', n, 'd' || n FROM generate_series(1, 10000) AS n; \
     INSERT INTO received_sms (account, transport, message_id, sender, recipient, message, provider_id, outcome, created_at, \
     updated_at) SELECT 1 + n % 5, 'opera', 'm' || n, '27831234567', '38080', 'x', 'r' || n, 'x', n, n \
     FROM generate_series(1, 10000) AS n; ANALYZE sms, receipts, received_sms";

/// Whether rows are found by an index with these bounds.
fn uses(plan: &str, index: &str, bounds: &str) -> bool {
    let bounded = |column: &str| plan.lines().any(|step| step.contains("Index Cond") && step.contains(column));
    plan.contains(index) && bounds.split(" AND ").all(|bound| bounded(bound.trim_end_matches(['=', '<', '>', '?'])))
}

/// Of three requests at once the second can't be kept: it alone is refused, and the store is well.
async fn refused_alone(harness: &StoreHarness, bad: AcceptSms) {
    let good = || AcceptSms { batch: vec![sms("good")], idempotency: None };
    let ledger = harness.store.store.ledger.clone();
    let (first, refused, last) = tokio::join!(ledger.ask(good()), ledger.ask(bad.clone()), ledger.ask(good()));
    assert!(matches!(refused, Err(StoreError::Rejected(_))), "{refused:?}");
    assert!(first.is_ok() && last.is_ok());
    let refused = ledger.ask(bad).await;
    assert!(matches!(refused, Err(StoreError::Rejected(_))), "by itself: {refused:?}");
    let health = harness.store.health().send(AskHealth).await.unwrap();
    assert_eq!(health.state, State::Up, "{}", health.detail);
}

#[actix_rt::test]
async fn a_text_that_postgresql_cannot_keep_is_refused_and_harms_no_other() {
    let Some(harness) = StoreHarness::new() else { return };
    refused_alone(&harness, AcceptSms { batch: vec![sms("NUL \0")], idempotency: None }).await;
}

#[actix_rt::test]
async fn a_key_that_is_too_large_for_its_index_is_refused_and_harms_no_other() {
    let Some(harness) = StoreHarness::new() else { return };
    // Too random to be compressed below the index's third of a page.
    let key = (0..300).map(|_| vumi_kit::ids::secret()).collect();
    let idempotency = Some(IdempotencyKey { key, request_digest: vec![1], keep_s: 60 });
    refused_alone(&harness, AcceptSms { batch: vec![sms("x")], idempotency }).await;
}

#[actix_rt::test]
async fn when_the_connection_is_cut_the_work_goes_on_over_another() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.accept(1).await;
    harness.fixture.cut_all();
    assert_eq!(harness.accept(1).await.len(), 1);
}

/// A store whose connections can be lost with a commit.
fn with_cutter() -> Option<(StoreHarness, CommitCutter)> {
    let fixture = Fixture::new()?;
    let cutter = CommitCutter::start(fixture.server);
    let by_cutter = |settings: &mut StoreSettings| settings.url = cutter.url(&settings.url);
    Some((StoreHarness::at(Rc::new(fixture), Clock::held(suite::START), by_cutter), cutter))
}

#[actix_rt::test]
async fn what_became_of_a_commit_that_was_cut_is_asked_and_answered() {
    for cut in [Cut::BeforeTheServer, Cut::AfterTheServer] {
        let Some((mut harness, cutter)) = with_cutter() else { return };
        harness.open_outbox(10).await;
        cutter.cut(cut);
        let kept = harness.accept(2).await;
        assert_eq!(harness.sms_rows("claimed_by IS NOT NULL"), 2, "{cut:?}: kept once");
        assert_eq!(harness.handed_ids(), [kept[0].id, kept[1].id], "{cut:?}");
    }
}

#[actix_rt::test]
async fn where_nothing_tells_what_became_of_a_commit_that_is_said() {
    let Some((harness, cutter)) = with_cutter() else { return };
    harness.open_outbox(10).await;
    let ids = harness.accept(1).await.iter().map(|sms| sms.id).collect();
    cutter.cut(Cut::AfterTheServer);
    let released = harness.store.store.ledger.ask(ReleaseSms { transport: opera(), ids }).await;
    assert!(matches!(released, Err(StoreError::Unconfirmed(_))), "{released:?}");
    harness.accept(1).await;
}

/// Two transactions wait for each other; the store's is the one that PostgreSQL ends.
async fn deadlock(harness: StoreHarness) {
    harness.open_outbox(0).await;
    harness.accept(2).await;
    let ids = harness.claimed_ids(2).await;
    let schema = &harness.fixture.schema;
    let touch = |id: i64| format!("UPDATE {schema}.sms SET status = status WHERE id = {id}");
    let mut other = PgConnection::establish(harness.fixture.server).unwrap();
    // This one looks for a deadlock later than the store's connection does, a second after it began to wait.
    other.batch_execute(&format!("SET deadlock_timeout = '30s'; BEGIN; {}", touch(ids[1]))).unwrap();
    let (ledger, release) = (harness.store.store.ledger.clone(), ReleaseSms { transport: opera(), ids: ids.clone() });
    let released = actix_rt::spawn(async move { ledger.ask(release).await });
    let mut watch = PgConnection::establish(harness.fixture.server).unwrap();
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{schema}' AND wait_event_type = 'Lock'"
    );
    while diesel::RunQueryDsl::get_result::<i64>(diesel::dsl::sql::<BigInt>(&waits), &mut watch).unwrap() == 0 {
        assert!(!released.is_finished(), "it did not wait");
        tokio::task::yield_now().await;
    }
    other.batch_execute(&format!("{}; COMMIT", touch(ids[0]))).unwrap();
    released.await.unwrap().unwrap();
    assert_eq!(harness.sms_rows("claimed_by IS NOT NULL"), 0);
}

#[actix_rt::test]
async fn a_transaction_that_deadlocks_with_another_program_is_done_all_the_same() {
    let Some(harness) = StoreHarness::new() else { return };
    deadlock(harness).await;
}

#[actix_rt::test]
async fn no_error_is_known_by_its_english_words() {
    let Some(database) = german() else { return };
    let first = StoreHarness::at(Rc::new(database), Clock::held(suite::START), |_| {});
    let again = open(first.fixture.settings(), first.clock.clone(), mpsc::channel(1).0);
    assert!(matches!(again, Err(OpenError::NodeTaken(_))), "{again:?}");
    let accept = |text: &str| AcceptSms { batch: vec![sms(text)], idempotency: None };
    let ledger = first.store.store.ledger.clone();
    let (refused, kept) = tokio::join!(ledger.ask(accept("NUL \0")), ledger.ask(accept("b")));
    assert!(matches!(refused, Err(StoreError::Rejected(_))), "{refused:?}");
    kept.unwrap();
    deadlock(first).await;
}

#[actix_rt::test]
async fn a_transaction_with_thousands_of_ids_takes_few_of_the_servers_locks() {
    #[derive(diesel::QueryableByName)]
    struct Held {
        #[diesel(sql_type = BigInt)]
        held: i64,
    }
    let Some(fixture) = Fixture::new() else { return };
    let mut conn = fixture.connect();
    let ask = "SELECT count(*) AS held FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    for (names, expected) in [(1, 2), (400, 401), (20_000, 1)] {
        conn.batch_execute("BEGIN").unwrap();
        let names = (0..names).map(|n| format!("opera {n}")).collect::<Vec<_>>();
        dialect::alone(&mut conn, || names).unwrap();
        let held: Held = diesel::RunQueryDsl::get_result(diesel::sql_query(ask), &mut conn).unwrap();
        conn.batch_execute("ROLLBACK").unwrap();
        assert_eq!(held.held, expected);
    }
}

#[actix_rt::test]
async fn who_has_thousands_of_ids_waits_for_who_has_one() {
    let Some(fixture) = Fixture::new() else { return };
    let (mut one, mut all) = (fixture.connect(), fixture.connect());
    one.batch_execute("BEGIN").unwrap();
    all.batch_execute("SET lock_timeout = '100ms'; BEGIN").unwrap();
    dialect::alone(&mut one, || vec!["opera 1".to_owned()]).unwrap();
    let thousands = || (0..20_000).map(|n| format!("opera {n}")).collect();
    assert!(dialect::alone(&mut all, thousands).is_err(), "it does not wait");
    all.batch_execute("ROLLBACK; BEGIN").unwrap();
    one.batch_execute("COMMIT").unwrap();
    dialect::alone(&mut all, thousands).unwrap();
}

#[actix_rt::test]
async fn everything_moves_up_from_sqlite_and_goes_on_there() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("vumi.db").display());
    let from = StoreSettings { url, ..StoreSettings::default() };
    let clock = Clock::held(suite::START);
    let odd = "tab\t back\\slash \\N \\t line\nreturn\r quote' \u{0} äé漢字😀 ";
    let before = open(from.clone(), clock.clone(), mpsc::channel(4).0).unwrap();
    let ledger = &before.store.ledger;
    ledger.ask(OpenOutbox { transport: opera(), capacity: 1, window: 1 }).await.unwrap();
    let batch = vec![sms(odd), sms(""), sms("plain")];
    ledger.ask(AcceptSms { batch, idempotency: None }).await.unwrap();
    assert!(matches!(copy(&from, &fixture.settings(), |_| {}), Err(CopyError::Open(OpenError::Locked(_)))));
    before.close().await;

    let mut told = Vec::new();
    let copied = copy(&from, &fixture.settings(), |progress| told.push((progress.table, progress.rows))).unwrap();
    assert_eq!((copied, told.contains(&("sms", 3)), told.len()), (3, true, 26));
    let again = copy(&from, &fixture.settings(), |_| {}).unwrap_err();
    assert!(matches!(again, CopyError::NotEmpty { table: "sms", .. }), "{again}");

    let after = StoreHarness::at(Rc::new(fixture), clock, |_| {});
    let moved = after.find(1).await;
    assert_eq!((moved.message, moved.to), (odd.replace('\0', "\u{FFFD}"), sms("").to));
    assert_eq!(after.find(2).await.message, "");
    assert_eq!(after.accept(1).await[0].id, 4, "numbers go on");
    after.open_outbox(0).await;
    assert_eq!(after.claimed_ids(10).await.len(), 4, "what the old router held is due");
}

#[actix_rt::test]
async fn while_the_database_is_away_all_are_refused_soon_and_then_it_goes_on_by_itself() {
    let Some(fixture) = Fixture::with_role() else { return };
    let harness = StoreHarness::at(Rc::new(fixture), Clock::held(suite::START), |_| {});
    let kept = harness.accept(1).await[0].id;
    let database = Away::begin(&harness.fixture);
    let refused = harness.store.store.ledger.ask(AcceptSms { batch: vec![sms("x")], idempotency: None }).await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if !why.contains('\n')), "{refused:?}");
    let health = harness.store.health().send(AskHealth).await.unwrap();
    assert_eq!(health.state, State::Away, "{}", health.detail);
    let find = || FindSms { account: ALICE, transport: Some(opera()), id: kept };
    let started = Instant::now();
    for _ in 0..20 {
        assert!(harness.store.store.ledger.ask(find()).await.is_err());
    }
    assert!(started.elapsed() < Duration::from_secs(15), "each waited for itself");
    drop(database);
    let deadline = Instant::now() + Duration::from_secs(20);
    while harness.store.store.ledger.ask(AcceptSms { batch: vec![sms("x")], idempotency: None }).await.is_err() {
        assert!(Instant::now() < deadline, "it does not come back");
    }
    while harness.store.store.ledger.ask(find()).await.is_err() {
        assert!(Instant::now() < deadline, "reads do not come back");
    }
    assert_eq!(harness.store.health().send(AskHealth).await.unwrap().state, State::Up);
}

#[actix_rt::test]
async fn an_end_of_the_ledger_has_nothing_behind_it_that_comes_later() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.accept(1).await;
    // Has taken its number, and is committed after one with a higher number.
    let mut slow = harness.fixture.connect();
    slow.batch_execute(
        "BEGIN; INSERT INTO sms (account, transport, recipient, sender, message, status, attempts, created_at, updated_at, \
         give_up_at, unsure) VALUES (1, 'opera', '27831234567', '38080', 'late', 0, 0, 0, 0, 0, 0)",
    )
    .unwrap();
    harness.accept(1).await;
    let mut end = Box::pin(harness.ledger(FindLedgerEnd));
    assert!(tokio::time::timeout(Duration::from_millis(500), &mut end).await.is_err(), "it does not wait");
    slow.batch_execute("COMMIT").unwrap();
    let range = NumberRange { after: 0, up_to: end.await.sms };
    let page = harness.ledger(ExportSms { range, filter: ExportFilter::default() }).await;
    let texts: Vec<&str> = page.rows.iter().map(|sms| sms.message.as_str()).collect();
    assert_eq!(texts, ["message 0", "late", "message 0"]);
}
