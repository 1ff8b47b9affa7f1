//! Bodies in `multipart/form-data`, as `curl -F`, PHP and Django's client send them.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{assert_problem, harness, harness::HttpHarness, header};

/// A call whose body has these parts.
fn post(harness: &HttpHarness, path: &str, boundary: &str, parts: &[(&str, &str)]) -> RequestBuilder {
    let part = |(name, value): &(&str, &str)| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = parts.iter().map(part).collect::<String>() + &format!("--{boundary}--\r\n");
    let content_type = format!("multipart/form-data; boundary={boundary}");
    harness.call(Method::POST, path).header("content-type", content_type).body(body)
}

#[actix_web::test]
async fn every_post_takes_multipart_form_data() {
    let harness = harness().await;
    let sms = [("to_msisdn", "271"), ("to_msisdn", "+272"), ("from_msisdn", "273"), ("message", "ä & b=c + %41")];
    let sent = post(&harness, "sms/clickatell/send.json", "b", &sms).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::OK);
    let sent: Value = sent.json().await.unwrap();
    assert_eq!((&sent[0]["to_msisdn"], &sent[1]["to_msisdn"]), (&json!("271"), &json!("272")));
    assert_eq!(sent[0]["message"], json!("ä & b=c + %41"));
    let template = [("to_msisdn", "271"), ("from_msisdn", "273"), ("template", "hi {{a}}"), ("template_a", "x\r\ny")];
    let callback = [("name", "sms_received"), ("url", "http://localhost/received?a=b")];
    for (path, parts, status) in [
        ("sms/clickatell/template_send.json", template.as_slice(), 200),
        ("sms/preview.json", &[("message", "hi")], 200),
        ("account/callbacks.json", &callback, 200),
        ("sms/clickatell/receipt.json", &[("id", "1")], 201),
        ("sms/clickatell/receive.json", &[("text", "hi"), ("from", "+27123")], 200),
        ("sms/opera/receive.xml", &[("text", "hi"), ("from", "+27123")], 200),
    ] {
        let response = post(&harness, path, "b", parts).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
    assert_eq!(harness.stored().sms[2].message, "hi x\r\ny");
}

#[actix_web::test]
async fn a_repeated_request_is_the_same_whatever_its_boundary() {
    let harness = harness().await;
    let sms = [("to_msisdn", "271"), ("from_msisdn", "273"), ("message", "x")];
    for (boundary, replayed) in [("one", ""), ("another", "true")] {
        let keyed = post(&harness, "sms/clickatell/send.json", boundary, &sms).header("Idempotency-Key", "k");
        let response = keyed.send().await.unwrap();
        assert_eq!((response.status(), header(&response, "idempotency-replayed")), (StatusCode::OK, replayed));
    }
    assert_eq!(harness.stored().sms.len(), 1);
}

#[actix_web::test]
async fn multipart_that_cannot_be_read_is_a_400() {
    let harness = harness().await;
    for (content_type, body) in [
        ("multipart/form-data", "--b\r\n"),
        ("multipart/form-data; boundary=b", "no part"),
        ("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nends"),
        ("multipart/form-data; boundary=b", "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n"),
    ] {
        let call = harness.call(Method::POST, "sms/preview.json").header("content-type", content_type).body(body);
        assert_problem(&call.send().await.unwrap(), 400);
    }
}

#[actix_web::test]
async fn a_batch_of_ten_thousand_recipients_is_read() {
    let harness = harness().await;
    let to: Vec<String> = (0..10_000).map(|n| format!("27{n:09}")).collect();
    let mut parts: Vec<(&str, &str)> = to.iter().map(|to| ("to_msisdn", to.as_str())).collect();
    parts.extend([("from_msisdn", "273"), ("message", "x")]);
    let sent = post(&harness, "sms/clickatell/send.json", "----WebKitFormBoundary", &parts).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::OK);
    assert_eq!(harness.stored().sms.len(), 10_000);
}
