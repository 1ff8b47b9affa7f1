//! SSMI, the protocol that TruTeq speaks: USSD sessions, and SMS, over one TCP connection
//! (`docs/providers/truteq-ssmi.md`).
//!
//! The frames are those of `vumi_ssmi_codec`. [`component`] is the actor, [`connection`] connects, logs in, reads and
//! writes; [`state`] is what they share:
//!
//! - [`server_link`], [`frame_buffer`]: how the connection is, and the frames that wait to be written.
//! - [`crate::ussd`]: the sessions of people, and the campaigns' replies.
//! - [`sms_sender`], [`sms_numbers`]: SMS from the outbox. [`sms_inbox`]: SMS from people, delivery reports.
//!
//! [`forwarders`] take from it what the ledger is to get, `crate::ussd` what router and store are.

mod component;
mod connection;
mod forwarders;
mod frame_buffer;
mod server_link;
mod settings;
mod sms_inbox;
mod sms_numbers;
mod sms_sender;
mod state;

#[cfg(test)]
mod tests;

pub(crate) use settings::Settings;

use std::time::Duration;

use vumi_kit::{
    carries::Carries,
    component::{Component, ComponentContext, StartError},
    kind::{Kind, Problem},
};

use crate::outbox::OutboxSettings;

/// The kind of transport.
pub(crate) struct Ssmi;

impl Kind for Ssmi {
    const NAME: &'static str = "ssmi";
    const EXAMPLE: &'static str = r#"
host = "127.0.0.1"
port = 50008
username = "username"
password = "password"
link_check = "60s"
lifetime = "300s"
reconnect = { first = "1s", most = "30s" }
max_sessions = 100000
account = "username"
short_code = "38080"
texts = { unavailable = "Service unavailable, please try again later.", more = "0 More" }
"#;
    const RENAMED: &'static [(&'static str, &'static str)] = &[OutboxSettings::RENAMED];
    type Settings = Settings;

    fn check(settings: &Settings) -> Vec<Problem> {
        settings.check()
    }

    fn converses(_: &Settings) -> bool {
        true
    }

    fn account(settings: &Settings) -> Option<String> {
        settings.account.clone()
    }

    fn least_lease(settings: &Settings) -> Duration {
        settings.outbox.least_lease()
    }

    fn provider_url(settings: &Settings) -> Option<String> {
        Some(format!("tcp://{}", settings.address()))
    }

    /// Octets, too; where a header goes the protocol does not say.
    fn carries(_: &Settings) -> Carries {
        Carries { binary: true, ..Carries::TEXTS }
    }

    fn start(context: ComponentContext, settings: Settings) -> Result<Component, StartError> {
        Ok(component::open(context, settings))
    }
}
