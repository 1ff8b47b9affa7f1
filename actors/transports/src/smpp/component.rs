//! The actor: it answers how the transport is, and drains.

use std::{cell::RefCell, rc::Rc};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseFuture, WrapFuture,
};
use tokio::{task::JoinSet, time::timeout};
use vumi_kit::{
    component::{Component, ComponentContext, Drain, Lifeline, lifeline},
    health::{AskHealth, Health},
    router::{Endpoints, Outbound, Refused},
};
use vumi_smpp_codec::Pdu;

use super::{
    Settings, forwarder,
    sender::PartSender,
    session,
    state::{SharedSmpp, SmppState},
};
use crate::{
    failure::first_failure,
    outbox::{OutboxActor, with_outbox_health},
    ussd,
};

/// See the module.
pub(super) struct SmppTransport {
    shared: SharedSmpp,
    outbox: Recipient<Drain>,
    outbox_health: Recipient<AskHealth>,
    _lifeline: Lifeline,
}

/// Starts the transport on the present arbiter.
pub(super) fn open(context: ComponentContext, settings: Settings) -> Component {
    let settings = Rc::new(settings);
    let (name, clock, token) = (context.name.clone(), context.clock.clone(), context.store.ledger.token().clone());
    let shared = Rc::new(RefCell::new(SmppState::new(name, clock, settings.clone(), token)));
    let outbox = OutboxActor::open(context.clone(), &settings.outbox, PartSender(shared.clone()));
    let submit = outbox.endpoints.as_ref().and_then(Endpoints::submit).cloned();
    let (lifeline, ended) = lifeline();
    let mut work = JoinSet::new();
    work.spawn_local(forwarder::forward(shared.clone(), context.clone()));
    let with_ussd = settings.ussd.is_some();
    if with_ussd {
        spawn_ussd(&mut work, &shared, &context);
    }
    let connections = shared.borrow().connections.len();
    for at in 0..connections {
        work.spawn_local(bound_once_restored(shared.clone(), at, with_ussd));
    }
    let queue = settings.ussd.as_ref().map(|ussd| ussd.queue);
    let transport = SmppTransport::create(|ctx| {
        if let Some(queue) = queue {
            ctx.set_mailbox_capacity(queue);
        }
        let transport =
            SmppTransport { shared, outbox: outbox.drain, outbox_health: outbox.health, _lifeline: lifeline };
        ctx.spawn(first_failure(context.name, work).into_actor(&transport).map(|(), _, ctx| ctx.stop()));
        ctx.spawn(outbox.ended.wait().into_actor(&transport).map(|(), _, ctx| ctx.stop()));
        transport
    });
    Component {
        endpoints: submit
            .map(|submit| Endpoints::Transport { submit, outbound: with_ussd.then(|| transport.clone().recipient()) }),
        health: transport.clone().recipient(),
        drain: transport.recipient(),
        ended,
    }
}

fn spawn_ussd(work: &mut JoinSet<()>, shared: &SharedSmpp, context: &ComponentContext) {
    work.spawn_local(ussd::forward_messages(shared.clone(), context.clone()));
    work.spawn_local(ussd::forward_sessions(shared.clone(), context.clone()));
    work.spawn_local(ussd::forward_events(shared.clone(), context.clone()));
    work.spawn_local(ussd::sweep(shared.clone()));
    let (shared, context) = (shared.clone(), context.clone());
    work.spawn_local(async move {
        let restored = ussd::restore_sessions(&shared, &context).await;
        {
            let mut state = shared.borrow_mut();
            state.restored = restored;
            state.bound_changed.notify_waiters();
        }
        // The end of one of them ends the transport.
        std::future::pending::<()>().await;
    });
}

/// Connects once the open sessions of USSD are known.
async fn bound_once_restored(shared: SharedSmpp, at: usize, with_ussd: bool) {
    let changed = shared.borrow().bound_changed.clone();
    loop {
        let notified = changed.notified();
        {
            let state = shared.borrow();
            if !with_ussd || state.restored || state.stopping {
                break;
            }
        }
        notified.await;
    }
    session::keep_bound(shared, at).await;
}

impl Actor for SmppTransport {
    type Context = Context<Self>;
}

impl Handler<Outbound> for SmppTransport {
    type Result = Result<(), Refused>;

    fn handle(&mut self, Outbound(message): Outbound, _: &mut Self::Context) -> Self::Result {
        self.shared.borrow_mut().reply(message)
    }
}

impl Handler<AskHealth> for SmppTransport {
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

impl Handler<Drain> for SmppTransport {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.shared.borrow_mut().dialogues.draining = true;
        Box::pin(drain(self.shared.clone(), self.outbox.clone()))
    }
}

/// Finishes what is under way, unbinds and closes the connections.
async fn drain(shared: SharedSmpp, outbox: Recipient<Drain>) {
    // SMS first: their answers come over the sessions.
    if outbox.send(Drain).await.is_err() {
        tracing::debug!("the outbox has ended already");
    }
    let limit = shared.borrow().settings.drain_limit;
    ussd::settle(&shared, limit).await;
    let finished = {
        let mut state = shared.borrow_mut();
        state.stopping = true;
        state.stop_screens();
        // Those that wait to connect hear of it.
        state.bound_changed.notify_waiters();
        state.finished.clone()
    };
    let settled = wait_until(&finished, || shared.borrow().inbox.len() == 0);
    if timeout(limit, settled).await.is_err() {
        tracing::warn!(?limit, "not all SMS and receipts were recorded in time: the SMSC sends them again");
    }
    for connection in &mut shared.borrow_mut().connections {
        if let Some(link) = &mut connection.link
            && let Err(error) = link.send(0, None, Pdu::Unbind)
        {
            tracing::debug!(%error, "no unbind was sent");
        }
    }
    let unbound = wait_until(&finished, || shared.borrow().connections.iter().all(|one| one.link.is_none()));
    if timeout(limit, unbound).await.is_err() {
        tracing::warn!(?limit, "the SMSC did not answer unbind: the connections are closed");
        for connection in &mut shared.borrow_mut().connections {
            if let Some(link) = &mut connection.link {
                link.end("the transport stops");
            }
        }
    }
}

async fn wait_until(finished: &tokio::sync::Notify, done: impl Fn() -> bool) {
    while !done() {
        finished.notified().await;
    }
}
