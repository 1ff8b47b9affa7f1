//! How a provider's answer is read: where its result, id and text are, and what a result means.

use std::collections::BTreeMap;

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use vumi_kit::sms::{Decision, TransportStatus};

use crate::{
    json_body::plain,
    provider_client::{StatusMeaning, StatusMeanings, unreadable},
};

/// Where a value is in an answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum AnswerPlace {
    /// A JSON pointer, such as `/messages/0/id`.
    #[schemars(example = "/messages/0/id")]
    Json(String),
    /// A regular expression: its first group, or all that it matches.
    #[schemars(example = r"ID: (\w+)")]
    Regex(String),
}

/// `[answer]`: what an answer means. Statuses other than 2xx mean the same for all providers, unless `statuses` says something
/// else: 429 and 503 a pause, 401, 403 and 404 wrong settings, other 4xx a refused SMS, 5xx another try.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerSettings {
    /// The result, which tells whether the SMS was taken; none: an `id` tells it.
    pub(super) result: Option<AnswerPlace>,
    /// The provider's id for the SMS.
    pub(super) id: Option<AnswerPlace>,
    /// The text that is kept with the SMS; none: the first 200 characters of the answer.
    pub(super) provider_response: Option<AnswerPlace>,
    /// Results that mean: taken.
    #[serde(default)]
    pub(super) accepted: Vec<String>,
    /// Results that mean: try again.
    #[serde(default)]
    pub(super) retry: Vec<String>,
    /// Results that mean: too fast, pause.
    #[serde(default)]
    pub(super) throttled: Vec<String>,
    /// Results that mean: the account or the settings are wrong. All others mean: this SMS is refused.
    #[serde(default)]
    pub(super) misconfigured: Vec<String>,
    /// What statuses other than 2xx mean, where this provider uses one in its own way: `retry`, `refuse` (this SMS) or
    /// `pause` (the account or the settings are wrong).
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>", example = serde_json::json!({ "404": "refuse" }))]
    pub(super) statuses: BTreeMap<String, StatusMeaning>,
}

#[derive(Debug)]
enum Finder {
    Json(String),
    Regex(Regex),
}

/// Settings made ready.
#[derive(Debug)]
pub(super) struct AnswerReader {
    settings: AnswerSettings,
    statuses: StatusMeanings,
    result: Option<Finder>,
    id: Option<Finder>,
    provider_response: Option<Finder>,
}

impl Finder {
    fn of(find: &AnswerPlace) -> Result<Self, String> {
        match find {
            AnswerPlace::Json(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
                Ok(Self::Json(pointer.clone()))
            }
            AnswerPlace::Json(_) => Err("expected a JSON pointer, such as /messages/0/id".to_owned()),
            AnswerPlace::Regex(regex) => Regex::new(regex).map(Self::Regex).map_err(|error| error.to_string()),
        }
    }

    fn find(&self, text: &str, json: Option<&Value>) -> Option<String> {
        match self {
            Self::Json(pointer) => plain(json?.pointer(pointer)?),
            Self::Regex(regex) => {
                let captures = regex.captures(text)?;
                captures.get(1).or_else(|| captures.get(0)).map(|found| found.as_str().to_owned())
            }
        }
    }
}

fn status_meanings(settings: &BTreeMap<String, StatusMeaning>) -> Result<StatusMeanings, String> {
    let number = |status: &String| status.parse().ok().filter(|number: &u16| (300..600).contains(number));
    let meaning = |(status, meaning): (&String, &StatusMeaning)| match number(status) {
        Some(number) => Ok((number, *meaning)),
        None => Err(format!("`{status}` is no status with a meaning to choose: expected 300 to 599")),
    };
    settings.iter().map(meaning).collect()
}

impl AnswerReader {
    /// Makes settings ready; an error names the key below `answer` and what is wrong.
    pub(super) fn new(settings: &AnswerSettings) -> Result<Self, (&'static str, String)> {
        let finder =
            |key, find: &Option<AnswerPlace>| find.as_ref().map(Finder::of).transpose().map_err(|what| (key, what));
        if settings.result.is_none() && settings.id.is_none() {
            return Err((
                "result",
                "expected `result` or `id`: without both nothing tells that an SMS was taken".into(),
            ));
        }
        if settings.result.is_some() && settings.accepted.is_empty() {
            return Err(("accepted", "expected the results that mean: taken".into()));
        }
        Ok(Self {
            statuses: status_meanings(&settings.statuses).map_err(|what| ("statuses", what))?,
            result: finder("result", &settings.result)?,
            id: finder("id", &settings.id)?,
            provider_response: finder("provider_response", &settings.provider_response)?,
            settings: settings.clone(),
        })
    }

    /// What statuses other than 2xx mean, where the settings say it.
    pub(super) fn statuses(&self) -> &StatusMeanings {
        &self.statuses
    }

    /// Reads an answer.
    pub(super) fn read(&self, answer: &str) -> Decision {
        let json: Option<Value> = vumi_kit::json::read(answer.as_bytes()).ok();
        let find = |finder: &Option<Finder>| finder.as_ref().and_then(|finder| finder.find(answer, json.as_ref()));
        let provider_id = find(&self.id).filter(|id| !id.is_empty());
        let provider_response =
            find(&self.provider_response).unwrap_or_else(|| answer.trim().chars().take(200).collect());
        let result = find(&self.result);
        let accepted = Decision::Accepted {
            provider_id: provider_id.clone(),
            status: TransportStatus::Queued,
            provider_response: provider_response.clone(),
        };
        match (&self.result, result) {
            (None, _) if provider_id.is_some() => accepted,
            (None, _) | (Some(_), None) => unreadable(answer),
            (Some(_), Some(result)) => {
                let means = |results: &[String]| results.contains(&result);
                if means(&self.settings.accepted) {
                    accepted
                } else if means(&self.settings.retry) {
                    Decision::Retry { provider_response, unknown_outcome: false }
                } else if means(&self.settings.throttled) {
                    Decision::Throttled { retry_after_s: None, provider_response }
                } else if means(&self.settings.misconfigured) {
                    Decision::Misconfigured { provider_response }
                } else {
                    Decision::Rejected { status: TransportStatus::MessageError, provider_response }
                }
            }
        }
    }
}
