//! Backups of SQLite's file: made under load, looked through, put back.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use diesel::{Connection, connection::SimpleConnection};
use vumi_kit::{clock::Clock, sms::TransportStatus};

use super::{
    Fixture, dialect, opened,
    suite::{START, StoreHarness},
};
use crate::{BackupError, OpenError, StoreSettings, backup, migrate, restore, verify};

fn beside(fixture: &Fixture, name: &str) -> PathBuf {
    fixture.0.path().join(name)
}

fn make(fixture: &Fixture, to: &Path) -> Result<(), BackupError> {
    backup(&fixture.settings(), to, false, |_| {}).map(drop)
}

fn sms_in(backup: &Path) -> u64 {
    let rows = verify(backup).unwrap().rows;
    rows.into_iter().find(|(table, _)| *table == "SMS").unwrap().1
}

/// The readers of a store that was closed in this process let go when its actors have ended.
async fn nobody_has(fixture: &Fixture) {
    let database = beside(fixture, "vumi.db");
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if dialect::holder(&database) == dialect::Holder::Nobody {
            return;
        }
    }
    panic!("somebody has it still");
}

/// How many waiting and how many held SMS a database has.
fn waiting_and_held(fixture: &Fixture) -> (i64, i64) {
    let count = |condition: &str| {
        let query = format!("SELECT count(*) FROM sms WHERE {condition}");
        let query = diesel::dsl::sql::<diesel::sql_types::BigInt>(&query);
        diesel::RunQueryDsl::get_result(query, &mut fixture.connect()).unwrap()
    };
    (count("next_attempt_at IS NOT NULL"), count("held_at IS NOT NULL AND next_attempt_at IS NULL"))
}

#[actix_rt::test]
async fn a_backup_made_under_load_is_whole_and_has_what_was_accepted_before_it() {
    let harness = StoreHarness::new().unwrap();
    harness.accept(3_000).await;
    let (settings, to) = (harness.fixture.settings(), beside(&harness.fixture, "backup.db"));
    let running = std::thread::spawn({
        let to = to.clone();
        move || backup(&settings, &to, false, |_| {}).unwrap()
    });
    let mut meanwhile = 0;
    while !running.is_finished() {
        meanwhile += harness.accept(20).await.len();
    }
    let done = running.join().unwrap();
    assert!(done.written > 0 && meanwhile > 0, "{done:?}");
    let kept = sms_in(&to);
    assert!((3_000..=3_000 + meanwhile as u64).contains(&kept), "{kept} of {meanwhile} more");
    harness.accept(1).await;
    assert_eq!(harness.rows("sms"), 3_001 + meanwhile as i64);
    let left: Vec<_> = fs::read_dir(harness.fixture.0.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("backup.db.")), "{left:?}");
}

#[test]
fn a_backup_goes_nowhere_where_it_would_do_harm_or_has_no_room() {
    let fixture = Fixture::new().unwrap();
    let to = beside(&fixture, "backup.db");
    assert!(matches!(make(&fixture, &to), Err(BackupError::Open(OpenError::NotThere(_)))));
    migrate(&fixture.settings()).unwrap();
    for own in ["vumi.db", "vumi.db-wal", "vumi.db.lock", "../NAME/vumi.db"] {
        let name = fixture.0.path().file_name().unwrap().to_string_lossy();
        let own = beside(&fixture, &own.replace("NAME", &name));
        let refused = backup(&fixture.settings(), &own, true, |_| {}).unwrap_err();
        assert!(matches!(refused, BackupError::Itself(_)), "{refused}");
    }
    let crowded = StoreSettings { min_free_space: u64::MAX / 4, ..fixture.settings() };
    let refused = backup(&crowded, &to, false, |_| {}).unwrap_err();
    assert!(refused.to_string().contains("store.min_free_space"), "{refused}");
    assert!(!to.exists());
    make(&fixture, &to).unwrap();
    assert!(make(&fixture, &to).unwrap_err().to_string().contains("--force"));
    backup(&fixture.settings(), &to, true, |_| {}).unwrap();
    let elsewhere = StoreSettings { url: "postgres://vumi:secret@db/vumi".to_owned(), ..fixture.settings() };
    let refused = backup(&elsewhere, &to, true, |_| {}).unwrap_err().to_string();
    assert!(refused.contains("pg_dump") && !refused.contains("secret"), "{refused}");
}

#[test]
fn verify_tells_what_is_damaged_foreign_newer_or_not_there() {
    let fixture = Fixture::new().unwrap();
    migrate(&fixture.settings()).unwrap();
    fixture
        .connect()
        .batch_execute(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000) \
             INSERT INTO answers SELECT 'quiz', n, 'colour', 'blue' FROM n",
        )
        .unwrap();
    let good = beside(&fixture, "good.db");
    make(&fixture, &good).unwrap();
    assert_eq!(verify(&good).unwrap().pending, Vec::<String>::new());

    let damaged = beside(&fixture, "damaged.db");
    fs::copy(&good, &damaged).unwrap();
    let size = fs::metadata(&damaged).unwrap().len();
    fs::File::options().write(true).open(&damaged).unwrap().write_all_at(&[7; 9000], size / 2).unwrap();
    assert!(matches!(verify(&damaged), Err(BackupError::Damaged { .. })));

    let foreign = beside(&fixture, "foreign.db");
    let mut conn = dialect::Conn::establish(foreign.to_str().unwrap()).unwrap();
    conn.batch_execute("CREATE TABLE recipes (name TEXT)").unwrap();
    assert!(matches!(verify(&foreign), Err(BackupError::NotVumis(_))));

    fs::write(beside(&fixture, "notes.txt"), "a shopping list, and no database").unwrap();
    assert!(matches!(verify(&beside(&fixture, "notes.txt")), Err(BackupError::Damaged { .. })));
    assert!(matches!(verify(&beside(&fixture, "gone.db")), Err(BackupError::Open(OpenError::NotThere(_)))));

    let mut conn = dialect::Conn::establish(good.to_str().unwrap()).unwrap();
    conn.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')").unwrap();
    assert!(matches!(verify(&good), Err(BackupError::Open(OpenError::Newer { .. }))));
}

#[actix_rt::test]
async fn a_restored_database_holds_what_waited_and_the_replaced_one_is_kept() {
    let harness = StoreHarness::new().unwrap();
    harness.open_outbox(1).await;
    let before = harness.accept(3).await;
    harness
        .outcome(
            before[0].id,
            "OK",
            vumi_kit::ledger::Then::Done { status: TransportStatus::Queued, provider_id: None },
        )
        .await;
    let to = beside(&harness.fixture, "backup.db");
    make(&harness.fixture, &to).unwrap();
    harness.accept(2).await;
    let (fixture, clock) = (harness.fixture.clone(), harness.clock.clone());
    let settings = fixture.settings();
    let refused = restore(&settings, &to, START, false).unwrap_err();
    assert!(matches!(refused, BackupError::Open(OpenError::Locked(_))), "{refused}");
    harness.store.close().await;
    nobody_has(&fixture).await;

    let mut other = fixture.connect();
    other.batch_execute("SELECT count(*) FROM sms").unwrap();
    let refused = restore(&settings, &to, START, false).unwrap_err();
    assert!(matches!(refused, BackupError::Open(OpenError::Busy(_))), "{refused}");
    drop(other);

    let restored = restore(&settings, &to, START, false).unwrap();
    assert_eq!((restored.held, restored.migrated), (2, Vec::new()));
    let replaced = restored.replaced.unwrap();
    assert_eq!((sms_in(&replaced), sms_in(&beside(&fixture, "vumi.db"))), (5, 3));
    assert_eq!(waiting_and_held(&fixture), (0, 2));
    let harness = StoreHarness::at(fixture.clone(), clock, |_| {});
    assert_eq!(harness.rows("sms_events"), 2);
    assert_eq!(harness.claimed_ids(10).await, Vec::<i64>::new());
    assert_eq!(harness.find(before[0].id).await.status, TransportStatus::Queued);
    assert_eq!(harness.accept(1).await[0].id, before[2].id + 1);
    harness.store.close().await;
    nobody_has(&fixture).await;

    let restored = restore(&settings, &to, Clock::system().wall(), true).unwrap();
    assert_eq!(restored.held, 0);
    assert_eq!(waiting_and_held(&fixture), (2, 0));
}

#[test]
fn a_damaged_database_is_replaced_and_its_log_never_written_into_the_new_one() {
    let fixture = Fixture::new().unwrap();
    migrate(&fixture.settings()).unwrap();
    let (database, to) = (beside(&fixture, "vumi.db"), beside(&fixture, "backup.db"));
    make(&fixture, &to).unwrap();
    let mut damaged = b"SQLite format 3\0".to_vec();
    damaged.extend([7; 5000]);
    fs::write(&database, &damaged).unwrap();
    fs::write(beside(&fixture, "vumi.db-wal"), "a log").unwrap();
    let replaced = restore(&fixture.settings(), &to, START, false).unwrap().replaced.unwrap();
    assert_eq!(fs::read(&replaced).unwrap(), damaged);
    assert!(!beside(&fixture, "vumi.db-wal").exists());
    assert_eq!(verify(&database).unwrap().pending, Vec::<String>::new());
}

#[actix_rt::test]
async fn a_damaged_backup_restores_nothing() {
    let fixture = Fixture::new().unwrap();
    migrate(&fixture.settings()).unwrap();
    let (database, to) = (beside(&fixture, "vumi.db"), beside(&fixture, "backup.db"));
    fs::write(&to, "SQLite format 3\0 and then nothing").unwrap();
    let before = fs::read(&database).unwrap();
    restore(&fixture.settings(), &to, START, false).unwrap_err();
    assert_eq!(fs::read(&database).unwrap(), before);
    opened(fixture.settings()).unwrap().close().await;
}
