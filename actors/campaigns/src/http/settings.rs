//! The settings of `http`.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use vumi_campaign_kit::{KnownBy, Limits};
use vumi_kit::{campaign_sms::CampaignSender, kind::Problem, settings_schema::Secret, webhook_signature::sign};
use vumi_ussd_codec::{CallFormat, CallMethod, UssdShape, presets};

use super::forms::ApplicationForm;

/// What is left of `limits.answer_within` for the store and the way back.
const RESERVE: Duration = Duration::from_secs(2);

/// The least that an application is given to answer.
const LEAST_DEADLINE: Duration = Duration::from_secs(1);

/// The settings of `http`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplicationSettings {
    /// Where the application is. It is the operator's to choose, so an address of the own network will do.
    pub(super) url: String,
    /// How it is called: `json` ([docs/http-campaigns.md](http-campaigns.md)); `africas-talking`, or another aggregator whose
    /// calls the application understands, by its name; `custom` with a table `shape`. Default `json`.
    #[serde(default = "json")]
    pub(super) form: String,
    /// How calls and answers look, with `form = "custom"`.
    #[serde(default)]
    pub(super) shape: Option<UssdShape>,
    /// Signs each call as callbacks are signed (Standard Webhooks): `whsec_` and base64.
    #[serde(default)]
    #[schemars(with = "Option<Secret>")]
    pub(super) secret: Option<SecretString>,
    /// Further headers of each call, such as `Authorization`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Secret>")]
    pub(super) headers: BTreeMap<String, SecretString>,
    /// Calls under way at once, each on a connection that is kept; more wait, within the deadline. Default 100.
    #[serde(default = "hundred")]
    pub(super) connections: usize,
    /// Whether the application is called when a dialogue ends otherwise than by its answer: the person hung up, or the network
    /// timed out. Default no.
    #[serde(default)]
    pub(super) tell_ends: bool,
    /// As whom the SMS of its answers go: account, transport and sender. None: it can send none.
    #[serde(default)]
    pub(super) sender: Option<CampaignSender>,
    /// By what a person is known again: `transport` or `number`. Default `transport`.
    #[serde(default)]
    pub(super) known_by: KnownBy,
    /// The last screen of a person whose step failed.
    #[serde(default = "sorry")]
    pub(super) sorry: String,
    /// The screen of a person for whom the application took too long; the session stays open.
    #[serde(default = "delayed")]
    pub(super) delayed: String,
    /// How many messages it takes at once, and when its sessions expire. The application has `answer_within` less 2 s to answer.
    #[serde(default)]
    pub(super) limits: Limits,
}

fn json() -> String {
    "json".to_owned()
}

fn sorry() -> String {
    "Sorry, this service can't answer now. Please try again later.".to_owned()
}

fn delayed() -> String {
    "Sorry, that took too long. Nothing is lost: please send your answer again.".to_owned()
}

const fn hundred() -> usize {
    100
}

impl ApplicationSettings {
    /// How long the application has to answer.
    pub(super) fn deadline(&self) -> Duration {
        self.limits.answer_within.saturating_sub(RESERVE)
    }

    /// How it is called; none where the settings name nothing known.
    pub(super) fn form(&self) -> Option<ApplicationForm> {
        match (self.form.as_str(), &self.shape) {
            ("json", None) => Some(ApplicationForm::Json),
            ("custom", Some(shape)) => Some(ApplicationForm::Shaped(Box::new(shape.clone()))),
            (name, None) => Some(ApplicationForm::Shaped(Box::new(presets::preset(name)?.shape))),
            (_, Some(_)) => None,
        }
    }

    /// What is wrong with them.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.url_problem());
        problems.extend(self.form_problem());
        for (key, what) in self.shape.iter().flat_map(UssdShape::problems) {
            problems.push(Problem::new(format!("shape.{key}"), what));
        }
        if self.secret.as_ref().is_some_and(|secret| sign(secret.expose_secret(), "", 0, "").is_err()) {
            problems
                .push(Problem::new("secret", "expected `whsec_` and base64: `echo whsec_$(openssl rand -base64 24)`"));
        }
        if let (Some(_), Some(ApplicationForm::Shaped(shape))) = (&self.secret, self.form())
            && (shape.format == CallFormat::Query || shape.method == CallMethod::Get)
        {
            problems.push(Problem::new("secret", "a call without a body can't be signed: use a `form` that posts one"));
        }
        for (name, value) in &self.headers {
            let is_right =
                HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value.expose_secret()).is_ok();
            if !is_right {
                problems.push(Problem::new(format!("headers.{name}"), "it is no header that HTTP allows"));
            }
        }
        if self.connections == 0 {
            problems.push(Problem::new("connections", "it is 0, so nobody would be answered: expected more"));
        }
        if self.deadline() < LEAST_DEADLINE {
            let what = "expected 3s or more: the application has 2s less to answer";
            problems.push(Problem::new("limits.answer_within", what));
        }
        problems
    }

    fn url_problem(&self) -> Option<Problem> {
        let what = match Url::parse(&self.url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => return None,
            Ok(_) => "expected a URL that begins with http:// or https://".to_owned(),
            Err(error) => format!("expected a URL such as http://127.0.0.1:8080/ussd, but: {error}"),
        };
        Some(Problem::new("url", what))
    }

    fn form_problem(&self) -> Option<Problem> {
        if self.form().is_some() {
            return None;
        }
        Some(match (self.form.as_str(), &self.shape) {
            ("custom", None) => Problem::new("form", "`custom` needs a table `shape`"),
            (_, Some(_)) => Problem::new("shape", "it is only read with `form = \"custom\"`"),
            _ => {
                let known = presets::names().join(", ");
                Problem::new("form", format!("expected json, custom or one of {known}"))
            }
        })
    }
}
