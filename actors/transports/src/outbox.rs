//! The shell every SMS provider shares: it turns a [`Provider`] into a room.
//!
//! The actor here is thin: it takes messages and shows how it is. What is under way lives in the [`engine`], one
//! future on the actor's arbiter; if that panics the actor ends, and the supervisor starts the room again.

mod attempt;
mod breaker;
mod engine;
mod pace;
mod shown;
mod throughput;

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, ResponseFuture, WrapFuture,
};
use futures_util::future::LocalBoxFuture;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use vumi_kit::{
    backoff::Backoff,
    clock::Clock,
    component::{CALL_LIMIT, Component, ComponentContext, Drain, Lifeline, lifeline},
    health::{AskHealth, Health},
    kind::Problem,
    ledger::{Ledger, ReleaseSms},
    name::Name,
    router::Submit,
    sms::{Decision, Submission},
    store::Ask,
};

use engine::{Engine, Told};
use shown::Shown;

/// How many messages may wait for the actor, and for the engine behind it. More than that is released to the ledger.
const MAILBOX: usize = 1024;

/// How an SMS provider takes a submission.
pub(crate) trait Provider: 'static {
    /// Submits once and says what came of it. The caller bounds the time.
    fn submit(&self, submission: &Submission) -> impl Future<Output = Decision>;

    /// Asks whether a submission whose answer was lost arrived.
    fn look_up(&self, submission: &Submission) -> impl Future<Output = LookUp> {
        let _cannot_be_asked = submission;
        std::future::ready(LookUp::CannotSay)
    }

    /// What must never be repeated in what the provider said.
    fn secrets(&self) -> Vec<&SecretString> {
        Vec::new()
    }
}

/// What a provider knows of a submission whose answer was lost.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LookUp {
    /// What became of it, or that the question got no answer.
    Said(Decision),
    /// It did not arrive.
    NotThere,
    /// Nobody can say.
    CannotSay,
}

/// How a transport takes SMS from the ledger and hands them to its carrier: `[transports.<name>.outbox]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OutboxSettings {
    /// Submissions in flight at once. Default 64.
    pub(crate) window: usize,
    /// Submissions that wait in memory behind them; further ones wait in the ledger. Fewer where the carrier is so slow
    /// that they would wait for more than a third of `store.lease`. Default 1000.
    pub(crate) queue: usize,
    /// Submissions a second at the most; none: as fast as the carrier answers.
    pub(crate) rate: Option<f64>,
    /// How often the ledger is asked for SMS that have come due. Default 1s.
    #[serde(with = "humantime_serde")]
    pub(crate) poll: Duration,
    /// The waits between attempts, and of the whole transport while its carrier is away. Default 1s to 5m.
    pub(crate) retry: Backoff,
    /// How many times more an SMS may be submitted whose answer got lost, and whose provider can't say whether it
    /// arrived: each time it may reach the person again. 0: never again, no SMS arrives twice and some may not arrive.
    /// Then it ends as failed, its outcome unknown. Default 2.
    pub(crate) max_resubmissions: u32,
    /// How long one call to the carrier may take. Default 10s.
    #[serde(with = "humantime_serde")]
    pub(crate) call_limit: Duration,
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self {
            window: 64,
            queue: 1000,
            rate: None,
            poll: Duration::from_secs(1),
            retry: Backoff::default(),
            max_resubmissions: 2,
            call_limit: CALL_LIMIT,
        }
    }
}

impl OutboxSettings {
    /// What is wrong with them; keys as below the transport's table.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let longest_call = Duration::from_secs(30);
        let mut problems = Vec::new();
        let mut expect = |good: bool, key: &str, what: &str| {
            if !good {
                problems.push(Problem::new(format!("outbox.{key}"), what));
            }
        };
        expect((1..=10_000).contains(&self.window), "window", "expected 1 to 10000 submissions in flight");
        expect((1..=100_000).contains(&self.queue), "queue", "expected 1 to 100000 submissions in memory");
        expect(
            self.rate.is_none_or(|rate| rate.is_finite() && (0.01..=100_000.0).contains(&rate)),
            "rate",
            "expected 0.01 to 100000 submissions a second",
        );
        expect(!self.poll.is_zero(), "poll", "expected a time above zero, such as `1s`");
        expect(
            !self.retry.first.is_zero() && self.retry.first <= self.retry.most,
            "retry",
            "expected `first` above zero and not above `most`",
        );
        expect(self.max_resubmissions <= 1000, "max_resubmissions", "expected 0 to 1000 further submissions");
        expect(
            !self.call_limit.is_zero() && self.call_limit <= longest_call,
            "call_limit",
            "expected a time above zero, 30s at the most: a claimed SMS must still be ours when the call ends",
        );
        problems
    }
}

impl OutboxSettings {
    /// How long a call may take before it is cut off, should the provider not have done it.
    fn call_bound(&self) -> Duration {
        self.call_limit + Duration::from_secs(1)
    }

    /// The shortest lease under which every SMS can be sent: it may wait here for a third of it, and then there is time
    /// to ask after an earlier submission and to submit.
    pub(crate) fn least_lease(&self) -> Duration {
        self.call_bound() * 3
    }
}

/// Replaces secrets, as they are and form-encoded, in what is kept or shown.
#[derive(Default)]
struct Redactor(Vec<String>);

impl Redactor {
    /// Longer words of a carrier are of no use to an operator.
    const LONGEST: usize = 500;

    fn of(secrets: &[&SecretString]) -> Self {
        use secrecy::ExposeSecret;
        let mut hidden = Vec::new();
        for secret in secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| !secret.is_empty()) {
            let encoded = form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
            if encoded != secret {
                hidden.push(encoded);
            }
            hidden.push(secret.to_owned());
        }
        Self(hidden)
    }

    fn clean(&self, mut said: String) -> String {
        for secret in &self.0 {
            if said.contains(secret) {
                said = said.replace(secret, "***");
            }
        }
        if let Some((end, _)) = said.char_indices().nth(Self::LONGEST) {
            said.truncate(end);
        }
        said
    }
}

/// The actor of an SMS transport.
pub(crate) struct Outbox {
    name: Name,
    ledger: Rc<Ledger>,
    told: mpsc::Sender<Told>,
    shown: Rc<RefCell<Shown>>,
    engine: Option<LocalBoxFuture<'static, ()>>,
    _lifeline: Lifeline,
}

impl Outbox {
    /// Starts a provider's room on the present arbiter.
    pub(crate) fn open<P: Provider>(context: ComponentContext, settings: &OutboxSettings, provider: P) -> Component {
        Self::begin(context.name, context.store.ledger, context.clock, settings, provider)
    }

    fn begin<P: Provider>(
        name: Name,
        ledger: Ledger,
        clock: Clock,
        settings: &OutboxSettings,
        provider: P,
    ) -> Component {
        let (told, hears) = mpsc::channel(MAILBOX);
        let (held, ended) = lifeline();
        let ledger = Rc::new(ledger);
        let engine = Engine::new(name.clone(), ledger.clone(), clock, settings.clone(), provider, hears);
        let shown = engine.shown();
        let engine: LocalBoxFuture<'static, ()> = Box::pin(engine.run());
        let outbox = Self { name, ledger, told, shown, engine: Some(engine), _lifeline: held }.start();
        Component {
            endpoints: Endpoints { submit: Some(outbox.clone().recipient()), ..Endpoints::default() },
            health: outbox.clone().recipient(),
            drain: outbox.recipient(),
            ended,
        }
    }

    /// Gives back what found no room here.
    fn release(&self, batch: &[Submission], ctx: &mut Context<Self>) {
        let (ledger, name) = (self.ledger.clone(), self.name.clone());
        let ids: Vec<_> = batch.iter().map(|submission| submission.id).collect();
        tracing::debug!(transport = %name, count = ids.len(), "no room: released to the ledger");
        ctx.spawn(
            async move {
                // What can't be released is claimed again when its lease runs out.
                if let Err(error) = ledger.as_ref().ask_waiting(ReleaseSms { transport: name.clone(), ids }).await {
                    tracing::warn!(transport = %name, %error, "could not release SMS; they wait for their lease's end");
                }
            }
            .into_actor(self),
        );
    }
}

impl Actor for Outbox {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        if let Some(engine) = self.engine.take() {
            ctx.spawn(engine.into_actor(self).map(|(), _, ctx| ctx.stop()));
        }
    }
}

impl Handler<Submit> for Outbox {
    type Result = ();

    fn handle(&mut self, Submit(batch): Submit, ctx: &mut Self::Context) {
        match self.told.try_send(Told::Work(batch)) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_) | mpsc::error::TrySendError::Full(Told::Drain(_))) => {}
            Err(mpsc::error::TrySendError::Full(Told::Work(batch))) => self.release(&batch, ctx),
        }
    }
}

impl Handler<AskHealth> for Outbox {
    type Result = MessageResult<AskHealth>;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        let health: Health = self.shown.borrow().health();
        MessageResult(health)
    }
}

impl Handler<Drain> for Outbox {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let told = self.told.clone();
        Box::pin(async move {
            let (done, drained) = oneshot::channel();
            if told.send(Told::Drain(done)).await.is_ok() {
                // An engine that is gone has nothing left to finish.
                let _finished = drained.await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::{OutboxSettings, Redactor};

    #[test]
    fn secrets_are_hidden_as_they_are_and_form_encoded() {
        let secret = SecretString::from("p&ss word");
        let redactor = Redactor::of(&[&secret]);
        let said = redactor.clean("wrong: p&ss word, password=p%26ss+word".to_owned());
        assert_eq!(said, "wrong: ***, password=***");
    }

    #[test]
    fn a_carriers_page_of_words_is_cut() {
        assert_eq!(Redactor::default().clean("ä".repeat(2000)).chars().count(), Redactor::LONGEST);
    }

    #[test]
    fn the_defaults_pass_their_own_check_and_nonsense_is_named() {
        assert_eq!(OutboxSettings::default().check(), []);
        let nonsense: OutboxSettings = serde_json::from_str(
            r#"{"window": 0, "rate": -1.0, "poll": "0s", "max_resubmissions": 9999, "call_limit": "5m"}"#,
        )
        .unwrap();
        let keys: Vec<_> = nonsense.check().into_iter().map(|problem| problem.key).collect();
        assert_eq!(
            keys,
            ["outbox.window", "outbox.rate", "outbox.poll", "outbox.max_resubmissions", "outbox.call_limit"]
        );
    }
}
