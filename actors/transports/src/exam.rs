//! The exam that every SMS provider sits: a table of what its carrier may answer, asked over a real socket, and of
//! what its webhooks may bring.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    ledger::ReceiptMatch,
    name::Name,
    sms::{Decision, InboundSms, Receipt, Received, Sms, Submission, TransportStatus},
    webhook::{Webhook, WebhookAnswer, WebhookForm, WebhookKept, WebhookNews, WebhookRequest},
};

use crate::outbox::{OutboxSettings, Provider};

/// What a carrier does with a call.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// It answers with this status, these further header lines and this body.
    Answer(u16, &'static str, String),
    /// It never answers.
    Nothing,
    /// It closes the connection.
    HangUp,
}

pub(crate) fn says(status: u16, body: &str) -> Says {
    Says::Answer(status, "", body.to_owned())
}

/// A carrier on loopback that says one thing, and repeats what it heard.
pub(crate) struct Carrier {
    pub(crate) url: String,
    heard: mpsc::UnboundedReceiver<String>,
}

impl Carrier {
    pub(crate) async fn that(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, says.clone(), tell.clone()));
            }
        });
        Self { url, heard }
    }

    /// The next call as it came over the wire, head and body.
    pub(crate) async fn heard(&mut self) -> String {
        self.heard.recv().await.unwrap()
    }
}

async fn serve(mut stream: TcpStream, says: Says, tell: mpsc::UnboundedSender<String>) {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase().lines().find_map(|line| {
                line.strip_prefix("content-length:").map(|length| length.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                tell.send(text).ok();
                match &says {
                    Says::Nothing => std::future::pending().await,
                    Says::HangUp => return,
                    Says::Answer(status, headers, body) => {
                        let answer =
                            format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
                read.clear();
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(length) => read.extend_from_slice(&chunk[..length]),
        }
    }
}

pub(crate) fn submission(message: &str) -> Submission {
    Submission {
        id: 42,
        to: Msisdn::parse("27123456789").unwrap(),
        from: Msisdn::parse("27123456780").unwrap(),
        message: message.to_owned(),
        attempts: 0,
        unsure: 0,
        due_at: Timestamp::from_seconds(0),
        lease_until: Timestamp::from_seconds(2_000_000_000),
        give_up_at: Timestamp::from_seconds(2_000_000_000),
    }
}

/// What an answer should lead to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expect {
    Accepted(Option<&'static str>),
    Rejected(TransportStatus),
    Retry { unsure: bool },
    Throttled(Option<u64>),
    Misconfigured,
}

fn met(decision: &Decision) -> String {
    match decision {
        Decision::Accepted { provider_id, .. } => format!("Accepted({provider_id:?})"),
        Decision::Rejected { status, .. } => format!("Rejected({status:?})"),
        Decision::Retry { unsure, .. } => format!("Retry {{ unsure: {unsure} }}"),
        Decision::Throttled { retry_after_s, .. } => format!("Throttled({retry_after_s:?})"),
        Decision::Misconfigured { .. } => "Misconfigured".to_owned(),
    }
}

/// The table a provider fills in.
pub(crate) struct Exam<P> {
    /// The provider, for a carrier at a URL.
    pub(crate) provider: fn(&str, OutboxSettings) -> P,
    /// Answers of this provider and what they mean.
    pub(crate) answers: Vec<(Says, Expect)>,
    /// Texts, and pieces that the call's head or body must then contain.
    pub(crate) texts: Vec<(&'static str, Vec<&'static str>)>,
}

impl<P: Provider> Exam<P> {
    pub(crate) async fn sit(self) {
        let common = [
            (Says::Answer(429, "retry-after: 7\r\n", String::new()), Expect::Throttled(Some(7))),
            (Says::Answer(503, "retry-after: 9\r\n", String::new()), Expect::Throttled(Some(9))),
            (says(503, "later"), Expect::Retry { unsure: false }),
            (says(500, "oops"), Expect::Retry { unsure: true }),
            (says(502, ""), Expect::Retry { unsure: true }),
            (says(401, "who?"), Expect::Misconfigured),
            (says(403, "no"), Expect::Misconfigured),
            (Says::Answer(302, "location: http://127.0.0.1:1/\r\n", String::new()), Expect::Misconfigured),
            (says(400, "bad"), Expect::Rejected(TransportStatus::MessageError)),
            (says(200, ""), Expect::Retry { unsure: true }),
            (says(200, "\u{0}\u{1}garbage <"), Expect::Retry { unsure: true }),
            (says(200, &"x".repeat(300_000)), Expect::Retry { unsure: true }),
            (Says::HangUp, Expect::Retry { unsure: true }),
            (Says::Nothing, Expect::Retry { unsure: true }),
        ];
        for (says, expect) in common.into_iter().chain(self.answers) {
            let shown: String = format!("{says:?}").chars().take(200).collect();
            let limit = if matches!(says, Says::Nothing) { 200 } else { 10_000 };
            let carrier = Carrier::that(says).await;
            let settings = OutboxSettings { call_limit: Duration::from_millis(limit), ..OutboxSettings::default() };
            let decision = (self.provider)(&carrier.url, settings).submit(&submission("hello world")).await;
            let expected = match expect {
                Expect::Rejected(status) => format!("Rejected({status:?})"),
                other => format!("{other:?}"),
            };
            assert_eq!(met(&decision), expected, "{shown} led to {decision:?}");
        }
        let nobody = (self.provider)("http://127.0.0.1:1", OutboxSettings::default());
        assert_eq!(met(&nobody.submit(&submission("hello")).await), "Retry { unsure: false }");
        for (text, pieces) in self.texts {
            let mut carrier = Carrier::that(says(200, "")).await;
            (self.provider)(&carrier.url, OutboxSettings::default()).submit(&submission(text)).await;
            let heard = carrier.heard().await;
            for piece in pieces {
                assert!(heard.contains(piece), "{text:?}: no {piece:?} in {heard}");
            }
        }
    }
}

/// The webhook of a path.
pub(crate) fn webhook(webhooks: &[Webhook], path: &str) -> Arc<dyn WebhookForm> {
    webhooks.iter().find(|webhook| webhook.path == path).unwrap().form.clone()
}

pub(crate) fn get(query: &str) -> WebhookRequest {
    WebhookRequest { method: "GET".to_owned(), query: query.to_owned(), ..WebhookRequest::default() }
}

pub(crate) fn post(content_type: &str, body: impl Into<bytes::Bytes>) -> WebhookRequest {
    WebhookRequest {
        method: "POST".to_owned(),
        content_type: content_type.to_owned(),
        body: body.into(),
        ..WebhookRequest::default()
    }
}

pub(crate) fn post_form(body: &str) -> WebhookRequest {
    post("application/x-www-form-urlencoded", body.to_owned())
}

pub(crate) fn receipts(form: &dyn WebhookForm, request: &WebhookRequest) -> Vec<Receipt> {
    match form.read(request).unwrap() {
        WebhookNews::Receipts(receipts) => receipts,
        WebhookNews::Inbound(_) => panic!("an SMS where a receipt was sent"),
    }
}

pub(crate) fn inbound(form: &dyn WebhookForm, request: &WebhookRequest) -> InboundSms {
    match form.read(request).unwrap() {
        WebhookNews::Inbound(mut inbound) if inbound.len() == 1 => inbound.remove(0),
        other => panic!("{other:?}"),
    }
}

/// Reads a call, keeps what it told as the ledger would, and answers it.
pub(crate) fn answer(form: &dyn WebhookForm, request: &WebhookRequest, known: bool) -> WebhookAnswer {
    let at = Timestamp::parse("2010-06-04 15:51:25").unwrap();
    let kept = match form.read(request).unwrap() {
        WebhookNews::Receipts(receipts) => WebhookKept::Receipts(
            receipts
                .into_iter()
                .map(|receipt| {
                    let matched = if known {
                        ReceiptMatch::Matched(Box::new(sms(receipt.status, at)))
                    } else {
                        ReceiptMatch::Unmatched
                    };
                    (receipt, matched)
                })
                .collect(),
        ),
        WebhookNews::Inbound(inbound) => WebhookKept::Inbound(
            inbound
                .into_iter()
                .map(|sms| Received {
                    id: 7,
                    account: 1,
                    transport: Name::parse("exam").unwrap(),
                    message_id: "m1".to_owned(),
                    sms,
                    repeated: false,
                    created_at: at,
                    updated_at: at,
                })
                .collect(),
        ),
    };
    form.answer(request, &kept)
}

fn sms(status: TransportStatus, at: Timestamp) -> Sms {
    Sms {
        id: 42,
        account: 1,
        transport: Name::parse("exam").unwrap(),
        to: Msisdn::parse("27123456789").unwrap(),
        from: Msisdn::parse("27123456780").unwrap(),
        message: "hello".to_owned(),
        status,
        provider_said: None,
        provider_id: Some("abc".to_owned()),
        attempts: 1,
        delivered_at: None,
        created_at: at,
        updated_at: at,
    }
}

pub(crate) fn json(answer: &WebhookAnswer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// Each of the fields, left out, is named in the refusal.
pub(crate) fn names_missing_fields(form: &dyn WebhookForm, query: &str, fields: &[&str]) {
    form.read(&get(query)).unwrap();
    for field in fields {
        let without: Vec<_> = query.split('&').filter(|pair| !pair.starts_with(&format!("{field}="))).collect();
        let unreadable = form.read(&get(&without.join("&"))).unwrap_err();
        assert_eq!(&unreadable.field, field);
    }
}

/// A kind's settings, from its own example with some keys changed.
pub(crate) fn example<K: vumi_kit::kind::Kind>(changes: &[(&str, serde_json::Value)]) -> K::Settings {
    let mut table: serde_json::Value = toml::from_str(K::EXAMPLE).unwrap();
    for (key, value) in changes {
        table[*key] = value.clone();
    }
    serde_json::from_value(table).unwrap()
}

mod every_kind {
    use proptest::prelude::*;
    use vumi_kit::webhook::{Webhook, WebhookRequest};

    fn example_webhooks() -> Vec<Webhook> {
        crate::kinds().iter().flat_map(|kind| (kind.webhooks)(&toml::from_str(kind.example).unwrap())).collect()
    }

    #[test]
    fn its_example_parses_and_passes_its_check() {
        for kind in crate::kinds().iter() {
            let table = toml::from_str(kind.example).unwrap();
            assert_eq!((kind.check)(&table), [], "{}", kind.name);
        }
    }

    #[test]
    fn it_refuses_a_key_it_does_not_know() {
        for kind in crate::kinds().iter() {
            let mut table: serde_json::Value = toml::from_str(kind.example).unwrap();
            table["nonsense"] = 1.into();
            assert!(!(kind.check)(&table).is_empty(), "{}", kind.name);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_webhook_reader_panic(
            query in any::<String>(),
            body in proptest::collection::vec(any::<u8>(), 0..400),
            content_type in prop::sample::select(vec![
                "", "text/xml", "text/plain", "application/xml", "application/json", "application/x-www-form-urlencoded",
            ]),
        ) {
            let request = WebhookRequest {
                method: "POST".to_owned(), query, content_type: content_type.to_owned(), body: body.into(),
            };
            for webhook in example_webhooks() {
                let _read_or_refused = webhook.form.read(&request);
            }
        }
    }
}
