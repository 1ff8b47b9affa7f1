//! What somebody sees and reaches who has no account: states without details, and nobody's browser.

use serde_json::{Value, json};

use crate::{
    black_box::{Harness, eventually, words},
    http_api::assert_problem,
};

#[test]
fn strangers_see_the_states_and_who_logs_in_sees_what_the_provider_answered() {
    let harness = Harness::new();
    let _router = harness.run();
    harness.misbehave("clickatell", &json!({ "refuse_every": 1, "refuse_with": "301, No credit left" }));
    harness.send("clickatell", "27123456789", "hello");
    eventually("the transport is degraded", || (harness.part("clickatell")?["state"] == "degraded").then_some(()));
    let told = harness.readiness().unwrap();
    assert!(told.to_string().contains(&harness.http.to_string()), "the address it serves: {told}");

    let stranger: Value = harness.get_open("/health/ready").unwrap().json().unwrap();
    for part in stranger["parts"].as_array().unwrap() {
        let mut names: Vec<&String> = part.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["name", "role", "state"], "{part}");
    }
    let page = harness.client().get(harness.url("/health/ready")).send().unwrap().text().unwrap();
    assert!(page.contains("store (store): up\n"), "{page}");
    assert!(!page.contains("credit") && !page.contains("127.0.0.1"), "{page}");
    let wrong =
        harness.client().get(harness.url("/health/ready")).basic_auth("username", Some("wrong")).send().unwrap();
    assert_problem(&wrong, 401);

    // The command line logs in as the sandbox's account, or as it is told.
    let shown = words(&harness.vumi(&["status"]));
    assert!(shown.contains(&format!("serving http://127.0.0.1:{}", harness.http)), "{shown}");
    let refused = harness.vumi(&["status", "--user", "username:wrong"]);
    assert!(!refused.status.success() && words(&refused).contains("VUMI_USER"), "{}", words(&refused));
}

#[test]
fn a_page_of_another_site_cannot_send_with_its_visitors_password() {
    let harness = Harness::quiet();
    let _router = harness.run();
    let sms = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", "x")];
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:1"),
    ] {
        let call = harness.post("/api/v1/sms/clickatell/send.json", &sms).header(name, value);
        assert_problem(&call.send().unwrap(), 403);
    }
    let own = harness.url("");
    for (name, value) in [("sec-fetch-site", "same-origin"), ("origin", own.as_str())] {
        let call = harness.post("/api/v1/sms/clickatell/send.json", &sms).header(name, value);
        assert_eq!(call.send().unwrap().status(), 200, "{name}: {value}");
    }
}

#[test]
fn a_link_to_the_next_page_has_no_host_that_a_client_invents() {
    let harness = Harness::quiet();
    let _router = harness.run();
    let to: Vec<String> = (0..150).map(|n| format!("27{n:09}")).collect();
    let batch = json!({ "to_msisdn": to, "from_msisdn": "271", "message": "x" }).to_string();
    let sent = harness.post_body("/api/v1/sms/opera/send.json", "application/json", batch).send().unwrap();
    assert_eq!(sent.status(), 200);
    let page = harness
        .get("/api/v1/sms/opera/status.json?since=2009-01-01")
        .header("forwarded", "host=evil.example;proto=https")
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "https");
    let page = page.send().unwrap();
    let link = page.headers()["link"].to_str().unwrap();
    assert!(link.starts_with(&format!("<http://127.0.0.1:{}/api/v1/", harness.http)), "{link}");
}
