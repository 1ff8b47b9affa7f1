//! The settings of the sandbox's TruTeq.

use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use vumi_kit::settings_schema::{HumanDuration, Secret};

use crate::behaviour::Misbehaviour;

/// The table `[sandbox.truteq]`. Credentials that are not set are not checked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TruteqSettings {
    /// The only username that may log in.
    #[schemars(example = &"vumi")]
    pub username: Option<String>,
    /// The only password that may log in.
    #[schemars(with = "Option<Secret>")]
    pub password: Option<SecretString>,
    /// How long a handset waits for the router's reply.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub answer_limit: Duration,
    /// How long a session lives without a message; then the network ends it (type 4).
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub session_timeout: Duration,
    /// How it misbehaves. `delay` and `refuse_every` are of SMS: a refused one ends in a delivery report.
    pub misbehave: Misbehaviour,
}

impl Default for TruteqSettings {
    fn default() -> Self {
        Self {
            username: None,
            password: None,
            answer_limit: Duration::from_secs(10),
            session_timeout: Duration::from_secs(180),
            misbehave: Misbehaviour::default(),
        }
    }
}
