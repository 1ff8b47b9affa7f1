//! The actor: it takes messages and shows how it is.

use std::{cell::RefCell, rc::Rc};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseFuture, WrapFuture,
};
use tokio::task::JoinSet;
use vumi_kit::{
    component::{Component, ComponentContext, Drain, Endpoints, Lifeline, Terminated, lifeline},
    health::{AskHealth, Health, State},
    name::Name,
    router::{Outbound, Refused},
};
use vumi_ssmi_codec::ClientCommand;

use super::{
    Settings,
    core::{Core, LinkState, Shared},
    couriers, link,
    sms::SmsSender,
};
use crate::outbox::Outbox;

/// See the module.
pub(super) struct Truteq {
    name: Name,
    shared: Shared,
    mailbox: usize,
    outbox: Recipient<Drain>,
    outbox_health: Recipient<AskHealth>,
    outbox_ended: Option<Terminated>,
    /// The futures at work; they end with the actor.
    couriers: Option<JoinSet<()>>,
    _lifeline: Lifeline,
}

/// Starts the room on the present arbiter.
pub(super) fn open(context: ComponentContext, settings: Settings) -> Component {
    let settings = Rc::new(settings);
    let shared = Rc::new(RefCell::new(Core::new(context.name.clone(), context.clock.clone(), settings.clone())));
    let outbox = Outbox::open(context.clone(), &settings.outbox, SmsSender(shared.clone()));
    let (held, ended) = lifeline();
    let truteq = Truteq {
        name: context.name.clone(),
        shared: shared.clone(),
        mailbox: settings.queue,
        outbox: outbox.drain,
        outbox_health: outbox.health,
        outbox_ended: Some(outbox.ended),
        couriers: Some(set_to_work(&shared, &context, &settings)),
        _lifeline: held,
    }
    .start();
    Component {
        endpoints: Endpoints {
            outbound: Some(truteq.clone().recipient()),
            submit: outbox.endpoints.submit,
            ..Endpoints::default()
        },
        health: truteq.clone().recipient(),
        drain: truteq.recipient(),
        ended,
    }
}

fn set_to_work(shared: &Shared, context: &ComponentContext, settings: &Settings) -> JoinSet<()> {
    let mut couriers = JoinSet::new();
    couriers.spawn_local(couriers::carry_to_router(shared.clone(), context.clone()));
    couriers.spawn_local(couriers::carry_to_store(shared.clone(), context.clone()));
    couriers.spawn_local(couriers::carry_events(shared.clone(), context.clone()));
    if let Some(account) = &settings.account {
        couriers.spawn_local(couriers::carry_to_ledger(shared.clone(), context.clone(), account.clone()));
    }
    couriers.spawn_local(couriers::sweep(shared.clone()));
    let (shared, context) = (shared.clone(), context.clone());
    couriers.spawn_local(async move {
        if couriers::restore_sessions(&shared, &context).await {
            link::keep(shared).await;
        }
    });
    couriers
}

impl Actor for Truteq {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.mailbox);
        if let Some(mut couriers) = self.couriers.take() {
            let name = self.name.clone();
            let watch = async move {
                // One that ends well has finished its work; one that panicked takes the room with it.
                while let Some(ended) = couriers.join_next().await {
                    if let Err(error) = ended {
                        tracing::error!(transport = %name, %error, "the transport failed inside");
                        return;
                    }
                }
            };
            ctx.spawn(watch.into_actor(self).map(|(), _, ctx| ctx.stop()));
        }
        if let Some(outbox) = self.outbox_ended.take() {
            ctx.spawn(outbox.wait().into_actor(self).map(|(), _, ctx| ctx.stop()));
        }
    }
}

impl Handler<Outbound> for Truteq {
    type Result = Result<(), Refused>;

    fn handle(&mut self, Outbound(message): Outbound, _: &mut Self::Context) -> Self::Result {
        self.shared.borrow_mut().reply(message)
    }
}

impl Handler<AskHealth> for Truteq {
    type Result = ResponseFuture<Health>;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        let (shared, sms) = (self.shared.clone(), self.outbox_health.send(AskHealth));
        Box::pin(async move {
            let sms = sms.await;
            let mut health = shared.borrow().health();
            if let Ok(sms) = sms {
                let degraded = health.state == State::Up && sms.state == State::Degraded;
                health.state = if degraded { State::Degraded } else { health.state };
                health.detail = format!("{}; SMS: {}", health.detail, sms.detail);
            }
            health
        })
    }
}

impl Handler<Drain> for Truteq {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.shared.borrow_mut().draining = true;
        Box::pin(drain(self.shared.clone(), self.outbox.clone()))
    }
}

/// Finishes what is under way, says good-bye and closes.
async fn drain(shared: Shared, outbox: Recipient<Drain>) {
    // SMS first: their numbers come over the connection.
    if outbox.send(Drain).await.is_err() {
        tracing::debug!("the outbox is gone already");
    }
    let limit = shared.borrow().settings.drain_limit;
    couriers::settle(&shared, limit).await;
    let signals = {
        let mut core = shared.borrow_mut();
        core.say(&ClientCommand::Logout);
        core.signals.clone()
    };
    let written = async {
        while shared.borrow().wire.up && !shared.borrow().wire.idle() {
            signals.finished.notified().await;
        }
    };
    if tokio::time::timeout(limit, written).await.is_err() {
        tracing::warn!("the server does not read: the connection is closed without a logout");
    }
    signals.stop.notify_one();
    {
        let mut core = shared.borrow_mut();
        core.lose_link();
        core.give_up_held();
        core.link = LinkState::Stopping;
    }
    couriers::settle(&shared, limit).await;
    let lost = shared.borrow().sms.for_ledger();
    if lost > 0 {
        tracing::warn!(count = lost, "SMS from people and delivery reports lost: the ledger did not have them in time");
    }
}
