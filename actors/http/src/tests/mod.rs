//! The API as a client meets it: over a socket, with a fake store behind it.

mod access;
mod account_access;
mod harness;
mod json_charsets;
mod multipart;
mod public_pages;
mod quotas;
mod routed;
mod stored;
mod tls;
mod ussd_push;
mod webhook_access;

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use vumi_kit::{life::SmsState, sms::TransportStatus};

use self::{harness::HttpHarness, stored::test_time};
use crate::HttpSettings;

async fn harness() -> HttpHarness {
    HttpHarness::start(HttpSettings::default()).await
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[track_caller]
fn assert_problem(response: &Response, status: u16) {
    assert_eq!((response.status().as_u16(), header(response, "content-type")), (status, "application/problem+json"));
}

#[actix_web::test]
async fn an_sms_is_kept_and_shown_as_the_readme_shows_it() {
    let harness = harness().await;
    let response = harness.send().send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-type"), "application/json");
    assert_eq!(header(&response, "ratelimit-policy"), "\"sending\";q=6000;w=60");
    let shown = json!({
        "id": 1, "to_msisdn": "27123456780", "from_msisdn": "27123456789", "message": "hello world",
        "transport_status": 0, "transport_status_display": "", "delivered_at": null, "provider_status": null,
        "provider_id": null, "reference": null, "state": "accepted", "parts": 1, "attempts": 0, "scheduled_at": null,
        "expires_at": "2010-05-13 11:34:34", "route": null,
        "created_at": "2010-05-13 11:34:34", "updated_at": "2010-05-13 11:34:34", "encoding": "GSM 03.38", "segments": 1,
    });
    assert_eq!(response.json::<Value>().await.unwrap(), json!([shown]));
    let one: Value = harness.get("sms/clickatell/status/1.json").send().await.unwrap().json().await.unwrap();
    assert_eq!(one, shown);
}

#[actix_web::test]
async fn a_batch_in_json_is_answered_in_the_order_given() {
    let harness = harness().await;
    let body = json!({"to_msisdn": ["2713", "2711", "2712"], "from_msisdn": "27123456789", "message": "hi"});
    let response = harness.call(Method::POST, "sms/opera/send.json").json(&body).send().await.unwrap();
    let list: Vec<Value> = response.json().await.unwrap();
    let to: Vec<&str> = list.iter().map(|sms| sms["to_msisdn"].as_str().unwrap()).collect();
    assert_eq!(to, ["2713", "2711", "2712"]);
}

#[actix_web::test]
async fn ten_thousand_recipients_are_one_call_and_one_more_is_refused() {
    let harness = harness().await;
    let mut to: Vec<String> = (0..10_000).map(|n| format!("27{n:09}")).collect();
    let body = json!({"to_msisdn": to, "from_msisdn": "27123456789", "message": "hi"});
    let response = harness.call(Method::POST, "sms/opera/send.json").json(&body).send().await.unwrap();
    let list: Vec<Value> = response.json().await.unwrap();
    assert!(list.iter().zip(&to).all(|(sms, to)| sms["to_msisdn"] == json!(to)));
    to.push("27123456789".to_owned());
    let body = json!({"to_msisdn": to, "from_msisdn": "27123456789", "message": "hi"});
    assert_problem(&harness.call(Method::POST, "sms/opera/send.json").json(&body).send().await.unwrap(), 400);
    assert_eq!(harness.stored().sms.len(), 10_000);
}

#[actix_web::test]
async fn personalised_texts_are_sent_to_the_recipients_they_were_given_for() {
    let harness = harness().await;
    let form = [
        ("to_msisdn", "27123456781"),
        ("to_msisdn", "27123456782"),
        ("from_msisdn", "27123456789"),
        ("template_name", "Simon"),
        ("template_surname", "de Haan"),
        ("template_name", "Jack"),
        ("template_surname", "Jill"),
        ("template", "Hello {{name}} {{surname}}"),
    ];
    let list: Vec<Value> =
        harness.post("sms/clickatell/template_send.json", &form).send().await.unwrap().json().await.unwrap();
    let sent: Vec<_> = list.iter().map(|sms| (&sms["to_msisdn"], &sms["message"])).collect();
    let expected =
        [(&json!("27123456781"), &json!("Hello Simon de Haan")), (&json!("27123456782"), &json!("Hello Jack Jill"))];
    assert_eq!(sent, expected);
}

#[actix_web::test]
async fn nothing_of_a_batch_with_a_wrong_recipient_is_kept_and_every_fault_is_named() {
    let harness = harness().await;
    let form = [("to_msisdn", "27123456780"), ("to_msisdn", "27x"), ("message", "")];
    let response = harness.post("sms/clickatell/send.json", &form).send().await.unwrap();
    assert_problem(&response, 400);
    let problem: Value = response.json().await.unwrap();
    assert_eq!((&problem["status"], &problem["title"]), (&json!(400), &json!("Bad Request")));
    let errors: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|e| (&e["field"], &e["value"])).collect();
    let expected =
        [(&json!("to_msisdn"), &json!("27x")), (&json!("from_msisdn"), &json!("")), (&json!("message"), &json!(""))];
    assert_eq!(errors, expected);
    assert_eq!(harness.stored().sms.len(), 0);
}

#[actix_web::test]
async fn an_sms_is_cancelled_before_it_begins_or_the_answer_says_why_not() {
    let harness = harness().await;
    for _ in 0..3 {
        harness.send().send().await.unwrap();
    }
    let delete = |path: &str| harness.call(Method::DELETE, path).send();
    for _ in 0..2 {
        let answer = delete("sms/clickatell/status/1.json").await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let sms: Value = answer.json().await.unwrap();
        assert_eq!((&sms["transport_status"], &sms["state"]), (&json!(6), &json!("cancelled")));
        assert_eq!(sms["transport_status_display"], "User cancelled message delivery");
    }
    harness.stored().sms[1].state = SmsState::Claimed;
    harness.stored().sms[2].state = SmsState::Submitted;
    for (id, why) in [(2, "SMS 2 has begun"), (3, "SMS 3 is submitted")] {
        let answer = delete(&format!("sms/clickatell/status/{id}.json")).await.unwrap();
        assert_problem(&answer, 409);
        let problem: Value = answer.json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().starts_with(why), "{problem}");
    }
    assert_problem(&delete("sms/clickatell/status/4.json").await.unwrap(), 404);
    assert_problem(&delete("sms/opera/status/1.json").await.unwrap(), 404);
    let url = harness.url("/api/v1/sms/clickatell/status/1.json");
    let other = harness.client.delete(url).basic_auth("other", Some("secret")).send().await.unwrap();
    assert_problem(&other, 404);
    let put = harness.call(Method::PUT, "sms/clickatell/status/1.json").send().await.unwrap();
    assert_eq!((put.status(), header(&put, "allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, DELETE"));
}

#[actix_web::test]
async fn an_account_sees_its_own_sms_only() {
    let harness = harness().await;
    harness.send().send().await.unwrap();
    for path in ["status/1.json", "status/1/events.json"] {
        let url = harness.url(&format!("/api/v1/sms/clickatell/{path}"));
        let other = harness.client.get(url).basic_auth("other", Some("secret")).send().await.unwrap();
        assert_problem(&other, 404);
    }
    assert_problem(&harness.get("sms/opera/status/1.json").send().await.unwrap(), 404);
    assert_problem(&harness.get("sms/clickatell/status/x.json").send().await.unwrap(), 400);
    let events: Value = harness.get("sms/clickatell/status/1/events.json").send().await.unwrap().json().await.unwrap();
    assert_eq!(
        events,
        json!([{"at": "2010-05-13 11:34:34", "event": "accepted", "detail": "kept", "provider_id": null}])
    );
}

#[actix_web::test]
async fn lists_are_paged_by_a_hundred_with_a_link_while_there_is_more() {
    let harness = harness().await;
    let to: Vec<String> = (0..250).map(|n| format!("27{n:09}")).collect();
    let body = json!({"to_msisdn": to, "from_msisdn": "27123456789", "message": "hi"});
    harness.call(Method::POST, "sms/clickatell/send.json").json(&body).send().await.unwrap();
    let mut next = harness.url("/api/v1/sms/clickatell/status.json?since=2009-01-01");
    let mut ids: Vec<i64> = vec![];
    for _page in 0..3 {
        let response = harness.client.get(&next).basic_auth("username", Some("password")).send().await.unwrap();
        let link = header(&response, "link").to_owned();
        let page: Vec<Value> = response.json().await.unwrap();
        ids.extend(page.iter().map(|sms| sms["id"].as_i64().unwrap()));
        next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(next, "");
    assert_eq!(ids, (1..=250).rev().collect::<Vec<i64>>());
    let two: Vec<Value> =
        harness.get("sms/clickatell/status.json?id=3&id=4&id=999").send().await.unwrap().json().await.unwrap();
    assert_eq!(two.iter().map(|sms| sms["id"].as_i64().unwrap()).collect::<Vec<_>>(), [4, 3]);
    assert_problem(&harness.get("sms/clickatell/status.json").send().await.unwrap(), 400);
}

#[actix_web::test]
async fn start_ends_at_its_bound_and_the_link_goes_on_by_cursor() {
    let harness = harness().await;
    for count in [10_000, 300] {
        let to: Vec<String> = (0..count).map(|n| format!("27{n:09}")).collect();
        let body = json!({"to_msisdn": to, "from_msisdn": "27123456789", "message": "hi"});
        harness.call(Method::POST, "sms/clickatell/send.json").json(&body).send().await.unwrap();
    }
    let page = |url: String| harness.client.get(url).basic_auth("username", Some("password")).send();
    let at = |start: &str| harness.url(&format!("/api/v1/sms/clickatell/status.json?since=2009-01-01&start={start}"));
    let refused = page(at("5000000")).await.unwrap();
    assert_problem(&refused, 400);
    let problem = refused.text().await.unwrap();
    assert!(problem.contains("cursor") && problem.contains("Link"), "{problem}");

    let last = page(at("9950")).await.unwrap();
    let link = header(&last, "link").to_owned();
    assert!(link.contains("cursor=") && !link.contains("start="), "{link}");
    let shown: Vec<Value> = last.json().await.unwrap();
    let next = page(link.trim_start_matches('<').split('>').next().unwrap().to_owned()).await.unwrap();
    let next: Vec<Value> = next.json().await.unwrap();
    assert_eq!(next[0]["id"].as_i64(), shown[99]["id"].as_i64().map(|id| id - 1));
}

#[actix_web::test]
async fn a_repeated_key_is_answered_without_the_writer() {
    let harness = harness().await;
    let keyed = || harness.send().header("Idempotency-Key", "k1");
    let first = keyed().send().await.unwrap().text().await.unwrap();
    // From now on what asks the writer waits.
    harness.stored().waiting = Some(vec![]);
    let again = keyed().send().await.unwrap();
    assert_eq!(header(&again, "idempotency-replayed"), "true");
    assert_eq!(again.text().await.unwrap(), first);
    assert!(harness.stored().waiting.as_ref().unwrap().is_empty());
}

#[actix_web::test]
async fn an_sms_that_changes_between_two_pages_is_not_shown_twice() {
    let harness = harness().await;
    let to: Vec<String> = (0..150).map(|n| format!("27{n:09}")).collect();
    let body = json!({"to_msisdn": to, "from_msisdn": "27123456789", "message": "hi"});
    harness.call(Method::POST, "sms/clickatell/send.json").json(&body).send().await.unwrap();
    for (order, expected) in [("newest", (1..=50).rev().collect::<Vec<i64>>()), ("oldest", (101..=150).collect())] {
        let first = harness.get(&format!("sms/clickatell/status.json?since=2009-01-01&order={order}"));
        let first = first.send().await.unwrap();
        let link = header(&first, "link").to_owned();
        assert!(link.contains("cursor=") && link.contains(&format!("order={order}")), "{link}");
        // Newest first no page shows it again; oldest first it stays the last one.
        harness.stored().sms[149].updated_at = test_time().plus(Duration::from_secs(9));
        let next = link.trim_start_matches('<').split('>').next().unwrap();
        let second = harness.client.get(next).basic_auth("username", Some("password")).send().await.unwrap();
        assert_eq!(header(&second, "link"), "");
        let ids: Vec<Value> = second.json().await.unwrap();
        assert_eq!(ids.iter().map(|sms| sms["id"].as_i64().unwrap()).collect::<Vec<_>>(), expected, "{order}");
    }
}

#[actix_web::test]
async fn a_repeated_key_gives_the_first_answer_again_and_another_body_is_refused() {
    let harness = harness().await;
    let keyed = || harness.send().header("Idempotency-Key", "k1");
    let first = keyed().send().await.unwrap();
    assert_eq!(header(&first, "idempotency-replayed"), "");
    let first = first.text().await.unwrap();
    harness.stored().sms[0].status = TransportStatus::Delivered;
    let again = keyed().send().await.unwrap();
    assert_eq!(header(&again, "idempotency-replayed"), "true");
    assert_eq!(again.text().await.unwrap(), first);
    let other = [("to_msisdn", "27123456780"), ("from_msisdn", "27123456789"), ("message", "another")];
    let other = harness.post("sms/clickatell/send.json", &other).header("Idempotency-Key", "k1").send().await.unwrap();
    assert_problem(&other, 422);
    assert_eq!(harness.stored().sms.len(), 1);
}

#[actix_web::test]
async fn a_key_in_progress_is_refused_until_its_request_is_answered() {
    let harness = harness().await;
    harness.stored().waiting = Some(vec![]);
    let first = actix_web::rt::spawn(harness.send().header("Idempotency-Key", "k1").send());
    // The first has reached the store once a question is held there.
    harness.until_accepting().await;
    let second = harness.send().header("Idempotency-Key", "k1").send().await.unwrap();
    assert_problem(&second, 409);
    assert_eq!(header(&second, "retry-after"), "1");
    harness.stored().accept_waiting();
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(harness.send().header("Idempotency-Key", "k1").send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(harness.stored().sms.len(), 1);
}

#[actix_web::test]
async fn requests_that_do_not_fit_the_api_have_statuses_of_their_own() {
    let harness = HttpHarness::start(HttpSettings { max_body: 1000, ..HttpSettings::default() }).await;
    let delete = harness.call(Method::DELETE, "sms/clickatell/send.json").send().await.unwrap();
    assert_problem(&delete, 405);
    assert_eq!(header(&delete, "allow"), "POST");
    let unknown = harness.post("sms/nobody/send.json", &[]).send().await.unwrap();
    assert_problem(&unknown, 404);
    let detail = unknown.json::<Value>().await.unwrap()["detail"].as_str().unwrap().to_owned();
    assert_eq!(detail, "there is no transport `nobody`; there are: clickatell, opera, techsys");
    let large = harness.post("sms/clickatell/send.json", &[("message", &"x".repeat(2000))]).send().await.unwrap();
    assert_problem(&large, 413);
    let chunks = futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 100])));
    let streamed = harness.call(Method::POST, "sms/clickatell/send.json").body(reqwest::Body::wrap_stream(chunks));
    assert_problem(&streamed.send().await.unwrap(), 413);
    let text = harness.call(Method::POST, "sms/clickatell/send.json").header("content-type", "text/plain").body("hi");
    assert_problem(&text.send().await.unwrap(), 415);
    assert_problem(&harness.get("sms").send().await.unwrap(), 404);
    assert_problem(&harness.client.get(harness.url("/elsewhere")).send().await.unwrap(), 404);
}

#[actix_web::test]
async fn a_report_that_can_not_be_read_refuses_the_call_and_keeps_no_other_one_out() {
    let harness = harness().await;
    let ids = [("id", "1"), ("id", "x"), ("id", "3")];
    let refused = harness.post("sms/clickatell/receipt.json", &ids).send().await.unwrap();
    assert_problem(&refused, 400);
    let text = refused.text().await.unwrap();
    assert!(text.contains("report 2 of the call; 2 others were kept"), "{text}");
    let kept: Vec<_> = harness.stored().receipts.iter().map(|receipt| receipt.sms).collect();
    assert_eq!(kept, [Some(1), Some(3)]);
}

#[actix_web::test]
async fn many_reports_of_a_call_go_to_the_store_piece_by_piece_and_are_answered_together() {
    let harness = harness().await;
    let ids: Vec<String> = (1..=450).map(|id| id.to_string()).collect();
    let fields: Vec<(&str, &str)> = ids.iter().map(|id| ("id", id.as_str())).collect();
    harness.post("sms/clickatell/receipt.json", &fields).send().await.unwrap();
    assert_eq!(harness.stored().receipts_at_once, [200, 200, 50]);
}

#[actix_web::test]
async fn a_webhook_is_read_kept_and_answered_by_its_form() {
    let harness = harness().await;
    harness.send().send().await.unwrap();
    let post = harness.post("sms/clickatell/receipt.json", &[("id", "1")]).send().await.unwrap();
    assert_eq!((post.status().as_u16(), post.text().await.unwrap().as_str()), (201, "1"));
    let get = harness.get("sms/clickatell/receipt.json?id=1").send().await.unwrap();
    assert_eq!(get.status(), StatusCode::CREATED);
    let unmatched = harness.get("sms/clickatell/receipt.json?id=2").send().await.unwrap();
    assert_eq!(unmatched.status(), StatusCode::NOT_FOUND);
    let unreadable = harness.get("sms/clickatell/receipt.json").send().await.unwrap();
    assert_problem(&unreadable, 400);
    let inbound = harness.post("sms/opera/receive.xml", &[("text", "hi"), ("from", "+27123")]).send().await.unwrap();
    assert_eq!(header(&inbound, "content-type"), "text/xml; charset=utf8");
    assert_eq!(inbound.text().await.unwrap(), "<id>7</id>");
}

#[actix_web::test]
async fn what_providers_send_is_kept_and_characters_that_cannot_be_kept_are_replaced() {
    let harness = harness().await;
    harness.send().send().await.unwrap();
    let receipt = harness.post("sms/clickatell/receipt.json", &[("id", "1"), ("te\0xt", "a\0b")]).send().await.unwrap();
    assert_eq!(receipt.status(), StatusCode::CREATED);
    let inbound = [("text", "h\0i"), ("from", "+27123")];
    assert_eq!(harness.post("sms/opera/receive.xml", &inbound).send().await.unwrap().status(), StatusCode::OK);
    let fields = harness.stored().receipts[0].fields.clone();
    assert_eq!(fields[1], ("te\u{fffd}xt".to_owned(), "a\u{fffd}b".to_owned()));
    assert_eq!(harness.stored().inbound[0].message.clone(), "h\u{fffd}i");
}

#[actix_web::test]
async fn a_nul_in_a_field_is_refused_and_the_field_named() {
    let harness = harness().await;
    let sms = |message| [("to_msisdn", "27123"), ("from_msisdn", "27124"), ("message", message)];
    let personal =
        [("to_msisdn", "27123"), ("from_msisdn", "27124"), ("template", "hi {{name}}"), ("template_name", "a\0")];
    let form = |path, form: &[(&str, &str)]| harness.post(path, form);
    for (call, field) in [
        (form("sms/clickatell/send.json", &sms("a\0b")), "message"),
        (form("sms/clickatell/send.json", &sms("a\u{1}b")), "message"),
        (
            form("sms/clickatell/send.json", &[("to_msisdn", "27123\0"), ("from_msisdn", "27124"), ("message", "x")]),
            "to_msisdn",
        ),
        (
            form("sms/clickatell/send.json", &[("to_msisdn", "27123"), ("from_msisdn", "27124\0"), ("message", "x")]),
            "from_msisdn",
        ),
        (form("sms/clickatell/template_send.json", &personal), "template"),
        (form("account/callbacks.json", &[("name", "sms_received"), ("url", "http://a/\0")]), "url"),
        (form("account/callbacks.json", &[("name", "sms\0received"), ("url", "http://a/")]), "name"),
        (form("sms/preview.json", &[("message", "a\0b")]), "message"),
    ] {
        let response = call.send().await.unwrap();
        assert_problem(&response, 400);
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["errors"][0]["field"], json!(field), "{problem}");
    }
    let stored = harness.stored();
    assert_eq!((stored.sms.len(), stored.callbacks.len()), (0, 0));
}

#[actix_web::test]
async fn a_webhook_that_a_transport_lacks_is_a_405_with_allow() {
    let harness = harness().await;
    for (method, path, allow) in [
        (Method::GET, "sms/techsys/receipt.json", ""),
        (Method::POST, "sms/opera/receive.json", ""),
        (Method::GET, "sms/opera/receive.xml", "POST"),
        (Method::PUT, "sms/clickatell/receipt.json", "GET, POST"),
    ] {
        let response = harness.call(method, path).send().await.unwrap();
        assert_problem(&response, 405);
        assert_eq!(response.headers().get("allow").unwrap(), allow, "{path}");
    }
    assert_problem(&harness.get("sms/nobody/receipt.json").send().await.unwrap(), 404);
}

#[actix_web::test]
async fn callbacks_are_created_listed_read_changed_and_deleted() {
    let harness = harness().await;
    let form = [("name", "sms_received"), ("url", "http://localhost/received")];
    let mut created: Value = harness.post("account/callbacks.json", &form).send().await.unwrap().json().await.unwrap();
    let secret = created.as_object_mut().unwrap().remove("secret").unwrap();
    assert!(secret.as_str().unwrap().starts_with("whsec_"));
    let shown = json!({
        "id": 3, "name": "sms_received", "url": "http://localhost/received", "format": "form",
        "disabled_at": null, "disabled_because": null,
        "created_at": "2010-05-13 11:34:34", "updated_at": "2010-05-13 11:34:34",
    });
    assert_eq!(created, shown);
    let list: Value = harness.get("account/callbacks.json").send().await.unwrap().json().await.unwrap();
    assert_eq!(list, json!([shown]));
    let one = "account/callbacks/3.json";
    let put = harness.call(Method::PUT, one).json(&json!({"url": "https://b/"})).send().await.unwrap();
    let changed: Value = put.json().await.unwrap();
    assert_eq!((&changed["name"], &changed["url"]), (&json!("sms_received"), &json!("https://b/")));
    assert_problem(&harness.call(Method::PUT, one).form(&[("url", "ftp://b/")]).send().await.unwrap(), 400);
    let others =
        harness.client.get(harness.url("/api/v1/account/callbacks/3.json")).basic_auth("other", Some("secret"));
    assert_problem(&others.send().await.unwrap(), 404);
    let gone = harness.call(Method::DELETE, one).send().await.unwrap();
    assert_eq!((gone.status().as_u16(), gone.text().await.unwrap().as_str()), (204, ""));
    assert_problem(&harness.call(Method::DELETE, one).send().await.unwrap(), 404);
    assert_problem(&harness.get("account/callbacks/x.json").send().await.unwrap(), 400);
}

#[actix_web::test]
async fn a_preview_shows_encoding_and_parts_and_keeps_nothing() {
    let harness = harness().await;
    let shown: Value =
        harness.post("sms/preview.json", &[("message", "“hi”")]).send().await.unwrap().json().await.unwrap();
    assert_eq!((&shown["encoding"], &shown["transliterated"]["message"]), (&json!("UCS-2"), &json!("\"hi\"")));
    assert_problem(&harness.post("sms/preview.json", &[]).send().await.unwrap(), 400);
    assert_eq!(harness.stored().sms.len(), 0);
}
