//! The components under supervision: each with its state, each on an arbiter of its own.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use actix::{
    Actor, ActorFutureExt, ActorTryFutureExt, Arbiter, AsyncContext, Context, Handler, Message, Recipient,
    ResponseActFuture, ResponseFuture, WrapFuture, dev::RecipientRequest,
};
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};
use vumi_kit::{
    campaign_sms::CampaignSmsOffice,
    clock::{Clock, ClockWatch, Timestamp},
    component::{Component, ComponentContext, Drain, StartError},
    health::{AskHealth, AskParts, Health, Part, State},
    ledger::{Backlog, CountBacklog, Ledger, SmsOwners},
    name::Name,
    router::{Deregister, Register, RouterAddress},
    start_token::StartToken,
    store::{Ask, Store},
    transport_board::TransportBoard,
};

use super::{SupervisorSettings, hung::HealthQuestion};

/// How long a part may take to say how it is.
const HEALTH_LIMIT: Duration = Duration::from_secs(1);

/// How soon it is said that the machine's clock was set.
const LOOK_AT_CLOCK_EVERY: Duration = Duration::from_secs(1);

/// What a supervised part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Store,
    Router,
    Transport,
    Campaign,
    Callbacks,
    Broadcasts,
    Broker,
    FrontEnd,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Router => "router",
            Self::Transport => "transport",
            Self::Campaign => "campaign",
            Self::Callbacks => "callbacks",
            Self::Broadcasts => "broadcasts",
            // Operators know both as front-ends.
            Self::Broker | Self::FrontEnd => "front-end",
        }
    }

    /// What becomes of what a component of this role leaves when it does not finish in time.
    const fn leaves(self) -> &'static str {
        match self {
            Self::FrontEnd => "requests under way get no answer, what was accepted is in the ledger",
            Self::Callbacks => "posts under way are made again after the next start",
            Self::Campaign => "people under way may get no answer to what they sent last",
            Self::Broadcasts => "the lines of a step under way are taken after the next start",
            Self::Store | Self::Router | Self::Transport | Self::Broker => "what it left is in the ledger",
        }
    }
}

/// A part that is asked how it is, but not started again: the store and the router.
pub(super) struct Fixture {
    pub(super) name: Name,
    pub(super) role: Role,
    pub(super) health: Recipient<AskHealth>,
}

/// Starts a component on the arbiter it is called on; called again for a restart.
pub(super) type StartFn = Arc<dyn Fn(ComponentContext) -> Result<Component, StartError> + Send + Sync>;

pub(super) struct Supervised {
    start: StartFn,
    pub(super) role: Role,
    pub(super) state: State,
    detail: String,
    pub(super) arbiter: Option<Arbiter>,
    pub(super) health: Option<Recipient<AskHealth>>,
    pub(super) question: HealthQuestion,
    /// Of the present start.
    token: StartToken,
    drain: Option<Recipient<Drain>>,
    /// Counts starts: what is heard of an earlier one is old news.
    pub(super) generation: u64,
    failures: VecDeque<Timestamp>,
    restarts: u32,
}

/// The router's table of components, as the supervisor changes it.
pub(super) struct RouterTable {
    pub(super) register: Recipient<Register>,
    pub(super) deregister: Recipient<Deregister>,
}

/// The actor that keeps the components running.
pub(super) struct Supervisor {
    pub(super) settings: SupervisorSettings,
    router: RouterAddress,
    table: RouterTable,
    store: Store,
    clock: Clock,
    owners: SmsOwners,
    board: TransportBoard,
    campaign_sms: CampaignSmsOffice,
    pub(super) components: BTreeMap<Name, Supervised>,
    fixtures: Vec<Fixture>,
    /// Components that were replaced and whose threads have not ended.
    pub(super) lingering: usize,
    /// Told when the process has to end.
    pub(super) fatal: mpsc::Sender<&'static str>,
}

impl Supervisor {
    pub(super) fn new(
        settings: SupervisorSettings,
        router: RouterAddress,
        table: RouterTable,
        store: Store,
        clock: Clock,
        fatal: mpsc::Sender<&'static str>,
    ) -> Self {
        let (owners, board) = (SmsOwners::default(), TransportBoard::default());
        let (components, fixtures) = (BTreeMap::new(), Vec::new());
        let campaign_sms = CampaignSmsOffice::default();
        Self {
            settings,
            router,
            table,
            store,
            clock,
            owners,
            board,
            campaign_sms,
            components,
            fixtures,
            lingering: 0,
            fatal,
        }
    }

    /// The same, for components that ask whose SMS from people are.
    pub(super) fn with_owners(mut self, owners: SmsOwners) -> Self {
        self.owners = owners;
        self
    }

    /// The same, for transports that tell this board how they are.
    pub(super) fn with_board(mut self, board: TransportBoard) -> Self {
        self.board = board;
        self
    }

    /// The same, for campaigns that send SMS beside their answers.
    pub(super) fn with_campaign_sms(mut self, campaign_sms: CampaignSmsOffice) -> Self {
        self.campaign_sms = campaign_sms;
        self
    }

    fn context(&self, name: &Name, token: &StartToken) -> ComponentContext {
        ComponentContext {
            campaign_sms: self.campaign_sms.clone(),
            owners: self.owners.clone(),
            name: name.clone(),
            router: self.router.with_token(token),
            store: self.store.with_token(token),
            board: self.board.clone(),
            clock: self.clock.clone(),
        }
    }

    /// Starts a component on a new arbiter. The first start's failure goes to `first`, a later one's is counted.
    fn begin(&mut self, name: &Name, first: Option<First>, ctx: &mut Context<Self>) {
        let token = StartToken::default();
        let context = self.context(name, &token);
        let Some(supervised) = self.components.get_mut(name).filter(|component| component.state != State::Stopping)
        else {
            return;
        };
        supervised.generation += 1;
        (supervised.token, supervised.question) = (token, HealthQuestion::default());
        let generation = supervised.generation;
        let arbiter = Arbiter::new();
        let (start, (done, started)) = (supervised.start.clone(), oneshot::channel());
        let spawned = arbiter.spawn(async move {
            let _nobody_waits = done.send(start(context));
        });
        supervised.arbiter = Some(arbiter);
        let name = name.clone();
        let outcome = async move {
            let panicked = || Err(StartError("it panicked while starting: see the log above".to_owned()));
            if spawned { started.await.unwrap_or_else(|_| panicked()) } else { panicked() }
        };
        ctx.spawn(
            outcome
                .into_actor(self)
                .map(move |component, supervisor, ctx| supervisor.began(name, generation, component, first, ctx)),
        );
    }

    fn began(
        &mut self,
        name: Name,
        generation: u64,
        component: Result<Component, StartError>,
        first: Option<First>,
        ctx: &mut Context<Self>,
    ) {
        let Some(supervised) = self.components.get_mut(&name).filter(|component| component.generation == generation)
        else {
            return;
        };
        match (component, first) {
            (Ok(component), first) => {
                info!(component = %name, role = supervised.role.as_str(), "started");
                if let Some(first) = first {
                    let _nobody_waits = first.send(Ok(()));
                }
                supervised.state = State::Up;
                supervised.health = Some(component.health);
                supervised.drain = Some(component.drain);
                supervised.question = HealthQuestion::default();
                if let Some(endpoints) = component.endpoints {
                    let register = Register { name: name.clone(), endpoints, token: supervised.token.clone() };
                    self.tell_router(self.table.register.send(register), ctx);
                }
                let ended = component.ended.wait().into_actor(self);
                ctx.spawn(ended.map(move |(), supervisor, ctx| {
                    supervisor.failed(&name, generation, "it ended unasked; see the log above", ctx);
                }));
            }
            (Err(error), Some(first)) => {
                self.components.remove(&name);
                let _nobody_waits = first.send(Err(error));
            }
            (Err(error), None) => self.failed(&name, generation, &error.to_string(), ctx),
        }
    }

    /// A component failed: out of the router's table, and started again unless it has failed too often.
    pub(super) fn failed(&mut self, name: &Name, generation: u64, why: &str, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        let Some(component) = self.components.get_mut(name).filter(|component| component.generation == generation)
        else {
            return;
        };
        if component.state == State::Stopping {
            return;
        }
        // Whatever is left of it is refused.
        component.token.replace();
        (component.health, component.drain) = (None, None);
        if let Some(arbiter) = component.arbiter.take() {
            arbiter.stop();
        }
        component.failures.push_back(now);
        while component.failures.front().is_some_and(|first| now.since(*first) > self.settings.within) {
            component.failures.pop_front();
        }
        let failures = u32::try_from(component.failures.len()).unwrap_or(u32::MAX);
        if failures > self.settings.restarts {
            component.state = State::Failed;
            component.detail = format!("failed {failures} times, last: {why}; mend it and restart vumi");
            error!(component = %name, %why, failures, "failed too often: it stays down until vumi is restarted");
        } else {
            let wait = self.settings.restart.wait(failures);
            component.state = State::Restarting;
            component.detail = format!("failed: {why}; started again in {wait:.1?}");
            component.restarts += 1;
            warn!(component = %name, %why, ?wait, "failed: it is started again");
            let name = name.clone();
            ctx.run_later(wait, move |supervisor, ctx| supervisor.begin(&name, None, ctx));
        }
        self.tell_router(self.table.deregister.send(Deregister { name: name.clone() }), ctx);
    }

    /// The router's answer is awaited: its table must follow.
    fn tell_router<M>(&self, request: RecipientRequest<M>, ctx: &mut Context<Self>)
    where
        M: Message<Result = ()> + Send + 'static,
    {
        ctx.spawn(request.into_actor(self).map_err(|_, _, _| error!("the router is gone")).map(|_, _, _| ()));
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let mut watch = ClockWatch::new(self.clock.clone());
        ctx.run_interval(LOOK_AT_CLOCK_EVERY, move |_, _| {
            if let Some(jump) = watch.noticed() {
                warn!(%jump, "the machine's clock was set: what waits goes on by the time that really passes");
            }
        });
        ctx.run_interval(self.settings.ask_every, Self::look_for_hung);
    }
}

/// Takes a part under its eyes.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WatchFixture(pub(super) Fixture);

impl Handler<WatchFixture> for Supervisor {
    type Result = ();

    fn handle(&mut self, WatchFixture(fixture): WatchFixture, _: &mut Self::Context) {
        self.fixtures.push(fixture);
    }
}

/// Starts a component, and keeps it running. A first start that fails is the asker's to judge.
#[derive(Message)]
#[rtype(result = "Result<(), StartError>")]
pub(super) struct StartComponent {
    pub(super) name: Name,
    pub(super) role: Role,
    pub(super) start: StartFn,
}

/// Where a first start's outcome goes.
type First = oneshot::Sender<Result<(), StartError>>;

impl Handler<StartComponent> for Supervisor {
    type Result = ResponseFuture<Result<(), StartError>>;

    fn handle(
        &mut self,
        StartComponent { name, role, start }: StartComponent,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        let supervised = Supervised {
            start,
            role,
            state: State::Starting,
            detail: String::new(),
            arbiter: None,
            health: None,
            question: HealthQuestion::default(),
            token: StartToken::default(),
            drain: None,
            generation: 0,
            failures: VecDeque::new(),
            restarts: 0,
        };
        let (first, began) = oneshot::channel();
        self.components.insert(name.clone(), supervised);
        self.begin(&name, Some(first), ctx);
        Box::pin(async move { began.await.unwrap_or_else(|_| Err(StartError("stopped while starting".to_owned()))) })
    }
}

/// Stops all components of a role: each finishes what is under way, within the bound.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct StopComponents(pub(super) Role);

impl Handler<StopComponents> for Supervisor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, StopComponents(role): StopComponents, _: &mut Self::Context) -> Self::Result {
        let limit = self.settings.drain;
        let mut drains = Vec::new();
        for (name, component) in self.components.iter_mut().filter(|(_, component)| component.role == role) {
            (component.state, component.health) = (State::Stopping, None);
            let (name, drain) = (name.clone(), component.drain.take());
            drains.push(async move {
                let Some(drain) = drain else { return };
                match tokio::time::timeout(limit, drain.send(Drain)).await {
                    Ok(_) => info!(component = %name, role = role.as_str(), "stopped"),
                    Err(_) => warn!(component = %name, ?limit, "did not finish in time: {}", role.leaves()),
                }
            });
        }
        let stop_arbiters = move |_: Vec<()>, supervisor: &mut Self, _: &mut Context<Self>| {
            for component in supervisor.components.values_mut().filter(|component| component.role == role) {
                if let Some(arbiter) = component.arbiter.take() {
                    arbiter.stop();
                }
            }
        };
        Box::pin(join_all(drains).into_actor(self).map(stop_arbiters))
    }
}

impl Handler<AskParts> for Supervisor {
    type Result = ResponseFuture<Vec<Part>>;

    fn handle(&mut self, _: AskParts, _: &mut Self::Context) -> Self::Result {
        let fixtures = self.fixtures.iter().map(|fixture| HealthQuery {
            name: fixture.name.clone(),
            role: fixture.role,
            health: Some(fixture.health.clone()),
            otherwise: Health { state: State::Up, detail: String::new() },
            restarts: 0,
        });
        let components = self.components.iter().map(|(name, component)| HealthQuery {
            name: name.clone(),
            role: component.role,
            health: component.health.clone(),
            otherwise: Health { state: component.state, detail: component.detail.clone() },
            restarts: component.restarts,
        });
        let mut queries: Vec<HealthQuery> = fixtures.chain(components).collect();
        queries.sort_by(|a, b| (a.role, &a.name).cmp(&(b.role, &b.name)));
        let ledger = self.store.ledger.clone();
        Box::pin(async move {
            let asked = join_all(queries.into_iter().map(HealthQuery::ask));
            let (mut parts, mut backlogs) = tokio::join!(asked, backlogs(&ledger));
            for part in parts.iter_mut().filter(|part| part.role == Role::Transport.as_str()) {
                part.backlog = backlogs.remove(&part.name);
            }
            parts
        })
    }
}

/// The backlog of each transport that has one; empty while the store does not answer, which its own part says.
async fn backlogs(ledger: &Ledger) -> HashMap<Name, Backlog> {
    match tokio::time::timeout(HEALTH_LIMIT, ledger.ask(CountBacklog)).await {
        Ok(Ok(backlogs)) => backlogs.into_iter().collect(),
        Ok(Err(_)) | Err(_) => HashMap::new(),
    }
}

struct HealthQuery {
    name: Name,
    role: Role,
    health: Option<Recipient<AskHealth>>,
    otherwise: Health,
    restarts: u32,
}

impl HealthQuery {
    async fn ask(self) -> Part {
        let health = match self.health {
            None => self.otherwise,
            Some(health) => match tokio::time::timeout(HEALTH_LIMIT, health.send(AskHealth)).await {
                Ok(Ok(health)) => health,
                // It ended, and the news has not been dealt with yet.
                Ok(Err(_)) => Health { state: State::Restarting, detail: "it has just ended".to_owned() },
                Err(_) => Health { state: State::Degraded, detail: format!("no answer within {HEALTH_LIMIT:?}") },
            },
        };
        let role = self.role.as_str().to_owned();
        let Health { state, detail } = health;
        Part { name: self.name, role, state, detail, restarts: self.restarts, backlog: None }
    }
}
