//! Tags: words that a campaign, and the timeline, read of an SMS.

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

/// The most tags of one SMS.
const MAX_TAGS: usize = 16;

/// Notes tags of an SMS: a campaign, here or behind the broker, reads them as `tags` in the message's `helper_metadata`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The tags; `$1` is the first group of `text`.
    #[schemars(example = &["sweepstake"])]
    tags: Vec<String>,
    /// Only SMS whose text this regular expression matches; `(?i)` in front ignores case.
    #[schemars(example = "(?i)^win (\\w+)")]
    text: Option<String>,
    /// Only SMS to or from this service: the number that people write to.
    #[schemars(example = &"38080")]
    service: Option<String>,
}

pub(crate) struct Tag {
    tags: Vec<String>,
    text: Option<Regex>,
    service: Option<String>,
}

impl MiddlewareKind for Tag {
    const NAME: &'static str = "tag";
    const EXAMPLE: &'static str = r#"
tags = ["sweepstake", "team-$1"]
text = "(?i)^win (\\w+)"
"#;
    type Settings = Settings;

    fn new(Settings { tags, text, service }: Settings, _: &MiddlewareContext) -> Result<Self, Problem> {
        if tags.is_empty() || tags.len() > MAX_TAGS || tags.iter().any(|tag| tag.is_empty() || tag.len() > 64) {
            return Err(Problem::new("tags", format!("expected 1 to {MAX_TAGS} tags of 1 to 64 bytes")));
        }
        let text = text.map(|text| compiled("text", &text)).transpose()?;
        Ok(Self { tags, text, service: service.map(|service| service.trim_start_matches('+').to_owned()) })
    }
}

#[async_trait]
impl Middleware for Tag {
    async fn pass(&self, sms: &mut PassingSms) -> Verdict {
        if self.service.as_ref().is_some_and(|service| service != sms.service().as_str()) {
            return Verdict::Pass;
        }
        let found: Vec<String> = match &self.text {
            None => self.tags.clone(),
            Some(text) => {
                let Some(groups) = text.captures(&sms.message).filter(|_| sms.is_text) else { return Verdict::Pass };
                let filled = |tag: &String| {
                    let mut filled = String::new();
                    groups.expand(tag, &mut filled);
                    filled.chars().take(64).collect()
                };
                self.tags.iter().map(filled).collect()
            }
        };
        for tag in found {
            if sms.tags.len() < MAX_TAGS && !sms.tags.contains(&tag) {
                sms.tags.push(tag);
            }
        }
        Verdict::Pass
    }
}
