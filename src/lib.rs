//! Vumi routes messages between mobile networks and services: SMS and USSD come in over providers' protocols,
//! campaigns answer them, HTTP clients send through it.
//!
//! This crate is the supervisor: it reads the settings, starts the components in order, starts one again that fails,
//! and stops them. Every component lives in a crate of its own under `actors/`; they share the contracts of
//! [`vumi_kit`] and know nothing of each other. A build with more kinds of its own calls [`cli::run_with`] with
//! its own [`Kinds`].

pub mod cli;
mod config;
mod supervisor;

pub use config::{
    ComponentConfig, Deployment, EMBEDDED_DEFAULT, Kinds, Settings, SettingsError, SettingsProblem, settings_page,
};
pub use supervisor::{Running, StartFailed, SupervisorSettings, start};
pub use vumi_kit as kit;

/// The kinds of transport and campaign that ship with vumi.
#[must_use]
pub fn builtin() -> Kinds {
    Kinds { transports: vumi_transports::kinds(), campaigns: vumi_campaigns::kinds() }
}
