//! The router's actor.

mod components;
mod consent;
mod passing;
mod received;
mod sending;

use std::{sync::Arc, time::Duration};

use actix::{
    Actor, AsyncContext, Context, Handler, MessageResult, Recipient, ResponseFuture, StreamHandler, dev::SendError,
};
use futures_util::stream;
use tokio::sync::mpsc;
use tracing::warn;
use vumi_kit::{
    component::{Lifeline, Terminated, lifeline},
    consent::ConsentRules,
    health::{AskHealth, Health, State},
    ledger::HandOver,
    log_limiter::LogLimiter,
    message::{SessionEvent, TransportType, UserMessage},
    middleware::{MiddlewareChains, SmsDirection},
    name::Name,
    router::{Deregister, Endpoints, FromComponent, Happened, Inbound, Refused, Register, RouterAddress},
    store::{Store, StoreError},
};

use self::{components::Components, passing::PassedInbound, received::Claiming};
use crate::{
    outbound::TransportWatch,
    passage::{ChainQueue, Passage},
    received_queues::ReceivedQueues,
    settings::RouterSettings,
    table::RoutingTable,
    unowned::UnownedRound,
};

/// The most bytes that are taken as inputs dialled beyond a route's code: a phone dials no more.
const LONGEST_DIALLED: usize = 182;

/// The store's refusals: while it is away, each message would have a line of its own.
static STORE_FAILURES: LogLimiter = LogLimiter::new();

fn log_failure(error: &StoreError, what: &'static str) {
    if let Some(left_out) = STORE_FAILURES.due(what) {
        warn!(%error, left_out, "{what}");
    }
}

/// Routes messages to campaigns and transports, and offers received SMS to campaigns.
#[derive(Debug)]
pub struct Router {
    settings: RouterSettings,
    table: Arc<RoutingTable>,
    components: Components,
    store: Store,
    passage: Passage,
    in_chains: ChainQueue,
    queues: ReceivedQueues,
    claiming: Claiming,
    unowned: UnownedRound,
    handed_over: Option<mpsc::Receiver<HandOver>>,
    watch: Option<TransportWatch>,
    consent: Arc<ConsentRules>,
    _lifeline: Lifeline,
}

impl Router {
    /// Starts the router on the present arbiter. The store holds the sender of `handed_over`.
    pub fn start(
        settings: RouterSettings,
        table: RoutingTable,
        chains: MiddlewareChains,
        watch: TransportWatch,
        store: Store,
        handed_over: mpsc::Receiver<HandOver>,
    ) -> (actix::Addr<Self>, Terminated) {
        let (lifeline, ended) = lifeline();
        let table = Arc::new(table);
        let router = Self {
            consent: Arc::new(ConsentRules::new(&settings.consent)),
            settings,
            table: table.clone(),
            components: Components::default(),
            store,
            passage: Passage { chains, table },
            in_chains: ChainQueue::default(),
            queues: ReceivedQueues::default(),
            claiming: Claiming::No,
            unowned: UnownedRound::default(),
            handed_over: Some(handed_over),
            watch: Some(watch),
            _lifeline: lifeline,
        };
        (
            Self::create(|ctx| {
                ctx.set_mailbox_capacity(router.settings.mailbox);
                router
            }),
            ended,
        )
    }

    /// The router as the components know it.
    #[must_use]
    pub fn address(router: &actix::Addr<Self>) -> RouterAddress {
        RouterAddress::of(router)
    }

    fn limit(&self) -> Duration {
        self.settings.hand_over_limit
    }
}

impl Actor for Router {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(mut handed_over) = self.handed_over.take() {
            ctx.add_stream(stream::poll_fn(move |cx| handed_over.poll_recv(cx)));
        }
        if let Some(watch) = self.watch.take() {
            ctx.spawn(actix::fut::wrap_future(watch.run(self.store.clone())));
        }
        ctx.run_interval(self.settings.retry_received, |router, ctx| {
            router.claim_received(ctx);
            router.own_received(ctx);
        });
    }
}

impl StreamHandler<HandOver> for Router {
    fn handle(&mut self, handed: HandOver, ctx: &mut Self::Context) {
        match handed {
            HandOver::Submissions { transport, batch } => self.submit(transport, batch),
            HandOver::Received(received) => {
                self.route_all_received(received, false, ctx);
            }
        }
    }

    // The store has closed the channel: the router finishes what is under way until it is stopped.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Handler<FromComponent<Inbound>> for Router {
    type Result = ResponseFuture<Result<(), Refused>>;

    fn handle(&mut self, from: FromComponent<Inbound>, ctx: &mut Self::Context) -> Self::Result {
        if from.token.is_replaced() {
            return Box::pin(async { Err(Refused::Replaced) });
        }
        Handler::<Inbound>::handle(self, from.message, ctx)
    }
}

impl Handler<FromComponent<Happened>> for Router {
    type Result = ();

    fn handle(&mut self, from: FromComponent<Happened>, ctx: &mut Self::Context) {
        if !from.token.is_replaced() {
            Handler::<Happened>::handle(self, from.message, ctx);
        }
    }
}

impl Handler<Inbound> for Router {
    type Result = ResponseFuture<Result<(), Refused>>;

    fn handle(&mut self, Inbound(message): Inbound, ctx: &mut Self::Context) -> Self::Result {
        if message.transport_type == TransportType::Sms && self.passage.chains.see(SmsDirection::Inbound) {
            let (passage, router) = (self.passage.clone(), ctx.address());
            return Box::pin(async move {
                let message = passage.brought(message).await?;
                // An error: the router is gone.
                let gone = Refused::Away(message.transport_name.clone());
                router.send(PassedInbound(message)).await.map_err(|_| gone)?
            });
        }
        self.hand_to_campaign(message)
    }
}

impl Router {
    fn hand_to_campaign(&self, mut message: UserMessage) -> ResponseFuture<Result<(), Refused>> {
        let served = match (&message.for_campaign, message.transport_type) {
            (Some(campaign), _) => Some(campaign),
            (None, TransportType::Sms) => {
                self.table.sms(&message.to_addr, message.content.as_deref().unwrap_or_default())
            }
            (None, _) => self.table.ussd_route(&message.to_addr).map(|(campaign, beyond)| {
                if message.session_event == Some(SessionEvent::New) {
                    message.dialled_inputs = dialled_inputs(beyond);
                }
                campaign
            }),
        };
        let Some(campaign) = served.cloned() else {
            let to = message.to_addr;
            return Box::pin(async move { Err(Refused::NoRoute(to)) });
        };
        let inbound = self.components.get(&campaign).and_then(Endpoints::inbound);
        hand_over(inbound, Inbound(message), campaign, self.limit())
    }
}

/// The inputs dialled beyond a route's code. Nothing stands for an empty one, and none of a code that no phone can dial.
fn dialled_inputs(beyond: &str) -> Vec<String> {
    if beyond.len() > LONGEST_DIALLED {
        return Vec::new();
    }
    beyond.split('*').filter(|input| !input.is_empty()).map(str::to_owned).collect()
}

/// Hands a message to a component and passes its answer on; one with a full mailbox has `limit` to take it.
fn hand_over<M>(
    component: Option<&Recipient<M>>,
    message: M,
    name: Name,
    limit: Duration,
) -> ResponseFuture<Result<(), Refused>>
where
    M: actix::Message<Result = Result<(), Refused>> + Send + 'static,
{
    let Some(component) = component else {
        return Box::pin(async move { Err(Refused::Away(name)) });
    };
    let answer = tokio::time::timeout(limit, component.send(message));
    Box::pin(async move {
        match answer.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Refused::Away(name)),
            // The time-out drops the message where it was not handled yet: refused means not handled.
            Err(_) => Err(Refused::Busy(name)),
        }
    })
}

impl Handler<Happened> for Router {
    type Result = ();

    fn handle(&mut self, happened: Happened, _: &mut Self::Context) {
        let sender = happened.event.sent_by.as_ref();
        let campaign = sender.or_else(|| self.table.ussd(&happened.service));
        let endpoints = campaign.and_then(|campaign| self.components.get(campaign));
        if let Some(events) = endpoints.and_then(Endpoints::events)
            && let Err(SendError::Full(event) | SendError::Closed(event)) = events.try_send(happened)
        {
            vumi_kit::warn_limited!(&event.service, service = %event.service, message = %event.event.user_message_id, "the campaign has no component for an event");
        }
    }
}

impl Handler<Register> for Router {
    type Result = ();

    fn handle(&mut self, Register { name, endpoints, token }: Register, ctx: &mut Self::Context) {
        if token.is_replaced() {
            warn!(component = %name, "a component that was replaced is not registered");
            return;
        }
        let campaign = matches!(endpoints, Endpoints::Campaign { .. });
        self.components.insert(name, endpoints, token);
        if campaign {
            // SMS that are due are claimed now; those in the queues are offered again anyway. SMS that the campaign had taken
            // when it ended are due when their lease ends.
            self.claim_received(ctx);
        }
    }
}

impl Handler<Deregister> for Router {
    type Result = ();

    fn handle(&mut self, Deregister { name }: Deregister, _: &mut Self::Context) {
        self.components.remove(&name);
    }
}

impl Handler<AskHealth> for Router {
    type Result = MessageResult<AskHealth>;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        let mut detail = format!("{} components", self.components.len());
        if self.unowned.waiting > 0 {
            detail += &format!(
                "; {} SMS from people wait for an account: see `account` of their transport or route",
                self.unowned.waiting
            );
        }
        MessageResult(Health { state: State::Up, detail })
    }
}

#[cfg(test)]
mod tests;
