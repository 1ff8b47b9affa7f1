//! The settings: files and environment, read into typed structs; every component a named envelope.
//!
//! Layers, the later the stronger: the files given (or the embedded default), then the environment
//! (`VUMI__HTTP__BIND=...`; a name's `-` may be written `_`). A key `password_file` gives the content of that
//! file as `password`, and so does any other key that ends in `_file`.

mod deployment;
mod files;
mod settings_page;

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use vumi_amqp::{AmqpSettings, AmqpTopology};
use vumi_callbacks::CallbackSettings;
use vumi_http::{HealthSettings, HttpSettings};
use vumi_kit::{
    kind::{KindEntry, Problem, Registry},
    name::Name,
};
use vumi_router::{Route, RouterSettings, RoutingTable};
use vumi_sandbox::SandboxSettings;
use vumi_store::StoreSettings;

use crate::supervisor::SupervisorSettings;
pub use deployment::Deployment;
use files::Layers;
pub use settings_page::settings_page;

/// The settings that `vumi` runs with when it is given none.
pub const EMBEDDED_DEFAULT: &str = include_str!("../settings/default.toml");

/// Names of vumi's own parts.
pub(crate) const RESERVED: [&str; 6] = ["store", "router", "callbacks", "http", "health", "amqp"];

/// `true` (or 1, yes, on) makes a process with `[amqp]` work entirely by itself, as the variable did in the first Vumi.
const SKIP_QUEUE: &str = "VUMI_SKIP_QUEUE";

/// What kinds of room this build knows.
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
    /// `[sandbox]`: carriers to run beside the router; absent in production.
    pub sandbox: Option<SandboxSettings>,
}

/// One thing wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The file or variable it stands in, where that is known.
    pub place: Option<String>,
    /// The key, dotted.
    pub key: String,
    /// What is wrong and what was expected.
    pub what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// Everything wrong with the settings, a line each.
#[derive(Debug, thiserror::Error)]
pub struct SettingsError(pub Vec<Wrong>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "{}", lines.join("\n"))
    }
}

/// The top level of the settings; unknown tables are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    #[serde(default)]
    store: Value,
    #[serde(default)]
    http: Value,
    #[serde(default)]
    health: Option<Value>,
    #[serde(default)]
    amqp: Option<Value>,
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
        let mut layers = Layers::read(files, environment)?;
        let sections: Sections =
            serde_path_to_error::deserialize(layers.tree()).map_err(|wrong| layers.wrong("", &wrong))?;
        let mut wrongs = Vec::new();
        let skip_queue = skip_queue.unwrap_or_else(|what| {
            wrongs.push(Wrong { place: Some(SKIP_QUEUE.to_owned()), key: String::new(), what });
            false
        });
        let mut reader = Reader { layers: &mut layers, wrongs: &mut wrongs };

        let store = reader.section("store", sections.store);
        let http = reader.section("http", sections.http);
        let health = reader.optional_section("health", sections.health);
        let amqp = reader.optional_section("amqp", sections.amqp.filter(|_| !skip_queue));
        let callbacks = reader.section("callbacks", sections.callbacks);
        let router = reader.section("router", sections.router);
        let supervisor: Option<SupervisorSettings> = reader.section("supervisor", sections.supervisor);
        let sandbox = reader.optional_section("sandbox", sections.sandbox);
        let transports = reader.component_configs("transports", sections.transports, &kinds.transports);
        let campaigns = reader.component_configs("campaigns", sections.campaigns, &kinds.campaigns);
        reader.problems("store", store.as_ref().map(StoreSettings::check));
        reader.problems("http", http.as_ref().map(HttpSettings::check));
        reader.problems("health", health.as_ref().and_then(Option::as_ref).map(HealthSettings::check));
        reader.problems("amqp", amqp.as_ref().and_then(Option::as_ref).map(AmqpSettings::check));
        reader.problems("callbacks", callbacks.as_ref().map(CallbackSettings::check));
        reader.problems("sandbox", sandbox.as_ref().and_then(Option::as_ref).map(SandboxSettings::check));
        let sandboxed = matches!(sandbox, Some(Some(_)));
        let broker = amqp.as_ref().map(Option::as_ref);
        let deployment = reader.deployment(only, &transports, &campaigns, sandboxed, broker, skip_queue);
        let elsewhere = deployment.amqp.as_ref();
        reader.distinct(&transports, &campaigns, &deployment, elsewhere);
        if let (Some(http), true, true) = (&http, sandboxed, deployment.http) {
            reader.sandbox_stays_inside(http);
        }
        if let Some(store) = &store {
            reader.lease(store.lease, &transports);
        }
        if let (Some(http), Some(supervisor)) = (&http, &supervisor) {
            reader.drain(http.drain_within, supervisor.drain);
        }
        let table = reader.routes(sections.routes, &campaigns, elsewhere);

        match (store, http, health, amqp, callbacks, router, supervisor, sandbox, table) {
            (
                Some(store),
                Some(http),
                Some(health),
                Some(amqp),
                Some(callbacks),
                Some(router),
                Some(supervisor),
                Some(sandbox),
                Some(table),
            ) if wrongs.is_empty() => Ok(Self {
                store,
                http,
                health,
                amqp,
                callbacks,
                router,
                supervisor,
                transports,
                campaigns,
                deployment,
                table,
                sandbox,
            }),
            _ => Err(SettingsError(wrongs)),
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

struct Reader<'a> {
    layers: &'a mut Layers,
    wrongs: &'a mut Vec<Wrong>,
}

impl Reader<'_> {
    fn section<T: DeserializeOwned>(&mut self, key: &str, table: Value) -> Option<T> {
        let table = if table.is_null() { Value::Object(Map::new()) } else { table };
        let table = self.layers.typed(key, table, |table| {
            let read: Result<T, _> = serde_path_to_error::deserialize(table);
            read.err().map(|wrong| Problem::new(wrong.path().to_string(), "")).into_iter().collect()
        });
        match serde_path_to_error::deserialize(&table) {
            Ok(read) => Some(read),
            Err(wrong) => {
                self.wrongs.extend(self.layers.wrong(key, &wrong).0);
                None
            }
        }
    }

    /// Absent is fine; present and unreadable is not.
    fn optional_section<T: DeserializeOwned>(&mut self, key: &str, table: Option<Value>) -> Option<Option<T>> {
        match table {
            None => Some(None),
            Some(table) => self.section(key, table).map(Some),
        }
    }

    fn component_configs(
        &mut self,
        section: &str,
        tables: BTreeMap<String, Value>,
        registry: &Registry,
    ) -> Vec<ComponentConfig> {
        tables.into_iter().filter_map(|(name, table)| self.component_config(section, &name, table, registry)).collect()
    }

    fn component_config(
        &mut self,
        section: &str,
        name: &str,
        table: Value,
        registry: &Registry,
    ) -> Option<ComponentConfig> {
        let key = format!("{section}.{name}");
        let name = Name::parse(name).map_err(|wrong| self.add(&key, wrong.to_string())).ok()?;
        let Value::Object(mut table) = table else {
            self.add(&key, format!("expected a table: [{key}] with `kind = \"...\"`"));
            return None;
        };
        let known = || registry.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
        let kind = match table.remove("kind") {
            Some(Value::String(kind)) => kind,
            _ => {
                self.add(&key, format!("`kind` is missing: one of {}", known()));
                return None;
            }
        };
        let Some(entry) = registry.get(&kind) else {
            self.add(&format!("{key}.kind"), format!("there is no kind `{kind}`: one of {}", known()));
            return None;
        };
        let settings = self.layers.typed(&key, Value::Object(table), |settings| (entry.check)(settings));
        let problems = (entry.check)(&settings);
        let good = problems.is_empty();
        self.problems(&key, Some(problems));
        good.then_some(ComponentConfig { name, kind: *entry, settings })
    }

    fn problems(&mut self, section: &str, problems: Option<Vec<Problem>>) {
        for problem in problems.into_iter().flatten() {
            self.add(&files::joined(section, &problem.key), problem.what);
        }
    }

    /// Everybody knows the password of the sandbox's account.
    fn sandbox_stays_inside(&mut self, http: &HttpSettings) {
        if !http.bind.ip().is_loopback() {
            let what = format!(
                "{} can be reached from outside, and [sandbox] makes an account whose password everybody knows: bind to \
                 127.0.0.1, or remove [sandbox]",
                http.bind
            );
            self.add("http.bind", what);
        }
    }

    /// Under a lease that is too short for its calls a transport would send nothing. The one that needs most is named.
    fn lease(&mut self, lease: Duration, transports: &[ComponentConfig]) {
        let needs = transports.iter().map(|component| ((component.kind.least_lease)(&component.settings), component));
        let Some((least, component)) = needs.max_by_key(|(least, _)| *least).filter(|(least, _)| lease < *least) else {
            return;
        };
        let what = format!(
            "{lease:?} is too short for `transports.{}.outbox.call_limit`: expected {least:?} or more, or a shorter limit",
            component.name
        );
        self.add("store.lease", what);
    }

    /// What the supervisor cuts off it would not have had.
    fn drain(&mut self, http: Duration, supervisor: Duration) {
        if http > supervisor {
            let what = format!(
                "{http:?} is longer than `supervisor.drain`, {supervisor:?}, which cuts it off: expected no more than that"
            );
            self.add("http.drain_within", what);
        }
    }

    /// A name is a connector's: one transport or one campaign, and none of the router's own parts.
    fn distinct(
        &mut self,
        transports: &[ComponentConfig],
        campaigns: &[ComponentConfig],
        deployment: &Deployment,
        elsewhere: Option<&AmqpTopology>,
    ) {
        for name in elsewhere.into_iter().flat_map(|amqp| amqp.campaigns_elsewhere().chain(amqp.transports_elsewhere()))
        {
            if deployment.transports.contains(name) || deployment.campaigns.contains(name) {
                let what = format!("`{name}` lives in this process: it can't live behind the broker too");
                self.add("amqp.connectors", what);
            }
        }
        for campaign in campaigns.iter().filter(|campaign| transports.iter().any(|other| other.name == campaign.name)) {
            let what = "a transport has that name already: give one of the two another".to_owned();
            self.add(&format!("campaigns.{}", campaign.name), what);
        }
        for (section, components) in [("transports", transports), ("campaigns", campaigns)] {
            for component in components.iter().filter(|component| RESERVED.contains(&component.name.as_str())) {
                let what = format!("the name is taken by a part of vumi itself: {}", RESERVED.join(", "));
                self.add(&format!("{section}.{}", component.name), what);
            }
        }
    }

    fn routes(
        &mut self,
        routes: Vec<Value>,
        campaigns: &[ComponentConfig],
        elsewhere: Option<&AmqpTopology>,
    ) -> Option<RoutingTable> {
        let named = campaigns.iter().map(|campaign| &campaign.name);
        let known: Vec<&Name> =
            named.chain(elsewhere.into_iter().flat_map(AmqpTopology::campaigns_elsewhere)).collect();
        let mut read: Vec<Route> = Vec::new();
        for (index, route) in routes.into_iter().enumerate() {
            read.push(self.section(&format!("routes[{index}]"), route)?);
        }
        for (index, campaign) in RoutingTable::campaigns(&read) {
            if !known.contains(&campaign) {
                let known: Vec<&str> = known.iter().map(|known| known.as_str()).collect();
                let what = format!("there is no campaign `{campaign}`: one of {}", known.join(", "));
                self.add(&format!("routes[{index}].campaign"), what);
            }
        }
        RoutingTable::new(&read)
            .map_err(|unclear| {
                for one in unclear {
                    self.add(&format!("routes[{}]", one.route), one.what);
                }
            })
            .ok()
    }

    /// What runs here, and how it is joined with what does not.
    fn deployment(
        &mut self,
        only: &[String],
        transports: &[ComponentConfig],
        campaigns: &[ComponentConfig],
        sandbox: bool,
        amqp: Option<Option<&AmqpSettings>>,
        skip_queue: bool,
    ) -> Deployment {
        let mut deployment = Deployment::of(only, transports, campaigns, sandbox).unwrap_or_else(|wrong| {
            self.add_for("--only", wrong);
            Deployment::default()
        });
        deployment.amqp = amqp.flatten().map(AmqpTopology::of_tables);
        if let Some(amqp) = amqp
            && self.wrongs.is_empty()
        {
            match deployment.amqp_topology(amqp, transports, campaigns, skip_queue) {
                Ok(topology) => deployment.amqp = topology,
                Err(apart) => apart.into_iter().for_each(|what| self.add_for("--only", what)),
            }
        }
        deployment
    }

    /// For what stands in none of the layers.
    fn add_for(&mut self, place: &str, what: String) {
        self.wrongs.push(Wrong { place: Some(place.to_owned()), key: String::new(), what });
    }

    fn add(&mut self, key: &str, what: String) {
        let place = self.layers.place(key);
        self.wrongs.push(Wrong { place, key: key.to_owned(), what });
    }
}
