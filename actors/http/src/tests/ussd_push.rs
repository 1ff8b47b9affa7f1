//! The network begins a dialogue: `push.json`.

use reqwest::Method;
use serde_json::{Value, json};
use vumi_kit::{
    message::SessionEvent,
    name::Name,
    router::{Refused, RouterAddress},
    ussd_push::UssdPush,
};

use super::harness::{FakeRouter, HttpHarness};
use crate::HttpSettings;

async fn started() -> (HttpHarness, FakeRouter) {
    let router = FakeRouter::default();
    let given = router.clone();
    let harness = HttpHarness::start_with(HttpSettings::default(), move |context| {
        context.router = RouterAddress::of(&actix::Actor::start(given));
    })
    .await;
    (harness, router)
}

async fn push(harness: &HttpHarness, transport: &str, body: &Value, key: Option<&str>) -> (u16, Value) {
    let call = harness.call(Method::POST, &format!("ussd/{transport}/push.json")).json(body);
    let call = key.into_iter().fold(call, |call, key| call.header("Idempotency-Key", key));
    let answer = call.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[actix_rt::test]
async fn a_push_goes_to_the_transport_for_a_campaign_or_with_a_text() {
    let (harness, router) = started().await;
    let of_campaign = json!({ "to": "+27831234567", "code": "*120*1", "campaign": "quiz" });
    let of_text = json!({ "to": "27831234567", "code": "*120*1#", "text": "You won." });
    let (status, taken) = push(&harness, "techsys", &of_campaign, None).await;
    assert_eq!(status, 202, "{taken}");
    assert_eq!(push(&harness, "techsys", &of_text, Some("a")).await.0, 202);
    assert_eq!(push(&harness, "techsys", &of_text, Some("a")).await.0, 202);
    let sent = router.sent.lock().unwrap().clone();
    assert_eq!(taken["message_id"], sent[0].message_id);
    assert_eq!(UssdPush::of(&sent[0]), UssdPush::Campaign(Name::parse("quiz").unwrap()));
    assert_eq!((sent[0].to_addr.as_str(), sent[0].from_addr.as_str()), ("27831234567", "*120*1#"));
    assert_eq!((UssdPush::of(&sent[1]), sent[1].content.as_deref()), (UssdPush::Notification, Some("You won.")));
    assert_eq!(sent[1].session_event, Some(SessionEvent::New));
    assert_eq!(sent[1].message_id, sent[2].message_id, "the transport carries it out once");
}

#[actix_rt::test]
async fn what_can_not_be_pushed_is_refused_with_the_reason() {
    let (harness, router) = started().await;
    let good = || json!({ "to": "27831234567", "code": "*120*1#", "text": "hi" });
    for (change, field) in [
        (json!({ "to": "x" }), "to"),
        (json!({ "code": "120" }), "code"),
        (json!({ "campaign": "quiz" }), "campaign"),
        (json!({ "text": " " }), "text"),
    ] {
        let mut body = good();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, problem) = push(&harness, "techsys", &body, None).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (400, &json!(field)), "{problem}");
    }
    let unknown = json!({ "to": "27831234567", "code": "*120*1#", "campaign": "nobody" });
    assert_eq!(push(&harness, "techsys", &unknown, None).await.0, 400);
    assert_eq!(push(&harness, "clickatell", &good(), None).await.0, 400, "it carries no USSD");
    assert_eq!(push(&harness, "nothing", &good(), None).await.0, 404);
    let name = Name::parse("techsys").unwrap();
    for (refused, status) in [
        (Refused::InDialogue, 409),
        (Refused::UnfitPush("too long".to_owned()), 400),
        (Refused::NotConnected(name.clone()), 503),
        (Refused::Away(name.clone()), 503),
        (Refused::Busy(name), 503),
    ] {
        *router.refusal.lock().unwrap() = Some(refused.clone());
        assert_eq!(push(&harness, "techsys", &good(), None).await.0, status, "{refused:?}");
    }
    assert!(router.sent.lock().unwrap().is_empty());
}
