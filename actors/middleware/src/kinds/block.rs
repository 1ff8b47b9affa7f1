//! Block lists: addresses and words that do not pass.

use std::collections::HashSet;

use async_trait::async_trait;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{
    kind::Problem,
    middleware::{Middleware, PassingSms, Verdict},
};

use crate::{
    kind::{MiddlewareContext, MiddlewareKind},
    text_pattern::compiled,
};

/// The most bytes of a file with addresses: a million numbers.
const MAX_FILE: u64 = 16 << 20;

/// Refuses, or holds, SMS by address or text. One that any of the keys matches is blocked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Addresses of people, digits without `+`, or names.
    #[serde(default)]
    #[schemars(example = &["27831234567"])]
    people: Vec<String>,
    /// Beginnings of people's numbers: premium and satellite numbers.
    #[serde(default)]
    #[schemars(example = &["88", "2786"])]
    prefixes: Vec<String>,
    /// A file with such addresses, one a line; read at the start.
    #[schemars(example = &"/etc/vumi/blocked.txt")]
    file: Option<String>,
    /// Senders of outbound SMS, and numbers that people write to.
    #[serde(default)]
    #[schemars(example = &["BANK"])]
    services: Vec<String>,
    /// Regular expressions that a text must not match anywhere; `(?i)` in front ignores case.
    #[serde(default)]
    #[schemars(example = &["(?i)https?://"])]
    texts: Vec<String>,
    /// What is done with what matches: `refuse`, or `hold` until an operator releases it. Default `refuse`.
    #[serde(default)]
    action: BlockAction,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum BlockAction {
    #[default]
    Refuse,
    Hold,
}

pub(crate) struct Block {
    people: HashSet<String>,
    prefixes: Vec<String>,
    services: HashSet<String>,
    texts: Vec<Regex>,
    action: BlockAction,
}

impl MiddlewareKind for Block {
    const NAME: &'static str = "block";
    const EXAMPLE: &'static str = r#"
people = ["27831234567"]
prefixes = ["88"]
texts = ["(?i)https?://"]
action = "hold"
"#;
    type Settings = Settings;

    fn new(settings: Settings, _: &MiddlewareContext) -> Result<Self, Problem> {
        let plain = |address: &String| address.trim().trim_start_matches('+').to_owned();
        let mut people: HashSet<String> = settings.people.iter().map(plain).collect();
        if let Some(path) = &settings.file {
            people.extend(read_file(path).map_err(|why| Problem::new("file", format!("{path}: {why}")))?);
        }
        let text = |(at, pattern): (usize, &String)| compiled(&format!("texts.{at}"), pattern);
        Ok(Self {
            people,
            prefixes: settings.prefixes.iter().map(plain).collect(),
            services: settings.services.iter().map(plain).collect(),
            texts: settings.texts.iter().enumerate().map(text).collect::<Result<_, _>>()?,
            action: settings.action,
        })
    }
}

fn read_file(path: &str) -> Result<Vec<String>, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE {
        return Err(format!("it has {size} bytes, {MAX_FILE} are allowed"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim().trim_start_matches('+'));
    Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

impl Block {
    /// Why an SMS is blocked. It does not say which entry of a list: clients read it.
    fn reason(&self, sms: &PassingSms) -> Option<&'static str> {
        let person = sms.person().as_str();
        if self.people.contains(person) || self.prefixes.iter().any(|prefix| person.starts_with(prefix.as_str())) {
            Some("the person's address is blocked")
        } else if self.services.contains(sms.service().as_str()) {
            Some("the service's address is blocked")
        } else if sms.is_text && self.texts.iter().any(|text| text.is_match(&sms.message)) {
            Some("the text is blocked")
        } else {
            None
        }
    }
}

#[async_trait]
impl Middleware for Block {
    async fn pass(&self, sms: &mut PassingSms) -> Verdict {
        match (self.reason(sms), self.action) {
            (None, _) => Verdict::Pass,
            (Some(reason), BlockAction::Refuse) => Verdict::Refuse(reason.to_owned()),
            (Some(reason), BlockAction::Hold) => Verdict::Hold(reason.to_owned()),
        }
    }
}
