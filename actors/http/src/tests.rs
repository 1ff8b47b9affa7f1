//! The API as a client meets it: over a socket, against a store in memory.

mod access;

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use vumi_kit::sms::TransportStatus;

use super::{HttpSettings, stand::Stand};

async fn stand() -> Stand {
    Stand::start(HttpSettings::default()).await
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
    let stand = stand().await;
    let response = stand.send().send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-type"), "application/json");
    assert_eq!(header(&response, "ratelimit-policy"), "\"sending\";q=6000;w=60");
    let shown = json!({
        "id": 1, "to_msisdn": "27123456780", "from_msisdn": "27123456789", "message": "hello world",
        "transport_status": 0, "transport_status_display": "", "delivered_at": null, "provider_status": null,
        "created_at": "2010-05-13 11:34:34", "updated_at": "2010-05-13 11:34:34", "encoding": "GSM 03.38", "segments": 1,
    });
    assert_eq!(response.json::<Value>().await.unwrap(), json!([shown]));
    let one: Value = stand.get("sms/clickatell/status/1.json").send().await.unwrap().json().await.unwrap();
    assert_eq!(one, shown);
}

#[actix_web::test]
async fn a_batch_in_json_is_answered_in_the_order_given() {
    let stand = stand().await;
    let body = json!({"to_msisdn": ["2713", "2711", "2712"], "from_msisdn": "27123456789", "message": "hi"});
    let response = stand.call(Method::POST, "sms/opera/send.json").json(&body).send().await.unwrap();
    let list: Vec<Value> = response.json().await.unwrap();
    let to: Vec<&str> = list.iter().map(|sms| sms["to_msisdn"].as_str().unwrap()).collect();
    assert_eq!(to, ["2713", "2711", "2712"]);
}

#[actix_web::test]
async fn ten_thousand_recipients_are_one_call_and_one_more_is_refused() {
    let stand = stand().await;
    let mut to: Vec<String> = (0..10_000).map(|n| format!("27{n:09}")).collect();
    let body = json!({"to_msisdn": to, "from_msisdn": "27123456789", "message": "hi"});
    let response = stand.call(Method::POST, "sms/opera/send.json").json(&body).send().await.unwrap();
    let list: Vec<Value> = response.json().await.unwrap();
    assert!(list.iter().zip(&to).all(|(sms, to)| sms["to_msisdn"] == json!(to)));
    to.push("27123456789".to_owned());
    let body = json!({"to_msisdn": to, "from_msisdn": "27123456789", "message": "hi"});
    assert_problem(&stand.call(Method::POST, "sms/opera/send.json").json(&body).send().await.unwrap(), 400);
    assert_eq!(stand.memory(|memory| memory.sms.len()).await, 10_000);
}

#[actix_web::test]
async fn personalised_texts_are_sent_to_the_recipients_they_were_given_for() {
    let stand = stand().await;
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
        stand.post("sms/clickatell/template_send.json", &form).send().await.unwrap().json().await.unwrap();
    let sent: Vec<_> = list.iter().map(|sms| (&sms["to_msisdn"], &sms["message"])).collect();
    let expected =
        [(&json!("27123456781"), &json!("Hello Simon de Haan")), (&json!("27123456782"), &json!("Hello Jack Jill"))];
    assert_eq!(sent, expected);
}

#[actix_web::test]
async fn nothing_of_a_batch_with_a_wrong_recipient_is_kept_and_every_fault_is_named() {
    let stand = stand().await;
    let form = [("to_msisdn", "27123456780"), ("to_msisdn", "27x"), ("message", "")];
    let response = stand.post("sms/clickatell/send.json", &form).send().await.unwrap();
    assert_problem(&response, 400);
    let problem: Value = response.json().await.unwrap();
    assert_eq!((&problem["status"], &problem["title"]), (&json!(400), &json!("Bad Request")));
    let wrong: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|e| (&e["field"], &e["value"])).collect();
    let expected =
        [(&json!("to_msisdn"), &json!("27x")), (&json!("from_msisdn"), &json!("")), (&json!("message"), &json!(""))];
    assert_eq!(wrong, expected);
    assert_eq!(stand.memory(|memory| memory.sms.len()).await, 0);
}

#[actix_web::test]
async fn an_account_sees_its_own_sms_only() {
    let stand = stand().await;
    stand.send().send().await.unwrap();
    for path in ["status/1.json", "status/1/events.json"] {
        let url = stand.url(&format!("/api/v1/sms/clickatell/{path}"));
        let other = stand.client.get(url).basic_auth("other", Some("secret")).send().await.unwrap();
        assert_problem(&other, 404);
    }
    assert_problem(&stand.get("sms/opera/status/1.json").send().await.unwrap(), 404);
    assert_problem(&stand.get("sms/clickatell/status/x.json").send().await.unwrap(), 400);
    let events: Value = stand.get("sms/clickatell/status/1/events.json").send().await.unwrap().json().await.unwrap();
    assert_eq!(events, json!([{"at": "2010-05-13 11:34:34", "event": "accepted", "detail": "kept"}]));
}

#[actix_web::test]
async fn lists_are_paged_by_a_hundred_with_a_link_while_there_is_more() {
    let stand = stand().await;
    let to: Vec<String> = (0..250).map(|n| format!("27{n:09}")).collect();
    let body = json!({"to_msisdn": to, "from_msisdn": "27123456789", "message": "hi"});
    stand.call(Method::POST, "sms/clickatell/send.json").json(&body).send().await.unwrap();
    let mut next = stand.url("/api/v1/sms/clickatell/status.json?since=2009-01-01");
    let mut ids: Vec<i64> = vec![];
    for _page in 0..3 {
        let response = stand.client.get(&next).basic_auth("username", Some("password")).send().await.unwrap();
        let link = header(&response, "link").to_owned();
        let page: Vec<Value> = response.json().await.unwrap();
        ids.extend(page.iter().map(|sms| sms["id"].as_i64().unwrap()));
        next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(next, "");
    assert_eq!(ids, (1..=250).rev().collect::<Vec<i64>>());
    let two: Vec<Value> =
        stand.get("sms/clickatell/status.json?id=3&id=4&id=999").send().await.unwrap().json().await.unwrap();
    assert_eq!(two.iter().map(|sms| sms["id"].as_i64().unwrap()).collect::<Vec<_>>(), [4, 3]);
    assert_problem(&stand.get("sms/clickatell/status.json").send().await.unwrap(), 400);
}

#[actix_web::test]
async fn an_sms_that_changes_between_two_pages_is_not_shown_twice() {
    let stand = stand().await;
    let to: Vec<String> = (0..150).map(|n| format!("27{n:09}")).collect();
    let body = json!({"to_msisdn": to, "from_msisdn": "27123456789", "message": "hi"});
    stand.call(Method::POST, "sms/clickatell/send.json").json(&body).send().await.unwrap();
    for (order, expected) in [("newest", (1..=50).rev().collect::<Vec<i64>>()), ("oldest", (101..=150).collect())] {
        let first = stand.get(&format!("sms/clickatell/status.json?since=2009-01-01&order={order}"));
        let first = first.send().await.unwrap();
        let link = header(&first, "link").to_owned();
        assert!(link.contains("cursor=") && link.contains(&format!("order={order}")), "{link}");
        // One that no page has to show again newest first, and which stays the last one oldest first.
        stand.memory(|memory| memory.sms[149].updated_at = super::stand::moment().plus(Duration::from_secs(9))).await;
        let next = link.trim_start_matches('<').split('>').next().unwrap();
        let second = stand.client.get(next).basic_auth("username", Some("password")).send().await.unwrap();
        assert_eq!(header(&second, "link"), "");
        let ids: Vec<Value> = second.json().await.unwrap();
        assert_eq!(ids.iter().map(|sms| sms["id"].as_i64().unwrap()).collect::<Vec<_>>(), expected, "{order}");
    }
}

#[actix_web::test]
async fn a_repeated_key_gives_the_first_answer_again_and_another_body_is_refused() {
    let stand = stand().await;
    let keyed = || stand.send().header("Idempotency-Key", "k1");
    let first = keyed().send().await.unwrap();
    assert_eq!(header(&first, "idempotency-replayed"), "");
    let first = first.text().await.unwrap();
    stand.memory(|memory| memory.sms[0].status = TransportStatus::Delivered).await;
    let again = keyed().send().await.unwrap();
    assert_eq!(header(&again, "idempotency-replayed"), "true");
    assert_eq!(again.text().await.unwrap(), first);
    let other = [("to_msisdn", "27123456780"), ("from_msisdn", "27123456789"), ("message", "another")];
    let other = stand.post("sms/clickatell/send.json", &other).header("Idempotency-Key", "k1").send().await.unwrap();
    assert_problem(&other, 409);
    assert_eq!(stand.memory(|memory| memory.sms.len()).await, 1);
}

#[actix_web::test]
async fn a_key_in_progress_is_refused_until_its_request_is_answered() {
    let stand = stand().await;
    stand.memory(|memory| memory.held = Some(vec![])).await;
    let first = actix_web::rt::spawn(stand.send().header("Idempotency-Key", "k1").send());
    // The first has reached the store once a question is held there.
    while stand.memory(|memory| memory.held.as_ref().unwrap().len()).await == 0 {
        tokio::task::yield_now().await;
    }
    let second = stand.send().header("Idempotency-Key", "k1").send().await.unwrap();
    assert_problem(&second, 409);
    assert_eq!(header(&second, "retry-after"), "1");
    stand
        .memory(|memory| {
            for question in memory.held.take().unwrap() {
                let _nobody_waits = question.reply.send(memory.accept(question.ask));
            }
        })
        .await;
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(stand.send().header("Idempotency-Key", "k1").send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(stand.memory(|memory| memory.sms.len()).await, 1);
}

#[actix_web::test]
async fn what_does_not_fit_the_api_is_refused_by_its_own_status() {
    let stand = Stand::start(HttpSettings { max_body: 1000, ..HttpSettings::default() }).await;
    let delete = stand.call(Method::DELETE, "sms/clickatell/send.json").send().await.unwrap();
    assert_problem(&delete, 405);
    assert_eq!(header(&delete, "allow"), "POST");
    let unknown = stand.post("sms/nobody/send.json", &[]).send().await.unwrap();
    assert_problem(&unknown, 404);
    let detail = unknown.json::<Value>().await.unwrap()["detail"].as_str().unwrap().to_owned();
    assert_eq!(detail, "there is no transport `nobody`; there are: clickatell, opera, techsys");
    let large = stand.post("sms/clickatell/send.json", &[("message", &"x".repeat(2000))]).send().await.unwrap();
    assert_problem(&large, 413);
    let chunks = futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 100])));
    let streamed = stand.call(Method::POST, "sms/clickatell/send.json").body(reqwest::Body::wrap_stream(chunks));
    assert_problem(&streamed.send().await.unwrap(), 413);
    let text = stand.call(Method::POST, "sms/clickatell/send.json").header("content-type", "text/plain").body("hi");
    assert_problem(&text.send().await.unwrap(), 415);
    assert_problem(&stand.get("sms").send().await.unwrap(), 404);
    assert_problem(&stand.client.get(stand.url("/elsewhere")).send().await.unwrap(), 404);
}

#[actix_web::test]
async fn a_webhook_is_read_kept_and_answered_by_its_form() {
    let stand = stand().await;
    stand.send().send().await.unwrap();
    let post = stand.post("sms/clickatell/receipt.json", &[("id", "1")]).send().await.unwrap();
    assert_eq!((post.status().as_u16(), post.text().await.unwrap().as_str()), (201, "1"));
    let get = stand.get("sms/clickatell/receipt.json?id=1").send().await.unwrap();
    assert_eq!(get.status(), StatusCode::CREATED);
    let unmatched = stand.get("sms/clickatell/receipt.json?id=2").send().await.unwrap();
    assert_eq!(unmatched.status(), StatusCode::NOT_FOUND);
    let unreadable = stand.get("sms/clickatell/receipt.json").send().await.unwrap();
    assert_problem(&unreadable, 400);
    let inbound = stand.post("sms/opera/receive.xml", &[("text", "hi"), ("from", "+27123")]).send().await.unwrap();
    assert_eq!(header(&inbound, "content-type"), "text/xml; charset=utf8");
    assert_eq!(inbound.text().await.unwrap(), "<id>7</id>");
}

#[actix_web::test]
async fn what_carriers_tell_is_kept_with_what_cannot_be_kept_of_it_replaced() {
    let stand = stand().await;
    stand.send().send().await.unwrap();
    let receipt = stand.post("sms/clickatell/receipt.json", &[("id", "1"), ("te\0xt", "a\0b")]).send().await.unwrap();
    assert_eq!(receipt.status(), StatusCode::CREATED);
    let inbound = [("text", "h\0i"), ("from", "+27123")];
    assert_eq!(stand.post("sms/opera/receive.xml", &inbound).send().await.unwrap().status(), StatusCode::OK);
    let fields = stand.memory(|memory| memory.receipts[0].fields.clone()).await;
    assert_eq!(fields[1], ("te\u{fffd}xt".to_owned(), "a\u{fffd}b".to_owned()));
    assert_eq!(stand.memory(|memory| memory.inbound[0].message.clone()).await, "h\u{fffd}i");
}

#[actix_web::test]
async fn a_nul_in_what_a_client_sends_is_refused_by_the_fields_name() {
    let stand = stand().await;
    let sms = |message| [("to_msisdn", "27123"), ("from_msisdn", "27124"), ("message", message)];
    let personal =
        [("to_msisdn", "27123"), ("from_msisdn", "27124"), ("template", "hi {{name}}"), ("template_name", "a\0")];
    let form = |path, form: &[(&str, &str)]| stand.post(path, form);
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
    assert_eq!(stand.memory(|memory| (memory.sms.len(), memory.callbacks.len())).await, (0, 0));
}

#[actix_web::test]
async fn a_webhook_that_a_transport_lacks_is_a_405_with_allow() {
    let stand = stand().await;
    for (method, path, allow) in [
        (Method::GET, "sms/techsys/receipt.json", ""),
        (Method::POST, "sms/opera/receive.json", ""),
        (Method::GET, "sms/opera/receive.xml", "POST"),
        (Method::PUT, "sms/clickatell/receipt.json", "GET, POST"),
    ] {
        let response = stand.call(method, path).send().await.unwrap();
        assert_problem(&response, 405);
        assert_eq!(response.headers().get("allow").unwrap(), allow, "{path}");
    }
    assert_problem(&stand.get("sms/nobody/receipt.json").send().await.unwrap(), 404);
}

#[actix_web::test]
async fn callbacks_are_created_listed_read_changed_and_deleted() {
    let stand = stand().await;
    let form = [("name", "sms_received"), ("url", "http://localhost/received")];
    let mut created: Value = stand.post("account/callbacks.json", &form).send().await.unwrap().json().await.unwrap();
    let secret = created.as_object_mut().unwrap().remove("secret").unwrap();
    assert!(secret.as_str().unwrap().starts_with("whsec_"));
    let shown = json!({
        "id": 3, "name": "sms_received", "url": "http://localhost/received",
        "created_at": "2010-05-13 11:34:34", "updated_at": "2010-05-13 11:34:34",
    });
    assert_eq!(created, shown);
    let list: Value = stand.get("account/callbacks.json").send().await.unwrap().json().await.unwrap();
    assert_eq!(list, json!([shown]));
    let one = "account/callbacks/3.json";
    let put = stand.call(Method::PUT, one).json(&json!({"url": "https://b/"})).send().await.unwrap();
    let changed: Value = put.json().await.unwrap();
    assert_eq!((&changed["name"], &changed["url"]), (&json!("sms_received"), &json!("https://b/")));
    assert_problem(&stand.call(Method::PUT, one).form(&[("url", "ftp://b/")]).send().await.unwrap(), 400);
    let others = stand.client.get(stand.url("/api/v1/account/callbacks/3.json")).basic_auth("other", Some("secret"));
    assert_problem(&others.send().await.unwrap(), 404);
    let gone = stand.call(Method::DELETE, one).send().await.unwrap();
    assert_eq!((gone.status().as_u16(), gone.text().await.unwrap().as_str()), (204, ""));
    assert_problem(&stand.call(Method::DELETE, one).send().await.unwrap(), 404);
    assert_problem(&stand.get("account/callbacks/x.json").send().await.unwrap(), 400);
}

#[actix_web::test]
async fn a_preview_tells_what_a_text_takes_and_keeps_nothing() {
    let stand = stand().await;
    let shown: Value =
        stand.post("sms/preview.json", &[("message", "“hi”")]).send().await.unwrap().json().await.unwrap();
    assert_eq!((&shown["encoding"], &shown["transliterated"]["message"]), (&json!("UCS-2"), &json!("\"hi\"")));
    assert_problem(&stand.post("sms/preview.json", &[]).send().await.unwrap(), 400);
    assert_eq!(stand.memory(|memory| memory.sms.len()).await, 0);
}

#[actix_web::test]
async fn the_description_and_its_page_are_served_from_the_binary() {
    let stand = stand().await;
    let api: Value = stand.get("openapi.json").send().await.unwrap().json().await.unwrap();
    assert_eq!((&api["openapi"], &api["info"]["title"]), (&json!("3.1.0"), &json!("Vumi")));
    // `/api/docs` leads to the page, which needs no password and fetches nothing from elsewhere.
    let page = stand.client.get(stand.url("/api/docs")).send().await.unwrap();
    assert_eq!((page.status(), page.url().path()), (StatusCode::OK, "/api/docs/"));
    let page = page.text().await.unwrap();
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "{page}");
    let script = stand.client.get(stand.url("/api/docs/swagger-initializer.js")).send().await.unwrap();
    let script = script.text().await.unwrap();
    assert!(script.contains("/api/v1/openapi.json") && script.contains("\"validatorUrl\": \"none\""), "{script}");
}
