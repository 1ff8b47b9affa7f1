//! The carriers' protocols: one actor for each transport in the settings.
//!
//! A provider of SMS says how one submission is made and what the answer means (`outbox::Provider`); the shell in
//! `outbox` does the rest: claims from the ledger, window, pace, pauses, retries, the record of what came of it.
//! What a provider posts to us is declared as data (`Kind::webhooks`); the HTTP front-end mounts it.
//!
//! Not in here: routing, storage, the HTTP server.
//!
//! To add a provider: one file with its kind (`NAME`, `EXAMPLE`, settings, `check`, `webhooks`, `start`) and its
//! row in the exam, and two adjacent lines below: `mod`, and `.with::<...>()`. A module that is not registered is
//! dead code, and the compiler says so.

mod answer;
mod call;
#[cfg(test)]
mod exam;
mod form;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod http_provider;
mod outbox;
mod providers;
mod ssmi;
mod xml;

use vumi_kit::kind::Registry;

/// All kinds of transport.
#[must_use]
pub fn kinds() -> Registry {
    Registry::default()
        .with::<providers::clickatell::Clickatell>()
        .with::<providers::clickatell_platform::ClickatellPlatform>()
        .with::<providers::e_scape::EScape>()
        .with::<http_provider::HttpProvider>()
        .with::<providers::opera::Opera>()
        .with::<ssmi::Ssmi>()
        .with::<providers::techsys::Techsys>()
}
