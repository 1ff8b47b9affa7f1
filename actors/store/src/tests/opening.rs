//! Opening the store, and the ways it refuses.

use diesel::connection::SimpleConnection;
use tokio::sync::mpsc;
use vumi_kit::{
    account::{CreateAccount, FindAccount},
    clock::Clock,
    health::{AskHealth, State},
    store::Asking,
};

use super::{START, Stage, settings};
use crate::{OpenError, StoreSettings, migrate, open, open_beside, pending, sqlite};

fn opened(settings: StoreSettings) -> Result<crate::OpenStore, OpenError> {
    open(settings, Clock::held(START), mpsc::channel(1).0)
}

#[actix_rt::test]
async fn a_second_router_is_refused_until_the_first_is_closed() {
    let stage = Stage::new();
    let again = settings(&stage.folder);
    assert!(matches!(opened(again.clone()), Err(OpenError::Locked(_))));
    stage.store.close().await;
    opened(again).unwrap().close().await;
}

#[actix_rt::test]
async fn a_command_writes_beside_a_running_router() {
    let stage = Stage::new();
    let beside = open_beside(settings(&stage.folder), stage.clock.clone()).unwrap();
    let (username, password_hash) = ("alice".to_owned(), "$argon2id$".to_owned());
    beside.store.accounts.ask(CreateAccount { username, password_hash, sandbox: false }).await.unwrap();
    beside.close().await;
    let username = "alice".to_owned();
    assert!(stage.accounts(FindAccount { username }).await.unwrap().is_some());
    stage.accept(1).await;
}

#[actix_rt::test]
async fn a_command_may_be_the_first_to_open_a_database() {
    let folder = tempfile::tempdir().unwrap();
    open_beside(settings(&folder), Clock::held(START)).unwrap().close().await;
    assert!(pending(&settings(&folder)).unwrap().is_empty());
}

#[test]
fn migrations_run_once_and_say_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let waiting = pending(&settings).unwrap();
    assert!(waiting.iter().any(|name| name.contains("create_ledger")), "{waiting:?}");
    assert_eq!(migrate(&settings).unwrap(), waiting);
    assert!(migrate(&settings).unwrap().is_empty());
}

#[test]
fn a_database_newer_than_this_binary_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    migrate(&settings).unwrap();
    let mut conn = sqlite::connect(settings.path().unwrap(), settings.synchronous).unwrap();
    conn.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')").unwrap();
    let refused = migrate(&settings).unwrap_err();
    assert!(matches!(&refused, OpenError::Newer { versions } if versions == "29990101000000"), "{refused}");
}

#[test]
fn a_migration_can_be_taken_back() {
    use diesel_migrations::MigrationHarness;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    migrate(&settings).unwrap();
    let mut conn = sqlite::connect(settings.path().unwrap(), settings.synchronous).unwrap();
    conn.revert_all_migrations(sqlite::MIGRATIONS).unwrap();
    drop(conn);
    assert_eq!(migrate(&settings).unwrap(), ["20261123000000_create_ledger"]);
}

#[test]
fn wrong_settings_and_urls_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let url = StoreSettings { url: "postgres://localhost/vumi".to_owned(), ..settings(&folder) };
    let refused = opened(url).unwrap_err().to_string();
    assert!(refused.contains("postgres://localhost/vumi") && refused.contains("sqlite://"), "{refused}");
    let queue = StoreSettings { queue: 0, ..settings(&folder) };
    assert!(opened(queue).unwrap_err().to_string().starts_with("store.queue: expected"));
}

#[test]
fn a_damaged_file_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let mut damaged = b"SQLite format 3\0".to_vec();
    damaged.extend([7; 5000]);
    std::fs::write(folder.path().join("vumi.db"), damaged).unwrap();
    let refused = opened(settings(&folder)).unwrap_err();
    assert!(matches!(refused, OpenError::NotADatabase(_)), "{refused}");
}

#[actix_rt::test]
async fn an_open_store_says_that_it_is_up() {
    let stage = Stage::new();
    let health = stage.store.health().send(AskHealth).await.unwrap();
    assert_eq!(health.state, State::Up, "{}", health.detail);
}
