//! The settings: files and environment, read into typed structs; every component as its own table, not read yet.
//!
//! Layers, the later the stronger: the files given (or the embedded default), then the environment
//! (`VUMI__HTTP__BIND=...`; a name's `-` may be written `_`). A key `password_file` gives the content of that
//! file as `password`, and so does any other key that ends in `_file`.

mod cross_checks;
mod deployment;
mod error;
mod files;
mod middleware;
mod outbound;
mod reader;
mod settings_page;

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;
use vumi_amqp::AmqpSettings;
use vumi_callbacks::CallbackSettings;
use vumi_http::{HealthSettings, HttpSettings};
use vumi_kit::{
    consent::ConsentSettings,
    kind::{KindEntry, Registry},
    name::Name,
    price::PriceTable,
    transport_settings::TransportSettings,
};
use vumi_middleware::MiddlewareSettings;
use vumi_router::{OutboundTable, RouterSettings, RoutingTable};
use vumi_sandbox::SandboxSettings;
use vumi_smpp::SmppSettings;
use vumi_store::StoreSettings;

use crate::supervisor::SupervisorSettings;
pub use deployment::Deployment;
use deployment::DeploymentParts;
pub use error::{SettingsError, SettingsProblem};
use files::Layers;
use reader::SettingsReader;
pub use settings_page::settings_page;

/// The settings that `vumi` runs with when it is given none.
pub const EMBEDDED_DEFAULT: &str = include_str!("../settings/default.toml");

/// Names of vumi's own parts.
pub(crate) const RESERVED: [&str; 9] =
    ["store", "router", "broadcasts", "callbacks", "http", "health", "amqp", "smpp", "conversations"];

/// `true` (or 1, yes, on) makes a process with `[amqp]` work entirely by itself, as the variable did in the first Vumi.
const SKIP_QUEUE: &str = "VUMI_SKIP_QUEUE";

/// What kinds of component this build knows.
#[derive(Clone, Debug)]
pub struct Kinds {
    /// Kinds of transport.
    pub transports: Registry,
    /// Kinds of campaign.
    pub campaigns: Registry,
}

/// A component to be: its name, its kind, and its own table, not read yet.
#[derive(Clone, Debug)]
pub struct ComponentConfig {
    /// The name: `[transports.NAME]`, `[campaigns.NAME]`.
    pub name: Name,
    /// What it is.
    pub kind: KindEntry,
    /// The keys that the table of any transport may have; their defaults for a campaign.
    pub of_any_kind: TransportSettings,
    /// The rest of the table.
    pub settings: Value,
}

/// Everything the settings say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[store]`.
    pub store: StoreSettings,
    /// `[http]`.
    pub http: HttpSettings,
    /// `[health]`: where a process says how it is, also one without the HTTP API.
    pub health: Option<HealthSettings>,
    /// `[amqp]`: connectors whose other side lives in another process.
    pub amqp: Option<AmqpSettings>,
    /// `[smpp]`: the SMPP server; none: there is none.
    pub smpp: Option<SmppSettings>,
    /// `[callbacks]`.
    pub callbacks: CallbackSettings,
    /// `[router]`.
    pub router: RouterSettings,
    /// `[supervisor]`.
    pub supervisor: SupervisorSettings,
    /// `[transports.*]`, here and elsewhere.
    pub transports: Vec<ComponentConfig>,
    /// `[campaigns.*]`, here and elsewhere.
    pub campaigns: Vec<ComponentConfig>,
    /// What of it this process runs.
    pub deployment: Deployment,
    /// `[[routes]]`.
    pub table: RoutingTable,
    /// `[[price]]`: what a segment costs, for budgets in money.
    pub prices: PriceTable,
    /// `[[middleware]]`: what SMS pass through, in this order.
    pub middleware: Vec<MiddlewareSettings>,
    /// `[[outbound]]`: which transport sends an SMS whose client names none.
    pub outbound: OutboundTable,
    /// `[sandbox]`: providers to run beside the router; absent in production.
    pub sandbox: Option<SandboxSettings>,
    /// The files that passwords, tokens and the like were read from.
    pub(crate) secret_files: Vec<PathBuf>,
}

/// The top level of the settings; unknown tables are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    #[serde(default)]
    store: Value,
    #[serde(default)]
    consent: Value,
    #[serde(default)]
    http: Value,
    #[serde(default)]
    health: Option<Value>,
    #[serde(default)]
    amqp: Option<Value>,
    #[serde(default)]
    smpp: Option<Value>,
    #[serde(default)]
    callbacks: Value,
    #[serde(default)]
    router: Value,
    #[serde(default)]
    supervisor: Value,
    #[serde(default)]
    transports: BTreeMap<String, Value>,
    #[serde(default)]
    campaigns: BTreeMap<String, Value>,
    #[serde(default)]
    routes: Vec<Value>,
    #[serde(default)]
    price: Vec<Value>,
    #[serde(default)]
    middleware: Vec<Value>,
    #[serde(default)]
    outbound: Vec<Value>,
    #[serde(default)]
    sandbox: Option<Value>,
}

impl Settings {
    /// Reads the files (the embedded default where there are none) and the environment, and checks everything
    /// that can be checked without touching anything outside. `only` names the parts to run, all where it is empty.
    pub fn load(
        files: &[PathBuf],
        environment: impl IntoIterator<Item = (String, String)>,
        kinds: &Kinds,
        only: &[String],
    ) -> Result<Self, SettingsError> {
        let environment: Vec<(String, String)> = environment.into_iter().collect();
        let skip_queue = skip_queue(&environment);
        let layers = Layers::read(files, environment)?;
        let sections: Sections =
            serde_path_to_error::deserialize(layers.tree()).map_err(|wrong| layers.wrong("", &wrong))?;
        let mut reader = SettingsReader { layers: &layers, problems: Vec::new() };
        let skip_queue = skip_queue.unwrap_or_else(|what| {
            reader.add_for(SKIP_QUEUE, what);
            false
        });

        let store = reader.section("store", sections.store, StoreSettings::check);
        let consent = reader.section("consent", sections.consent, ConsentSettings::check);
        let http = reader.section("http", sections.http, HttpSettings::check);
        let health = reader.optional_section("health", sections.health, HealthSettings::check);
        let broker = sections.amqp.filter(|_| !skip_queue);
        let amqp = reader.optional_section("amqp", broker, AmqpSettings::check);
        let smpp = reader.optional_section("smpp", sections.smpp, SmppSettings::check);
        let callbacks = reader.section("callbacks", sections.callbacks, CallbackSettings::check);
        let router = reader.section_renamed("router", sections.router, RouterSettings::RENAMED, RouterSettings::check);
        let supervisor = reader.section("supervisor", sections.supervisor, SupervisorSettings::check);
        let sandbox = reader.optional_section("sandbox", sections.sandbox, SandboxSettings::check);
        let transports = reader.component_configs("transports", sections.transports, &kinds.transports);
        let campaigns = reader.component_configs("campaigns", sections.campaigns, &kinds.campaigns);
        let sandboxed = matches!(sandbox, Some(Some(_)));
        let broker = amqp.as_ref().map(Option::as_ref);
        let parts = DeploymentParts {
            transports: &transports,
            campaigns: &campaigns,
            sandbox: sandboxed,
            smpp: matches!(smpp, Some(Some(_))),
        };
        let deployment = cross_checks::deployment(&mut reader, only, &parts, broker, skip_queue);
        let elsewhere = deployment.amqp.as_ref();
        cross_checks::distinct(&mut reader, &transports, &campaigns, &deployment, elsewhere);
        if let (Some(http), true, true) = (&http, sandboxed, deployment.http) {
            cross_checks::sandbox_stays_inside(&mut reader, http);
        }
        if let Some(store) = &store {
            cross_checks::lease(&mut reader, store.lease, &transports);
        }
        if let (Some(http), Some(supervisor)) = (&http, &supervisor) {
            cross_checks::drain(&mut reader, http.drain_within, supervisor.drain);
        }
        if let Some(Some(smpp)) = &smpp {
            let drain = supervisor.as_ref().map(|supervisor| supervisor.drain);
            cross_checks::smpp(&mut reader, smpp, &transports, !sections.outbound.is_empty(), drain);
        }
        let table = cross_checks::routes(&mut reader, sections.routes, &campaigns, elsewhere);
        let middleware = middleware::middleware(&mut reader, sections.middleware, &transports, &campaigns, elsewhere);
        let outbound =
            outbound::routes(&mut reader, sections.outbound, &transports, http.as_ref().map(|http| http.bind));
        let accounts = transports.iter().filter_map(|transport: &ComponentConfig| {
            Some((transport.name.clone(), (transport.kind.account)(&transport.settings)?))
        });
        let table = table.map(|table| table.with_accounts(accounts));
        let prices = cross_checks::prices(&mut reader, sections.price);
        // The store hears what people write, the router answers it.
        let (store, router) = match consent {
            Some(consent) => (
                store.map(|store| StoreSettings { consent: consent.clone(), ..store }),
                router.map(|router| RouterSettings { consent, ..router }),
            ),
            None => (None, None),
        };

        match (store, http, health, amqp, smpp, callbacks, router, supervisor, sandbox, table, prices, outbound) {
            (
                Some(store),
                Some(http),
                Some(health),
                Some(amqp),
                Some(smpp),
                Some(callbacks),
                Some(router),
                Some(supervisor),
                Some(sandbox),
                Some(table),
                Some(prices),
                Some(outbound),
            ) if reader.problems.is_empty() => Ok(Self {
                store,
                http,
                health,
                amqp,
                smpp,
                callbacks,
                router,
                supervisor,
                transports,
                campaigns,
                deployment,
                table,
                prices,
                middleware,
                outbound,
                sandbox,
                secret_files: layers.secret_files(),
            }),
            _ => Err(SettingsError(reader.problems)),
        }
    }

    /// `[health]`, where this process needs a server for it: where the HTTP API has the address, it tells already.
    pub(crate) fn health_server(&self) -> Option<&HealthSettings> {
        self.health.as_ref().filter(|health| !(self.deployment.http && health.bind == self.http.bind))
    }
}

/// Whether [`SKIP_QUEUE`] says so, in any of the spellings that people use; else what is wrong with it.
fn skip_queue(environment: &[(String, String)]) -> Result<bool, String> {
    let Some((_, value)) = environment.iter().find(|(key, _)| key == SKIP_QUEUE) else { return Ok(false) };
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "" | "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("`{value}` means nothing: expected true, 1, yes or on, or false, 0, no or off")),
    }
}
