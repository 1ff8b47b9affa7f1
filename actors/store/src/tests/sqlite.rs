//! The suite on SQLite, a file for each test; and what only a file can be.

#[path = "suite/mod.rs"]
mod suite;

use diesel::connection::SimpleConnection;
use tempfile::TempDir;
use tokio::sync::mpsc;
use vumi_kit::clock::Clock;

use crate::dialect::sqlite as dialect;
use crate::{OpenError, StoreSettings, migrate, open, settings::Database};

/// Holds off all others that write, until COMMIT.
const HOLD: &str = "BEGIN IMMEDIATE";

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
    let slow = steps
        .iter()
        .filter(|step| (step.starts_with("SCAN ") && *step != "SCAN CONSTANT ROW") || step.contains("TEMP B-TREE"));
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
