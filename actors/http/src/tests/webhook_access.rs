//! Who may call webhooks, and whose the SMS are that they bring.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use vumi_kit::ledger::{SmsOwner, SmsOwners};

use super::{assert_problem, harness::HttpHarness, header};
use crate::{HttpContext, HttpSettings, RateSettings};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Sets who may call the webhooks of clickatell.
fn access(context: &mut HttpContext, table: Value) {
    let mount = context.transports.iter_mut().find(|mount| mount.transport.as_str() == "clickatell").unwrap();
    mount.access = serde_json::from_value(table).unwrap();
}

async fn with_access(table: Value) -> HttpHarness {
    HttpHarness::start_with(HttpSettings::default(), |context| access(context, table)).await
}

/// A receipt for the SMS 1, or an SMS from a person, without credentials.
fn receipt(harness: &HttpHarness, below: &str) -> RequestBuilder {
    harness.client.post(harness.url(&format!("/api/v1/{below}/receipt.json"))).form(&[("id", "1")])
}

fn inbound(harness: &HttpHarness, below: &str) -> RequestBuilder {
    let form = [("from", "+27123"), ("text", "hi")];
    harness.client.post(harness.url(&format!("/api/v1/{below}/receive.json"))).form(&form)
}

/// A call of the API by another account than the first.
fn send_as(harness: &HttpHarness, user: &str) -> RequestBuilder {
    let form = [("to_msisdn", "27123456780"), ("from_msisdn", "27123456789"), ("message", "hello world")];
    let request = harness.client.post(harness.url("/api/v1/sms/clickatell/send.json")).form(&form);
    request.basic_auth(user, Some("secret"))
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[actix_web::test]
async fn a_clients_account_calls_no_webhook_and_is_told_the_cure() {
    let harness = HttpHarness::start(HttpSettings::default()).await;
    for request in
        [receipt(&harness, "sms/clickatell"), inbound(&harness, "sms/clickatell"), inbound(&harness, "sms/none")]
    {
        let response = request.basic_auth("other", Some("secret")).send().await.unwrap();
        assert_problem(&response, 403);
        let problem: Value = response.json().await.unwrap();
        let cure = problem["detail"].as_str().unwrap();
        assert!(cure.contains("/api/v1/hooks/") && cure.contains("--role carrier"), "{cure}");
    }
    assert!(harness.stored().inbound.is_empty() && harness.stored().receipts.is_empty());
}

#[actix_web::test]
async fn a_carriers_account_calls_webhooks_and_nothing_else() {
    let harness = HttpHarness::start(HttpSettings::default()).await;
    assert_eq!(status(inbound(&harness, "sms/clickatell").basic_auth("hooks", Some("secret"))).await, 200);
    let send = send_as(&harness, "hooks").send().await.unwrap();
    assert_problem(&send, 403);
    let text = send.text().await.unwrap();
    assert!(text.contains("vumi account role hooks client"), "{text}");
    assert_eq!(status(inbound(&harness, "sms/none").basic_auth("hooks", Some("secret"))).await, 404);
}

#[actix_web::test]
async fn only_the_accounts_that_a_transport_names_call_its_webhooks() {
    let harness = with_access(json!({ "users": ["hooks"] })).await;
    assert_eq!(status(inbound(&harness, "sms/clickatell").basic_auth("hooks", Some("secret"))).await, 200);
    assert_eq!(status(inbound(&harness, "sms/clickatell").basic_auth("username", Some("password"))).await, 403);
}

#[actix_web::test]
async fn a_token_in_the_path_opens_the_webhooks_of_its_transport_and_no_others() {
    let harness = with_access(json!({ "token": TOKEN })).await;
    let hooks = format!("hooks/clickatell/{TOKEN}");
    assert_eq!(status(inbound(&harness, &hooks)).await, 200);
    harness.send().send().await.unwrap();
    assert_eq!(status(receipt(&harness, &hooks)).await, 201);
    // As declared: another path, another method.
    let other = harness.client.post(harness.url(&format!("/api/v1/{hooks}/receive.xml"))).send().await.unwrap();
    assert_problem(&other, 405);
    assert_eq!(status(harness.client.put(harness.url(&format!("/api/v1/{hooks}/receive.json")))).await, 405);
    let wrong = TOKEN.replace('0', "1");
    for below in [
        format!("hooks/opera/{TOKEN}"),
        format!("hooks/none/{TOKEN}"),
        format!("hooks/clickatell/{wrong}"),
        format!("hooks/clickatell/{TOKEN}0"),
        "hooks/clickatell/0".to_owned(),
        "hooks/techsys/null".to_owned(),
    ] {
        assert_eq!(status(inbound(&harness, &below)).await, 403, "{below}");
    }
    // Without it, the other path wants an account, as ever.
    assert_problem(&inbound(&harness, "sms/clickatell").send().await.unwrap(), 401);
    assert_eq!(status(inbound(&harness, "sms/clickatell").basic_auth("hooks", Some("secret"))).await, 200);
    assert_eq!(harness.stored().inbound.len(), 2);
}

#[actix_web::test]
async fn a_signed_call_is_let_in_and_one_with_a_wrong_signature_is_not_read() {
    let harness = with_access(json!({ "hmac": { "header": "x-signature", "secret": "Jefe" } })).await;
    let signed = |body: &'static str, signature: &'static str| {
        let request = harness.client.post(harness.url("/api/v1/sms/clickatell/receive.json"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.header("x-signature", signature).body(body)
    };
    // HMAC-SHA256 with the key `Jefe`, computed with Python.
    let signature = "1885f1757bd85c221d5ad0c05b8d97bcc622d5daf313b66f3bf673d6c27a10c3";
    assert_eq!(status(signed("from=%2B27123&text=hi", signature)).await, 200);
    assert_problem(&signed("from=%2B27124&text=hi", signature).send().await.unwrap(), 403);
    assert_problem(&inbound(&harness, "sms/clickatell").send().await.unwrap(), 403);
    // An account needs no signature; a wrong one is not made right by it.
    assert_eq!(status(inbound(&harness, "sms/clickatell").basic_auth("hooks", Some("secret"))).await, 200);
    assert_eq!(status(inbound(&harness, "sms/clickatell").basic_auth("hooks", Some("wrong"))).await, 401);
    assert_eq!(harness.stored().inbound.len(), 2);
}

#[actix_web::test]
async fn a_call_from_another_network_is_refused_whatever_it_shows() {
    let elsewhere = json!({ "token": TOKEN, "networks": ["203.0.113.0/24"] });
    let harness = with_access(elsewhere.clone()).await;
    let hooks = format!("hooks/clickatell/{TOKEN}");
    assert_eq!(status(inbound(&harness, &hooks)).await, 403);
    assert_eq!(status(inbound(&harness, "sms/clickatell").basic_auth("hooks", Some("secret"))).await, 403);
    // A header is believed from trusted proxies only.
    assert_eq!(status(inbound(&harness, &hooks).header("x-forwarded-for", "203.0.113.9")).await, 403);
    let trusted = serde_json::from_value(json!(["127.0.0.1"])).unwrap();
    let settings = HttpSettings { trusted_proxies: trusted, ..HttpSettings::default() };
    let harness = HttpHarness::start_with(settings, |context| access(context, elsewhere)).await;
    assert_eq!(status(inbound(&harness, &hooks).header("x-forwarded-for", "203.0.113.9")).await, 200);
    assert_eq!(status(inbound(&harness, &hooks).header("x-forwarded-for", "203.0.114.9")).await, 403);
    // The address alone is a credential where there is no other.
    let harness = with_access(json!({ "networks": ["127.0.0.0/8"] })).await;
    assert_eq!(status(inbound(&harness, "sms/clickatell")).await, 200);
}

#[actix_web::test]
async fn an_sms_belongs_to_the_client_that_posted_it_else_to_whom_the_settings_name() {
    let harness = HttpHarness::start_with(HttpSettings::default(), |context| {
        access(context, json!({ "token": TOKEN }));
        context.owners = SmsOwners::new(|transport, sms| {
            (transport.as_str() == "clickatell" && sms.message == "hi").then(|| "clinic".to_owned())
        });
    })
    .await;
    let hooks = format!("hooks/clickatell/{TOKEN}");
    inbound(&harness, &hooks).send().await.unwrap();
    inbound(&harness, "sms/clickatell").basic_auth("hooks", Some("secret")).send().await.unwrap();
    inbound(&harness, "sms/clickatell").basic_auth("username", Some("password")).send().await.unwrap();
    let form = [("from", "+27123"), ("text", "ho")];
    harness.client.post(harness.url(&format!("/api/v1/{hooks}/receive.json"))).form(&form).send().await.unwrap();
    let clinic = || SmsOwner::Named("clinic".to_owned());
    assert_eq!(harness.stored().owners, [clinic(), clinic(), SmsOwner::Account(1), SmsOwner::Nobody]);
}

#[actix_web::test]
async fn no_rate_counts_for_what_a_provider_brings() {
    let rates =
        RateSettings { sending: 1, receipts: Some(1), inbound: Some(1), reading: 1, callbacks: 1, conversations: 1 };
    let harness = HttpHarness::start(HttpSettings { rates, ..HttpSettings::default() }).await;
    for _ in 0..20 {
        let response =
            inbound(&harness, "sms/clickatell").basic_auth("username", Some("password")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "ratelimit"), "");
    }
    for _ in 0..20 {
        let request = harness.call(Method::POST, "sms/clickatell/receipt.json").form(&[("id", "1")]);
        assert_ne!(status(request).await, 429);
    }
}

#[actix_web::test]
async fn the_sandboxs_account_is_let_in_only_with_a_sandbox_and_never_through_a_proxy() {
    let trusted: Vec<_> = serde_json::from_value(json!(["127.0.0.1"])).unwrap();
    for (sandbox_account, proxies, expected) in
        [(true, vec![], 200), (false, vec![], 401), (true, trusted.clone(), 401), (false, trusted, 401)]
    {
        let settings = HttpSettings { trusted_proxies: proxies, ..HttpSettings::default() };
        let change = |context: &mut HttpContext| context.sandbox_account = sandbox_account;
        let harness = HttpHarness::start_with(settings, change).await;
        harness.stored().accounts[0].sandbox = true;
        assert_eq!(status(harness.send()).await, expected, "{sandbox_account}");
        assert_eq!(
            status(inbound(&harness, "sms/clickatell").basic_auth("username", Some("password"))).await,
            expected
        );
        // Another account is none of a sandbox's.
        assert_eq!(status(send_as(&harness, "other")).await, 200);
    }
}
