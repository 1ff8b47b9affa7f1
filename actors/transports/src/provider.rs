//! The contract of a provider of SMS: one trait makes it a kind of transport ([`WithProvider`]).

use std::{future, marker::PhantomData, time::Duration};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use vumi_kit::{
    carries::Carries,
    clock::Clock,
    component::{Component, ComponentContext, StartError},
    kind::{Kind, Problem, Registry},
    sms::{Decision, Submission},
    webhook::Webhook,
    webhook_access::WebhookAccess,
};

use crate::{
    outbox::{LookUp, OutboxActor, OutboxSettings, SubmitSms, Submitted},
    provider_client::check_url,
};

/// A provider of SMS with an HTTP API: its settings, its webhooks, and how one SMS is submitted.
pub(crate) trait Provider: Sized + 'static {
    /// As `kind = "..."` names it.
    const NAME: &'static str;

    /// Settings as an operator would write them, TOML, without the table's header and `kind`: a test parses and
    /// checks them.
    const EXAMPLE: &'static str;

    /// As [`Kind::RENAMED`]: those of the outbox, where a provider has none of its own.
    const RENAMED: &'static [(&'static str, &'static str)] = &[OutboxSettings::RENAMED];

    /// The keys of its table, without `kind`; unknown ones are refused (`deny_unknown_fields`).
    type Settings: DeserializeOwned + JsonSchema;

    /// The URL of its API.
    fn url(settings: &Self::Settings) -> &str;

    /// The table `outbox` of its settings.
    fn outbox(settings: &Self::Settings) -> &OutboxSettings;

    /// What is wrong with the other settings. Pure.
    fn check(settings: &Self::Settings) -> Vec<Problem>;

    /// What it posts to us. Default: nothing.
    fn webhooks(settings: &Self::Settings) -> Vec<Webhook> {
        let _none = settings;
        Vec::new()
    }

    /// Who may call its webhooks. Default: accounts alone.
    fn webhook_access(settings: &Self::Settings) -> WebhookAccess {
        let _none = settings;
        WebhookAccess::default()
    }

    /// The account that SMS from people belong to. Default: none.
    fn account(settings: &Self::Settings) -> Option<&str> {
        let _none = settings;
        None
    }

    /// What it carries beside texts. Default: nothing.
    fn carries(settings: &Self::Settings) -> Carries {
        let _texts_only = settings;
        Carries::TEXTS
    }

    /// Makes the client that submits.
    fn new(settings: Self::Settings, clock: Clock) -> Result<Self, StartError>;

    /// Submits once. The outbox bounds the time.
    fn submit(&self, submission: &Submission) -> impl Future<Output = Decision>;

    /// Asks whether a submission whose answer was lost arrived. Default: the provider can't be asked.
    fn look_up(&self, submission: &Submission) -> impl Future<Output = LookUp> {
        let _not_asked = submission;
        future::ready(LookUp::Unknown)
    }

    /// Passwords, keys, user names, ids of accounts: what is removed from the provider's responses before they are kept or
    /// shown.
    fn credentials(&self) -> Vec<&str> {
        Vec::new()
    }
}

impl<P: Provider> SubmitSms for P {
    async fn submit(&self, submission: &Submission) -> Submitted {
        Provider::submit(self, submission).await.into()
    }

    fn look_up(&self, submission: &Submission) -> impl Future<Output = LookUp> {
        Provider::look_up(self, submission)
    }

    fn credentials(&self) -> Vec<&str> {
        Provider::credentials(self)
    }
}

/// Problems with keys that may not be empty.
pub(crate) fn check_given(provider: &str, keys: &[(&str, &str)]) -> Vec<Problem> {
    let empty = keys.iter().filter(|(_, value)| value.is_empty());
    empty.map(|(key, _)| Problem::new(*key, format!("is empty; {provider} gives it with the account"))).collect()
}

/// Problems with the table `webhooks`.
fn check_access(access: &WebhookAccess, webhooks: &[Webhook]) -> Vec<Problem> {
    let mut problems = access.check();
    if access.hmac.is_some() && !webhooks.iter().any(|webhook| webhook.methods.contains(&"POST")) {
        let what = "this provider calls by GET, without a body to sign: use `token` or `networks`";
        problems.push(Problem::new("webhooks.hmac", what));
    }
    problems
}

/// Adds providers to a registry of kinds.
pub(crate) trait WithProvider {
    /// Adds a provider. A second one of the same name replaces the first.
    #[must_use]
    fn with_provider<P: Provider>(self) -> Self;
}

impl WithProvider for Registry {
    fn with_provider<P: Provider>(self) -> Self {
        self.with::<ProviderKind<P>>()
    }
}

/// The kind of transport that a provider is: the provider behind an outbox.
pub(crate) struct ProviderKind<P>(PhantomData<P>);

impl<P: Provider> Kind for ProviderKind<P> {
    const NAME: &'static str = P::NAME;
    const EXAMPLE: &'static str = P::EXAMPLE;
    const RENAMED: &'static [(&'static str, &'static str)] = P::RENAMED;
    type Settings = P::Settings;

    fn check(settings: &P::Settings) -> Vec<Problem> {
        let url = check_url("url", P::url(settings));
        let access = check_access(&P::webhook_access(settings), &P::webhooks(settings));
        url.into_iter().chain(P::check(settings)).chain(access).chain(P::outbox(settings).check()).collect()
    }

    fn webhooks(settings: &P::Settings) -> Vec<Webhook> {
        P::webhooks(settings)
    }

    fn webhook_access(settings: &P::Settings) -> WebhookAccess {
        P::webhook_access(settings)
    }

    fn account(settings: &P::Settings) -> Option<String> {
        P::account(settings).map(str::to_owned)
    }

    fn least_lease(settings: &P::Settings) -> Duration {
        P::outbox(settings).least_lease()
    }

    fn provider_url(settings: &P::Settings) -> Option<String> {
        Some(P::url(settings).to_owned())
    }

    fn carries(settings: &P::Settings) -> Carries {
        P::carries(settings)
    }

    fn start(context: ComponentContext, settings: P::Settings) -> Result<Component, StartError> {
        let outbox = P::outbox(&settings).clone();
        let provider = P::new(settings, context.clock.clone())?;
        Ok(OutboxActor::open(context, &outbox, provider))
    }
}
