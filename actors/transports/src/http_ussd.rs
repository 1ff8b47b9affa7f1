//! USSD aggregators: they post each step of a person's session to us, and the response is our campaign's screen
//! (`docs/providers/http-ussd.md`).
//!
//! [`component`] is the actor; [`calls`] answers a call:
//!
//! - [`session_step`]: what a call means for its session, by the call and what the store has of the session. Pure.
//! - [`waiting_calls`]: the calls that wait for their campaign, in the process that got them.
//! - [`replies`]: the campaigns' replies, in time or late.
//! - [`long_texts`]: texts that are longer than a screen.
//!
//! Sessions are in the store, so any process takes the next call of one. No session is held open here: an aggregator calls.

mod calls;
mod component;
mod long_texts;
mod replies;
mod session_step;
mod settings;
#[cfg(test)]
mod tests;
mod waiting_calls;

pub(crate) use settings::UssdSettings;

use std::time::Duration;

use vumi_kit::{
    component::{Component, ComponentContext, StartError},
    kind::{Kind, Problem},
    webhook_access::WebhookAccess,
};

use crate::outbox::OutboxSettings;

/// The kind of transport.
pub(crate) struct HttpUssd;

impl Kind for HttpUssd {
    const NAME: &'static str = "http-ussd";
    const TAKES_CALLS: bool = true;
    const EXAMPLE: &'static str = r#"
aggregator = "africas-talking"

[webhooks]
token = "0123456789abcdef0123456789abcdef"
"#;
    const RENAMED: &'static [(&'static str, &'static str)] = &[OutboxSettings::RENAMED];
    type Settings = UssdSettings;

    fn converses(_: &UssdSettings) -> bool {
        true
    }

    fn check(settings: &UssdSettings) -> Vec<Problem> {
        settings.problems()
    }

    fn webhook_access(settings: &UssdSettings) -> WebhookAccess {
        settings.webhooks.clone()
    }

    fn least_lease(settings: &UssdSettings) -> Duration {
        settings.outbox().least_lease()
    }

    fn start(context: ComponentContext, settings: UssdSettings) -> Result<Component, StartError> {
        component::open(context, settings)
    }
}
