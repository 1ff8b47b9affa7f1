//! Kinds of transports and campaigns. A kind is a type; a registry is the explicit list of them.

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    carries::Carries,
    component::{Component, ComponentContext, StartError},
    webhook::Webhook,
    webhook_access::WebhookAccess,
};

/// Something wrong in a component's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key within the component's table, dotted; empty for the table itself.
    pub key: String,
    /// What is wrong and what was expected.
    pub what: String,
}

impl Problem {
    /// A problem with a key.
    pub fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self { key: key.into(), what: what.into() }
    }
}

/// A kind of transport or campaign.
pub trait Kind: 'static {
    /// As `kind = "..."` names it.
    const NAME: &'static str;

    /// Settings as an operator would write them, TOML, without the table's header and `kind`: a test parses and
    /// checks them.
    const EXAMPLE: &'static str;

    /// The keys of its table, without `kind`; unknown ones are refused (`deny_unknown_fields`).
    type Settings: DeserializeOwned + JsonSchema;

    /// Keys that had another name in an earlier version, as (old, new), dotted. Settings with an old one are refused
    /// with the new one named.
    const RENAMED: &'static [(&'static str, &'static str)] = &[];

    /// Whether it holds sessions with people (USSD), so that a campaign's replies must reach it. A kind that only sends
    /// SMS takes them from the ledger, whatever process it runs in.
    fn converses(settings: &Self::Settings) -> bool {
        let _sms_only = settings;
        false
    }

    /// Whether people come by calls that an aggregator makes and that wait for their answer. Such a transport runs in every process
    /// that has the HTTP front-end, which mounts `ussd` for it and hands it the calls ([`crate::ussd_call`]).
    const TAKES_CALLS: bool = false;

    /// What is wrong with settings that parse. Pure.
    fn check(settings: &Self::Settings) -> Vec<Problem> {
        let _nothing_to_check = settings;
        Vec::new()
    }

    /// The webhooks a provider calls; the HTTP front-end mounts them under the transport's name.
    fn webhooks(settings: &Self::Settings) -> Vec<Webhook> {
        let _none = settings;
        Vec::new()
    }

    /// Who may call them.
    fn webhook_access(settings: &Self::Settings) -> WebhookAccess {
        let _none_but_accounts = settings;
        WebhookAccess::default()
    }

    /// The account that SMS from people belong to, unless their route names another.
    fn account(settings: &Self::Settings) -> Option<String> {
        let _none = settings;
        None
    }

    /// The shortest `store.lease` under which it can send the SMS it has claimed.
    fn least_lease(settings: &Self::Settings) -> Duration {
        let _claims_none = settings;
        Duration::ZERO
    }

    /// The URL of its provider. `vumi check --connect` connects to its host and port, with TLS where it is `https`.
    fn provider_url(settings: &Self::Settings) -> Option<String> {
        let _none = settings;
        None
    }

    /// Logs in at its provider as the component would, and leaves; says how it went. None: connecting to
    /// [`Self::provider_url`] is all that can be tried.
    fn try_connect(settings: Self::Settings) -> Option<TryConnect> {
        let _no_way = settings;
        None
    }

    /// What it carries beside texts.
    fn carries(settings: &Self::Settings) -> Carries {
        let _texts_only = settings;
        Carries::TEXTS
    }

    /// Starts the component on the present arbiter: called at start-up, and again for each restart.
    fn start(context: ComponentContext, settings: Self::Settings) -> Result<Component, StartError>;
}

/// A trial of a provider under way: what can be said of it when it went well, and why it did not.
pub type TryConnect = Pin<Box<dyn Future<Output = Result<String, String>>>>;

/// A kind without its type: the same functions, on settings not parsed yet.
#[derive(Clone, Copy, Debug)]
pub struct KindEntry {
    /// [`Kind::NAME`].
    pub name: &'static str,
    /// [`Kind::EXAMPLE`].
    pub example: &'static str,
    /// Whether its calls come over the HTTP front-end: see [`Kind::TAKES_CALLS`].
    pub takes_calls: bool,
    /// [`Kind::converses`]; no where the settings do not parse.
    pub converses: fn(&Value) -> bool,
    /// Describes the keys of its table: what `docs/settings.md` is made of.
    pub schema: fn() -> Schema,
    /// Reads and checks settings.
    pub check: fn(&Value) -> Vec<Problem>,
    /// [`Kind::webhooks`]; none where the settings do not parse.
    pub webhooks: fn(&Value) -> Vec<Webhook>,
    /// [`Kind::webhook_access`]; no provider's credentials where the settings do not parse.
    pub webhook_access: fn(&Value) -> WebhookAccess,
    /// [`Kind::account`]; none where the settings do not parse.
    pub account: fn(&Value) -> Option<String>,
    /// [`Kind::least_lease`]; zero where the settings do not parse.
    pub least_lease: fn(&Value) -> Duration,
    /// [`Kind::provider_url`]; none where the settings do not parse.
    pub provider_url: fn(&Value) -> Option<String>,
    /// [`Kind::try_connect`]; none where the settings do not parse.
    pub try_connect: fn(&Value) -> Option<TryConnect>,
    /// [`Kind::carries`]; texts only where the settings do not parse.
    pub carries: fn(&Value) -> Carries,
    /// Reads settings and starts the component.
    pub start: fn(ComponentContext, &Value) -> Result<Component, StartError>,
}

impl KindEntry {
    fn of<K: Kind>() -> Self {
        Self {
            name: K::NAME,
            example: K::EXAMPLE,
            takes_calls: K::TAKES_CALLS,
            converses: |settings| read::<K>(settings).is_ok_and(|settings| K::converses(&settings)),
            schema: settings_schema::<K::Settings>,
            check: |settings| {
                let renamed = renamed(settings, K::RENAMED);
                if !renamed.is_empty() {
                    return renamed;
                }
                read::<K>(settings).map_or_else(|problem| vec![problem], |settings| K::check(&settings))
            },
            webhooks: |settings| read::<K>(settings).map(|settings| K::webhooks(&settings)).unwrap_or_default(),
            webhook_access: |settings| {
                read::<K>(settings).map(|settings| K::webhook_access(&settings)).unwrap_or_default()
            },
            account: |settings| read::<K>(settings).ok().and_then(|settings| K::account(&settings)),
            least_lease: |settings| read::<K>(settings).map(|settings| K::least_lease(&settings)).unwrap_or_default(),
            provider_url: |settings| read::<K>(settings).ok().and_then(|settings| K::provider_url(&settings)),
            try_connect: |settings| read::<K>(settings).ok().and_then(K::try_connect),
            carries: |settings| read::<K>(settings).map(|settings| K::carries(&settings)).unwrap_or_default(),
            start: |context, settings| {
                let settings =
                    read::<K>(settings).map_err(|problem| StartError(format!("{}: {}", problem.key, problem.what)))?;
                K::start(context, settings)
            },
        }
    }
}

/// The keys, as (old, new), dotted, that settings give by an old name.
#[must_use]
pub fn renamed(settings: &Value, keys: &[(&str, &str)]) -> Vec<Problem> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let present = keys.iter().filter(|(old, _)| settings.pointer(&format!("/{}", old.replace('.', "/"))).is_some());
    present.map(|(old, new)| Problem::new(*old, format!("`{}` is now called `{}`", last(old), last(new)))).collect()
}

/// The JSON Schema of a table of settings, all in one: nothing in it refers to anything else.
#[must_use]
pub fn settings_schema<T: JsonSchema>() -> Schema {
    let inline = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
    inline.into_generator().into_root_schema_for::<T>()
}

fn read<K: Kind>(settings: &Value) -> Result<K::Settings, Problem> {
    read_settings(settings)
}

/// Reads a table of settings. The problem names its key.
pub fn read_settings<T: DeserializeOwned>(settings: &Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(settings).map_err(|wrong| {
        let path = wrong.path().to_string();
        Problem::new(if path == "." { String::new() } else { path }, wrong.into_inner().to_string())
    })
}

/// Kinds by name: one registry for transports, one for campaigns.
#[derive(Clone, Debug, Default)]
pub struct Registry(BTreeMap<&'static str, KindEntry>);

impl Registry {
    /// Adds a kind. A second one of the same name replaces the first: so a build can swap one out.
    #[must_use]
    pub fn with<K: Kind>(mut self) -> Self {
        self.0.insert(K::NAME, KindEntry::of::<K>());
        self
    }

    /// Finds a kind.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&KindEntry> {
        self.0.get(name)
    }

    /// All kinds, by name.
    pub fn iter(&self) -> impl Iterator<Item = &KindEntry> {
        self.0.values()
    }
}
