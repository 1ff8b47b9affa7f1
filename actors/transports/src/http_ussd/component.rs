//! The actor: it takes calls and replies, answers how it is, and drains.

use std::{cell::RefCell, rc::Rc};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseFuture, WrapFuture,
};
use vumi_kit::{
    component::{Component, ComponentContext, Drain, Lifeline, StartError, lifeline},
    health::{AskHealth, Health, State},
    router::{Endpoints, Outbound, Refused},
    sms::{Decision, Submission, TransportStatus},
    ussd_call::AnswerCall,
    webhook::{Unreadable, WebhookAnswer},
};

use super::{calls::UssdCalls, settings::UssdSettings};
use crate::{
    fault_log::FaultLog,
    outbox::{OutboxActor, SubmitSms, Submitted},
};

/// Replies that may be under way for each call that may wait: what exceeds them is refused as busy.
const REPLIES_PER_CALL: usize = 4;

/// The actor of one aggregator: it hands calls and replies to [`UssdCalls`], and tells its health.
struct UssdTransport {
    calls: Rc<UssdCalls>,
    outbox: Recipient<Drain>,
    _lifeline: Lifeline,
}

/// Refuses SMS: this transport carries none.
struct NoSms;

impl SubmitSms for NoSms {
    async fn submit(&self, _: &Submission) -> Submitted {
        let provider_response = "this transport answers calls of USSD sessions, and carries no SMS".to_owned();
        Decision::Rejected { status: TransportStatus::MessageError, provider_response }.into()
    }
}

/// Starts the transport on the present arbiter.
pub(super) fn open(context: ComponentContext, settings: UssdSettings) -> Result<Component, StartError> {
    let shape = settings.shape().ok_or_else(|| StartError("expected `aggregator` or `shape`".to_owned()))?;
    let gauge = context.board.of(&context.name);
    let outbox = OutboxActor::open(context.clone(), &settings.outbox(), NoSms);
    let submit = outbox.endpoints.as_ref().and_then(Endpoints::submit).cloned();
    let mailbox = settings.max_calls;
    let calls = Rc::new(UssdCalls {
        faults: RefCell::new(FaultLog::new(context.name.clone())),
        name: context.name,
        settings,
        shape,
        sessions: context.store.sessions,
        router: context.router,
        clock: context.clock,
        waiting: RefCell::default(),
        answered: std::cell::Cell::default(),
        delayed: std::cell::Cell::default(),
        under_way: std::cell::Cell::default(),
        draining: std::cell::Cell::default(),
        finished: tokio::sync::Notify::new(),
    });
    let (lifeline, ended) = lifeline();
    let transport = UssdTransport::create(|ctx| {
        ctx.set_mailbox_capacity(mailbox);
        let transport = UssdTransport { calls, outbox: outbox.drain, _lifeline: lifeline };
        ctx.spawn(outbox.ended.wait().into_actor(&transport).map(|(), _, ctx| ctx.stop()));
        transport
    });
    gauge.set_calls(transport.clone().recipient());
    Ok(Component {
        endpoints: submit.map(|submit| Endpoints::Transport { submit, outbound: Some(transport.clone().recipient()) }),
        health: transport.clone().recipient(),
        drain: transport.recipient(),
        ended,
    })
}

impl Actor for UssdTransport {
    type Context = Context<Self>;
}

/// Counts what is under way, however it ends.
struct CallUnderWay(Rc<UssdCalls>);

impl CallUnderWay {
    fn begin(calls: &Rc<UssdCalls>) -> Self {
        calls.under_way.set(calls.under_way.get() + 1);
        Self(calls.clone())
    }
}

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
        self.0.finished.notify_one();
    }
}

impl Handler<AnswerCall> for UssdTransport {
    type Result = ResponseFuture<Result<WebhookAnswer, Unreadable>>;

    fn handle(&mut self, call: AnswerCall, _: &mut Self::Context) -> Self::Result {
        let under_way = CallUnderWay::begin(&self.calls);
        Box::pin(async move { under_way.0.clone().answer(call).await })
    }
}

impl Handler<Outbound> for UssdTransport {
    type Result = Result<(), Refused>;

    fn handle(&mut self, Outbound(message): Outbound, _: &mut Self::Context) -> Self::Result {
        if self.calls.under_way.get() >= self.calls.settings.max_calls.saturating_mul(REPLIES_PER_CALL) {
            return Err(Refused::Busy(self.calls.name.clone()));
        }
        let under_way = CallUnderWay::begin(&self.calls);
        actix_rt::spawn(async move { under_way.0.clone().reply(message).await });
        Ok(())
    }
}

impl Handler<AskHealth> for UssdTransport {
    type Result = actix::MessageResult<AskHealth>;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        let calls = &self.calls;
        let (waiting, answered, delayed) = (calls.waiting.borrow().len(), calls.answered.get(), calls.delayed.get());
        let mut detail = format!("{waiting} calls wait, {answered} answered by campaigns, {delayed} before them");
        let faults = calls.faults.borrow().summary();
        if !faults.is_empty() {
            detail = format!("{detail}; {faults}");
        }
        actix::MessageResult(Health { state: State::Up, detail })
    }
}

impl Handler<Drain> for UssdTransport {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let (calls, outbox) = (self.calls.clone(), self.outbox.clone());
        calls.draining.set(true);
        Box::pin(async move {
            if outbox.send(Drain).await.is_err() {
                tracing::debug!("the outbox has ended already");
            }
            while calls.under_way.get() > 0 {
                calls.finished.notified().await;
            }
        })
    }
}
