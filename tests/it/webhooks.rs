//! What the providers bring: receipts and SMS from people, each in the provider's form and with the answer it expects.

use std::sync::mpsc;

use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::{
    black_box::{Harness, eventually, waits},
    clinic::Clinic,
    listener::CallbackListener,
};

/// A Clickatell whose id for SMS 7 is `api7`, and that sends no receipts of its own.
fn clickatell() -> CallbackListener {
    CallbackListener::new(|heard| {
        let form = heard.form();
        let id = form.iter().find(|(key, _)| key == "climsgid").map_or("", |(_, value)| value.as_str());
        (200, format!("ID: api{id}"))
    })
}

/// Settings in which a transport's provider is this listener.
pub(crate) fn harness_with(transport: &str, provider: &CallbackListener) -> Harness {
    let harness = Harness::new();
    harness.edit(|text| {
        let theirs = format!("127.0.0.1:{}/{transport}", harness.providers);
        assert!(text.contains(&theirs));
        text.replace(&theirs, &format!("127.0.0.1:{}", provider.port))
    });
    harness
}

pub(crate) fn wait_until_submitted(harness: &Harness, transport: &str, id: i64) {
    eventually("the provider's answer is recorded", || (!waits(&harness.status(transport, id))).then_some(()));
}

fn clickatell_receipt(harness: &Harness, api: &str, cli: &str, status: &str) -> Response {
    let fields = [("apiMsgId", api), ("cliMsgId", cli), ("to", "27123456789"), ("from", "27123456780")];
    let rest = [("timestamp", "1279835244"), ("status", status), ("charge", "0.800000")];
    harness.post("/api/v1/sms/clickatell/receipt.json", &[&fields[..], &rest].concat()).send().unwrap()
}

#[track_caller]
pub(crate) fn assert_names(answer: Response, field: &str) {
    assert_eq!(answer.status(), 400, "{field}: {}", answer.text().unwrap());
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().unwrap();
    assert_eq!(problem["errors"][0]["field"], field, "{problem}");
}

#[test]
fn clickatell_receipts_come_by_get_and_post_and_must_match_both_ids() {
    let provider = clickatell();
    let harness = harness_with("clickatell", &provider);
    let _router = harness.run();
    let (id, other) = (harness.send("clickatell", "27123456789", "a"), harness.send("clickatell", "27123456789", "b"));
    wait_until_submitted(&harness, "clickatell", id);
    wait_until_submitted(&harness, "clickatell", other);
    let (api, api_other) = (format!("api{id}"), format!("api{other}"));

    let query = format!("apiMsgId={api}&cliMsgId={id}&to=27123456789&from=27123456780&timestamp=1279835200&status=003");
    let answer = harness.get(&format!("/api/v1/sms/clickatell/receipt.json?{query}")).send().unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let shown: Value = answer.json().unwrap();
    assert_eq!(shown["apiMsgId"], api.as_str());
    assert_eq!((&shown["id"], &shown["transport_status"]), (&json!(id), &json!(3)));
    let sms = harness.status("clickatell", id);
    assert_eq!((&sms["transport_status"], &sms["delivered_at"]), (&json!(3), &Value::Null));
    assert_eq!(sms["transport_status_display"], "Delivered to gateway");

    assert_eq!(clickatell_receipt(&harness, &api, &id.to_string(), "004").status(), 201);
    let sms = harness.status("clickatell", id);
    assert_eq!((&sms["transport_status"], &sms["provider_status"]), (&json!(4), &json!("004")));
    assert_eq!(sms["delivered_at"], "2010-07-22 21:47:24");

    // A repeated one, and an old one that comes late, change nothing.
    let events = harness.get(&format!("/api/v1/sms/clickatell/status/{id}/events.json"));
    let events: Value = events.send().unwrap().json().unwrap();
    assert_eq!(clickatell_receipt(&harness, &api, &id.to_string(), "004").status(), 201);
    let again = harness.get(&format!("/api/v1/sms/clickatell/status/{id}/events.json"));
    assert_eq!(again.send().unwrap().json::<Value>().unwrap(), events);
    assert_eq!(harness.status("clickatell", id), sms);
    assert_eq!(clickatell_receipt(&harness, &api, &id.to_string(), "003").status(), 201);
    assert_eq!(harness.status("clickatell", id), sms);

    // Ids that do not belong together, or to nothing.
    let before = harness.status("clickatell", other);
    for (api, cli) in [
        (api.as_str(), other.to_string()),
        (api_other.as_str(), id.to_string()),
        ("api0", other.to_string()),
        (api_other.as_str(), "999999".to_owned()),
    ] {
        let answer = clickatell_receipt(&harness, api, &cli, "005");
        assert_eq!(answer.status(), 404, "{api} {cli}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    assert_eq!(harness.status("clickatell", other), before);
    assert_eq!(harness.status("clickatell", id), sms);
}

#[test]
fn clickatell_receipts_that_can_not_be_read_are_400_and_name_the_field() {
    let provider = clickatell();
    let harness = harness_with("clickatell", &provider);
    let _router = harness.run();
    let url = "/api/v1/sms/clickatell/receipt.json";
    for (query, field) in [
        ("cliMsgId=1&status=004", "apiMsgId"),
        ("apiMsgId=a&status=004", "cliMsgId"),
        ("apiMsgId=a&cliMsgId=1", "status"),
        ("apiMsgId=a&cliMsgId=x&status=004", "cliMsgId"),
        ("apiMsgId=a&cliMsgId=1&status=99", "status"),
        ("apiMsgId=a&cliMsgId=1&status=OK", "status"),
    ] {
        assert_names(harness.get(&format!("{url}?{query}")).send().unwrap(), field);
        let post = harness.post_body(url, "application/x-www-form-urlencoded", query);
        assert_names(post.send().unwrap(), field);
    }
}

#[test]
fn clickatell_statuses_with_and_without_zeros_are_one_scale() {
    let provider = clickatell();
    let harness = harness_with("clickatell", &provider);
    let _router = harness.run();
    for (code, status, display) in [
        ("3", 3, "Delivered to gateway"),
        ("004", 4, "Received by recipient"),
        ("5", 5, "Error with message"),
        ("007", 7, "Error delivering message"),
        ("9", 9, "Routing error"),
        ("010", 10, "Message expired"),
        ("12", 12, "Out of credit"),
    ] {
        let id = harness.send("clickatell", "27123456789", "x");
        wait_until_submitted(&harness, "clickatell", id);
        assert_eq!(clickatell_receipt(&harness, &format!("api{id}"), &id.to_string(), code).status(), 201);
        let sms = harness.status("clickatell", id);
        assert_eq!((&sms["transport_status"], &sms["transport_status_display"]), (&json!(status), &json!(display)));
        assert_eq!(sms["provider_status"], code, "as it output it");
        assert_eq!(sms["delivered_at"].is_string(), status == 4);
    }
}

#[test]
fn a_receipt_may_be_there_before_clickatells_answer_to_the_submission() {
    let (release, wait) = mpsc::channel();
    let (begun, submitted) = mpsc::channel();
    let provider = CallbackListener::new(move |heard| {
        let form = heard.form();
        let id = form.iter().find(|(key, _)| key == "climsgid").map_or("", |(_, value)| value.as_str());
        begun.send(()).unwrap();
        wait.recv().unwrap();
        (200, format!("ID: api{id}"))
    });
    let harness = harness_with("clickatell", &provider);
    let _router = harness.run();
    let id = harness.send("clickatell", "27123456789", "a");
    submitted.recv().unwrap();
    assert_eq!(clickatell_receipt(&harness, &format!("api{id}"), &id.to_string(), "004").status(), 201);
    release.send(()).unwrap();
    let sms = harness.wait_for_status("clickatell", id, 4);
    assert_eq!(sms["delivered_at"], "2010-07-22 21:47:24");

    // The answer that came later did not take it back: with the next SMS dealt with, this one is as it was.
    release.send(()).unwrap();
    let next = harness.send("clickatell", "27123456789", "b");
    wait_until_submitted(&harness, "clickatell", next);
    assert_eq!(harness.status("clickatell", id)["transport_status"], 4);
    assert_eq!(provider.heard().len(), 2, "nothing is submitted twice");
}

#[test]
fn clickatell_inbound_sms_by_get_and_post_are_answered_as_json() {
    let harness = Harness::new();
    let _router = harness.run();
    let url = "/api/v1/sms/clickatell/receive.json";
    let query =
        "api_id=1234&moMsgId=m1&from=%2B27831234567&to=27123456789&timestamp=2010-07-22+21:27:24&text=hi+%26+hi";
    let answer = harness.get(&format!("{url}?{query}")).send().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let got: Value = answer.json().unwrap();
    let expected = json!({
        "id": got["id"], "to_msisdn": "27123456789", "from_msisdn": "27831234567", "message": "hi & hi",
        "charset": null, "transport_name": "clickatell", "transport_msg_id": "m1",
        "received_at": "2010-07-22 21:27:24", "created_at": got["created_at"], "updated_at": got["updated_at"],
    });
    assert_eq!(got, expected);
    assert!(got["id"].is_i64() && got["created_at"].is_string() && got["updated_at"].is_string());

    // Brought again, by the other method: the same SMS.
    let form = |body: &'static str| harness.post_body(url, "application/x-www-form-urlencoded", body).send().unwrap();
    assert_eq!(form(query).json::<Value>().unwrap(), got);

    let wide =
        form("api_id=1234&moMsgId=m2&from=27831234567&to=32323&text=%04%1F%04%40&charset=UTF-16BE&udh=&network=x");
    let wide: Value = wide.json().unwrap();
    assert_eq!((&wide["message"], &wide["charset"]), (&json!("Пр"), &json!("UTF-16BE")));
    assert_ne!(wide["id"], got["id"]);

    for (body, field) in [
        ("api_id=1234&from=271&to=272&text=x", "moMsgId"),
        ("api_id=1234&moMsgId=m3&to=272&text=x", "from"),
        ("api_id=1234&moMsgId=m3&from=271&text=x", "to"),
        ("api_id=1234&moMsgId=m3&from=271&to=272", "text"),
    ] {
        assert_names(form(body), field);
    }
}

#[test]
fn e_scape_inbound_sms_get_an_answer_that_no_person_would_receive() {
    let harness = Harness::new();
    let _router = harness.run();
    let url = "/api/v1/sms/e-scape/receive.json";
    let answer = harness.get(&format!("{url}?smsc=vumi&svc=1&s=%2B27831234567&r=32323&text=hello")).send().unwrap();
    assert_eq!(answer.status(), 200);
    let headers = answer.headers().clone();
    assert!(!headers.keys().any(|name| name.as_str().starts_with("x-kannel")), "{headers:?}");
    assert_eq!(headers.get("content-type"), None);
    assert_eq!(headers["content-length"], "0");
    assert_eq!(answer.text().unwrap(), "");
    // It was kept, and the campaign answered it by the same transport.
    let reply = eventually("the campaign's answer", || {
        let list = harness.get("/api/v1/sms/e-scape/status.json?since=2009-01-01").send().unwrap();
        list.json::<Value>().unwrap().as_array()?.first().cloned()
    });
    assert_eq!((&reply["to_msisdn"], &reply["from_msisdn"]), (&json!("27831234567"), &json!("32323")));
    for (query, field) in [("r=32323&text=x", "s"), ("s=271&text=x", "r"), ("s=271&r=272", "text")] {
        assert_names(harness.get(&format!("{url}?{query}")).send().unwrap(), field);
    }
}

#[test]
fn a_function_that_a_provider_lacks_is_405_with_allow() {
    let harness = Harness::new();
    let _router = harness.run();
    for (transport, path, allow) in [
        ("clickatell", "receipt.json", "GET, POST"),
        ("clickatell", "receive.json", "GET, POST"),
        ("clickatell", "receive.xml", ""),
        ("opera", "receipt.json", "POST"),
        ("opera", "receive.json", ""),
        ("opera", "receive.xml", "POST"),
        ("e-scape", "receipt.json", ""),
        ("e-scape", "receive.json", "GET"),
        ("e-scape", "receive.xml", ""),
        ("techsys", "receipt.json", ""),
        ("techsys", "receive.json", ""),
        ("techsys", "receive.xml", ""),
    ] {
        let url = harness.url(&format!("/api/v1/sms/{transport}/{path}"));
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            if allow.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
            let answer = harness.client().request(method.clone(), &url).basic_auth("username", Some("password"));
            let answer = answer.send().unwrap();
            assert_eq!(answer.status(), 405, "{method} {transport}/{path}");
            assert_eq!(answer.headers()["allow"], allow, "{method} {transport}/{path}");
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
        }
    }
}

#[test]
fn a_receipt_is_told_to_its_sms_own_account_and_an_inbound_sms_to_no_other() {
    let provider = clickatell();
    let harness = harness_with("clickatell", &provider);
    let _router = harness.run();
    let clinic = Clinic::new(&harness);
    assert!(harness.vumi(&["account", "role", "clinic", "client,carrier"]).status.success());
    let client = CallbackListener::answering(&[200]);
    let url = client.url("/");
    for name in ["sms_received", "sms_receipt"] {
        let answer = harness.post("/api/v1/account/callbacks.json", &[("name", name), ("url", &url)]).send().unwrap();
        assert_eq!(answer.status(), 200);
    }
    let id = harness.send("clickatell", "27123456789", "a");
    wait_until_submitted(&harness, "clickatell", id);
    let (api, cli) = (format!("api{id}"), id.to_string());
    // The provider has another account's log-in.
    let receipt = [("apiMsgId", api.as_str()), ("cliMsgId", cli.as_str()), ("status", "005")];
    let answer = clinic.post("/api/v1/sms/clickatell/receipt.json", &receipt).send().unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(harness.status("clickatell", id)["transport_status"], 5);
    eventually("our SMS's receipt is told", || (client.heard().len() == 1).then_some(()));
    let inbound =
        [("api_id", "1234"), ("moMsgId", "m1"), ("from", "27831234567"), ("to", "32323"), ("text", "the clinic's")];
    let theirs: Value = clinic.post("/api/v1/sms/clickatell/receive.json", &inbound).send().unwrap().json().unwrap();
    // The same provider's id for another account is another SMS.
    let ours: Value = harness.post("/api/v1/sms/clickatell/receive.json", &inbound).send().unwrap().json().unwrap();
    assert_ne!(ours["id"], theirs["id"]);
    let heard = eventually("our SMS is told", || client.heard().get(1).cloned());
    assert_eq!(heard.form()[0], ("id".to_owned(), ours["id"].to_string()));

    // The answer to each goes out in the name of the account that received it.
    let list =
        || harness.get("/api/v1/sms/clickatell/status.json?since=2009-01-01").send().unwrap().json::<Value>().unwrap();
    eventually("both answers are kept", || {
        let theirs = clinic.get("/api/v1/sms/clickatell/status.json?since=2009-01-01").send().unwrap();
        let theirs = theirs.json::<Value>().unwrap();
        (theirs.as_array()?.len() == 1 && list().as_array()?.len() == 2).then_some(())
    });
    assert_eq!(client.heard().len(), 2);
}

#[test]
fn a_receipt_that_matches_nothing_is_shown_to_the_operator() {
    let harness = Harness::new();
    let _router = harness.run();
    let none = crate::black_box::words(&harness.vumi(&["receipts"]));
    assert!(none.contains("every receipt matched"), "{none}");
    assert_eq!(clickatell_receipt(&harness, "apiNobody", "987654", "004").status(), 404);
    let shown = crate::black_box::words(&harness.vumi(&["receipts"]));
    assert!(shown.contains("apiNobody") && shown.contains("clickatell"), "{shown}");
}
