//! Calls that name no transport.

use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use vumi_kit::{
    name::Name,
    outbound::{ChooseTransport, Routable, RouteChoice, RouteExplanation, RouteVerdict},
};

use super::{assert_problem, harness::HttpHarness, header};
use crate::HttpSettings;

/// Sends by Opera what goes to South Africa, and takes nothing else.
#[derive(Debug, Default)]
struct OnlySouthAfrica(Mutex<Vec<(String, Option<String>)>>);

impl ChooseTransport for OnlySouthAfrica {
    fn choose(&self, sms: &Routable<'_>) -> Option<RouteChoice> {
        self.0.lock().unwrap().push((sms.account.to_owned(), sms.tag.map(str::to_owned)));
        let name = |text: &str| Name::parse(text).unwrap();
        let choice = RouteChoice { route: name("home"), transport: name("opera"), why: "it is near".to_owned() };
        sms.to.as_str().starts_with("27").then_some(choice)
    }

    fn explain(&self, sms: &Routable<'_>) -> RouteExplanation {
        let chosen = self.choose(sms);
        let route = Name::parse("home").unwrap();
        let (verdict, transports) = ("line 1: takes it".to_owned(), vec!["opera: works".to_owned()]);
        RouteExplanation { chosen, routes: vec![RouteVerdict { route, verdict, transports }] }
    }
}

async fn harness() -> (HttpHarness, Arc<OnlySouthAfrica>) {
    let routes = Arc::new(OnlySouthAfrica::default());
    let given = routes.clone();
    let harness = HttpHarness::start_with(HttpSettings::default(), |context| context.routes = Some(given)).await;
    (harness, routes)
}

#[actix_web::test]
async fn an_sms_goes_where_its_route_says_and_is_read_and_listed_without_a_transport() {
    let (harness, routes) = harness().await;
    let form = [("to_msisdn", "27123456780"), ("from_msisdn", "38080"), ("message", "hello"), ("tag", "otp")];
    let sent: Value = harness.post("sms/send.json", &form).send().await.unwrap().json().await.unwrap();
    let id = &sent[0]["id"];
    assert_eq!(harness.stored().sms[0].transport.as_str(), "opera");
    assert_eq!(*routes.0.lock().unwrap(), [("username".to_owned(), Some("otp".to_owned()))]);
    let one: Value = harness.get(&format!("sms/status/{id}.json")).send().await.unwrap().json().await.unwrap();
    assert_eq!(one, sent[0]);
    let list: Value = harness.get("sms/status.json?since=2009-01-01").send().await.unwrap().json().await.unwrap();
    assert_eq!(list, sent);
    let events = harness.get(&format!("sms/status/{id}/events.json")).send().await.unwrap();
    assert_eq!(events.status(), 200);

    let cancelled = harness.call(Method::DELETE, &format!("sms/status/{id}.json")).send().await.unwrap();
    assert_eq!(cancelled.json::<Value>().await.unwrap()["state"], "cancelled");

    let named: Value = harness.send().send().await.unwrap().json().await.unwrap();
    let other = harness.get(&format!("sms/status/{}.json", named[0]["id"])).send().await.unwrap();
    assert_problem(&other, 404);
    assert!(other.text().await.unwrap().contains("sent through a route"));
}

#[actix_web::test]
async fn each_recipient_without_a_route_is_named_and_nothing_is_kept() {
    let (harness, _) = harness().await;
    let body = json!({
        "to_msisdn": ["27123456780", "264811234567", "447700900123"], "from_msisdn": "38080", "message": "hello",
    });
    for path in ["sms/send.json", "sms/template_send.json"] {
        let mut body = body.clone();
        if path.contains("template") {
            body["template"] = body["message"].take();
        }
        let refused = harness.call(Method::POST, path).json(&body).send().await.unwrap();
        assert_problem(&refused, 400);
        let problem: Value = refused.json().await.unwrap();
        let named: Vec<&Value> = problem["errors"].as_array().unwrap().iter().map(|error| &error["value"]).collect();
        assert_eq!(named, ["264811234567", "447700900123"], "{path}");
        assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("[[outbound]]"), "{problem}");
    }
    let long = "t".repeat(65);
    let form = [("to_msisdn", "x"), ("from_msisdn", "38080"), ("message", "hello"), ("tag", long.as_str())];
    let refused: Value = harness.post("sms/send.json", &form).send().await.unwrap().json().await.unwrap();
    let fields: Vec<&Value> = refused["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["to_msisdn", "tag"]);
    assert!(harness.stored().sms.is_empty());
}

#[actix_web::test]
async fn without_routes_the_error_says_what_to_do() {
    let harness = HttpHarness::start(HttpSettings::default()).await;
    let form = [("to_msisdn", "27123456780"), ("from_msisdn", "38080"), ("message", "hello")];
    for path in ["sms/send.json", "sms/template_send.json", "sms/explain.json"] {
        let refused = harness.post(path, &form).send().await.unwrap();
        assert_problem(&refused, 404);
        assert!(refused.text().await.unwrap().contains("[[outbound]]"), "{path}");
    }
    let wrong_method = harness.get("sms/send.json").send().await.unwrap();
    assert_eq!((wrong_method.status().as_u16(), header(&wrong_method, "allow")), (405, "POST"));
}

#[actix_web::test]
async fn an_explanation_sends_nothing() {
    let (harness, _) = harness().await;
    let body = json!({"to_msisdn": 27_123_456_780_u64, "from_msisdn": "38080", "message": "hello"});
    let explained = harness.call(Method::POST, "sms/explain.json").json(&body).send().await.unwrap();
    assert_eq!(
        explained.json::<Value>().await.unwrap(),
        json!({
            "route": "home", "transport": "opera", "why": "it is near",
            "routes": [{"route": "home", "verdict": "line 1: takes it", "transports": ["opera: works"]}],
        })
    );
    let refused: Value = harness
        .post("sms/explain.json", &[("to_msisdn", "x"), ("tag", "")])
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let fields: Vec<&Value> = refused["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["to_msisdn", "from_msisdn", "message", "tag"]);
    assert!(harness.stored().sms.is_empty());
}
