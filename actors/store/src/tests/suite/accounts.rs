//! Accounts.

use vumi_kit::{
    account::{Account, CreateAccount, FindAccount, ListAccounts, RemoveAccount, SetPassword},
    callback::{CallbackName, CreateCallback, ListCallbacks},
    store::{Existing, StoreError},
};

use super::{Stage, opera};

async fn create(stage: &Stage, username: &str) -> Result<Account, StoreError> {
    let (username, password_hash) = (username.to_owned(), "$argon2id$1".to_owned());
    stage.accounts(CreateAccount { username, password_hash, sandbox: false }).await
}

async fn find(stage: &Stage, username: &str) -> Option<Account> {
    stage.accounts(FindAccount { username: username.to_owned() }).await.unwrap()
}

#[actix_rt::test]
async fn an_account_is_created_once_and_found() {
    let Some(stage) = Stage::new() else { return };
    let created = create(&stage, "alice").await.unwrap();
    assert_eq!(find(&stage, "alice").await, Some(created));
    assert_eq!(find(&stage, "Alice").await, None);
    let refused = create(&stage, "alice").await.unwrap_err();
    assert!(matches!(&refused, StoreError::Exists(Existing::Account(name)) if name == "alice"), "{refused}");
}

#[actix_rt::test]
async fn accounts_are_listed_by_name() {
    let Some(stage) = Stage::new() else { return };
    let (b, a) = (create(&stage, "b").await.unwrap(), create(&stage, "a").await.unwrap());
    assert_eq!(stage.accounts(ListAccounts).await.unwrap(), [a, b]);
}

#[actix_rt::test]
async fn a_password_is_changed() {
    let Some(stage) = Stage::new() else { return };
    create(&stage, "alice").await.unwrap();
    let change = |name: &str| SetPassword { username: name.to_owned(), password_hash: "$argon2id$2".to_owned() };
    assert!(stage.accounts(change("alice")).await.unwrap());
    assert!(!stage.accounts(change("bob")).await.unwrap());
    assert_eq!(find(&stage, "alice").await.unwrap().password_hash, "$argon2id$2");
}

#[actix_rt::test]
async fn a_removed_accounts_sms_stay_and_its_number_goes_to_nobody() {
    let Some(stage) = Stage::new() else { return };
    let alice = create(&stage, "alice").await.unwrap();
    assert_eq!(alice.id, super::ALICE);
    let kept = stage.accept(1).await.remove(0);
    let (name, url, secret) = (CallbackName::SmsReceipt, "http://a/".to_owned(), "s".to_owned());
    stage.callbacks(CreateCallback { account: alice.id, name, url, secret }).await;

    let remove = || RemoveAccount { username: "alice".to_owned() };
    assert!(stage.accounts(remove()).await.unwrap());
    assert!(!stage.accounts(remove()).await.unwrap());
    assert_eq!(find(&stage, "alice").await, None);
    assert_eq!(stage.find(kept.id).await, kept);
    assert_eq!(kept.transport, opera());
    assert_eq!(stage.callbacks(ListCallbacks { account: alice.id }).await, []);
    assert_ne!(create(&stage, "alice").await.unwrap().id, alice.id);
}
