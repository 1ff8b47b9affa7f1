//! The suite on SQLite, a file for each test; and what only a file can be.

mod backup;
#[path = "suite/mod.rs"]
mod suite;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::connection::SimpleConnection;
use tempfile::TempDir;
use tokio::sync::mpsc;
use vumi_kit::{
    clock::Clock,
    health::{AskHealth, State},
    ledger::AcceptSms,
    sms::NewSms,
    sms_options::SmsOptions,
    store::Ask,
};

use crate::dialect::sqlite as dialect;
use crate::{OpenError, StoreSettings, migrate, open, settings::Database};

/// Holds off all others that write, until COMMIT.
const HOLD: &str = "BEGIN IMMEDIATE";

/// Random histories that are played.
const HISTORIES: u32 = 64;

/// Lets neither SMS be kept nor what the writer finds a refusing database by.
const REFUSE: &str = "CREATE TRIGGER refuse BEFORE INSERT ON sms BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END; \
     CREATE TRIGGER refuse_keys BEFORE INSERT ON idempotency_keys BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END";

/// Lets them be kept again.
const ALLOW: &str = "DROP TRIGGER refuse; DROP TRIGGER refuse_keys";

/// Where a test's database lies.
struct Fixture(TempDir);

impl Fixture {
    #[expect(clippy::unnecessary_wraps, reason = "another database may not be there")]
    fn new() -> Option<Self> {
        Some(Self(tempfile::tempdir().unwrap()))
    }

    fn settings(&self) -> StoreSettings {
        let url = format!("sqlite://{}", self.0.path().join("vumi.db").display());
        StoreSettings { url, ..StoreSettings::default() }
    }

    /// Another program's connection.
    fn connect(&self) -> dialect::Conn {
        let settings = self.settings();
        let Some(Database::Sqlite(path)) = settings.database() else { panic!("not SQLite") };
        dialect::connect(path, settings.synchronous).unwrap()
    }
}

/// How the database goes about a statement: what reads a table from end to end, or sorts it, is in the second list.
fn plan(conn: &mut dialect::Conn, statement: &str) -> (Vec<String>, Vec<String>) {
    #[derive(diesel::QueryableByName)]
    struct Step {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    let explain = diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}"));
    let steps: Vec<Step> = diesel::RunQueryDsl::load(explain, conn).unwrap();
    let steps: Vec<String> = steps.into_iter().map(|step| step.detail).collect();
    // A constant, the list that a statement is given, and the accounts that wait, one by one, are no tables.
    let lists = ["SCAN json_each", "SCAN waiting", "SCAN lane", "SCAN found"];
    let is_table = |step: &str| step != "SCAN CONSTANT ROW" && !lists.iter().any(|list| step.starts_with(list));
    let slow =
        steps.iter().filter(|step| (step.starts_with("SCAN ") && is_table(step)) || step.contains("TEMP B-TREE"));
    (steps.clone(), slow.cloned().collect())
}

/// The columns as migrated: table, name, type, whether it may be NULL, its position in the primary key. The number of a
/// row is never NULL, whatever its declaration says.
const COLUMNS: &str = "SELECT t.name AS table_name, c.name AS name, \
     CASE WHEN c.type = 'INTEGER' AND c.pk > 0 AND t.sql NOT LIKE '%WITHOUT ROWID%' THEN 'bigint' ELSE lower(c.type) END AS type, \
     NOT c.\"notnull\" AS nullable, c.pk AS key \
     FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'";

/// The index that rows are found by their number with, and that of the counts.
const BY_ID: &str = "USING INTEGER PRIMARY KEY";
const COUNTS: &str = "USING PRIMARY KEY";

/// Its plans are the same however full the tables are.
const FILL: &str = "";

/// Whether rows are found by an index with these bounds.
fn uses(plan: &str, index: &str, bounds: &str) -> bool {
    plan.contains(&format!("{index} ({bounds})"))
}

fn opened(settings: StoreSettings) -> Result<crate::OpenStore, OpenError> {
    open(settings, Clock::held(suite::START), mpsc::channel(1).0)
}

#[actix_rt::test]
async fn a_second_router_is_refused_until_the_first_is_closed() {
    let fixture = Fixture::new().unwrap();
    let first = opened(fixture.settings()).unwrap();
    assert!(matches!(opened(fixture.settings()), Err(OpenError::Locked(_))));
    first.close().await;
    opened(fixture.settings()).unwrap().close().await;
}

#[test]
fn a_damaged_file_is_no_database() {
    let fixture = Fixture::new().unwrap();
    let mut damaged = b"SQLite format 3\0".to_vec();
    damaged.extend([7; 5000]);
    std::fs::write(fixture.0.path().join("vumi.db"), damaged).unwrap();
    let refused = opened(fixture.settings()).unwrap_err();
    assert!(matches!(refused, OpenError::NotADatabase(_)), "{refused}");
}

#[test]
fn a_database_that_another_program_holds_for_long_says_what_to_do() {
    let fixture = Fixture::new().unwrap();
    migrate(&fixture.settings()).unwrap();
    let mut other = fixture.connect();
    other.batch_execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    let refused = opened(fixture.settings()).unwrap_err();
    assert!(matches!(refused, OpenError::Busy(_)), "{refused}");
}

#[test]
fn a_database_that_another_program_writes_to_while_its_tables_are_made_says_what_to_do() {
    // Diesel's own table first, then ours: each may be what has to wait.
    let diesels =
        "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP)";
    for tables in ["", diesels] {
        let fixture = Fixture::new().unwrap();
        let mut other = fixture.connect();
        other.batch_execute(&format!("PRAGMA journal_mode = WAL; {tables}; BEGIN IMMEDIATE")).unwrap();
        let refused = migrate(&fixture.settings()).unwrap_err();
        assert!(matches!(refused, OpenError::Busy(_)), "{refused:?}");
    }
}

#[actix_rt::test]
async fn a_file_that_goes_while_it_is_open_is_missed_at_once_and_nothing_more_is_accepted() {
    let harness = suite::StoreHarness::new().unwrap();
    let path = harness.fixture.0.path().join("vumi.db");
    assert_eq!(harness.accept(1).await.len(), 1);
    std::fs::rename(&path, path.with_extension("moved")).unwrap();
    let ledger = &harness.store.store.ledger;
    let accept = || AcceptSms { batch: vec![suite::sms("x")], idempotency: None };
    let refused = ledger.ask(accept()).await.unwrap_err();
    assert!(refused.to_string().contains("move it back"), "{refused}");
    let health = harness.store.health().send(AskHealth).await.unwrap();
    assert!(health.state == State::Away && health.detail.contains("move it back"), "{health:?}");
    std::fs::rename(path.with_extension("moved"), &path).unwrap();
    assert_eq!(harness.accept(1).await.len(), 1);
}

#[actix_rt::test]
async fn a_file_that_goes_while_nobody_asks_is_missed_within_a_second() {
    let harness = suite::StoreHarness::new().unwrap();
    let path = harness.fixture.0.path().join("vumi.db");
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    let cut = Instant::now();
    while harness.store.health().send(AskHealth).await.unwrap().state == State::Up {
        assert!(cut.elapsed() < Duration::from_secs(1), "not noticed");
    }
}

#[actix_rt::test]
async fn with_too_little_room_no_sms_is_accepted_and_what_is_under_way_is_recorded() {
    let harness = suite::StoreHarness::with(|settings| settings.min_free_space = u64::MAX / 4).unwrap();
    let ledger = &harness.store.store.ledger;
    let refused = ledger.ask(AcceptSms { batch: vec![suite::sms("x")], idempotency: None }).await.unwrap_err();
    assert!(refused.to_string().contains("store.min_free_space"), "{refused}");
    harness.open_outbox(1).await;
    let health = harness.store.health().send(AskHealth).await.unwrap();
    assert!(health.state == State::Away && health.detail.contains("make room"), "{health:?}");
}

#[actix_rt::test]
async fn a_command_beside_a_router_whose_clock_was_set_keeps_the_routers_time() {
    for set_by in [25 * 3600, -3600] {
        let harness = suite::StoreHarness::new().unwrap();
        harness.clock.jump(set_by);
        let clock = harness.clock.of_another_process();
        assert_ne!(clock.now(), harness.now());
        let beside = crate::open_beside(harness.fixture.settings(), clock.clone()).unwrap();
        assert_eq!(clock.now(), harness.now(), "set by {set_by} s");
        beside.close().await;
    }
}

#[actix_rt::test]
async fn what_a_client_has_scheduled_keeps_its_moment_over_a_start_with_another_clock() {
    let harness = suite::StoreHarness::new().unwrap();
    let send_at = Some(suite::START.plus(Duration::from_secs(2 * 3600)));
    let options = Arc::new(SmsOptions { send_at, ..SmsOptions::default() });
    let scheduled = NewSms { options, ..suite::sms("later") };
    harness.ledger(AcceptSms { batch: vec![scheduled], idempotency: None }).await;
    harness.clock.jump(-3600);
    let harness = harness.restarted().await;
    harness.open_outbox(10).await;
    harness.advance(3 * 3600 - 1);
    assert!(harness.claimed_ids(10).await.is_empty(), "by the clock that is right now it is not time yet");
    harness.advance(1);
    assert_eq!(harness.claimed_ids(10).await.len(), 1);
}

#[actix_rt::test]
async fn the_log_of_changes_is_cut_when_the_store_closes() {
    let harness = suite::StoreHarness::new().unwrap();
    harness.accept(5_000).await;
    let log = harness.fixture.0.path().join("vumi.db-wal");
    let size = || std::fs::metadata(&log).map_or(0, |found| found.len());
    assert!(size() > 0);
    let health = harness.store.health();
    let shown = health.send(AskHealth).await.unwrap().detail;
    assert!(shown.contains("log of changes") && shown.contains("free"), "{shown}");
    let suite::StoreHarness { store, fixture: _kept, .. } = harness;
    store.close().await;
    assert_eq!(size(), 0);
}
