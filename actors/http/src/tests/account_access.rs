//! Tokens, rotated passwords, roles and limits of accounts.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use vumi_kit::{
    account::{
        Account, AccountRole, AccountRoles, AccountToken, FormerPassword, SendingRights, TokenDigest, new_token,
    },
    address::{Address, CountryCode},
    audit::RecordAudit,
    clock::Timestamp,
    name::Name,
};

use super::{assert_problem, harness::HttpHarness, stored::test_time};
use crate::{HttpSettings, RateSettings};
use vumi_front_kit::password::hash_password;

/// The moment at which the harness's clock stands.
const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// Gives the second account a token.
fn add_token(harness: &HttpHarness, expires_at: Option<Timestamp>) -> String {
    let (token, label) = (new_token(), Name::parse("till").unwrap());
    let kept = AccountToken { label, created_at: test_time(), expires_at };
    harness.stored().tokens.push((TokenDigest::of(&token).unwrap(), kept, "other".to_owned()));
    token
}

/// Changes the second account.
fn change(harness: &HttpHarness, change: impl FnOnce(&mut Account)) {
    let mut stored = harness.stored();
    change(&mut stored.accounts[1]);
    stored.account_changes += 1;
}

/// Nothing is remembered of accounts for longer than it is looked whether one was changed.
async fn forgetful() -> HttpHarness {
    HttpHarness::start(HttpSettings { account_ttl: Duration::from_nanos(1), ..HttpSettings::default() }).await
}

fn status_call(harness: &HttpHarness) -> RequestBuilder {
    harness.client.get(harness.url("/api/v1/sms/clickatell/status/1.json"))
}

/// A valid SMS by the second account, with these fields changed.
fn send_by_other(harness: &HttpHarness, path: &str, changed: &[(&str, &str)]) -> RequestBuilder {
    let fields = [("to_msisdn", "27123456780"), ("from_msisdn", "27123456789"), ("message", "hello world")];
    let of = |name: &str| changed.iter().find(|(field, _)| *field == name).map(|(_, value)| *value);
    let form: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, of(name).unwrap_or(value))).collect();
    harness.client.post(harness.url(path)).basic_auth("other", Some("secret")).form(&form)
}

/// Asserts a status, and answers the sentence.
async fn refused(request: RequestBuilder, status: u16) -> String {
    let response = request.send().await.unwrap();
    assert_problem(&response, status);
    let problem: Value = response.json().await.unwrap();
    problem["detail"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_token_logs_in_as_a_password_and_as_a_bearers_and_costs_one_read() {
    // A password that is tried would be the one that is allowed.
    let harness = HttpHarness::start(HttpSettings { wrong_passwords: 1, ..HttpSettings::default() }).await;
    let token = add_token(&harness, None);
    for _ in 0..3 {
        let basic = status_call(&harness).basic_auth("other", Some(&token)).send().await.unwrap();
        let bearer = status_call(&harness).bearer_auth(&token).send().await.unwrap();
        assert_eq!((basic.status(), bearer.status()), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    }
    assert_eq!(harness.stored().lookups, 1);
    let strangers = [
        status_call(&harness).basic_auth("username", Some(&token)),
        status_call(&harness).bearer_auth(new_token()),
        status_call(&harness).basic_auth("other", Some(new_token())),
        status_call(&harness).bearer_auth("vumi_short"),
    ];
    for stranger in strangers {
        let detail = refused(stranger, 401).await;
        assert!(detail.contains("Bearer"), "{detail}");
    }
}

#[actix_web::test]
async fn made_up_tokens_are_bounded_and_one_that_logged_in_before_is_not() {
    let settings = HttpSettings { wrong_passwords: 1, account_ttl: Duration::from_nanos(1), ..HttpSettings::default() };
    let harness = HttpHarness::start(settings).await;
    let token = add_token(&harness, None);
    assert_eq!(status_call(&harness).bearer_auth(&token).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(status_call(&harness).bearer_auth(new_token()).send().await.unwrap().status().as_u16());
    }
    assert!(statuses.contains(&401) && statuses.ends_with(&[429]), "{statuses:?}");
    assert_eq!(status_call(&harness).bearer_auth(&token).send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn a_change_in_whatever_process_counts_although_the_account_is_remembered() {
    let (account_ttl, rates) = (Duration::from_secs(3600), RateSettings { reading: 0, ..RateSettings::default() });
    let harness = HttpHarness::start(HttpSettings { account_ttl, rates, ..HttpSettings::default() }).await;
    let token = add_token(&harness, None);
    let by_password = || status_call(&harness).basic_auth("other", Some("secret"));
    let by_token = || status_call(&harness).bearer_auth(&token);
    for call in [by_password(), by_token()] {
        assert_eq!(call.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }
    change(&harness, |account| account.locked_at = Some(NOW));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while by_token().send().await.unwrap().status() != StatusCode::FORBIDDEN {
        assert!(tokio::time::Instant::now() < deadline, "it is let in for as long as it is remembered");
    }
    for call in [by_password(), by_token()] {
        let detail = refused(call, 403).await;
        assert!(detail.contains("`vumi account unlock other`"), "{detail}");
    }
    let detail = refused(status_call(&harness).basic_auth("other", Some("wrong")), 401).await;
    assert!(!detail.contains("locked"), "{detail}");
    let read = harness.stored().lookups;
    assert_eq!(by_token().send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(harness.stored().lookups, read, "remembered again");
}

#[actix_web::test]
async fn during_a_rotation_two_passwords_are_right_and_afterwards_one() {
    let harness = forgetful().await;
    let call = |password: &'static str| status_call(&harness).basic_auth("other", Some(password)).send();
    let rotated = |until: Timestamp| {
        change(&harness, |account| {
            account.password_hash = hash_password("new").unwrap();
            account.former_password = Some(FormerPassword { hash: hash_password("secret").unwrap(), until });
        });
    };
    rotated(NOW.plus(Duration::from_secs(1)));
    for password in ["secret", "new", "secret"] {
        assert_eq!(call(password).await.unwrap().status(), StatusCode::NOT_FOUND, "{password}");
    }
    assert_eq!(call("wrong").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    rotated(NOW);
    assert_eq!(call("secret").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(call("new").await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn what_has_expired_or_comes_from_elsewhere_is_a_403_that_says_what_to_do() {
    let proxies = serde_json::from_value(json!(["127.0.0.0/8"])).unwrap();
    let settings =
        HttpSettings { account_ttl: Duration::from_nanos(1), trusted_proxies: proxies, ..HttpSettings::default() };
    let harness = HttpHarness::start(settings).await;
    let (old, good) = (add_token(&harness, Some(NOW)), add_token(&harness, Some(NOW.plus(Duration::from_secs(60)))));
    let detail = refused(status_call(&harness).bearer_auth(&old), 403).await;
    assert!(detail.contains("`vumi account token add other`") && detail.contains("2026-09-21"), "{detail}");
    assert_eq!(status_call(&harness).bearer_auth(&good).send().await.unwrap().status(), StatusCode::NOT_FOUND);

    change(&harness, |account| account.networks = vec!["203.0.113.0/24".parse().unwrap()]);
    let from = |address: &str| status_call(&harness).bearer_auth(&good).header("x-forwarded-for", address);
    assert_eq!(from("198.51.100.1, 203.0.113.9").send().await.unwrap().status(), StatusCode::NOT_FOUND);
    // What the client itself writes before the proxy does is not believed.
    let detail = refused(from("203.0.113.9, 198.51.100.1"), 403).await;
    assert!(detail.contains("(198.51.100.1)") && detail.contains("vumi account allow other"), "{detail}");

    change(&harness, |account| account.expires_at = Some(NOW));
    let detail = refused(from("203.0.113.9"), 403).await;
    assert!(detail.contains("`vumi account expire other DATE`"), "{detail}");
    assert_eq!(harness.stored().sms.len(), 0);
}

#[actix_web::test]
async fn who_may_only_read_reads_and_changes_nothing() {
    let harness = forgetful().await;
    change(&harness, |account| account.roles = AccountRoles::from_iter([AccountRole::ReadOnly]));
    let call = |method: Method, path: &str| {
        harness.client.request(method, harness.url(&format!("/api/v1/{path}"))).basic_auth("other", Some("secret"))
    };
    for (path, status) in [("sms/clickatell/status.json?id=1", 200), ("account/callbacks.json", 200), ("nothing", 404)]
    {
        assert_eq!(call(Method::GET, path).send().await.unwrap().status().as_u16(), status, "{path}");
    }
    for (method, path) in [
        (Method::POST, "sms/clickatell/send.json"),
        (Method::POST, "account/callbacks.json"),
        (Method::DELETE, "account/callbacks/3.json"),
        (Method::GET, "sms/clickatell/receipt.json?id=1"),
    ] {
        let detail = refused(call(method, path), 403).await;
        assert!(path.contains("receipt") || detail.contains("`vumi account role other client`"), "{path}: {detail}");
    }
}

#[actix_web::test]
async fn what_an_account_may_not_send_is_refused_and_every_wrong_field_is_named() {
    let harness = forgetful().await;
    let (sender, code) = (Address::sender("38080").unwrap(), CountryCode::parse("27").unwrap());
    change(&harness, |account| {
        account.rights = SendingRights {
            senders: vec![sender],
            transports: vec![Name::parse("clickatell").unwrap()],
            countries: vec![code.clone()],
            country_code: Some(code),
        };
    });
    let send = "/api/v1/sms/clickatell/send.json";
    let response =
        send_by_other(&harness, send, &[("to_msisdn", "447700900123"), ("message", " ")]).send().await.unwrap();
    assert_problem(&response, 400);
    let problem: Value = response.json().await.unwrap();
    let fields: Vec<&str> = problem["errors"].as_array().unwrap().iter().filter_map(|e| e["field"].as_str()).collect();
    assert_eq!(fields, ["to_msisdn", "from_msisdn", "message"]);
    assert!(problem["errors"][1]["detail"].as_str().unwrap().contains("38080"), "{problem}");

    // A number within the country is mended before it is looked at.
    let allowed = send_by_other(&harness, send, &[("to_msisdn", "0831234567"), ("from_msisdn", "38080")]).send().await;
    assert_eq!(allowed.unwrap().status(), StatusCode::OK);
    assert_eq!(harness.stored().sms[0].to.as_str(), "27831234567");
    let detail =
        refused(send_by_other(&harness, "/api/v1/sms/techsys/send.json", &[("from_msisdn", "38080")]), 403).await;
    assert!(detail.contains("it may send over: clickatell"), "{detail}");
}

#[actix_web::test]
async fn nothing_is_sent_for_a_stopped_account_which_may_still_read() {
    let harness = forgetful().await;
    change(&harness, |account| account.stopped_at = Some(NOW));
    for path in ["/api/v1/sms/clickatell/send.json", "/api/v1/sms/clickatell/template_send.json"] {
        let detail = refused(send_by_other(&harness, path, &[]), 403).await;
        assert!(detail.contains("`vumi account start other`"), "{detail}");
    }
    let read = status_call(&harness).basic_auth("other", Some("secret")).send().await.unwrap();
    assert_eq!(read.status(), StatusCode::NOT_FOUND);
    assert_eq!(harness.send().send().await.unwrap().status(), StatusCode::OK, "another account");
}

/// The audit trail as `event of whom: detail from where`, once it has so many entries.
async fn audit_of(harness: &HttpHarness, entries: usize) -> Vec<String> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while harness.stored().audit.len() < entries {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", harness.stored().audit);
        tokio::task::yield_now().await;
    }
    let stored = harness.stored();
    let line = |entry: &RecordAudit| {
        let (account, address) = (entry.account.as_deref().unwrap(), entry.address.unwrap());
        assert_eq!(entry.by.as_str(), format!("account {account}"));
        format!("{} of {account}: {} from {address}", entry.event.as_str(), entry.detail)
    };
    stored.audit.iter().map(line).collect()
}

#[actix_web::test]
async fn the_first_log_in_of_each_credential_and_address_is_noted_and_not_every_call() {
    let proxies = serde_json::from_value(json!(["127.0.0.0/8"])).unwrap();
    let harness = HttpHarness::start(HttpSettings { trusted_proxies: proxies, ..HttpSettings::default() }).await;
    let token = add_token(&harness, None);
    for _ in 0..3 {
        for address in ["203.0.113.9", "198.51.100.1"] {
            let by_token = status_call(&harness).bearer_auth(&token).header("x-forwarded-for", address);
            assert_eq!(by_token.send().await.unwrap().status(), StatusCode::NOT_FOUND);
        }
        let by_password = status_call(&harness).basic_auth("other", Some("secret"));
        assert_eq!(by_password.header("x-forwarded-for", "203.0.113.9").send().await.unwrap().status(), 404);
        let wrong = status_call(&harness).basic_auth("other", Some("wrong")).header("x-forwarded-for", "203.0.113.9");
        assert_eq!(wrong.send().await.unwrap().status(), 401);
        assert_eq!(status_call(&harness).send().await.unwrap().status(), 401, "no log-in at all");
    }
    let mut noted = audit_of(&harness, 4).await;
    noted.sort();
    assert_eq!(
        noted,
        [
            "log-in of other: by password from 203.0.113.9",
            "log-in of other: by token till from 198.51.100.1",
            "log-in of other: by token till from 203.0.113.9",
            "refused log-in of other: wrong credentials from 203.0.113.9",
        ]
    );
}

#[actix_web::test]
async fn refused_log_ins_are_noted_with_their_reason_and_bounded() {
    let settings =
        HttpSettings { account_ttl: Duration::from_nanos(1), wrong_passwords: 100, ..HttpSettings::default() };
    let harness = HttpHarness::start(settings).await;
    change(&harness, |account| account.locked_at = Some(NOW));
    refused(status_call(&harness).basic_auth("other", Some("secret")), 403).await;
    assert_eq!(audit_of(&harness, 1).await, ["refused log-in of other: the account is locked from 127.0.0.1"]);
    for _ in 0..80 {
        refused(status_call(&harness).bearer_auth(new_token()), 401).await;
        let name = new_token().split_off(50);
        refused(status_call(&harness).basic_auth(name, Some(new_token())), 401).await;
    }
    let noted = audit_of(&harness, 50).await.len();
    assert!(noted < 70, "{noted}");
}
