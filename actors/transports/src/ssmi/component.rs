//! The actor: it takes messages, answers how it is, and drains.

use std::{cell::RefCell, rc::Rc};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseFuture, WrapFuture,
};
use tokio::task::JoinSet;
use vumi_kit::{
    component::{Component, ComponentContext, Drain, Lifeline, lifeline},
    health::{AskHealth, Health},
    router::{Endpoints, Outbound, Refused},
};
use vumi_ssmi_codec::ClientCommand;

use super::{
    Settings, connection, forwarders,
    sms_sender::SmsSender,
    state::{SharedState, SsmiState},
};
use crate::{
    failure::first_failure,
    outbox::{OutboxActor, with_outbox_health},
    ussd,
};

/// See the module.
pub(super) struct SsmiTransport {
    shared: SharedState,
    outbox: Recipient<Drain>,
    outbox_health: Recipient<AskHealth>,
    _lifeline: Lifeline,
}

/// Starts the transport on the present arbiter.
pub(super) fn open(context: ComponentContext, settings: Settings) -> Component {
    let settings = Rc::new(settings);
    let (name, clock, token) = (context.name.clone(), context.clock.clone(), context.store.sessions.token().clone());
    let shared = Rc::new(RefCell::new(SsmiState::new(name, clock, settings.clone(), token)));
    let outbox = OutboxActor::open(context.clone(), &settings.outbox, SmsSender(shared.clone()));
    let submit = outbox.endpoints.as_ref().and_then(Endpoints::submit).cloned();
    let (lifeline, ended) = lifeline();
    let forwarders = spawn_forwarders(&shared, &context, &settings);
    let transport = SsmiTransport::create(|ctx| {
        ctx.set_mailbox_capacity(settings.queue);
        let transport =
            SsmiTransport { shared, outbox: outbox.drain, outbox_health: outbox.health, _lifeline: lifeline };
        ctx.spawn(first_failure(context.name, forwarders).into_actor(&transport).map(|(), _, ctx| ctx.stop()));
        ctx.spawn(outbox.ended.wait().into_actor(&transport).map(|(), _, ctx| ctx.stop()));
        transport
    });
    Component {
        endpoints: submit.map(|submit| Endpoints::Transport { submit, outbound: Some(transport.clone().recipient()) }),
        health: transport.clone().recipient(),
        drain: transport.recipient(),
        ended,
    }
}

/// Spawns the futures that do the work; they end with the set.
fn spawn_forwarders(shared: &SharedState, context: &ComponentContext, settings: &Settings) -> JoinSet<()> {
    let mut set = JoinSet::new();
    set.spawn_local(ussd::forward_messages(shared.clone(), context.clone()));
    set.spawn_local(ussd::forward_sessions(shared.clone(), context.clone()));
    set.spawn_local(ussd::forward_events(shared.clone(), context.clone()));
    if let Some(account) = &settings.account {
        set.spawn_local(forwarders::forward_to_ledger(shared.clone(), context.clone(), account.clone()));
    }
    set.spawn_local(ussd::sweep(shared.clone()));
    let (shared, context) = (shared.clone(), context.clone());
    set.spawn_local(async move {
        if ussd::restore_sessions(&shared, &context).await {
            shared.borrow_mut().restored();
            connection::keep_connected(shared).await;
        }
    });
    set
}

impl Actor for SsmiTransport {
    type Context = Context<Self>;
}

impl Handler<Outbound> for SsmiTransport {
    type Result = Result<(), Refused>;

    fn handle(&mut self, Outbound(message): Outbound, _: &mut Self::Context) -> Self::Result {
        self.shared.borrow_mut().reply(message)
    }
}

impl Handler<AskHealth> for SsmiTransport {
    type Result = ResponseFuture<Health>;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        let (shared, sms) = (self.shared.clone(), self.outbox_health.send(AskHealth));
        Box::pin(async move {
            let sms = sms.await.ok();
            let health = shared.borrow().health();
            with_outbox_health(health, sms)
        })
    }
}

impl Handler<Drain> for SsmiTransport {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.shared.borrow_mut().dialogues.draining = true;
        Box::pin(drain(self.shared.clone(), self.outbox.clone()))
    }
}

/// Finishes what is under way, logs out and closes the connection.
async fn drain(shared: SharedState, outbox: Recipient<Drain>) {
    // SMS first: their numbers come over the connection.
    if outbox.send(Drain).await.is_err() {
        tracing::debug!("the outbox has ended already");
    }
    let limit = shared.borrow().settings.drain_limit;
    ussd::settle(&shared, limit).await;
    let signals = {
        let mut state = shared.borrow_mut();
        state.link.send(&ClientCommand::Logout);
        state.link.signals.clone()
    };
    let written = async {
        while shared.borrow().link.is_up() && !shared.borrow().link.frames.is_empty() {
            signals.finished.notified().await;
        }
    };
    if tokio::time::timeout(limit, written).await.is_err() {
        tracing::warn!("the server does not read: the connection is closed without a logout");
    }
    signals.stop.notify_one();
    shared.borrow_mut().stop();
    ussd::settle(&shared, limit).await;
    let lost = shared.borrow().inbox.len();
    if lost > 0 {
        tracing::warn!(count = lost, "SMS from people and delivery reports lost: the ledger did not have them in time");
    }
}
