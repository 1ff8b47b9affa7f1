//! The actor that owns the link to the broker, and its start.

use std::rc::Rc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, MessageResult, Recipient, ResponseFuture};
use tokio::{sync::watch, task::JoinHandle};
use vumi_kit::{
    component::{Drain, Lifeline, StartError, Terminated, lifeline},
    health::{AskHealth, Health, State},
    name::Name,
    router::Endpoints,
};

use super::{
    connector::ConnectorEnd,
    context::AmqpContext,
    core::{AmqpCore, Link},
    endpoints,
    event_publisher::event_publisher,
    link,
    settings::AmqpSettings,
    watch::keep_watch,
};

/// A started front-end.
#[derive(Debug)]
pub struct AmqpComponent {
    /// For the router: the campaigns and transports that live elsewhere.
    pub components: Vec<(Name, Endpoints)>,
    /// Answers how it is.
    pub health: Recipient<AskHealth>,
    /// Consumes no more, finishes what is under way, then answers.
    pub drain: Recipient<Drain>,
    /// Resolves when the actor is gone.
    pub ended: Terminated,
}

/// Starts the front-end on the present arbiter. It does not wait for the broker: while that is away, the components
/// refuse and its health says so.
pub fn start(context: AmqpContext, settings: AmqpSettings) -> Result<AmqpComponent, StartError> {
    if let Some(problem) = settings.check().first() {
        return Err(StartError(format!("amqp.{}: {}", problem.key, problem.what)));
    }
    let broker = settings.shown();
    let core = Rc::new(AmqpCore::new(context, settings));
    let components = components(&core);
    let (held, ended) = lifeline();
    let (tell_gone, link_gone) = watch::channel(());
    let kept = core.clone();
    let keeping = actix_rt::spawn(async move {
        link::keep(kept).await;
        drop(tell_gone);
    });
    let tasks = [actix_rt::spawn(event_publisher(core.clone())), actix_rt::spawn(keep_watch(core.clone())), keeping];
    let actor = AmqpFrontEnd { core, broker, tasks, link_gone, _lifeline: held }.start();
    Ok(AmqpComponent { components, health: actor.clone().recipient(), drain: actor.recipient(), ended })
}

fn components(core: &Rc<AmqpCore>) -> Vec<(Name, Endpoints)> {
    let mut components: Vec<(Name, Endpoints)> = Vec::new();
    for connector in &core.connectors {
        match connector.end {
            // The component is here.
            ConnectorEnd::OwnTransport | ConnectorEnd::OwnCampaign => {}
            ConnectorEnd::Campaign | ConnectorEnd::PeersCampaign => {
                components.push((connector.name.clone(), endpoints::campaign(connector.clone(), core.clone())));
            }
            ConnectorEnd::Transport | ConnectorEnd::PeersTransport => {
                for name in &connector.transports {
                    // One transport may be behind several connectors: a reply leaves by that its message came by.
                    if !components.iter().any(|(placed, _)| placed == name) {
                        components.push((name.clone(), endpoints::transport(name.clone(), core.clone())));
                    }
                }
            }
        }
    }
    components
}

/// Owns the link to the broker: while it lives, the link is kept.
pub struct AmqpFrontEnd {
    core: Rc<AmqpCore>,
    /// Where the broker is, without its password.
    broker: String,
    tasks: [JoinHandle<()>; 3],
    /// Closed when the link's task has ended.
    link_gone: watch::Receiver<()>,
    _lifeline: Lifeline,
}

/// Messages it holds at the most: health, drain and the link's end.
const MAILBOX: usize = 16;

/// The link's task has ended.
#[derive(Message)]
#[rtype(result = "()")]
struct LinkEnded;

impl Actor for AmqpFrontEnd {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        let (mut link_gone, me) = (self.link_gone.clone(), ctx.address().downgrade());
        actix_rt::spawn(async move {
            let _closed = link_gone.changed().await;
            if let Some(me) = me.upgrade() {
                // Gone already: then there is nobody to tell.
                let _told = me.send(LinkEnded).await;
            }
        });
    }
}

impl Drop for AmqpFrontEnd {
    // However the actor ends, nothing must go on consuming in its name.
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Handler<LinkEnded> for AmqpFrontEnd {
    type Result = ();

    fn handle(&mut self, _: LinkEnded, ctx: &mut Self::Context) {
        if !self.core.is_stopping() {
            tracing::error!("the link to the broker ended unasked");
        }
        ctx.stop();
    }
}

impl Handler<AskHealth> for AmqpFrontEnd {
    type Result = MessageResult<AskHealth>;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        let core = &self.core;
        let (state, mut detail) = match &*core.link.borrow() {
            _ if core.is_stopping() => (State::Stopping, "finishing what is under way".to_owned()),
            Link::Down { since, why } => {
                (State::Degraded, format!("{} is away since {}: {why}", self.broker, since.to_seconds_text()))
            }
            Link::Up { status, .. } if status.blocked() => {
                let why = "takes nothing while its alarm lasts (memory or disk): see `rabbitmq-diagnostics alarms`";
                (State::Degraded, format!("{} {why}", self.broker))
            }
            Link::Up { since, .. } => {
                (State::Up, format!("connected to {} since {}", self.broker, since.to_seconds_text()))
            }
        };
        let in_work = core.in_flight.borrow().held();
        detail.push_str(&format!("; {} connectors, {in_work} deliveries in work", core.connectors.len()));
        let waiting = core.events.borrow().len() as u64 + core.counts.telling.get() as u64;
        for (count, what) in [
            (waiting, "events wait"),
            (core.counts.dead.get(), "dead letters"),
            (core.counts.overdue.get(), "acknowledged without an answer"),
            (core.counts.events_lost.get(), "events lost"),
        ] {
            if count > 0 {
                detail.push_str(&format!(", {count} {what}"));
            }
        }
        MessageResult(Health { state, detail })
    }
}

impl Handler<Drain> for AmqpFrontEnd {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.core.stopping.send_replace(true);
        let mut link_gone = self.link_gone.clone();
        Box::pin(async move {
            let _closed = link_gone.changed().await;
        })
    }
}
