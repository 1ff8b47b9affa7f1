//! What a kind of middleware is: a name, settings, a check and how it is made.

use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::Value;
use vumi_kit::{
    clock::Clock,
    kind::{Problem, read_settings, settings_schema},
    middleware::Middleware,
};

/// What a middleware is given when it is made.
#[derive(Clone, Debug)]
pub struct MiddlewareContext {
    /// The router's clock: for counts within a time, never the system's.
    pub clock: Clock,
}

/// A kind of middleware: a file in `kinds/`, and a line in [`kinds`](crate::kinds).
pub(crate) trait MiddlewareKind: Middleware + Sized + 'static {
    /// As `kind = "..."` names it.
    const NAME: &'static str;

    /// Keys as an operator would write them, TOML, without those that any kind has. A test parses and checks them.
    const EXAMPLE: &'static str;

    /// Its keys, without those of any kind; unknown ones are refused (`deny_unknown_fields`).
    type Settings: DeserializeOwned + JsonSchema;

    /// Makes it, or says what is wrong with the settings. Called by the check, too: no I/O but files that the settings name.
    fn new(settings: Self::Settings, context: &MiddlewareContext) -> Result<Self, Problem>;
}

/// A kind without its type.
#[derive(Clone, Copy, Debug)]
pub struct MiddlewareEntry {
    /// What `kind = "..."` calls it.
    pub name: &'static str,
    /// Settings that pass the check, in TOML: `docs/settings.md` shows them.
    pub example: &'static str,
    /// Describes its keys: what `docs/settings.md` is made of.
    pub schema: fn() -> Schema,
    /// Reads settings and makes the middleware.
    pub make: MakeMiddleware,
}

/// Makes a middleware of its settings.
pub(crate) type MakeMiddleware = fn(&Value, &MiddlewareContext) -> Result<Box<dyn Middleware>, Problem>;

pub(crate) fn entry<K: MiddlewareKind>() -> MiddlewareEntry {
    MiddlewareEntry {
        name: K::NAME,
        example: K::EXAMPLE,
        schema: settings_schema::<K::Settings>,
        make: |settings, context| {
            let made = K::new(read_settings(settings)?, context)?;
            Ok(Box::new(made))
        },
    }
}
