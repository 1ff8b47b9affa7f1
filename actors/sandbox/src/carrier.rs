//! What every carrier has: a name, a behaviour, a memory, and a way to call the router.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use reqwest::{Method, Url};
use serde::Deserialize;
use tokio::time::Instant;
use vumi_kit::clock::{Clock, Timestamp};

use crate::{
    behaviour::{Behaviour, DropWhen, Misbehaviour, Turn},
    post::{Answer, Letter, Post},
    seen::{Seen, Taken},
    server::Cut,
    settings::SandboxSettings,
};

/// An SMS from a person, as `POST /inbound/{carrier}` gives it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InboundOrder {
    /// The person.
    pub(crate) from: String,
    /// The number written to; TruTeq has one for premium SMS only.
    #[serde(default)]
    pub(crate) to: String,
    /// The text.
    pub(crate) text: String,
    /// `GET` or `POST`, where the provider can do both.
    #[serde(default)]
    pub(crate) method: Option<String>,
}

/// A call to the router: method, URL, and content type and body if it has one.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<(&'static str, Bytes)>,
}

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Carrier {
    /// Its name in the sandbox's own URLs.
    pub(crate) name: &'static str,
    pub(crate) receipt_url: Url,
    receive_url: Url,
    pub(crate) behaviour: Behaviour,
    pub(crate) seen: Seen,
    post: Post,
    pub(crate) clock: Clock,
    /// Microseconds since 1970: ids from before are not ours.
    started: i64,
    numbers: AtomicU64,
}

impl Carrier {
    /// A carrier that calls the router below the URL of `transport`; `receive` is the last part of the path for
    /// inbound SMS.
    pub(crate) fn new(
        name: &'static str,
        (transport, receive): (&str, &str),
        misbehave: &Misbehaviour,
        settings: &SandboxSettings,
        post: Post,
    ) -> Result<Arc<Self>, String> {
        let base = settings.callback_url.trim_end_matches('/');
        let below = |path: &str| {
            let url = format!("{base}/{transport}/{path}");
            Url::parse(&url).map_err(|wrong| format!("{url}: {wrong}"))
        };
        let clock = Clock::system();
        Ok(Arc::new(Self {
            name,
            receipt_url: below("receipt.json")?,
            receive_url: below(receive)?,
            behaviour: Behaviour::new(misbehave),
            seen: Seen::new(settings.seen_ids),
            post,
            started: clock.now().micros(),
            clock,
            numbers: AtomicU64::new(0),
        }))
    }

    /// Records an SMS under the router's id for it.
    pub(crate) fn take(&self, id: &str) -> Taken {
        let taken = self.next_number();
        self.seen.take(id, taken);
        taken
    }

    /// The next number, for an SMS of either direction.
    pub(crate) fn next_number(&self) -> Taken {
        Taken { at: self.clock.now().micros(), number: self.numbers.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    /// Whether this carrier gave that number at that moment: since its start, and not in the future.
    pub(crate) fn gave(&self, taken: Taken) -> bool {
        taken.at >= self.started
            && taken.at <= self.clock.now().micros()
            && (1..=self.numbers.load(Ordering::Relaxed)).contains(&taken.number)
    }

    /// When the receipt for an SMS taken at `at` is posted.
    pub(crate) fn receipt_time(&self, turn: &Turn, at: i64) -> Timestamp {
        Timestamp::from_micros(at).plus(turn.rules.receipt_delay)
    }

    /// Queues a receipt as often as the carrier's behaviour says; `body` is made only if there is one.
    pub(crate) fn send_receipt(
        self: &Arc<Self>,
        turn: &Turn,
        content_type: &'static str,
        body: impl FnOnce() -> String,
    ) {
        let times = turn.rules.receipts.times();
        if times == 0 {
            return;
        }
        let body = Bytes::from(body());
        let due = Instant::now() + turn.rules.receipt_delay;
        for _ in 0..times {
            self.post.queue(Letter {
                from: Arc::clone(self),
                due,
                content_type: HeaderValue::from_static(content_type),
                body: body.clone(),
                attempts: 0,
            });
        }
    }

    /// Where inbound SMS go, with these parameters in the query.
    pub(crate) fn receive_url(&self, query: Option<&str>) -> Url {
        let mut url = self.receive_url.clone();
        url.set_query(query);
        url
    }

    /// Calls the router at once.
    pub(crate) async fn call(&self, call: Call) -> Result<Answer, reqwest::Error> {
        self.post.call(call.method, call.url, call.body).await
    }
}

/// Runs one submission as the carrier's behaviour says: `submit` records and answers it.
pub(crate) async fn take_turn(carrier: &Carrier, submit: impl FnOnce(&Turn) -> Response) -> Response {
    let turn = carrier.behaviour.turn();
    if turn.dropped == Some(DropWhen::Before) {
        carrier.seen.dropped();
        return Cut::response();
    }
    let answer = submit(&turn);
    if turn.dropped.is_some() {
        carrier.seen.dropped();
    }
    if !turn.rules.delay.is_zero() {
        tokio::time::sleep(turn.rules.delay).await;
    }
    if turn.dropped.is_some() { Cut::response() } else { answer }
}

/// An answer with a content type and a body.
pub(crate) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let body: Bytes = body.into();
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
}

/// Whether a credential is the one the settings ask for; any will do where they ask for none.
pub(crate) fn accepts(wanted: Option<&str>, given: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == given)
}

/// Whether a text is 3 to 15 digits.
pub(crate) fn is_msisdn(text: &str) -> bool {
    (3..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}
