//! Opening the store, and the ways it refuses.

use diesel::connection::SimpleConnection;
use tokio::sync::mpsc;
use vumi_kit::{
    account::{AccountRoles, CreateAccount, FindAccount},
    audit::AuditActor,
    clock::Clock,
    health::{AskHealth, State},
    store::Ask,
};

use super::{Fixture, START, StoreHarness, dialect};
use crate::{OpenError, StoreSettings, migrate, open, open_beside, pending};

#[actix_rt::test]
async fn a_command_writes_beside_a_running_router() {
    let Some(harness) = StoreHarness::new() else { return };
    let beside = open_beside(harness.fixture.settings(), harness.clock.clone()).unwrap();
    let (username, password_hash) = ("alice".to_owned(), "$argon2id$".to_owned());
    beside
        .store
        .accounts
        .ask(CreateAccount {
            username,
            password_hash,
            sandbox: false,
            roles: AccountRoles::CLIENT,
            by: AuditActor::router(),
        })
        .await
        .unwrap();
    beside.close().await;
    let username = "alice".to_owned();
    assert!(harness.accounts(FindAccount { username }).await.unwrap().is_some());
    harness.accept(1).await;
}

#[actix_rt::test]
async fn a_command_may_be_the_first_to_open_a_database() {
    let Some(fixture) = Fixture::new() else { return };
    open_beside(fixture.settings(), Clock::held(START)).unwrap().close().await;
    assert!(pending(&fixture.settings()).unwrap().is_empty());
}

#[test]
fn migrations_run_once_and_say_their_names() {
    let Some(fixture) = Fixture::new() else { return };
    let settings = fixture.settings();
    let waiting = pending(&settings).unwrap();
    assert!(waiting.iter().any(|name| name.contains("create_ledger")), "{waiting:?}");
    assert_eq!(migrate(&settings).unwrap(), waiting);
    assert!(migrate(&settings).unwrap().is_empty());
}

#[test]
fn a_database_newer_than_this_binary_is_refused() {
    let Some(fixture) = Fixture::new() else { return };
    migrate(&fixture.settings()).unwrap();
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')";
    fixture.connect().batch_execute(newer).unwrap();
    let refused = migrate(&fixture.settings()).unwrap_err();
    assert!(matches!(&refused, OpenError::Newer { versions } if versions == "29990101000000"), "{refused}");
}

#[actix_rt::test]
async fn a_newer_database_whose_migrations_only_add_is_used_as_before() {
    let Some(fixture) = Fixture::new() else { return };
    let fixture = std::rc::Rc::new(fixture);
    migrate(&fixture.settings()).unwrap();
    // As a newer vumi leaves it.
    let newer = "ALTER TABLE sms ADD COLUMN from_the_future TEXT; CREATE TABLE things_to_come (id BIGINT); \
         INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000'); \
         INSERT INTO expanding_migrations (version) VALUES ('29990101000000')";
    fixture.connect().batch_execute(newer).unwrap();
    assert!(pending(&fixture.settings()).unwrap().is_empty());
    let harness = StoreHarness::at(fixture.clone(), Clock::held(START), |_| {});
    let id = harness.accept(1).await[0].id;
    assert_eq!(harness.find(id).await.message, "message 0");
    harness.store.close().await;
    // Another one, which takes something away.
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990202000000')";
    fixture.connect().batch_execute(newer).unwrap();
    let refused = pending(&fixture.settings()).unwrap_err();
    assert!(matches!(&refused, OpenError::Newer { versions } if versions == "29990202000000"), "{refused}");
}

#[test]
fn a_migration_can_be_taken_back() {
    use diesel_migrations::MigrationHarness;
    let Some(fixture) = Fixture::new() else { return };
    let all = migrate(&fixture.settings()).unwrap();
    fixture.connect().revert_all_migrations(dialect::migrations()).unwrap();
    assert_eq!(migrate(&fixture.settings()).unwrap(), all);
}

#[actix_rt::test]
async fn accounts_of_a_database_without_roles_keep_both() {
    use diesel_migrations::MigrationHarness;
    let Some(fixture) = Fixture::new() else { return };
    let mut conn = fixture.connect();
    conn.run_next_migration(dialect::migrations()).unwrap();
    conn.batch_execute("INSERT INTO accounts (username, password_hash, sandbox) VALUES ('old', '$argon2id$', 0)")
        .unwrap();
    drop(conn);
    let beside = open_beside(fixture.settings(), Clock::held(START)).unwrap();
    let old = beside.store.accounts.ask(FindAccount { username: "old".to_owned() }).await.unwrap().unwrap();
    assert_eq!(old.roles, AccountRoles::CLIENT_AND_CARRIER);
    beside.close().await;
}

#[test]
fn wrong_settings_are_named() {
    let Some(fixture) = Fixture::new() else { return };
    let queue = StoreSettings { queue: 0, ..fixture.settings() };
    let refused = open(queue, Clock::held(START), mpsc::channel(1).0).unwrap_err();
    assert!(refused.to_string().starts_with("store.queue: expected"), "{refused}");
}

#[actix_rt::test]
async fn an_open_store_says_that_it_is_up() {
    let Some(harness) = StoreHarness::new() else { return };
    let health = harness.store.health().send(AskHealth).await.unwrap();
    assert_eq!(health.state, State::Up, "{}", health.detail);
}
