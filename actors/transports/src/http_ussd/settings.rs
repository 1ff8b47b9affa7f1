//! The settings of `http-ussd`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{
    address::UssdCode, kind::Problem, message::ScreenLimit, settings_schema::HumanDuration,
    webhook_access::WebhookAccess,
};
use vumi_ussd_codec::{
    InputStyle, UssdCall, UssdShape,
    joined::extra_steps,
    presets::{self, UssdPreset},
};

use crate::outbox::OutboxSettings;

/// What is left of an aggregator's patience for the way back.
const RESERVE: Duration = Duration::from_secs(2);

/// The time an aggregator is taken to wait where settings do not say.
const USUAL_PATIENCE: Duration = Duration::from_secs(10);

/// The settings of `http-ussd`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UssdSettings {
    /// Whose calls they are, by a name of [docs/providers/http-ussd.md](providers/http-ussd.md): `africas-talking`, `hubtel`, ...
    /// None: the table `shape` says how they look.
    #[schemars(example = &"africas-talking")]
    pub(super) aggregator: Option<String>,
    /// How calls and answers look, of an aggregator that has no name here.
    pub(super) shape: Option<UssdShape>,
    /// The service's code, where the calls do not say it, or not as people dial it. None: that of the calls.
    #[schemars(example = &"*384*123#")]
    pub(super) code: Option<String>,
    /// Whether an input's field holds the `last` input or all of them, `joined`. None: what is known of the aggregator.
    pub(super) inputs: Option<InputStyle>,
    /// How long the aggregator waits for an answer: 2 s before, the person reads `texts.delayed`. None: what is known of it, else
    /// 10s.
    #[serde(default, with = "humantime_serde::option")]
    #[schemars(with = "Option<HumanDuration>", example = &"15s")]
    pub(super) answer_within: Option<Duration>,
    /// How many characters a screen holds. None: what is known of the aggregator, else 182.
    #[schemars(example = 160)]
    pub(super) screen: Option<usize>,
    /// Calls that wait for their campaign at once; one more is answered with `texts.full`. Default 2000.
    #[serde(default = "two_thousand")]
    pub(super) max_calls: usize,
    /// How long a session is remembered after its last call. Default 300s.
    #[serde(default = "five_minutes", with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(super) lifetime: Duration,
    /// What people read where no campaign answers.
    #[serde(default)]
    pub(super) texts: UssdTexts,
    /// Who may call, beside accounts of role `carrier`.
    #[serde(default)]
    pub(super) webhooks: WebhookAccess,
    /// It carries no SMS: each one that is sent by it is refused. These keys matter to nothing else.
    #[serde(default)]
    pub(super) outbox: OutboxSettings,
}

/// `texts` of a transport of USSD over HTTP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UssdTexts {
    /// No campaign can be reached; the session ends.
    pub(super) unavailable: String,
    /// As many calls wait as may; the session ends.
    pub(super) full: String,
    /// The campaign is away for a moment; the session stays open.
    pub(super) again: String,
    /// The campaign takes too long; the session stays open, and whatever the person sends next shows the screen once it is there.
    pub(super) delayed: String,
    /// The line that offers the next page of a long text: what the person sends, a space, and a word.
    pub(super) more: String,
}

impl Default for UssdTexts {
    fn default() -> Self {
        Self {
            unavailable: "Service unavailable, please try again later.".to_owned(),
            full: "Too many people are here now. Please try again later.".to_owned(),
            again: "Please send that again.".to_owned(),
            delayed: "This takes a moment. Nothing is lost: send 1 to go on.".to_owned(),
            more: "0 More".to_owned(),
        }
    }
}

const fn two_thousand() -> usize {
    2_000
}

const fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

/// An SMS is refused here, without a call to anybody.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);

impl UssdSettings {
    /// How SMS are claimed, each to be refused at once: no call makes a longer lease necessary.
    pub(super) fn outbox(&self) -> OutboxSettings {
        OutboxSettings { call_limit: REFUSED_WITHIN, ..self.outbox.clone() }
    }

    fn preset(&self) -> Option<UssdPreset> {
        self.aggregator.as_deref().and_then(presets::preset)
    }

    /// How calls and answers look; none where the settings do not say.
    pub(super) fn shape(&self) -> Option<UssdShape> {
        let mut shape = self.shape.clone().or_else(|| self.preset().map(|preset| preset.shape))?;
        shape.inputs = self.inputs.unwrap_or(shape.inputs);
        Some(shape)
    }

    /// How long a campaign has to answer a call.
    pub(super) fn deadline(&self) -> Duration {
        let known = || self.preset().map_or(USUAL_PATIENCE, |preset| preset.answers_within);
        self.answer_within.unwrap_or_else(known).saturating_sub(RESERVE)
    }

    /// How much a screen holds. Of other alphabets than GSM's a screen takes as many octets.
    pub(super) fn screen_limit(&self) -> ScreenLimit {
        let known = || self.preset().map_or(ScreenLimit::default().gsm_characters, |preset| preset.screen);
        let gsm_characters = self.screen.unwrap_or_else(known);
        ScreenLimit { gsm_characters, ucs2_characters: gsm_characters * 7 / 16 }
    }

    /// What a person dialled to begin a session, extra steps included; none where neither the call nor the settings say the code.
    pub(super) fn dialled(&self, call: &UssdCall) -> Option<UssdCode> {
        let parse = |text: &str| UssdCode::parse(text).ok();
        let service = self.code.as_deref().or(call.code.as_deref()).and_then(parse);
        let dialled = call.dialled().and_then(parse);
        let Some(service) = service else { return dialled };
        if let Some(dialled) = dialled {
            let goes_on = extra_steps(dialled.as_str(), service.as_str()).is_some();
            return Some(if goes_on { dialled } else { service });
        }
        let joined = self.shape().is_some_and(|shape| shape.inputs == InputStyle::Joined);
        let steps = call.input.as_deref().filter(|input| joined && !input.is_empty());
        let all = steps.and_then(|steps| parse(&format!("{}*{steps}#", service.as_str().trim_end_matches('#'))));
        Some(all.unwrap_or(service))
    }

    /// What is wrong with them.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.webhooks.check();
        match (&self.aggregator, &self.shape) {
            (Some(name), None) if self.preset().is_none() => {
                let known = presets::names().join(", ");
                problems.push(Problem::new(
                    "aggregator",
                    format!("`{name}` is not known: expected one of {known}, or a table `shape`"),
                ));
            }
            (None, None) => problems.push(Problem::new("aggregator", "expected a name, or a table `shape`")),
            (Some(_), Some(_)) => {
                problems.push(Problem::new("shape", "`aggregator` says it already: remove one of the two"))
            }
            _ => {}
        }
        for (key, what) in self.shape.iter().flat_map(UssdShape::problems) {
            problems.push(Problem::new(format!("shape.{key}"), what));
        }
        if self.code.as_deref().is_some_and(|code| UssdCode::parse(code).is_err()) {
            problems.push(Problem::new("code", "expected a code as people dial it, such as *384*123#"));
        }
        if self.deadline() < Duration::from_secs(1) {
            problems.push(Problem::new("answer_within", "expected 3s or more: the campaign has 2s less to answer"));
        }
        if self.screen.is_some_and(|screen| !(40..=1_000).contains(&screen)) {
            problems.push(Problem::new("screen", "expected 40 to 1000 characters"));
        }
        if self.max_calls == 0 {
            problems.push(Problem::new("max_calls", "it is 0, so nobody would be answered: expected more"));
        }
        if self.lifetime < Duration::from_secs(30) {
            problems.push(Problem::new("lifetime", "expected 30s or more: people take that long to type"));
        }
        if self.texts.more.trim().is_empty() || self.texts.more.chars().count() > 20 {
            problems.push(Problem::new(
                "texts.more",
                "expected what the person sends and a word, such as `0 More`, up to 20 characters",
            ));
        }
        problems.extend(self.outbox.check());
        problems
    }
}
