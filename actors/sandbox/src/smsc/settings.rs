//! The settings of the sandbox's SMPP centre.

use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use vumi_kit::settings_schema::{HumanDuration, Secret};

use super::handsets::SmscUssdDialect;
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
    /// How long an inbound SMS waits for the router's answer; and how long the router may acknowledge nothing before its
    /// connection is closed.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub answer_limit: Duration,
    /// The dialect of USSD that it speaks: as `ussd.profile` of the transport that binds to it.
    pub ussd: SmscUssdDialect,
    /// How it misbehaves. Submissions are counted by PDU: an SMS of three parts is three.
    pub misbehave: Misbehaviour,
}

impl Default for SmscSettings {
    fn default() -> Self {
        Self {
            system_id: None,
            password: None,
            window: 100,
            ussd: SmscUssdDialect::default(),
            answer_limit: Duration::from_secs(10),
            misbehave: Misbehaviour::default(),
        }
    }
}
