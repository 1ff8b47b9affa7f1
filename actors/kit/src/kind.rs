//! Kinds: what a room can be. A kind is a type; a registry is the explicit list of them.

use std::{collections::BTreeMap, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    component::{Component, ComponentContext, StartError},
    webhook::Webhook,
};

/// Something wrong in a room's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key within the room's table, dotted; empty for the table itself.
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
    type Settings: DeserializeOwned;

    /// Whether it holds conversations with people, USSD sessions say, so that a campaign's answers must find their way
    /// back to it. One that only sends SMS takes them from the ledger, wherever it runs.
    const CONVERSES: bool = false;

    /// What is wrong with settings that parse, without touching anything outside.
    fn check(settings: &Self::Settings) -> Vec<Problem> {
        let _nothing_to_check = settings;
        Vec::new()
    }

    /// The webhooks a provider calls; the HTTP front-end mounts them under the transport's name.
    fn webhooks(settings: &Self::Settings) -> Vec<Webhook> {
        let _none = settings;
        Vec::new()
    }

    /// How long an SMS that the room holds must stay its own: it can't send under a shorter `store.lease`.
    fn least_lease(settings: &Self::Settings) -> Duration {
        let _holds_none = settings;
        Duration::ZERO
    }

    /// Where its carrier is: a URL, of which `vumi check --connect` uses scheme (`https` speaks TLS), host and port.
    fn carrier(settings: &Self::Settings) -> Option<String> {
        let _none = settings;
        None
    }

    /// Starts the room on the present arbiter: called at start-up, and again for a restart.
    fn start(context: ComponentContext, settings: Self::Settings) -> Result<Component, StartError>;
}

/// A kind behind its name: the same calls, on settings not read yet.
#[derive(Clone, Copy, Debug)]
pub struct KindEntry {
    /// [`Kind::NAME`].
    pub name: &'static str,
    /// [`Kind::EXAMPLE`].
    pub example: &'static str,
    /// [`Kind::CONVERSES`].
    pub converses: bool,
    /// Reads and checks settings.
    pub check: fn(&Value) -> Vec<Problem>,
    /// Reads settings and lists the webhooks; none where they do not parse.
    pub webhooks: fn(&Value) -> Vec<Webhook>,
    /// Reads settings and says what lease they need; none where they do not parse.
    pub least_lease: fn(&Value) -> Duration,
    /// Reads settings and says where the carrier is; none where they do not parse.
    pub carrier: fn(&Value) -> Option<String>,
    /// Reads settings and starts the room.
    pub start: fn(ComponentContext, &Value) -> Result<Component, StartError>,
}

impl KindEntry {
    fn of<K: Kind>() -> Self {
        Self {
            name: K::NAME,
            example: K::EXAMPLE,
            converses: K::CONVERSES,
            check: |settings| match read::<K>(settings) {
                Ok(settings) => K::check(&settings),
                Err(problem) => vec![problem],
            },
            webhooks: |settings| read::<K>(settings).map(|settings| K::webhooks(&settings)).unwrap_or_default(),
            least_lease: |settings| read::<K>(settings).map(|settings| K::least_lease(&settings)).unwrap_or_default(),
            carrier: |settings| read::<K>(settings).ok().and_then(|settings| K::carrier(&settings)),
            start: |context, settings| {
                let settings =
                    read::<K>(settings).map_err(|problem| StartError(format!("{}: {}", problem.key, problem.what)))?;
                K::start(context, settings)
            },
        }
    }
}

fn read<K: Kind>(settings: &Value) -> Result<K::Settings, Problem> {
    serde_path_to_error::deserialize(settings).map_err(|wrong| {
        let path = wrong.path().to_string();
        Problem::new(if path == "." { String::new() } else { path }, wrong.into_inner().to_string())
    })
}

/// The kinds there are, by name: one registry for transports, one for campaigns.
#[derive(Clone, Debug, Default)]
pub struct Registry(BTreeMap<&'static str, KindEntry>);

impl Registry {
    /// Adds a kind. A second one of the same name replaces the first: that is how a build swaps one out.
    #[must_use]
    pub fn with<K: Kind>(mut self) -> Self {
        self.0.insert(K::NAME, KindEntry::of::<K>());
        self
    }

    /// The kind of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&KindEntry> {
        self.0.get(name)
    }

    /// All kinds, by name.
    pub fn iter(&self) -> impl Iterator<Item = &KindEntry> {
        self.0.values()
    }
}
