//! The router's actor.

mod passing;

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{
    Actor, AsyncContext, Context, Handler, Message, MessageResult, Recipient, ResponseFuture, StreamHandler,
    dev::SendError,
};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::{sync::mpsc, time::Instant};
use tracing::{debug, warn};
use vumi_kit::{
    component::{Lifeline, Terminated, lifeline},
    health::{AskHealth, Health, State},
    kind::Problem,
    ledger::{ClaimReceived, HandOver, ReleaseReceived, ReleaseSms, SettleReceived},
    log_limiter::LogLimiter,
    message::{TransportType, UserMessage},
    middleware::{MiddlewareChains, SmsDirection},
    name::Name,
    router::{
        Deregister, Endpoints, FromComponent, Happened, Inbound, Outbound, Refused, Register, RouterAddress, Submit,
    },
    settings_schema::HumanDuration,
    sms::{Received, ReceivedId, SmsId, Submission},
    sms_options::SmsOptions,
    start_token::StartToken,
    store::{Ask, Store, StoreError},
};

use passing::{PassedInbound, settle_refused};

use crate::{
    outbound::{FailoverSettings, TransportWatch},
    passage::{ChainQueue, Passage, add_tags},
    received_queues::{Arrived, Due, QueueKey, ReceivedQueues},
    table::RoutingTable,
    unowned::UnownedRound,
};

/// The router's settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouterSettings {
    /// Messages that may wait for the router, and batches that the store may have ready for it.
    pub mailbox: usize,
    /// How long a message may wait for a busy campaign or transport before it is refused.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub hand_over_limit: Duration,
    /// How often received SMS that no campaign has settled are tried again.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub retry_received: Duration,
    /// How SMS that go by `[[outbound]]` come back to a transport that had failed.
    pub failover: FailoverSettings,
}

impl Default for RouterSettings {
    fn default() -> Self {
        Self {
            mailbox: 10_000,
            hand_over_limit: Duration::from_secs(2),
            retry_received: Duration::from_secs(5),
            failover: FailoverSettings::default(),
        }
    }
}

impl RouterSettings {
    /// Keys that had another name, and another unit, in an earlier version.
    pub const RENAMED: &'static [(&'static str, &'static str)] =
        &[("hand_over_limit_ms", "hand_over_limit"), ("retry_received_s", "retry_received")];

    /// What is wrong with them; keys as below `[router]`.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut expect = |good: bool, key: &str, what: &str| {
            if !good {
                problems.push(Problem::new(key, what));
            }
        };
        expect((1..=1_000_000).contains(&self.mailbox), "mailbox", "expected 1 to 1000000 messages");
        let (least, most) = (Duration::from_millis(1), Duration::from_secs(60));
        expect((least..=most).contains(&self.hand_over_limit), "hand_over_limit", "expected 1ms to 60s, such as `2s`");
        let (least, most) = (Duration::from_millis(100), Duration::from_secs(24 * 3600));
        expect((least..=most).contains(&self.retry_received), "retry_received", "expected 100ms to 24h, such as `5s`");
        problems.extend(self.failover.check());
        problems
    }
}

/// Received SMS in one claim.
const CLAIM_LIMIT: usize = 500;

/// The store's refusals: while it is away, each message would have a line of its own.
static STORE_FAILURES: LogLimiter = LogLimiter::new();

fn log_failure(error: &StoreError, what: &'static str) {
    if let Some(left_out) = STORE_FAILURES.due(what) {
        warn!(%error, left_out, "{what}");
    }
}

/// Whether a claim of received SMS is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Claiming {
    #[default]
    No,
    Once,
    /// And another one follows it.
    AndAgain,
}

/// The components by name, and which start of it each is.
#[derive(Debug, Default)]
struct Components(HashMap<Name, (Endpoints, StartToken)>);

impl Components {
    /// Where a component is reached; none where it was replaced.
    fn get(&self, name: &Name) -> Option<&Endpoints> {
        self.0.get(name).filter(|(_, token)| !token.is_replaced()).map(|(endpoints, _)| endpoints)
    }

    /// The campaign that was started with a token, if it is one alone.
    fn campaign_of(&self, token: &StartToken) -> Option<&Name> {
        let started = |(_, (endpoints, of)): &(&Name, &(Endpoints, StartToken))| {
            of.is(token) && matches!(endpoints, Endpoints::Campaign { .. })
        };
        let mut campaigns = self.0.iter().filter(started).map(|(name, _)| name);
        campaigns.next().filter(|_| campaigns.next().is_none())
    }

    fn any_campaign(&self) -> bool {
        self.0
            .values()
            .any(|(endpoints, token)| !token.is_replaced() && matches!(endpoints, Endpoints::Campaign { .. }))
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

    /// Hands claimed SMS to their transport; those that it can't take now go back to the ledger.
    fn submit(&self, transport: Name, batch: Vec<Submission>) {
        let refused = match self.components.get(&transport).and_then(Endpoints::submit) {
            None => batch,
            Some(submit) => match submit.try_send(Submit(batch)) {
                Ok(()) => return,
                Err(SendError::Full(Submit(batch)) | SendError::Closed(Submit(batch))) => batch,
            },
        };
        debug!(%transport, count = refused.len(), "the transport has no component: its SMS wait in the ledger");
        let ids: Vec<SmsId> = refused.into_iter().map(|sms| sms.id).collect();
        let store = self.store.clone();
        actix::spawn(async move {
            // If this fails, too, they are due when their lease ends.
            if let Err(error) = store.ledger.ask_waiting(ReleaseSms { transport, ids }).await {
                log_failure(&error, "SMS could not be released: they are due again when their lease ends");
            }
        });
    }

    /// Takes received SMS through their chains, if there are any, and queues them for their campaigns. `claimed`: the ledger
    /// handed them out by a claim. Answers whether any found a place.
    fn route_all_received(&mut self, received: Vec<Received>, claimed: bool, ctx: &mut Context<Self>) -> bool {
        let (count, mut returned) = (received.len(), Vec::new());
        let chained = self.passage.chains.see(SmsDirection::Inbound);
        for sms in received {
            let id = sms.id;
            let taken = if chained {
                self.enter_chain(sms, claimed, ctx)
            } else {
                self.route_received(sms, claimed, ctx) != Arrived::Returned
            };
            if !taken {
                returned.push(id);
            }
        }
        let placed = returned.len() < count;
        self.release_received(returned);
        placed
    }

    fn route_received(&mut self, received: Received, claimed: bool, ctx: &mut Context<Self>) -> Arrived {
        let (to, from) = (received.sms.to.as_str(), received.sms.from.as_str());
        let Some(campaign) = self.table.sms(to, &received.sms.message) else {
            self.settle_unroutable(&received, format!("no campaign serves {}", received.sms.to));
            return Arrived::Waits;
        };
        let key = (campaign.clone(), from.to_owned());
        let arrived = self.queues.arrive(&key, received, claimed, Instant::now());
        self.keep_time(&key.0, ctx);
        if arrived == Arrived::First {
            self.offer(key, ctx);
        }
        arrived
    }

    /// Starts the campaign's timer where somebody waits for it.
    fn keep_time(&mut self, campaign: &Name, ctx: &mut Context<Self>) {
        let Some(wait) = self.queues.start_timer(campaign) else { return };
        let campaign = campaign.clone();
        ctx.run_later(wait, move |router, ctx| {
            let Due { offers, returned } = router.queues.due(&campaign, Instant::now());
            router.release_received(returned);
            offers.into_iter().for_each(|key| router.offer(key, ctx));
            router.keep_time(&campaign, ctx);
        });
    }

    fn settle_unroutable(&self, received: &Received, outcome: String) {
        let settle = SettleReceived { outcome, ..SettleReceived::by_campaign(received.message_id.clone(), None, None) };
        let store = self.store.clone();
        actix::spawn(async move {
            if let Err(error) = store.ledger.ask_waiting(settle).await {
                log_failure(&error, "a received SMS without a route could not be settled: it will be tried again");
            }
        });
    }

    /// Offers a person's first SMS to the campaign; the answer comes as [`OfferAnswered`].
    fn offer(&self, key: QueueKey, ctx: &mut Context<Self>) {
        let Some(Received { transport, message_id, sms, created_at, tags, .. }) = self.queues.first(&key) else {
            return;
        };
        let mut message =
            UserMessage::from_person(transport, TransportType::Sms, sms.from.as_str(), sms.to.as_str(), *created_at);
        if !sms.from.is_number() {
            message.from_addr_type = None;
        }
        message.message_id.clone_from(message_id);
        message.content = Some(sms.message.clone());
        add_tags(&mut message, tags.clone());
        let campaign = self.components.get(&key.0).and_then(Endpoints::inbound);
        let (answer, router) = (hand_over(campaign, Inbound(message), key.0.clone(), self.limit()), ctx.address());
        // A task of its own, not a future of the actor's context: that polls all of them for each that wakes.
        actix::spawn(async move {
            let taken = answer.await.is_ok();
            // An error: the router is gone, and its queues with it. The ledger's lease outlives both.
            let _gone = router.send(OfferAnswered { key, taken }).await;
        });
    }

    fn release_received(&self, ids: Vec<ReceivedId>) {
        if ids.is_empty() {
            return;
        }
        debug!(count = ids.len(), "received SMS that their campaign can't take now wait in the ledger");
        let store = self.store.clone();
        actix::spawn(async move {
            // If this fails, too, they are due when their lease ends.
            if let Err(error) = store.ledger.ask_waiting(ReleaseReceived { ids }).await {
                log_failure(&error, "received SMS could not be released: they are due again when their lease ends");
            }
        });
    }

    /// Takes an SMS from a campaign: the answer to a received one, which the ledger keeps and sends.
    fn settle(&self, message: UserMessage, campaign: Option<Name>) -> ResponseFuture<Result<(), Refused>> {
        let Some(message_id) = message.in_reply_to.clone() else {
            let transport = message.transport_name;
            return Box::pin(async move { Err(Refused::NoTransport(transport)) });
        };
        let (store, name, passage) = (self.store.clone(), message.transport_name.clone(), self.passage.clone());
        Box::pin(async move {
            let (message, held) = match passage.answered(message, campaign).await {
                Ok(passed) => passed,
                // The campaign has answered: the SMS is settled, and the answer is not sent.
                Err(Refused::Middleware(why)) => return settle_refused(&store, message_id, why).await,
                Err(other) => return Err(other),
            };
            let options = held.map_or_else(SmsOptions::none, SmsOptions::held);
            let settle = SettleReceived { options, ..SettleReceived::by_campaign(message_id, message.content, None) };
            match store.ledger.ask_waiting(settle).await {
                Ok(Some(_)) => Ok(()),
                Ok(None) => {
                    debug!("the same answer to an SMS that was settled before, or to an unknown one: not sent");
                    Ok(())
                }
                Err(error) => {
                    log_failure(&error, "the answer to a received SMS could not be stored: it will be routed again");
                    Err(Refused::Busy(name))
                }
            }
        })
    }

    /// Claims received SMS that are due, one claim at a time: a claim's answer says nothing of SMS that went back after it
    /// began.
    fn claim_received(&mut self, ctx: &mut Context<Self>) {
        // SMS claimed in a process without campaigns would be withheld from the processes that have some.
        if self.table.serves_sms() && !self.components.any_campaign() {
            return;
        }
        if self.claiming != Claiming::No {
            self.claiming = Claiming::AndAgain;
            return;
        }
        self.claiming = Claiming::Once;
        self.queues.claim_begins();
        let store = self.store.clone();
        let claim = async move { store.ledger.ask(ClaimReceived { limit: CLAIM_LIMIT }).await };
        ctx.spawn(actix::fut::ActorFutureExt::map(
            actix::fut::wrap_future(claim),
            |claimed, router: &mut Self, ctx| {
                let mut again = std::mem::take(&mut router.claiming) == Claiming::AndAgain;
                match claimed {
                    Ok(received) => {
                        let complete = received.len() < CLAIM_LIMIT;
                        // What a campaign without places gets back is claimed with the others some time.
                        let placed = router.route_all_received(received, true, ctx);
                        if complete {
                            router.queues.claim_was_complete();
                        } else {
                            again |= placed;
                        }
                    }
                    Err(error) => debug!(%error, "received SMS could not be claimed now"),
                }
                if again {
                    router.claim_received(ctx);
                }
            },
        ));
    }
}

impl Router {
    /// Looks for the accounts of SMS that belong to none yet. A step takes less than the time to the next one, or is
    /// repeated, which changes nothing.
    fn own_received(&self, ctx: &mut Context<Self>) {
        let (store, table, round) = (self.store.clone(), Arc::clone(&self.table), self.unowned);
        let step = async move { round.step(&store, &table).await };
        ctx.spawn(actix::fut::ActorFutureExt::map(actix::fut::wrap_future(step), |stepped, router: &mut Self, _| {
            match stepped {
                Ok(round) => router.unowned = round,
                Err(error) => debug!(%error, "SMS without an account could not be looked through now"),
            }
        }));
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

/// A campaign has taken or refused a person's first SMS.
#[derive(Message)]
#[rtype(result = "()")]
struct OfferAnswered {
    key: QueueKey,
    taken: bool,
}

impl Handler<OfferAnswered> for Router {
    type Result = ();

    fn handle(&mut self, OfferAnswered { key, taken }: OfferAnswered, ctx: &mut Self::Context) {
        if taken {
            return self.queues.taken(&key).into_iter().for_each(|next| self.offer(next, ctx));
        }
        let campaign = key.0.clone();
        self.queues.refused(key);
        self.keep_time(&campaign, ctx);
    }
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

impl Handler<FromComponent<Outbound>> for Router {
    type Result = ResponseFuture<Result<(), Refused>>;

    fn handle(&mut self, from: FromComponent<Outbound>, _: &mut Self::Context) -> Self::Result {
        if from.token.is_replaced() {
            return Box::pin(async { Err(Refused::Replaced) });
        }
        let campaign = self.components.campaign_of(&from.token).cloned();
        self.send_to_person(from.message.0, campaign)
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
    fn hand_to_campaign(&self, message: UserMessage) -> ResponseFuture<Result<(), Refused>> {
        let campaign = match message.transport_type {
            TransportType::Sms => self.table.sms(&message.to_addr, message.content.as_deref().unwrap_or_default()),
            _ => self.table.ussd(&message.to_addr),
        };
        let Some(campaign) = campaign else {
            let to = message.to_addr;
            return Box::pin(async move { Err(Refused::NoRoute(to)) });
        };
        let inbound = self.components.get(campaign).and_then(Endpoints::inbound);
        hand_over(inbound, Inbound(message), campaign.clone(), self.limit())
    }
}

impl Handler<Outbound> for Router {
    type Result = ResponseFuture<Result<(), Refused>>;

    fn handle(&mut self, Outbound(message): Outbound, _: &mut Self::Context) -> Self::Result {
        self.send_to_person(message, None)
    }
}

impl Router {
    /// Hands on a message to a person, of this campaign where it is known.
    fn send_to_person(&self, message: UserMessage, campaign: Option<Name>) -> ResponseFuture<Result<(), Refused>> {
        let transport = message.transport_name.clone();
        let endpoints = self.components.get(&transport);
        // The ledger sends SMS, except those of a transport behind the broker, which has an outbox of its own.
        let remote = matches!(endpoints, Some(Endpoints::Remote { .. }));
        if message.transport_type == TransportType::Sms && !remote {
            return self.settle(message, campaign);
        }
        if remote && message.transport_type == TransportType::Sms && self.passage.chains.see(SmsDirection::Outbound) {
            let (outbound, passage) = (endpoints.and_then(Endpoints::outbound).cloned(), self.passage.clone());
            let limit = self.limit();
            return Box::pin(async move {
                let (message, held) = passage.answered(message, campaign).await?;
                // What a peer sends can't be held here.
                match held {
                    Some(why) => Err(Refused::Middleware(why)),
                    None => hand_over(outbound.as_ref(), Outbound(message), transport, limit).await,
                }
            });
        }
        if let Some(outbound) = endpoints.and_then(Endpoints::outbound) {
            return hand_over(Some(outbound), Outbound(message), transport, self.limit());
        }
        let refused = match endpoints {
            Some(Endpoints::Transport { .. }) => Refused::NoSessions(transport),
            _ => Refused::NoTransport(transport),
        };
        Box::pin(async move { Err(refused) })
    }
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
        self.components.0.insert(name, (endpoints, token));
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
        self.components.0.remove(&name);
    }
}

impl Handler<AskHealth> for Router {
    type Result = MessageResult<AskHealth>;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        let mut detail = format!("{} components", self.components.0.len());
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
