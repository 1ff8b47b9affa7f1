//! The actor that owns the connection to the broker, and its start.

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
    connection_loop::keep_connected, context::AmqpContext, endpoints::endpoints_elsewhere,
    event_publisher::publish_events, publisher::BrokerLink, settings::AmqpSettings, state::AmqpState,
};

/// The mailbox holds health questions, the drain and the end of the connection's task.
const MAILBOX_CAPACITY: usize = 16;

/// A started front-end.
#[derive(Debug)]
pub struct AmqpComponent {
    /// For the router: the campaigns and transports that live elsewhere.
    pub elsewhere: Vec<(Name, Endpoints)>,
    /// Answers the state and what is in work.
    pub health: Recipient<AskHealth>,
    /// Consumes no more, finishes the work in progress, then answers.
    pub drain: Recipient<Drain>,
    /// Resolves when the actor is gone.
    pub ended: Terminated,
}

/// Starts the front-end on the present arbiter. It does not wait for the broker: while that is away, the endpoints
/// refuse and the health is degraded.
pub fn start(context: AmqpContext, settings: AmqpSettings) -> Result<AmqpComponent, StartError> {
    if let Some(problem) = settings.check().first() {
        return Err(StartError(format!("amqp.{}: {}", problem.key, problem.what)));
    }
    let broker = settings.shown();
    let state = Rc::new(AmqpState::new(context, settings));
    let elsewhere = endpoints_elsewhere(&state);
    let (held, ended) = lifeline();
    let (connection_task, connection_ended) = watch::channel(());
    let connected = state.clone();
    let tasks = [
        actix_rt::spawn(publish_events(state.clone())),
        actix_rt::spawn(state.sms_follower.clone().run()),
        actix_rt::spawn(async move {
            keep_connected(connected).await;
            drop(connection_task);
        }),
    ];
    let actor = AmqpFrontEnd::create(|ctx| {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        AmqpFrontEnd { state, broker, tasks, connection_ended, _lifeline: held }
    });
    Ok(AmqpComponent { elsewhere, health: actor.clone().recipient(), drain: actor.recipient(), ended })
}

/// Owns the connection to the broker: the connection is kept for as long as the actor lives.
pub struct AmqpFrontEnd {
    state: Rc<AmqpState>,
    /// The broker's address without the password.
    broker: String,
    tasks: [JoinHandle<()>; 3],
    /// Closed when the connection's task has ended.
    connection_ended: watch::Receiver<()>,
    _lifeline: Lifeline,
}

/// The connection's task has ended.
#[derive(Message)]
#[rtype(result = "()")]
struct ConnectionTaskEnded;

impl Actor for AmqpFrontEnd {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (mut ended, actor) = (self.connection_ended.clone(), ctx.address().downgrade());
        actix_rt::spawn(async move {
            let _closed = ended.changed().await;
            if let Some(actor) = actor.upgrade() {
                let _gone_already = actor.send(ConnectionTaskEnded).await;
            }
        });
    }
}

impl Drop for AmqpFrontEnd {
    // However the actor ends, no task may go on consuming.
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Handler<ConnectionTaskEnded> for AmqpFrontEnd {
    type Result = ();

    fn handle(&mut self, _: ConnectionTaskEnded, ctx: &mut Self::Context) {
        if !self.state.shutdown.is_begun() {
            tracing::error!("the task that keeps the connection to the broker ended unasked");
        }
        ctx.stop();
    }
}

impl AmqpFrontEnd {
    fn link_health(&self) -> (State, String) {
        let broker = &self.broker;
        match &*self.state.publisher.link() {
            _ if self.state.shutdown.is_begun() => (State::Stopping, "finishing what is under way".to_owned()),
            BrokerLink::Down { since, why } => {
                (State::Degraded, format!("{broker} is away since {}: {why}", since.to_seconds_text()))
            }
            BrokerLink::Up { status, .. } if status.blocked() => {
                let why = "takes nothing while its alarm lasts (memory or disk): see `rabbitmq-diagnostics alarms`";
                (State::Degraded, format!("{broker} {why}"))
            }
            BrokerLink::Up { since, .. } => {
                (State::Up, format!("connected to {broker} since {}", since.to_seconds_text()))
            }
        }
    }

    fn counts(&self) -> String {
        let state = &self.state;
        let (connectors, in_flight) = (state.correlation.connectors().len(), state.deliveries.in_flight());
        let mut counts = format!("{connectors} connectors, {in_flight} deliveries in work");
        for (count, what) in [
            (state.events.pending(), "events wait"),
            (state.dead_letters.get(), "dead letters"),
            (state.deliveries.overdue(), "acknowledged without an answer"),
            (state.events.lost(), "events lost"),
        ] {
            if count > 0 {
                counts.push_str(&format!(", {count} {what}"));
            }
        }
        counts
    }
}

impl Handler<AskHealth> for AmqpFrontEnd {
    type Result = MessageResult<AskHealth>;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        let (state, link) = self.link_health();
        MessageResult(Health { state, detail: format!("{link}; {}", self.counts()) })
    }
}

impl Handler<Drain> for AmqpFrontEnd {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.state.shutdown.begin();
        let mut ended = self.connection_ended.clone();
        Box::pin(async move {
            let _closed = ended.changed().await;
        })
    }
}
