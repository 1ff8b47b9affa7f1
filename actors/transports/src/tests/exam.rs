//! The exam that every SMS provider sits: a table of what its API may answer, asked over a real socket.

use std::{rc::Rc, sync::Arc, time::Duration};

use serde_json::{Value, json};
use vumi_kit::{
    address::{Address, Msisdn},
    clock::{Clock, Timestamp},
    sms::{Decision, Submission, TransportStatus},
    sms_options::{Content, Priority},
    webhook::WebhookForm,
};

use super::{
    fake_provider::{FakeAnswer, FakeProvider, answers},
    webhooks::webhook,
};
use crate::{
    outbox::{
        Submitted,
        attempt::{AttemptLimits, AttemptResult, attempt},
    },
    provider::Provider,
};

/// Of the outbox that the tests' stores open.
pub(crate) const CLAIM_TOKEN: &str = "local/1";

pub(crate) fn submission(message: &str) -> Submission {
    Submission {
        id: 42,
        to: Msisdn::parse("27123456789").unwrap(),
        from: Address::sender("27123456780").unwrap(),
        message: message.to_owned(),
        content: Content::Text,
        segments: 1,
        priority: Priority::Normal,
        reference: None,
        attempts: 0,
        unknown_outcomes: 0,
        parts: Vec::new(),
        due_at: Timestamp::from_seconds(0),
        lease_until: Timestamp::from_seconds(2_000_000_000),
        give_up_at: Timestamp::from_seconds(2_000_000_000),
        limited: false,
        begun: true,
        renewed: false,
        claim_token: CLAIM_TOKEN.into(),
    }
}

/// What an answer should lead to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expect {
    Accepted(Option<&'static str>),
    Rejected(TransportStatus),
    /// Another attempt: the SMS did not arrive.
    Retry,
    /// Another attempt: the SMS may have arrived.
    UnknownOutcome,
    Throttled(Option<u64>),
    Misconfigured,
}

impl Expect {
    pub(crate) fn is_met_by(self, decision: &Decision) -> bool {
        match (self, decision) {
            (Self::Accepted(id), Decision::Accepted { provider_id, .. }) => provider_id.as_deref() == id,
            (Self::Rejected(expected), Decision::Rejected { status, .. }) => *status == expected,
            (Self::Retry, Decision::Retry { unknown_outcome, .. }) => !unknown_outcome,
            (Self::UnknownOutcome, Decision::Retry { unknown_outcome, .. }) => *unknown_outcome,
            (Self::Throttled(expected), Decision::Throttled { retry_after_s, .. }) => *retry_after_s == expected,
            (Self::Misconfigured, Decision::Misconfigured { .. }) => true,
            _ => false,
        }
    }
}

/// The table a provider fills in.
pub(crate) struct Exam {
    /// Settings in TOML; the exam changes `url` and `outbox`.
    pub(crate) settings: &'static str,
    /// Answers of this provider and what they mean.
    pub(crate) answers: Vec<(FakeAnswer, Expect)>,
    /// Texts, and pieces that the call's head or body must then contain.
    pub(crate) texts: Vec<(&'static str, Vec<&'static str>)>,
}

/// What means the same at every provider.
fn common_answers() -> [(FakeAnswer, Expect); 14] {
    [
        (FakeAnswer::Status(429, "retry-after: 7\r\n", String::new()), Expect::Throttled(Some(7))),
        (FakeAnswer::Status(503, "retry-after: 9\r\n", String::new()), Expect::Throttled(Some(9))),
        (answers(503, "later"), Expect::Retry),
        (answers(500, "oops"), Expect::UnknownOutcome),
        (answers(502, ""), Expect::UnknownOutcome),
        (answers(401, "who?"), Expect::Misconfigured),
        (answers(403, "no"), Expect::Misconfigured),
        (FakeAnswer::Status(302, "location: http://127.0.0.1:1/\r\n", String::new()), Expect::Misconfigured),
        (answers(400, "bad"), Expect::Rejected(TransportStatus::MessageError)),
        (answers(200, ""), Expect::UnknownOutcome),
        (answers(200, "\u{0}\u{1}garbage <"), Expect::UnknownOutcome),
        (answers(200, &"x".repeat(300_000)), Expect::UnknownOutcome),
        (FakeAnswer::HangUp, Expect::UnknownOutcome),
        (FakeAnswer::Never, Expect::UnknownOutcome),
    ]
}

impl Exam {
    pub(crate) async fn sit<P: Provider>(self) {
        for (answer, expect) in common_answers().into_iter().chain(self.answers) {
            let answer_text: String = format!("{answer:?}").chars().take(200).collect();
            let call = Duration::from_millis(if matches!(answer, FakeAnswer::Never) { 200 } else { 10_000 });
            let server = FakeProvider::start(answer).await;
            let provider = Rc::new(provider::<P>(self.settings, &server.url));
            // As the outbox does it, which bounds the time.
            let limits = AttemptLimits { call, max_resubmissions: 0 };
            let AttemptResult::Decided(Submitted { decision, .. }) =
                attempt(provider, submission("hello world"), limits).await.result
            else {
                panic!("{answer_text} was not submitted")
            };
            assert!(expect.is_met_by(&decision), "{answer_text} led to {decision:?}, not {expect:?}");
        }
        let unreachable = provider::<P>(self.settings, "http://127.0.0.1:1");
        let decision = unreachable.submit(&submission("hello")).await;
        assert!(Expect::Retry.is_met_by(&decision), "nobody listens: {decision:?}");
        for (text, pieces) in self.texts {
            let mut server = FakeProvider::start(answers(200, "")).await;
            provider::<P>(self.settings, &server.url).submit(&submission(text)).await;
            let call = server.call().await;
            for piece in pieces {
                assert!(call.contains(piece), "{text:?}: no {piece:?} in {call}");
            }
        }
    }
}

/// A provider made of settings in TOML, for an API at another URL. Its clock is held at 2010-06-04 15:51:25.
pub(crate) fn provider<P: Provider>(settings: &str, url: &str) -> P {
    let changes = [("url", json!(url))];
    let clock = Clock::held(Timestamp::parse("2010-06-04 15:51:25").unwrap());
    P::new(changed::<P>(settings, &changes), clock).unwrap()
}

/// Settings in TOML with some keys changed.
pub(crate) fn changed<P: Provider>(settings: &str, changes: &[(&str, Value)]) -> P::Settings {
    let mut table: Value = toml::from_str(settings).unwrap();
    for (key, value) in changes {
        table[*key] = value.clone();
    }
    serde_json::from_value(table).unwrap()
}

/// The webhook of a provider's example settings that has this path.
pub(crate) fn example_webhook<P: Provider>(path: &str) -> Arc<dyn WebhookForm> {
    webhook(&P::webhooks(&changed::<P>(P::EXAMPLE, &[])), path)
}
