//! Accounts.

use vumi_kit::{
    account::{
        Account, AccountRole, AccountRoles, CreateAccount, FindAccount, ListAccounts, RemoveAccount, SetPassword,
        SetRoles,
    },
    callback::{CallbackFormat, CallbackName, CreateCallback, ListCallbacks},
    store::{Existing, StoreError},
};

use super::{StoreHarness, opera};

async fn create(harness: &StoreHarness, username: &str) -> Result<Account, StoreError> {
    let (username, password_hash) = (username.to_owned(), "$argon2id$1".to_owned());
    harness.accounts(CreateAccount { username, password_hash, sandbox: false, roles: AccountRoles::CLIENT }).await
}

async fn find(harness: &StoreHarness, username: &str) -> Option<Account> {
    harness.accounts(FindAccount { username: username.to_owned() }).await.unwrap()
}

#[actix_rt::test]
async fn an_account_is_created_once_and_found() {
    let Some(harness) = StoreHarness::new() else { return };
    let created = create(&harness, "alice").await.unwrap();
    assert_eq!(find(&harness, "alice").await, Some(created));
    assert_eq!(find(&harness, "Alice").await, None);
    let refused = create(&harness, "alice").await.unwrap_err();
    assert!(matches!(&refused, StoreError::Exists(Existing::Account(name)) if name == "alice"), "{refused}");
}

#[actix_rt::test]
async fn accounts_are_listed_by_name() {
    let Some(harness) = StoreHarness::new() else { return };
    let (b, a) = (create(&harness, "b").await.unwrap(), create(&harness, "a").await.unwrap());
    assert_eq!(harness.accounts(ListAccounts).await.unwrap(), [a, b]);
}

#[actix_rt::test]
async fn a_password_is_changed() {
    let Some(harness) = StoreHarness::new() else { return };
    create(&harness, "alice").await.unwrap();
    let change = |name: &str| SetPassword { username: name.to_owned(), password_hash: "$argon2id$2".to_owned() };
    assert!(harness.accounts(change("alice")).await.unwrap());
    assert!(!harness.accounts(change("bob")).await.unwrap());
    assert_eq!(find(&harness, "alice").await.unwrap().password_hash, "$argon2id$2");
}

#[actix_rt::test]
async fn the_roles_of_an_account_are_kept_and_changed() {
    let Some(harness) = StoreHarness::new() else { return };
    assert_eq!(create(&harness, "alice").await.unwrap().roles, AccountRoles::CLIENT);
    let carrier = AccountRoles::from_iter([AccountRole::Carrier]);
    let change = |name: &str| SetRoles { username: name.to_owned(), roles: carrier };
    assert!(harness.accounts(change("alice")).await.unwrap());
    assert!(!harness.accounts(change("bob")).await.unwrap());
    let found = find(&harness, "alice").await.unwrap();
    assert_eq!((found.roles, found.password_hash.as_str()), (carrier, "$argon2id$1"));
}

#[actix_rt::test]
async fn a_removed_accounts_sms_stay_and_its_number_goes_to_nobody() {
    let Some(harness) = StoreHarness::new() else { return };
    let alice = create(&harness, "alice").await.unwrap();
    assert_eq!(alice.id, super::ALICE);
    let kept = harness.accept(1).await.remove(0);
    let (name, url, secret) = (CallbackName::SmsReceipt, "http://a/".to_owned(), "s".to_owned());
    harness.callbacks(CreateCallback { account: alice.id, name, url, format: CallbackFormat::Form, secret }).await;

    let remove = || RemoveAccount { username: "alice".to_owned() };
    assert!(harness.accounts(remove()).await.unwrap());
    assert!(!harness.accounts(remove()).await.unwrap());
    assert_eq!(find(&harness, "alice").await, None);
    assert_eq!(harness.find(kept.id).await, kept);
    assert_eq!(kept.transport, opera());
    assert_eq!(harness.callbacks(ListCallbacks { account: alice.id }).await, []);
    assert_ne!(create(&harness, "alice").await.unwrap().id, alice.id);
}
