//! `[[middleware]]`: the entries in their order, and the chains that are made of them.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use vumi_kit::{
    kind::Problem,
    middleware::{ChainLink, MiddlewareChains, MiddlewareScope, SmsDirection},
    name::Name,
};

use crate::{MiddlewareContext, kinds};

/// Changes, holds or refuses SMS on their way. Entries act in the order in which they stand here. One without `accounts`,
/// `transports` and `campaigns` sees every SMS.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct MiddlewareSettings {
    /// Its name: refusals, the log and the timeline use it.
    #[schemars(example = &"no-links")]
    pub name: Name,
    /// Which of the kinds below it is.
    #[schemars(example = &"block")]
    pub kind: String,
    /// `outbound` (to people) or `inbound` (from people). None: both.
    pub direction: Option<SmsDirection>,
    /// Only SMS of these accounts.
    #[serde(default)]
    #[schemars(example = &["clinic"])]
    pub accounts: Vec<String>,
    /// Only SMS that these transports send or bring.
    #[serde(default)]
    #[schemars(example = &["clickatell"])]
    pub transports: Vec<Name>,
    /// Only answers of these campaigns, and SMS for them.
    #[serde(default)]
    #[schemars(example = &["quiz"])]
    pub campaigns: Vec<Name>,
    /// The keys of its kind.
    #[serde(flatten)]
    #[schemars(skip)]
    pub own: Map<String, Value>,
}

/// Makes the chains, or says what is wrong: keys are below `middleware`, and begin with the position of their entry.
pub fn chains(entries: &[MiddlewareSettings], context: &MiddlewareContext) -> Result<MiddlewareChains, Vec<Problem>> {
    let (mut links, mut problems) = (Vec::with_capacity(entries.len()), Vec::new());
    for (at, entry) in entries.iter().enumerate() {
        if entries.iter().take(at).any(|before| before.name == entry.name) {
            problems.push(Problem::new(format!("{at}.name"), format!("`{}` stands twice", entry.name)));
        }
        match link(entry, context) {
            Ok(link) => links.push(link),
            Err(problem) => {
                let key = if problem.key.is_empty() { at.to_string() } else { format!("{at}.{}", problem.key) };
                problems.push(Problem::new(key, problem.what));
            }
        }
    }
    if problems.is_empty() { Ok(MiddlewareChains::new(links)) } else { Err(problems) }
}

fn link(entry: &MiddlewareSettings, context: &MiddlewareContext) -> Result<ChainLink, Problem> {
    let kinds = kinds();
    let Some(kind) = kinds.iter().find(|kind| kind.name == entry.kind) else {
        let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
        return Err(Problem::new("kind", format!("there is no kind `{}`: one of {}", entry.kind, names.join(", "))));
    };
    let scope = MiddlewareScope {
        direction: entry.direction,
        accounts: entry.accounts.clone(),
        transports: entry.transports.clone(),
        campaigns: entry.campaigns.clone(),
    };
    let middleware = (kind.make)(&Value::Object(entry.own.clone()), context)?;
    Ok(ChainLink { name: entry.name.clone(), scope, middleware })
}
