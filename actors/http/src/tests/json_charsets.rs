//! JSON in other character sets than UTF-8.

use reqwest::Method;
use serde_json::Value;

use super::{HttpHarness, assert_problem, harness};

const TEXT: &str = "très 😀";

async fn send(harness: &HttpHarness, content_type: &str, body: Vec<u8>) -> reqwest::Response {
    let request = harness.call(Method::POST, "sms/clickatell/send.json").header("content-type", content_type);
    request.body(body).send().await.unwrap()
}

fn document(text: &str) -> String {
    format!("{{\"to_msisdn\": \"27123456781\", \"from_msisdn\": \"27123456789\", \"message\": \"{text}\"}}")
}

#[actix_web::test]
async fn a_message_in_utf_16_utf_32_or_a_named_character_set_is_read_as_it_was_written() {
    let harness = harness().await;
    let (json, latin) = (document(TEXT), document("très"));
    let marked: Vec<u8> = format!("\u{feff}{json}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let unmarked: Vec<u8> = json.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let utf32: Vec<u8> = json.chars().flat_map(|character| u32::from(character).to_be_bytes()).collect();
    let in_latin: Vec<u8> = latin.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect();
    for (content_type, body, text) in [
        ("application/json", marked, TEXT),
        ("application/json; charset=utf-16", unmarked, TEXT),
        ("application/json; charset=utf-32", utf32, TEXT),
        ("application/json; charset=utf-8", json.clone().into_bytes(), TEXT),
        ("application/json", format!("\u{feff}{json}").into_bytes(), TEXT),
        ("application/json; charset=\"ISO-8859-1\"", in_latin.clone(), "très"),
    ] {
        let answer = send(&harness, content_type, body).await;
        assert_eq!(answer.status(), 200, "{content_type}: {}", answer.text().await.unwrap());
        assert_eq!(answer.json::<Value>().await.unwrap()[0]["message"], text, "{content_type}");
    }
    // Nothing is guessed of a client's text.
    assert_problem(&send(&harness, "application/json", in_latin.clone()).await, 400);
    assert_problem(&send(&harness, "application/json; charset=none-such", in_latin).await, 415);
}
