//! Accounts.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use vumi_kit::{
    account::{
        Account, AccountChange, AccountRole, AccountRoles, AddToken, AddedToken, Budget, BudgetUnit, ChangeAccount,
        CountAccountChanges, CreateAccount, FindAccount, FindToken, FormerPassword, ListAccounts, ListTokens, Micros,
        RemoveAccount, RemoveToken, SendingRights, TokenDigest, new_token,
    },
    address::{Address, CountryCode},
    audit::{AuditActor, AuditEvent, ListAudit, RecordAudit},
    callback::{CallbackFormat, CallbackName, CreateCallback, ListCallbacks},
    name::Name,
    store::{Existing, StoreError},
};

use super::{START, StoreHarness, opera};

async fn create(harness: &StoreHarness, username: &str) -> Result<Account, StoreError> {
    let (username, password_hash) = (username.to_owned(), "$argon2id$1".to_owned());
    let (roles, by) = (AccountRoles::CLIENT, operator());
    harness.accounts(CreateAccount { username, password_hash, sandbox: false, roles, by }).await
}

fn operator() -> AuditActor {
    AuditActor::operator(Some("anna"))
}

/// Changes an account; none: there is none of this name.
async fn change(harness: &StoreHarness, username: &str, change: AccountChange) -> Option<Account> {
    let change = ChangeAccount { username: username.to_owned(), change, by: operator() };
    harness.accounts(change).await.unwrap()
}

async fn changes(harness: &StoreHarness) -> i64 {
    harness.accounts(CountAccountChanges).await.unwrap()
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
async fn a_password_is_replaced_at_once_or_rotated_with_the_one_before() {
    let Some(harness) = StoreHarness::new() else { return };
    create(&harness, "alice").await.unwrap();
    let until = START.plus(Duration::from_secs(60));
    let hash = |n: u8| format!("$argon2id${n}");
    let rotated = change(&harness, "alice", AccountChange::RotatePassword(hash(2), until)).await.unwrap();
    assert_eq!(
        rotated.former_password,
        Some(FormerPassword { hash: hash(1), until }).filter(|_| rotated.password_hash == hash(2))
    );
    assert_eq!(find(&harness, "alice").await.as_ref(), Some(&rotated));
    assert!(change(&harness, "bob", AccountChange::Password(hash(3))).await.is_none());
    let replaced = change(&harness, "alice", AccountChange::Password(hash(3))).await.unwrap();
    assert_eq!((replaced.password_hash, replaced.former_password), (hash(3), None), "both former ones are wrong");
}

#[actix_rt::test]
async fn every_limit_of_an_account_is_kept_and_taken_away() {
    let Some(harness) = StoreHarness::new() else { return };
    let before = create(&harness, "alice").await.unwrap();
    let roles = AccountRoles::from_iter([AccountRole::ReadOnly, AccountRole::Carrier]);
    let (network, code) = ("10.0.0.0/8", CountryCode::parse("27").unwrap());
    let sender = |name: &str| Address::sender(name).unwrap();
    let (senders, transports) = (vec![sender("MY,CLINIC"), sender("38080")], vec![opera()]);
    for limit in [
        AccountChange::Roles(roles),
        AccountChange::Expiry(Some(START)),
        AccountChange::Lock,
        AccountChange::Stop,
        AccountChange::Networks(vec![network.parse().unwrap()]),
        AccountChange::Senders(senders.clone()),
        AccountChange::Transports(transports.clone()),
        AccountChange::Countries(vec![code.clone()]),
        AccountChange::CountryCode(Some(code.clone())),
        AccountChange::RecipientsPerMinute(Some(600)),
        AccountChange::MostWaiting(Some(10_000)),
        AccountChange::SetBudget(BudgetUnit::Money, "12.5".parse().unwrap()),
        AccountChange::AddToBudget("0.25".parse().unwrap()),
    ] {
        assert!(change(&harness, "alice", limit).await.is_some());
    }
    let limited = find(&harness, "alice").await.unwrap();
    assert_eq!(harness.accounts(ListAccounts).await.unwrap(), std::slice::from_ref(&limited));
    let countries = vec![code.clone()];
    assert_eq!(limited.rights, SendingRights { senders, transports, countries, country_code: Some(code) });
    assert_eq!((limited.roles, limited.expires_at), (roles, Some(START)));
    assert_eq!((limited.locked_at, limited.stopped_at), (Some(START), Some(START)));
    assert_eq!(limited.networks, vec![network.parse().unwrap()]);
    let budget = Some(Budget { unit: BudgetUnit::Money, balance: Micros::new(12_750_000), spent: Micros::default() });
    let quotas = limited.quotas;
    assert_eq!((quotas.recipients_per_minute, quotas.most_waiting, quotas.budget), (Some(600), Some(10_000), budget));
    for free in [
        AccountChange::Roles(AccountRoles::CLIENT),
        AccountChange::Expiry(None),
        AccountChange::Unlock,
        AccountChange::Start,
        AccountChange::Networks(Vec::new()),
        AccountChange::Senders(Vec::new()),
        AccountChange::Transports(Vec::new()),
        AccountChange::Countries(Vec::new()),
        AccountChange::CountryCode(None),
        AccountChange::RecipientsPerMinute(None),
        AccountChange::MostWaiting(None),
        AccountChange::NoBudget,
        AccountChange::AddToBudget(Micros::whole(5)),
    ] {
        assert!(change(&harness, "alice", free).await.is_some());
    }
    assert_eq!(find(&harness, "alice").await, Some(before));
}

async fn add_token(harness: &StoreHarness, username: &str, label: &str) -> (TokenDigest, AddedToken) {
    let (digest, label) = (TokenDigest::of(&new_token()).unwrap(), Name::parse(label).unwrap());
    let add = AddToken {
        username: username.to_owned(),
        label,
        digest: digest.clone(),
        expires_at: Some(START),
        by: operator(),
    };
    let added = harness.accounts(add).await.unwrap();
    (digest, added)
}

#[actix_rt::test]
async fn a_token_finds_its_account_until_it_is_removed() {
    let Some(harness) = StoreHarness::new() else { return };
    let alice = create(&harness, "alice").await.unwrap();
    assert_eq!(add_token(&harness, "bob", "till").await.1, AddedToken::NoAccount);
    let (digest, added) = add_token(&harness, "alice", "till").await;
    assert_eq!((added, add_token(&harness, "alice", "till").await.1), (AddedToken::Added, AddedToken::LabelTaken));
    let find = |digest: &TokenDigest| harness.accounts(FindToken { digest: digest.clone() });
    let found = find(&digest).await.unwrap().unwrap();
    assert_eq!((&*found.account, found.token.label.as_str(), found.token.expires_at), (&alice, "till", Some(START)));
    assert_eq!(find(&TokenDigest::of(&new_token()).unwrap()).await.unwrap(), None);

    let list = |username: &str| harness.accounts(ListTokens { username: username.to_owned() });
    assert_eq!((list("alice").await.unwrap(), list("bob").await.unwrap()), (Some(vec![found.token]), None));
    let remove = || RemoveToken { username: "alice".to_owned(), label: Name::parse("till").unwrap(), by: operator() };
    assert!(harness.accounts(remove()).await.unwrap());
    assert!(!harness.accounts(remove()).await.unwrap());
    assert_eq!(find(&digest).await.unwrap(), None);
}

#[actix_rt::test]
async fn an_account_has_a_bounded_number_of_tokens() {
    let Some(harness) = StoreHarness::new() else { return };
    create(&harness, "alice").await.unwrap();
    for n in 0..AddToken::MOST {
        assert_eq!(add_token(&harness, "alice", &n.to_string()).await.1, AddedToken::Added);
    }
    assert_eq!(add_token(&harness, "alice", "one-more").await.1, AddedToken::TooMany);
}

#[actix_rt::test]
async fn each_change_is_counted_and_what_changes_nothing_is_not() {
    let Some(harness) = StoreHarness::new() else { return };
    assert_eq!(changes(&harness).await, 0);
    create(&harness, "alice").await.unwrap();
    assert!(create(&harness, "alice").await.is_err());
    assert_eq!(changes(&harness).await, 1);
    add_token(&harness, "alice", "till").await;
    add_token(&harness, "alice", "till").await;
    change(&harness, "alice", AccountChange::Lock).await;
    change(&harness, "bob", AccountChange::Lock).await;
    assert_eq!(changes(&harness).await, 3);
    harness.accounts(RemoveAccount { username: "alice".to_owned(), by: operator() }).await.unwrap();
    assert_eq!(changes(&harness).await, 4);
}

#[actix_rt::test]
async fn a_removed_accounts_sms_stay_and_its_number_goes_to_nobody() {
    let Some(harness) = StoreHarness::new() else { return };
    let alice = create(&harness, "alice").await.unwrap();
    assert_eq!(alice.id, super::ALICE);
    let kept = harness.accept(1).await.remove(0);
    let (name, url, secret) = (CallbackName::SmsReceipt, "http://a/".to_owned(), "s".to_owned());
    harness.callbacks(CreateCallback { account: alice.id, name, url, format: CallbackFormat::Form, secret }).await;

    let (digest, _) = add_token(&harness, "alice", "till").await;
    change(&harness, "alice", AccountChange::MostWaiting(Some(1))).await;

    let remove = || RemoveAccount { username: "alice".to_owned(), by: operator() };
    assert!(harness.accounts(remove()).await.unwrap());
    assert!(!harness.accounts(remove()).await.unwrap());
    assert_eq!(find(&harness, "alice").await, None);
    assert_eq!(harness.find(kept.id).await, kept);
    assert_eq!(kept.transport, opera());
    assert_eq!(harness.callbacks(ListCallbacks { account: alice.id }).await, []);
    assert_eq!(harness.accounts(FindToken { digest }).await.unwrap(), None);
    assert_eq!((harness.rows("account_tokens"), harness.rows("account_quotas")), (0, 0));
    assert_ne!(create(&harness, "alice").await.unwrap().id, alice.id);
}

/// The trail as `event: detail` of who.
async fn trail(harness: &StoreHarness, account: Option<&str>) -> Vec<String> {
    let list = ListAudit { since: None, account: account.map(str::to_owned), after: None, limit: 100 };
    let entries = harness.accounts(list).await.unwrap();
    entries.iter().map(|entry| format!("{}, {}: {}", entry.by, entry.event, entry.detail)).collect()
}

#[actix_rt::test]
async fn what_is_done_with_accounts_is_in_the_audit_trail_without_secrets() {
    let Some(harness) = StoreHarness::new() else { return };
    create(&harness, "alice").await.unwrap();
    create(&harness, "bob").await.unwrap();
    add_token(&harness, "alice", "till").await;
    change(&harness, "alice", AccountChange::Password("$argon2id$2".to_owned())).await;
    change(&harness, "alice", AccountChange::Senders(vec![Address::sender("38080").unwrap()])).await;
    harness.accounts(RemoveAccount { username: "alice".to_owned(), by: operator() }).await.unwrap();
    let expected = [
        "operator anna, account added: roles: client",
        "operator anna, token added: token till, expires 2027-01-15 08:00:00",
        "operator anna, account changed: password",
        "operator anna, account changed: senders: 38080",
        "operator anna, account removed: ",
    ];
    assert_eq!(trail(&harness, Some("alice")).await, expected);
    assert_eq!(trail(&harness, None).await.len(), 6);
}

#[actix_rt::test]
async fn the_audit_trail_is_listed_by_pages_and_from_a_time_on() {
    let Some(harness) = StoreHarness::new() else { return };
    for n in 0..5 {
        let (by, address) = (AuditActor::account("alice"), Some("203.0.113.9".parse().unwrap()));
        let account = (n > 0).then(|| "alice".to_owned());
        let record = RecordAudit { by, address, account, event: AuditEvent::LogIn, detail: n.to_string() };
        harness.accounts(record).await.unwrap();
        if n % 2 == 1 {
            harness.advance(60);
        }
    }
    let list = async |since, after, limit| {
        let page = ListAudit { since, account: Some("alice".to_owned()), after, limit };
        harness.accounts(page).await.unwrap()
    };
    let details =
        |page: &[vumi_kit::audit::AuditEntry]| page.iter().map(|entry| entry.detail.clone()).collect::<Vec<_>>();
    let first = list(None, None, 2).await;
    assert_eq!((details(&first), first[0].address.as_deref()), (vec!["1".into(), "2".into()], Some("203.0.113.9")));
    let rest = list(None, first.last().map(|entry| (entry.at, entry.id)), 10).await;
    assert_eq!(details(&rest), ["3", "4"]);
    assert_eq!(details(&list(Some(START.plus(Duration::from_secs(61))), None, 10).await), ["4"]);
}

#[actix_rt::test]
async fn an_entry_of_the_audit_trail_is_never_changed_and_goes_when_it_is_old() {
    let Some(harness) = StoreHarness::with(|settings| settings.keep_audit = Duration::from_secs(24 * 3600)) else {
        return;
    };
    create(&harness, "alice").await.unwrap();
    let refused = harness.fixture.connect().batch_execute("UPDATE audit SET detail = 'nothing'").unwrap_err();
    assert!(refused.to_string().contains("append-only"), "{refused}");
    harness.advance(24 * 3600);
    create(&harness, "bob").await.unwrap();
    harness.sweep().await;
    assert_eq!(harness.rows("audit"), 2, "a day old, and no older");
    harness.advance(1);
    harness.sweep().await;
    assert_eq!(trail(&harness, Some("alice")).await, Vec::<String>::new());
    assert_eq!(harness.rows("audit"), 1);
}

#[test]
fn only_the_audit_trails_own_file_writes_it() {
    let queries = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let mut folders = vec![std::path::PathBuf::from(queries)];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs")
                && !path.ends_with("queries/audit.rs")
                && !path.ends_with("suite/accounts.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                for wrong in ["audit::table", "DELETE FROM audit", "UPDATE audit", "TRUNCATE audit"] {
                    assert!(!text.contains(wrong), "{}: {wrong}", path.display());
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
}
