//! The settings of the sandbox's SMPP centre.

use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use vumi_kit::settings_schema::{HumanDuration, Secret};

use crate::behaviour::Misbehaviour;

/// The table `[sandbox.smsc]`. Credentials that are not set are not checked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SmscSettings {
    /// The only system_id that may bind.
    #[schemars(example = &"vumi")]
    pub system_id: Option<String>,
    /// The only password that may bind.
    #[schemars(with = "Option<Secret>")]
    pub password: Option<SecretString>,
    /// How many receipts and inbound SMS a connection has unacknowledged at once.
    pub window: usize,
    /// How long an inbound SMS, and a handset, waits for the router's answer.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub answer_limit: Duration,
    /// How long a USSD session lives without a message; then the network ends it (USSREL).
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub session_timeout: Duration,
    /// How it misbehaves. Submissions are counted by PDU: an SMS of three parts is three.
    pub misbehave: Misbehaviour,
}

impl Default for SmscSettings {
    fn default() -> Self {
        Self {
            system_id: None,
            password: None,
            window: 100,
            answer_limit: Duration::from_secs(10),
            session_timeout: Duration::from_secs(180),
            misbehave: Misbehaviour::default(),
        }
    }
}
