//! Conversations of accounts and their versions.

use vumi_kit::{
    account::{AccountChange, AccountRoles, ChangeAccount, CreateAccount, FindAccount, RemoveAccount},
    audit::AuditActor,
    conversation::{
        Conversation, CountConversationChanges, DeleteConversation, FindConversation, FindConversationVersion,
        KEPT_VERSIONS, KeptConversation, ListConversations, MOST_CONVERSATIONS, PutConversation,
    },
    name::Name,
};

use super::StoreHarness;

fn put(account: i64, name: Option<&str>, ussd: Option<&str>, text: &str) -> PutConversation {
    PutConversation {
        account,
        name: name.map(|name| Name::parse(name).unwrap()),
        ussd: ussd.map(|code| code.parse().unwrap()),
        sms: None,
        text: text.to_owned(),
        replace: false,
    }
}

async fn kept(harness: &StoreHarness, put: PutConversation) -> Conversation {
    match harness.accounts(put).await.unwrap() {
        KeptConversation::Kept(conversation, _) => conversation,
        other => panic!("{other:?}"),
    }
}

async fn changes(harness: &StoreHarness) -> i64 {
    harness.accounts(CountConversationChanges).await.unwrap()
}

#[actix_rt::test]
async fn a_conversation_of_the_same_name_is_another_version_and_the_one_before_stays() {
    let Some(harness) = StoreHarness::new() else { return };
    let first = kept(&harness, put(1, Some("water"), Some("*120#"), "one")).await;
    let second = kept(&harness, put(1, Some("water"), None, "two")).await;
    assert_eq!((first.version, second.version, second.id), (1, 2, first.id));
    assert_eq!(second.ussd, first.ussd, "what is not said stays");
    let find = FindConversation { account: 1, name: first.name.clone() };
    assert_eq!(harness.accounts(find).await.unwrap(), Some((second, "two".to_owned())));
    let text = |version| FindConversationVersion { id: first.id, version };
    assert_eq!(harness.accounts(text(1)).await.unwrap().as_deref(), Some("one"));
    for _ in 0..KEPT_VERSIONS {
        kept(&harness, put(1, Some("water"), None, "later")).await;
    }
    assert_eq!(harness.accounts(text(2)).await.unwrap(), None, "a bounded number is kept");
    assert!(harness.accounts(text(3)).await.unwrap().is_some());
    assert_eq!(changes(&harness).await, KEPT_VERSIONS + 2);
}

#[actix_rt::test]
async fn a_code_leads_to_one_conversation_whoever_posts_it() {
    let Some(harness) = StoreHarness::new() else { return };
    let first = kept(&harness, put(1, Some("water"), Some("*120#"), "one")).await;
    let taken = harness.accounts(put(2, Some("water"), Some("*120#"), "x")).await.unwrap();
    assert_eq!(taken, KeptConversation::CodeTaken("*120#".parse().unwrap()));
    let unnamed = kept(&harness, put(1, None, None, "x")).await;
    assert_eq!(unnamed.name.as_str(), format!("conversation-{}", unnamed.id));
    assert_eq!(harness.accounts(ListConversations { account: Some(2) }).await.unwrap(), []);
    let all = harness.accounts(ListConversations { account: None }).await.unwrap();
    assert_eq!(all, [first.clone(), unnamed]);
    assert!(!harness.accounts(DeleteConversation { account: 2, name: first.name.clone() }).await.unwrap());
    assert!(harness.accounts(DeleteConversation { account: 1, name: first.name.clone() }).await.unwrap());
    assert_eq!(kept(&harness, put(2, Some("water"), Some("*120#"), "x")).await.version, 1);
    let replace = PutConversation { replace: true, ..put(1, Some("water"), None, "x") };
    assert_eq!(harness.accounts(replace).await.unwrap(), KeptConversation::NotFound);
}

#[actix_rt::test]
async fn an_account_has_a_bounded_number_and_they_go_with_it() {
    let Some(harness) = StoreHarness::new() else { return };
    let (username, by) = ("alice".to_owned(), AuditActor::router());
    let create = CreateAccount {
        username: username.clone(),
        password_hash: String::new(),
        sandbox: false,
        roles: AccountRoles::CLIENT,
        by: by.clone(),
    };
    let account = harness.accounts(create).await.unwrap().id;
    for _ in 0..MOST_CONVERSATIONS {
        kept(&harness, put(account, None, None, "x")).await;
    }
    assert_eq!(harness.accounts(put(account, None, None, "x")).await.unwrap(), KeptConversation::TooMany);
    let change = AccountChange::Codes("*120#\nWATER".parse().unwrap());
    harness.accounts(ChangeAccount { username: username.clone(), change, by: by.clone() }).await.unwrap();
    let found = harness.accounts(FindAccount { username: username.clone() }).await.unwrap().unwrap();
    assert_eq!(found.codes.to_string(), "*120#\nWATER");
    assert!(harness.accounts(RemoveAccount { username, by }).await.unwrap());
    assert_eq!((harness.rows("conversations"), harness.rows("conversation_versions")), (0, 0));
}
