//! The outbox of a transport of SMS: it claims SMS from the ledger, submits them through a [`SubmitSms`], and records
//! the outcomes.
//!
//! The actor here takes messages and answers how it is. The work is done by the [`engine`], one future on the actor's
//! arbiter; if that panics the actor ends, and the supervisor starts the transport again.

mod adaptive_pace;
pub(crate) mod attempt;
mod breaker;
mod engine;
mod pace;
mod readiness;
mod redactor;
mod settings;
mod status;
mod throughput;

pub(crate) use readiness::SubmitReadiness;
pub(crate) use settings::OutboxSettings;

use std::{cell::RefCell, future, rc::Rc, sync::Arc};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, ResponseFuture, WrapFuture,
};
use tokio::sync::{mpsc, oneshot};
use vumi_kit::{
    clock::Clock,
    component::{Component, ComponentContext, Drain, Lifeline, lifeline},
    health::{AskHealth, Health, State},
    ledger::{Ledger, ReleaseSms},
    name::Name,
    router::{Endpoints, Submit},
    sent_parts::TakenPart,
    sms::{Decision, Submission},
    store::Ask,
    transport_board::TransportGauge,
};

use engine::{Engine, EngineCommand};
use status::OutboxStatus;

/// Messages that may wait for the actor, and for the engine behind it. What exceeds it is released to the ledger.
const MAILBOX: usize = 1024;

/// The health of a transport that has an outbox beside its sessions: it is degraded where one of them is. `sms` is none where
/// the outbox has ended: then the transport ends, too.
pub(crate) fn with_outbox_health(mut health: Health, sms: Option<Health>) -> Health {
    if let Some(sms) = sms {
        if health.state == State::Up && sms.state == State::Degraded {
            health.state = State::Degraded;
        }
        health.detail = format!("{}; SMS: {}", health.detail, sms.detail);
    }
    health
}

/// What an outbox submits SMS through.
pub(crate) trait SubmitSms: 'static {
    /// Submits once. The caller bounds the time.
    fn submit(&self, submission: &Submission) -> impl Future<Output = Submitted>;

    /// Asks whether a submission whose answer was lost arrived.
    fn look_up(&self, submission: &Submission) -> impl Future<Output = LookUp> {
        let _not_asked = submission;
        future::ready(LookUp::Unknown)
    }

    /// Passwords, keys, user names, ids of accounts: what is removed from responses before they are kept or shown.
    fn credentials(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Whether it can submit now. While it can't, nothing is claimed, and what waits here goes back to the ledger.
    fn readiness(&self) -> SubmitReadiness {
        SubmitReadiness::Ready { window: usize::MAX }
    }

    /// Ends when [`Self::readiness`] may have changed.
    fn readiness_changed(&self) -> impl Future<Output = ()> {
        future::pending()
    }

    /// How many places of the window an SMS takes, 1 at the least.
    fn places(&self, submission: &Submission) -> usize {
        let _one_call = submission;
        1
    }

    /// Whether the pace is slowed down after an answer that asks for it, and grows again step by step.
    fn adapts_pace(&self) -> bool {
        false
    }
}

/// What came of a submission: the decision on the SMS, and the parts that the provider took.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Submitted {
    pub(crate) decision: Decision,
    pub(crate) parts: Vec<TakenPart>,
}

impl From<Decision> for Submitted {
    fn from(decision: Decision) -> Self {
        Self { decision, parts: Vec::new() }
    }
}

/// What a provider knows of a submission whose answer was lost.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LookUp {
    /// What became of it; or a [`Decision::Retry`], where the look-up itself failed.
    Decided(Decision),
    /// The same of its parts.
    InParts(Submitted),
    /// It did not arrive.
    NotFound,
    /// The provider can't be asked, or can't tell.
    Unknown,
}

/// The actor of an outbox.
pub(crate) struct OutboxActor {
    name: Name,
    ledger: Rc<Ledger>,
    commands: mpsc::Sender<EngineCommand>,
    status: Rc<RefCell<OutboxStatus>>,
    _lifeline: Lifeline,
}

impl OutboxActor {
    /// Starts the outbox of a transport on the present arbiter.
    pub(crate) fn open<S: SubmitSms>(context: ComponentContext, settings: &OutboxSettings, submitter: S) -> Component {
        let gauge = context.board.of(&context.name);
        Self::start_with(context.name, context.store.ledger, context.clock, gauge, settings, submitter)
    }

    fn start_with<S: SubmitSms>(
        name: Name,
        ledger: Ledger,
        clock: Clock,
        gauge: Arc<TransportGauge>,
        settings: &OutboxSettings,
        submitter: S,
    ) -> Component {
        let (commands, received) = mpsc::channel(MAILBOX);
        let (lifeline, ended) = lifeline();
        let ledger = Rc::new(ledger);
        let engine = Engine::new(name.clone(), ledger.clone(), clock, settings.clone(), submitter, received);
        let status = engine.status();
        status.borrow_mut().gauge = gauge;
        let outbox = Self::create(|ctx| {
            ctx.set_mailbox_capacity(MAILBOX);
            let outbox = Self { name, ledger, commands, status, _lifeline: lifeline };
            ctx.spawn(engine.run().into_actor(&outbox).map(|(), _, ctx| ctx.stop()));
            outbox
        });
        Component {
            endpoints: Some(Endpoints::Transport { submit: outbox.clone().recipient(), outbound: None }),
            health: outbox.clone().recipient(),
            drain: outbox.recipient(),
            ended,
        }
    }

    /// Releases submissions for which the engine's queue has no place.
    fn release(&self, batch: &[Submission], ctx: &mut Context<Self>) {
        let (ledger, name) = (self.ledger.clone(), self.name.clone());
        let ids: Vec<_> = batch.iter().map(|submission| submission.id).collect();
        tracing::debug!(transport = %name, count = ids.len(), "the outbox is full: SMS released to the ledger");
        ctx.spawn(
            async move {
                // What can't be released is claimed again when its lease ends.
                if let Err(error) = ledger.as_ref().ask_waiting(ReleaseSms { transport: name.clone(), ids }).await {
                    vumi_kit::warn_limited!(name.as_str(), transport = %name, %error, "could not release SMS; they wait for their lease's end");
                }
            }
            .into_actor(self),
        );
    }
}

impl Actor for OutboxActor {
    type Context = Context<Self>;
}

impl Handler<Submit> for OutboxActor {
    type Result = ();

    fn handle(&mut self, Submit(batch): Submit, ctx: &mut Self::Context) {
        if let Err(mpsc::error::TrySendError::Full(EngineCommand::Submit(batch))) =
            self.commands.try_send(EngineCommand::Submit(batch))
        {
            self.release(&batch, ctx);
        }
    }
}

impl Handler<AskHealth> for OutboxActor {
    type Result = MessageResult<AskHealth>;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.status.borrow().health())
    }
}

impl Handler<Drain> for OutboxActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let commands = self.commands.clone();
        Box::pin(async move {
            let (done, drained) = oneshot::channel();
            if commands.send(EngineCommand::Drain(done)).await.is_ok() {
                // An engine that has ended has nothing left to finish.
                let _finished = drained.await;
            }
        })
    }
}
