//! The state that every provider of the sandbox has, and the way a submission is answered.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use reqwest::Url;
use tokio::time::Instant;
use vumi_kit::clock::{Clock, Timestamp};

use crate::{
    behaviour::{Behaviour, DropWhen, Misbehaviour, SubmissionPlan},
    http::drop_connection,
    phone::{HandsetEvent, HandsetJournal},
    router_client::{QueuedReceipt, RouterCall, RouterClient, RouterResponse},
    seen::{Seen, Taken},
};

/// What all providers of a sandbox share.
#[derive(Clone, Debug)]
pub(crate) struct SharedContext {
    /// Below this URL the router is called.
    pub(crate) callback_url: String,
    /// How many ids a provider remembers.
    pub(crate) max_ids: usize,
    pub(crate) router: RouterClient,
    /// What happens on handsets.
    pub(crate) journal: Arc<HandsetJournal>,
}

/// A provider's name, behaviour, record of SMS, and way to call the router.
#[derive(Debug)]
pub(crate) struct ProviderCore {
    /// Its name in the sandbox's own URLs.
    pub(crate) name: &'static str,
    receipt_url: Url,
    receive_url: Url,
    pub(crate) behaviour: Behaviour,
    pub(crate) seen: Arc<Seen>,
    router: RouterClient,
    pub(crate) clock: Clock,
    pub(crate) journal: Arc<HandsetJournal>,
    /// Microseconds since 1970: ids from before are of another sandbox.
    started: i64,
    numbers: AtomicU64,
}

impl ProviderCore {
    /// The core of a provider that calls the router at `{callback_url}/{transport}/receipt.json`, and for inbound SMS
    /// at `{callback_url}/{transport}/{receive}`. The error says which URL can't be read.
    pub(crate) fn new(
        name: &'static str,
        (transport, receive): (&str, &str),
        misbehave: &Misbehaviour,
        context: &SharedContext,
    ) -> Result<Arc<Self>, String> {
        let base = context.callback_url.trim_end_matches('/');
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
            seen: Arc::new(Seen::new(context.max_ids)),
            router: context.router.clone(),
            journal: Arc::clone(&context.journal),
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

    /// A handset gets an SMS that was taken.
    pub(crate) fn show_on_handset(&self, from: &str, to: &str, text: &str) {
        let (provider, other, text) = (self.name, from, text);
        self.journal.record(to, || HandsetEvent::SmsReceived {
            provider,
            other: other.to_owned(),
            text: text.to_owned(),
        });
    }

    /// The next number, for an SMS of either direction.
    pub(crate) fn next_number(&self) -> Taken {
        Taken { at: self.clock.now().micros(), number: self.numbers.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    /// Whether this provider gave that number at that moment: since its start, and not in the future.
    pub(crate) fn gave(&self, taken: Taken) -> bool {
        taken.at >= self.started
            && taken.at <= self.clock.now().micros()
            && (1..=self.numbers.load(Ordering::Relaxed)).contains(&taken.number)
    }

    /// When the receipt for an SMS taken at `at` is posted.
    pub(crate) fn receipt_time(&self, plan: &SubmissionPlan, at: i64) -> Timestamp {
        Timestamp::from_micros(at).plus(plan.rules.receipt_delay)
    }

    /// Queues a receipt as often as the provider's behaviour says; `body` is called only if there is one.
    pub(crate) fn send_receipt(
        &self,
        plan: &SubmissionPlan,
        content_type: &'static str,
        body: impl FnOnce() -> String,
    ) {
        let times = plan.rules.receipts.times();
        if times == 0 {
            return;
        }
        let body = Bytes::from(body());
        let due = Instant::now() + plan.rules.receipt_delay;
        for _ in 0..times {
            self.router.queue(QueuedReceipt {
                provider: self.name,
                seen: Arc::clone(&self.seen),
                url: self.receipt_url.clone(),
                due,
                content_type,
                body: body.clone(),
                attempts: 0,
            });
        }
    }

    /// The URL for inbound SMS, with these parameters in the query.
    pub(crate) fn receive_url(&self, query: Option<&str>) -> Url {
        let mut url = self.receive_url.clone();
        url.set_query(query);
        url
    }

    /// Calls the router at once.
    pub(crate) async fn call(&self, call: RouterCall) -> Result<RouterResponse, reqwest::Error> {
        self.router.call(call).await
    }
}

/// Answers one submission as the provider's behaviour says: `submit` records it and makes the answer.
pub(crate) async fn answer_submission(
    core: &ProviderCore,
    request: &HttpRequest,
    submit: impl FnOnce(&SubmissionPlan) -> HttpResponse,
) -> HttpResponse {
    let plan = core.behaviour.plan_next();
    if plan.dropped.is_some() {
        core.seen.dropped();
    }
    if plan.dropped == Some(DropWhen::Before) {
        return drop_connection(request);
    }
    let answer = submit(&plan);
    if !plan.rules.delay.is_zero() {
        tokio::time::sleep(plan.rules.delay).await;
    }
    if plan.dropped.is_some() { drop_connection(request) } else { answer }
}

/// Whether a credential is the one the settings ask for; if they ask for none, any is accepted.
pub(crate) fn accepts(wanted: Option<&str>, given: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == given)
}

/// Whether a text is 3 to 15 digits.
pub(crate) fn is_msisdn(text: &str) -> bool {
    (3..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}
