//! Transports: what brings messages from and to people's phones, one actor for each table `[transports.<name>]`.
//!
//! A provider of SMS implements the trait `provider::Provider`: how one SMS is submitted, what the answer means, what the provider
//! posts to us. `outbox` does the rest: claims from the ledger, window, pace, pauses, retries, recorded outcomes.
//! Webhooks are declared as data (`vumi_kit::webhook`); the HTTP front-end mounts them.
//!
//! Not in here: routing, storage, the HTTP server.
//!
//! To add a provider: a file in `providers` with its exam at the end, and two lines, `mod` in `providers.rs` and
//! `.with_provider::<...>()` below.

mod charset;
mod concatenation;
mod failure;
mod fault_log;
mod form_reports;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod http_provider;
mod http_ussd;
mod json_body;
mod json_fields;
mod outbox;
mod provider;
mod provider_client;
mod provider_status;
mod providers;
mod smpp;
mod ssmi;
#[cfg(test)]
mod tests;
mod time;
mod tls;
mod ussd;
mod webhook_answer;
mod webhook_fields;

use vumi_kit::kind::Registry;

use provider::WithProvider;
pub use smpp::{SmppTrial, TrialError, TrialSms, TrialStep};

/// All kinds of transport.
#[must_use]
pub fn kinds() -> Registry {
    Registry::default()
        .with_provider::<providers::clickatell::Clickatell>()
        .with_provider::<providers::clickatell_platform::ClickatellPlatform>()
        .with_provider::<providers::e_scape::EScape>()
        .with_provider::<providers::opera::Opera>()
        .with_provider::<providers::techsys::Techsys>()
        .with_provider::<http_provider::HttpProvider>()
        .with::<http_ussd::HttpUssd>()
        .with::<smpp::Smpp>()
        .with::<ssmi::Ssmi>()
}
