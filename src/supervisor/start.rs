//! The order of a start, and how each of vumi's own components is started.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use actix::{Actor, Addr, Arbiter, Recipient};
use tokio::sync::{mpsc, oneshot};
use vumi_amqp::{AmqpContext, AmqpSettings, AmqpTopology, SmsTransport};
use vumi_callbacks::CallbackContext;
use vumi_front_kit::{campaign_sms::CampaignSmsDesk, quotas::QuotaKeeper};
use vumi_http::{HealthSettings, HttpContext, WebhookMount};
use vumi_kit::{
    campaign_sms::CampaignSmsOffice,
    clock::Clock,
    component::{Component, ComponentContext, StartError, Terminated},
    conversation::{ConversationRules, PostedRoutes},
    health::AskParts,
    ledger::SmsOwners,
    middleware::MiddlewareChains,
    name::Name,
    outbound::OutboundRoutes,
    router::Register,
    sms_fields::SmsTimes,
    store::{Store, StoreError},
    transport_board::TransportBoard,
};
use vumi_middleware::MiddlewareContext;
use vumi_router::{OutboundRouter, Router, RoutingTable, TransportWatch, WatchedTransport};
use vumi_smpp::{EsmeTransport, SmppContext, SmppSettings};
use vumi_store::StoreSettings;

use super::{
    accounts,
    error::StartFailed,
    registry::{Fixture, Role, RouterTable, StartComponent, StartFn, Supervisor, WatchFixture},
    stop::Running,
};
use crate::config::{ComponentConfig, Settings};

/// Starts everything, in order: store, router, campaigns, broker, transports, callbacks, front-ends. Who answers people
/// starts before what brings their messages.
pub async fn start(settings: Settings) -> Result<Running, StartFailed> {
    let clock = Clock::system();
    let (tell_fatal, fatal) = mpsc::channel(4);
    let (handover, handed_over) = mpsc::channel(settings.router.mailbox);

    let store_arbiter = Arbiter::new();
    let (store_settings, store_clock) = (settings.store.clone(), clock.clone());
    let open = move || vumi_store::open(store_settings, store_clock, handover);
    let store = on(&store_arbiter, open).await.ok_or(StartFailed::Terminated("store"))??;
    watch(store.ended(), "store", tell_fatal.clone());
    accounts::prepare(&store.store, &settings).await.map_err(|failed| explained(failed, &settings.store))?;

    let board = TransportBoard::default();
    let routes = outbound_routes(&settings, &board);
    let posted = PostedRoutes::default();
    let mut settings = settings;
    settings.table = settings.table.clone().with_posted(posted.clone(), own_name("conversations"));
    let transport_watch = watch_of(&settings, &board, routes.clone());
    let router_arbiter = Arbiter::new();
    let (router_settings, table, router_store) = (settings.router.clone(), settings.table.clone(), store.store.clone());
    let chains = chains(&settings, &clock)?;
    let router_chains = chains.clone();
    let start_router =
        move || Router::start(router_settings, table, router_chains, transport_watch, router_store, handed_over);
    let (router, ended) = on(&router_arbiter, start_router).await.ok_or(StartFailed::Terminated("router"))?;
    watch(ended, "router", tell_fatal.clone());

    let sending = Sending { chains, quotas: QuotaKeeper::new(settings.prices.clone()) };
    let sms_routes = routes.clone().map(|routes| routes as OutboundRoutes);
    let campaign_sms = campaign_sms(&settings, &sending, sms_routes, store.store.clone(), clock.clone());
    let address = Router::address(&router);
    let supervisor = Supervisor::new(
        settings.supervisor.clone(),
        address,
        RouterTable { register: router.clone().recipient(), deregister: router.clone().recipient() },
        store.store.clone(),
        clock.clone(),
        tell_fatal,
    )
    .with_owners(owners(settings.table.clone()))
    .with_board(board.clone())
    .with_campaign_sms(CampaignSmsOffice::new(campaign_sms))
    .start();
    let fixtures = [
        Fixture { name: own_name("store"), role: Role::Store, health: store.health() },
        Fixture { name: own_name("router"), role: Role::Router, health: router.clone().recipient() },
    ];
    for fixture in fixtures {
        supervisor.try_send(WatchFixture(fixture)).map_err(|_| StartFailed::Terminated("supervisor"))?;
    }
    let outbound = (routes.map(|routes| routes as OutboundRoutes), board);
    let conversations: StartFn = Arc::new(move |context| Ok(vumi_conversations::start(context, posted.clone())));
    start_component(&supervisor, own_name("conversations"), Role::Campaign, conversations).await?;
    let bound = start_components(&supervisor, router.recipient(), &settings, &sending, outbound).await?;
    Ok(Running { supervisor, store, address: bound, fatal, arbiters: vec![router_arbiter, store_arbiter] })
}

/// The first writes find out that another program holds an SQLite file.
fn explained(failed: StartFailed, settings: &StoreSettings) -> StartFailed {
    match &failed {
        StartFailed::Operation(StoreError::Unavailable(_)) => {
            vumi_store::held_by_another(settings).map_or(failed, StartFailed::Store)
        }
        _ => failed,
    }
}

/// What the front-ends ask before they accept an SMS; all of them together, also after a restart.
#[derive(Clone)]
struct Sending {
    chains: MiddlewareChains,
    quotas: QuotaKeeper,
}

async fn start_components(
    supervisor: &Addr<Supervisor>,
    register: Recipient<Register>,
    settings: &Settings,
    sending: &Sending,
    outbound: (Option<OutboundRoutes>, TransportBoard),
) -> Result<Option<SocketAddr>, StartFailed> {
    let deployment = &settings.deployment;
    for campaign in settings.campaigns.iter().filter(|component| deployment.campaigns.contains(&component.name)) {
        start_component(supervisor, campaign.name.clone(), Role::Campaign, of_kind(campaign.clone())).await?;
    }
    if let (Some(amqp), Some(topology)) = (&settings.amqp, &deployment.amqp) {
        let elsewhere = topology.transports_elsewhere().map(|name| (name.clone(), SmsTransport::default()));
        let named = settings.transports.iter().map(|transport| {
            let carries = (transport.kind.carries)(&transport.settings);
            (transport.name.clone(), SmsTransport { addresses: transport.of_any_kind.clone(), carries })
        });
        let transports = elsewhere.chain(named).collect();
        let sms_times = settings.store.sms_times();
        let amqp = amqp_component(register, amqp.clone(), topology.clone(), transports, sms_times, sending.clone());
        start_component(supervisor, own_name("amqp"), Role::Broker, amqp).await?;
    }
    for transport in settings.transports.iter().filter(|component| deployment.transports.contains(&component.name)) {
        start_component(supervisor, transport.name.clone(), Role::Transport, of_kind(transport.clone())).await?;
    }
    let callback_settings = settings.callbacks.clone();
    let callbacks: StartFn = Arc::new(move |context: ComponentContext| {
        let context = CallbackContext { store: context.store, clock: context.clock };
        let component = vumi_callbacks::start(context, callback_settings.clone())?;
        Ok(Component { endpoints: None, health: component.health, drain: component.drain, ended: component.ended })
    });
    if deployment.callbacks {
        start_component(supervisor, own_name("callbacks"), Role::Callbacks, callbacks).await?;
    }

    // Wherever broadcasts are handed in: several processes share their steps.
    if deployment.http {
        let broadcasts: StartFn = Arc::new(|context: ComponentContext| Ok(vumi_broadcasts::start(context)));
        start_component(supervisor, own_name("broadcasts"), Role::Broadcasts, broadcasts).await?;
    }

    let bound = Arc::new(OnceLock::new());
    if let Some(smpp) = settings.smpp.as_ref().filter(|_| deployment.smpp) {
        let smpp = smpp_component(settings, smpp.clone(), sending.clone(), outbound.0.clone());
        start_component(supervisor, own_name("smpp"), Role::FrontEnd, smpp).await?;
    }
    if deployment.http {
        let http = http_component(supervisor, settings, sending, outbound, bound.clone());
        start_component(supervisor, own_name("http"), Role::FrontEnd, http).await?;
    }
    // Last: it must not say that all is well before the others have started.
    if let Some(health) = settings.health_server() {
        start_component(supervisor, own_name("health"), Role::FrontEnd, health_component(supervisor, health.clone()))
            .await?;
    }
    Ok(bound.get().copied())
}

/// The chains of middleware: what they count, the whole process counts.
fn chains(settings: &Settings, clock: &Clock) -> Result<MiddlewareChains, StartFailed> {
    let made = vumi_middleware::chains(&settings.middleware, &MiddlewareContext { clock: clock.clone() });
    made.map_err(|problems| {
        let first = problems.into_iter().next();
        let (key, what) = first.map_or_else(Default::default, |problem| (problem.key, problem.what));
        StartFailed::Middleware(key, what)
    })
}

/// Chooses the transports of SMS that name none; none: the settings have no `[[outbound]]`.
fn outbound_routes(settings: &Settings, board: &TransportBoard) -> Option<Arc<OutboundRouter>> {
    let routes = (!settings.outbound.is_empty()).then(|| settings.outbound.clone())?;
    Some(Arc::new(OutboundRouter::new(routes, board.clone(), settings.router.failover)))
}

fn watch_of(settings: &Settings, board: &TransportBoard, routes: Option<Arc<OutboundRouter>>) -> TransportWatch {
    let watched = settings.transports.iter().map(|transport| WatchedTransport {
        name: transport.name.clone(),
        receipts_within: transport.of_any_kind.receipts_within,
    });
    TransportWatch::new(board.clone(), watched.collect(), routes, settings.store.is_shared())
}

/// What decides of campaigns' SMS, by the same quotas as of clients'.
fn campaign_sms(
    settings: &Settings,
    sending: &Sending,
    routes: Option<OutboundRoutes>,
    store: Store,
    clock: Clock,
) -> CampaignSmsDesk {
    let transports = settings.transports.iter();
    CampaignSmsDesk {
        store,
        transports: transports.map(|transport| (transport.name.clone(), transport.of_any_kind.clone())).collect(),
        chains: sending.chains.clone(),
        quotas: sending.quotas.clone(),
        routes,
        clock,
    }
}

/// Whose SMS from people are, as routes and transports say.
fn owners(table: RoutingTable) -> SmsOwners {
    SmsOwners::new(move |transport, sms| table.account(transport, sms.to.as_str(), &sms.message))
}

fn of_kind(config: ComponentConfig) -> StartFn {
    Arc::new(move |context: ComponentContext| (config.kind.start)(context, &config.settings))
}

/// Connectors behind the broker: components in the router's table like any other, also after a restart.
fn amqp_component(
    register: Recipient<Register>,
    settings: AmqpSettings,
    topology: AmqpTopology,
    transports: BTreeMap<Name, SmsTransport>,
    sms_times: SmsTimes,
    sending: Sending,
) -> StartFn {
    Arc::new(move |context: ComponentContext| {
        let token = context.store.ledger.token().clone();
        let context = AmqpContext {
            router: context.router,
            store: context.store,
            clock: context.clock,
            transports: transports.clone(),
            sms_times,
            chains: sending.chains.clone(),
            quotas: sending.quotas.clone(),
            topology: topology.clone(),
        };
        let component = vumi_amqp::start(context, settings.clone())?;
        for (name, endpoints) in component.elsewhere {
            let full = |_| StartError("the router's mailbox is full: a connector can't be registered now".to_owned());
            register.try_send(Register { name, endpoints, token: token.clone() }).map_err(full)?;
        }
        Ok(Component { endpoints: None, health: component.health, drain: component.drain, ended: component.ended })
    })
}

fn http_component(
    supervisor: &Addr<Supervisor>,
    settings: &Settings,
    sending: &Sending,
    (routes, board): (Option<OutboundRoutes>, TransportBoard),
    bound: Arc<OnceLock<SocketAddr>>,
) -> StartFn {
    let sending = sending.clone();
    let mount = |transport: &ComponentConfig| WebhookMount {
        transport: transport.name.clone(),
        webhooks: (transport.kind.webhooks)(&transport.settings),
        takes_calls: transport.kind.takes_calls,
        access: (transport.kind.webhook_access)(&transport.settings),
        settings: transport.of_any_kind.clone(),
        carries: (transport.kind.carries)(&transport.settings),
        // Over calls that wait for their answer the network begins nothing.
        converses: (transport.kind.converses)(&transport.settings) && !transport.kind.takes_calls,
    };
    let campaigns: Vec<Name> = settings.campaigns.iter().map(|campaign| campaign.name.clone()).collect();
    let transports: Vec<WebhookMount> = settings.transports.iter().map(mount).collect();
    let (parts, http) = (supervisor.clone().recipient::<AskParts>(), settings.http.clone());
    let (sandbox_account, sms_times) = (settings.sandbox.is_some(), settings.store.sms_times());
    // Of port 0, nobody knows which port it became.
    let table = settings.table.clone();
    let conversations =
        ConversationRules::new(vumi_conversations::problems, move |code| table.has_route(code).cloned());
    let sandbox = settings.sandbox.as_ref().map(|sandbox| sandbox.http_bind).filter(|bind| bind.port() != 0);
    Arc::new(move |context: ComponentContext| {
        let mut http = http.clone();
        // After a restart the clients find it where it was, also when the settings let the machine choose a port.
        if let Some(address) = bound.get() {
            http.bind = *address;
        }
        let context = HttpContext {
            conversations: conversations.clone(),
            store: context.store,
            clock: context.clock,
            owners: context.owners,
            transports: transports.clone(),
            sms_times,
            quotas: sending.quotas.clone(),
            chains: sending.chains.clone(),
            routes: routes.clone(),
            board: board.clone(),
            parts: parts.clone(),
            router: context.router,
            campaigns: campaigns.clone(),
            sandbox,
            sandbox_account,
        };
        let component = vumi_http::start(context, http)?;
        let _same_as_before = bound.set(component.address);
        Ok(Component { endpoints: None, health: component.health, drain: component.drain, ended: component.ended })
    })
}

fn smpp_component(
    settings: &Settings,
    smpp: SmppSettings,
    sending: Sending,
    routes: Option<OutboundRoutes>,
) -> StartFn {
    let transport = |transport: &ComponentConfig| {
        let carries = (transport.kind.carries)(&transport.settings);
        (transport.name.clone(), EsmeTransport { addresses: transport.of_any_kind.clone(), carries })
    };
    let transports: BTreeMap<Name, EsmeTransport> = settings.transports.iter().map(transport).collect();
    let (sandbox_account, sms_times) = (settings.sandbox.is_some(), settings.store.sms_times());
    let bound = OnceLock::new();
    Arc::new(move |context: ComponentContext| {
        let mut smpp = smpp.clone();
        // After a restart the ESMEs find it where it was.
        if let Some(address) = bound.get() {
            smpp.bind = *address;
        }
        let context = SmppContext {
            store: context.store,
            clock: context.clock,
            transports: transports.clone(),
            sms_times,
            quotas: sending.quotas.clone(),
            chains: sending.chains.clone(),
            routes: routes.clone(),
            sandbox_account,
        };
        let component = vumi_smpp::start(context, smpp)?;
        if let Some(address) = component.addresses.first() {
            let _same_as_before = bound.set(*address);
        }
        Ok(Component { endpoints: None, health: component.health, drain: component.drain, ended: component.ended })
    })
}

fn health_component(supervisor: &Addr<Supervisor>, settings: HealthSettings) -> StartFn {
    let parts = supervisor.clone().recipient::<AskParts>();
    Arc::new(move |_: ComponentContext| {
        let component = vumi_http::start_health(parts.clone(), &settings)?;
        Ok(Component { endpoints: None, health: component.health, drain: component.drain, ended: component.ended })
    })
}

async fn start_component(
    supervisor: &Addr<Supervisor>,
    name: Name,
    role: Role,
    start: StartFn,
) -> Result<(), StartFailed> {
    let started = supervisor.send(StartComponent { name: name.clone(), role, start }).await;
    started.map_err(|_| StartFailed::Terminated("supervisor"))?.map_err(|error| StartFailed::Component(name, error))
}

/// Runs something on an arbiter: actors that it starts live there.
async fn on<T: Send + 'static>(arbiter: &Arbiter, what: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = oneshot::channel();
    arbiter.spawn_fn(move || {
        let _nobody_waits = done.send(what());
    });
    result.await.ok()
}

fn watch(ended: Terminated, part: &'static str, tell: mpsc::Sender<&'static str>) {
    actix::spawn(async move {
        ended.wait().await;
        // Nobody listens once the router is being stopped.
        let _stopping = tell.try_send(part);
    });
}

#[expect(clippy::expect_used, reason = "the names are constants, and a test reads them")]
fn own_name(name: &'static str) -> Name {
    Name::parse(name).expect("a constant name")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_names_of_vumis_own_parts_are_names() {
        for name in crate::config::RESERVED {
            assert_eq!(super::own_name(name).as_str(), name);
        }
    }
}
