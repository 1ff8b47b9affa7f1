//! What the targets share: a provider's webhooks made from its example, and a call made from the fuzzer's bytes.

use serde_json::Value;
use vumi_kit::{
    clock::Timestamp,
    ledger::ReceiptMatch,
    sms::Received,
    webhook::{Webhook, WebhookKept, WebhookNews, WebhookRequest},
};

const CONTENT_TYPES: [&str; 5] =
    ["application/x-www-form-urlencoded", "application/json", "text/xml", "text/plain", ""];

/// The webhooks of a kind of transport.
pub fn webhooks(kind: &str, settings: &str) -> Vec<Webhook> {
    let kinds = vumi_transports::kinds();
    let kind = kinds.get(kind).expect("a kind of this name");
    let settings = if settings.is_empty() { kind.example } else { settings };
    let webhooks = (kind.webhooks)(&toml::from_str::<Value>(settings).expect("settings in TOML"));
    assert!(!webhooks.is_empty(), "settings that are refused have no webhooks");
    webhooks
}

/// Has every one of the webhooks read a call and answer it. The first byte chooses the content type, and whether the
/// others are the query or the body.
pub fn read(webhooks: &[Webhook], data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let content_type = CONTENT_TYPES[usize::from(first & 0x7f) % CONTENT_TYPES.len()].to_owned();
    let mut request = WebhookRequest { method: "POST".to_owned(), content_type, ..WebhookRequest::default() };
    if first & 0x80 == 0 {
        request.body = rest.to_vec().into();
    } else {
        request.query = String::from_utf8_lossy(rest).into_owned();
    }
    for webhook in webhooks {
        let Ok(news) = webhook.form.read(&request) else { continue };
        let answer = webhook.form.answer(&request, &kept(news));
        assert!((200..500).contains(&answer.status));
    }
}

/// As the store would keep it.
fn kept(news: WebhookNews) -> WebhookKept {
    let at = Timestamp::from_seconds(1_280_000_000);
    match news {
        WebhookNews::Receipts(receipts) => {
            assert!(receipts.iter().all(|receipt| (1..=14).contains(&i16::from(receipt.status))));
            WebhookKept::Receipts(receipts.into_iter().map(|receipt| (receipt, ReceiptMatch::Unmatched)).collect())
        }
        WebhookNews::Inbound(list) => {
            assert!(list.iter().all(|sms| sms.from.as_str().bytes().all(|byte| byte.is_ascii_digit())));
            let received = list.into_iter().zip(1_i64..).map(|(sms, id)| Received {
                id,
                account: Some(1),
                transport: "fuzzed".to_owned().try_into().expect("a name"),
                message_id: id.to_string(),
                sms,
                repeated: false,
                incomplete: false,
                consent: None,
                tags: Vec::new(),
                created_at: at,
                updated_at: at,
            });
            WebhookKept::Inbound(received.collect())
        }
    }
}
