//! The providers that the router reaches with `kind = "http"`.

use actix_web::http::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::harness::SandboxHarness;
use crate::{AfricasTalkingSettings, SandboxSettings, TwilioSettings};

const MESSAGING: &str = "africas-talking/version1/messaging";
const MESSAGES: &str = "twilio/2010-04-01/Accounts/AC1/Messages.json";

fn fields(form: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(form.as_bytes()).into_owned().collect()
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

async fn africas_talking(harness: &SandboxHarness, key: &str, accept: &str, form: &[(&str, &str)]) -> (u16, String) {
    let request = harness.client.post(harness.url(MESSAGING)).header("apiKey", key).header("accept", accept).form(form);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn twilio(harness: &SandboxHarness, user: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let request = harness.client.post(harness.url(MESSAGES)).basic_auth(user, Some("token")).form(form);
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn africas_talking_answers_each_recipient_and_posts_a_receipt() {
    let own = AfricasTalkingSettings {
        api_key: Some(SecretString::from("key")),
        sender: Some("38080".to_owned()),
        ..AfricasTalkingSettings::default()
    };
    let mut harness = SandboxHarness::start(SandboxSettings { africas_talking: own, ..Default::default() }, &[]).await;
    let sms = [("username", "u"), ("to", "+27831234567,27831234568"), ("message", "a & b"), ("from", "38080")];
    let (status, body) = africas_talking(&harness, "key", "application/json", &sms).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let data = &body["SMSMessageData"];
    assert_eq!((status, &data["Message"]), (201, &json!("Sent to 1/2 Total Cost: ZAR 0.2000")));
    let id = data["Recipients"][0]["messageId"].as_str().unwrap();
    assert!(id.starts_with("ATXid_"), "{id}");
    let refused = json!({"statusCode": 403, "number": "27831234568", "status": "InvalidPhoneNumber", "cost": "0",
        "messageId": "None"});
    assert_eq!((&data["Recipients"][0]["statusCode"], &data["Recipients"][1]), (&json!(101), &refused));

    let receipt = harness.called().await;
    assert_eq!((receipt.method, receipt.path.as_str()), (Method::POST, "/api/v1/sms/africas-talking/receipt.json"));
    let receipt = fields(&receipt.body);
    let values = ["id", "status", "phoneNumber"].map(|name| field(&receipt, name));
    assert_eq!(values, [id, "Success", "+27831234567"]);
    assert_eq!(harness.seen("africas-talking").await["ids"], json!({"+27831234567 a & b": 1}));
}

#[tokio::test]
async fn africas_talking_refuses_in_three_ways_and_answers_xml_by_default() {
    let own = AfricasTalkingSettings { sender: Some("38080".to_owned()), ..AfricasTalkingSettings::default() };
    let harness = SandboxHarness::start(SandboxSettings { africas_talking: own, ..Default::default() }, &[]).await;
    let sms = |from, message| [("username", "u"), ("to", "+27831234567"), ("from", from), ("message", message)];
    let invalid = (401, "The supplied authentication is invalid".to_owned());
    assert_eq!(africas_talking(&harness, "", "application/json", &sms("38080", "a")).await, invalid);
    let missing = (400, "Request is missing required form field 'message'".to_owned());
    assert_eq!(africas_talking(&harness, "k", "application/json", &sms("38080", "")).await, missing);
    let wrong_sender = (201, r#"{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}"#.to_owned());
    assert_eq!(africas_talking(&harness, "k", "application/json", &sms("Me", "a")).await, wrong_sender);
    harness.misbehave("africas-talking", json!({"refuse_every": 1, "refuse_with": "405, InsufficientBalance"})).await;
    let (_, xml) = africas_talking(&harness, "k", "*/*", &sms("38080", "a")).await;
    assert!(xml.contains("<status>InsufficientBalance</status><statusCode>405</statusCode>"), "{xml}");
    let counts =
        (harness.count("africas-talking", "refused").await, harness.count("africas-talking", "submissions").await);
    assert_eq!(counts, (4, 0));
}

#[tokio::test]
async fn twilio_takes_an_sms_and_calls_the_status_callback() {
    let own = TwilioSettings { account: Some("AC1".to_owned()), ..TwilioSettings::default() };
    let mut harness = SandboxHarness::start(SandboxSettings { twilio: own, ..Default::default() }, &[]).await;
    harness.misbehave("twilio", json!({"receipt_status": "undelivered", "receipt_delay": "0s"})).await;
    let sms = [("To", "+27831234567"), ("From", "+27820000000"), ("Body", "hello")];
    let (status, silent) = twilio(&harness, "AC1", &sms).await;
    assert_eq!((status, &silent["status"]), (201, &json!("queued")));
    let (_, taken) = twilio(&harness, "AC1", &[&sms[..], &[("StatusCallback", "https://example.com")]].concat()).await;
    let receipt = harness.called().await;
    assert_eq!(receipt.path, "/api/v1/sms/twilio/receipt.json");
    let receipt = fields(&receipt.body);
    let values = ["MessageSid", "MessageStatus", "To", "ErrorCode"].map(|name| field(&receipt, name));
    let sid = taken["sid"].as_str().unwrap();
    assert_eq!(values, [sid, "undelivered", "+27831234567", "30003"], "the one without a callback has no receipt");
    assert!(sid.len() == 34 && sid.starts_with("SM"), "{sid}");
    assert_eq!(harness.count("twilio", "submissions").await, 2);
}

#[tokio::test]
async fn twilio_refuses_with_http_statuses_and_codes() {
    let own = TwilioSettings { token: Some(SecretString::from("token")), ..TwilioSettings::default() };
    let harness = SandboxHarness::start(SandboxSettings { twilio: own, ..Default::default() }, &[]).await;
    let long = "x".repeat(1601);
    for (user, to, from, body, status, code) in [
        ("AC2", "+27831234567", "1", "a", 401, 20003),
        ("AC1", "", "1", "a", 400, 21604),
        ("AC1", "27831234567", "1", "a", 400, 21211),
        ("AC1", "+27831234567", "", "a", 400, 21603),
        ("AC1", "+27831234567", "+38080", "a", 400, 21212),
        ("AC1", "+27831234567", "1", "", 400, 21602),
        ("AC1", "+27831234567", "1", long.as_str(), 400, 21617),
    ] {
        let (answered, refusal) = twilio(&harness, user, &[("To", to), ("From", from), ("Body", body)]).await;
        assert_eq!((answered, &refusal["code"], &refusal["status"]), (status, &json!(code), &json!(status)), "{code}");
    }
    harness.misbehave("twilio", json!({"refuse_every": 1})).await;
    let (_, refusal) = twilio(&harness, "AC1", &[("To", "+27831234567"), ("From", "1"), ("Body", "a")]).await;
    assert_eq!(refusal["code"], 21610);
    assert_eq!(harness.count("twilio", "refused").await, 8);
}

#[tokio::test]
async fn both_deliver_inbound_sms_as_forms() {
    let mut harness = SandboxHarness::start(SandboxSettings::default(), &[200, 200]).await;
    for (provider, from, to, text) in [("africas-talking", "from", "to", "text"), ("twilio", "From", "To", "Body")] {
        let order = json!({"from": "27831234567", "to": "38080", "text": "né & co"});
        let call = harness
            .client
            .post(harness.url(&format!("inbound/{provider}")))
            .body(order.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(call.status(), 200);
        let got = harness.called().await;
        assert_eq!(got.path, format!("/api/v1/sms/{provider}/receive.json"));
        assert_eq!(got.content_type, "application/x-www-form-urlencoded");
        let form = fields(&got.body);
        let values = [from, to, text].map(|name| field(&form, name));
        assert_eq!(values, ["+27831234567", "38080", "né & co"]);
    }
}
