//! SMPP, the protocol that mobile operators and aggregators take SMS over, as their client (`docs/providers/smpp.md`).
//!
//! The PDUs are those of `vumi_smpp_codec`. [`component`] is the actor, [`bind`] connects and binds, [`session`] reads and writes;
//! [`state`] is what they share:
//!
//! - [`link`]: one bound connection: its window, what waits for an answer, the octets that wait to be written.
//! - [`sender`]: SMS from the outbox, submitted part by part. [`message`] and [`addresses`] make their PDUs, [`statuses`]
//!   says what an answer means, [`late`] keeps answers that came after their attempt had ended.
//! - [`ussd`]: dialogues of people, which [`crate::ussd`] holds.
//! - [`inbox`], [`reports`], [`inbound`]: delivery receipts and SMS from people.
//!
//! [`forwarder`] brings those to the ledger, and then has them answered. [`trial`] is what an operator asks an SMSC with.

mod addresses;
mod bind;
mod component;
mod forwarder;
mod inbound;
mod inbox;
mod late;
mod link;
mod message;
mod reports;
mod sender;
mod session;
mod settings;
mod state;
mod statuses;
mod trial;
mod ussd;

#[cfg(test)]
mod tests;

pub(crate) use settings::Settings;
pub use trial::{SmppTrial, TrialError, TrialSms, TrialStep};

use std::time::Duration;

use vumi_kit::{
    carries::Carries,
    component::{Component, ComponentContext, StartError},
    kind::{Kind, Problem, TryConnect},
};

use crate::outbox::OutboxSettings;

/// The kind of transport.
pub(crate) struct Smpp;

impl Kind for Smpp {
    const NAME: &'static str = "smpp";
    const EXAMPLE: &'static str = r#"
host = "127.0.0.1"
port = 2775
system_id = "vumi"
password = "secret"
bind = "transceiver"
sessions = 2
window = 10
account = "username"
enquire_link = "30s"
reconnect = { first = "1s", most = "60s" }
statuses = { "0x14" = "throttled" }
sms = { alphabet = "gsm7", long_texts = "udh8", registered_delivery = 1, tlvs = [{ tag = 0x1400, text = "1101" }] }
ussd = { profile = "spec", service_type = "USSD", code_in = "short_message", end_op = 0x11, lifetime = "300s" }
receipts = { message_ids = "auto", parts = "all" }
outbox = { window = 20, rate = 100.0 }
"#;
    const RENAMED: &'static [(&'static str, &'static str)] = &[OutboxSettings::RENAMED];
    type Settings = Settings;

    fn check(settings: &Settings) -> Vec<Problem> {
        settings.check()
    }

    fn converses(settings: &Settings) -> bool {
        settings.ussd.is_some()
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

    fn try_connect(settings: Settings) -> Option<TryConnect> {
        Some(Box::pin(SmppTrial::of(settings).try_connect()))
    }

    fn carries(_: &Settings) -> Carries {
        Carries { raw: true, ..Carries::ALL }
    }

    fn start(context: ComponentContext, settings: Settings) -> Result<Component, StartError> {
        Ok(component::open(context, settings))
    }
}
