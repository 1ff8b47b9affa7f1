//! The way in: every call under `/api/v1` passes here. Password, rate and time limit first, then the work.

use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::header::AUTHORIZATION, web};
use vumi_kit::{account::AccountId, name::Name, store::Store, webhook::Webhook};

use super::{
    auth::Gate,
    body::{Bodies, Body},
    connections::{self, TurnedAway},
    idempotency::InProgress,
    origin::Origins,
    rates::{Class, Left, Rates},
    refusal::Refusal,
    send::Bounds,
};

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) doors: BTreeMap<Name, Vec<Webhook>>,
    pub(crate) origins: Origins,
    pub(crate) gate: Gate,
    pub(crate) rates: Rates,
    pub(crate) in_progress: InProgress,
    pub(crate) bounds: Bounds,
    pub(crate) bodies: Bodies,
    pub(crate) answer_within: Duration,
    pub(crate) idempotency_keep: Duration,
}

/// A caller who was let in.
pub(crate) struct Caller<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) request: &'a HttpRequest,
    pub(crate) account: AccountId,
}

impl Caller<'_> {
    /// A part of the path.
    pub(crate) fn segment(&self, name: &str) -> &str {
        self.request.match_info().get(name).unwrap_or_default()
    }

    /// The number that a part of the path must be.
    pub(crate) fn id(&self) -> Result<i64, Refusal> {
        let text = self.segment("id");
        // The number alone: no sign, no space.
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        number.ok_or_else(|| Refusal::field("id", text, "an id is a number"))
    }

    /// The transport that the path names.
    pub(crate) fn transport(&self) -> Result<&Name, Refusal> {
        self.door().map(|(name, _)| name)
    }

    /// The transport that the path names, and its webhooks.
    pub(crate) fn door(&self) -> Result<(&Name, &[Webhook]), Refusal> {
        let asked = self.segment("transport");
        self.shared.doors.get_key_value(asked).map(|(name, webhooks)| (name, webhooks.as_slice())).ok_or_else(|| {
            let shown: String = asked.chars().take(64).collect();
            let names: Vec<&str> = self.shared.doors.keys().map(Name::as_str).collect();
            Refusal::NotFound(format!("there is no transport `{shown}`; there are: {}", names.join(", ")))
        })
    }

    /// The body.
    pub(crate) async fn body(&self, payload: web::Payload) -> Result<Body, Refusal> {
        self.shared.bodies.collect(self.request, payload).await
    }
}

/// Lets a caller in, does the work within the time limit, and makes the answer of whatever came of it.
pub(crate) async fn enter<W>(request: &HttpRequest, class: Class, work: W) -> HttpResponse
where
    W: AsyncFnOnce(Caller<'_>) -> Result<HttpResponse, Refusal>,
{
    let Some(shared) = request.app_data::<web::Data<Shared>>() else {
        return HttpResponse::InternalServerError().finish();
    };
    let mut left = None;
    let answer = tokio::time::timeout(shared.answer_within, admitted(shared, request, class, &mut left, work)).await;
    let late = Refusal::Away(5, "the answer took too long; what was sent may have been kept");
    let mut response = match answer.unwrap_or(Err(late)) {
        Ok(response) => response,
        Err(refusal) => refusal.response(),
    };
    if let Some(left) = left {
        left.stamp(response.headers_mut());
    }
    response
}

async fn admitted<W>(
    shared: &Shared,
    request: &HttpRequest,
    class: Class,
    left: &mut Option<Left>,
    work: W,
) -> Result<HttpResponse, Refusal>
where
    W: AsyncFnOnce(Caller<'_>) -> Result<HttpResponse, Refusal>,
{
    if request.conn_data::<TurnedAway>().is_some() {
        return Err(connections::refusal());
    }
    let origin = shared.origins.of(request);
    let account = shared.gate.admit(request.headers().get(AUTHORIZATION), origin).await?;
    let (now_left, allowed) = shared.rates.count(class, account);
    *left = now_left;
    allowed?;
    work(Caller { shared, request, account }).await
}
