//! Replaces text.

use std::borrow::Cow;

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

/// The longest text that replacing may make, in bytes: longer than any SMS.
const MAX_TEXT: usize = 64 * 1024;

/// Replaces text, each rule in its order.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// What is replaced by what.
    rules: Vec<TextRule>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TextRule {
    /// A regular expression; `(?i)` in front ignores case.
    #[schemars(example = "(?i)\\bcompetitor\\b")]
    pattern: String,
    /// What stands in place of each match; `$1` is the first group, `$$` a dollar.
    #[schemars(example = "***")]
    with: String,
}

pub(crate) struct Replace(Vec<(Regex, String)>);

impl MiddlewareKind for Replace {
    const NAME: &'static str = "replace";
    const EXAMPLE: &'static str = r#"
rules = [{ pattern = "\\s+$", with = "" }, { pattern = "(?i)\\bvumi\\b", with = "Vumi" }]
"#;
    type Settings = Settings;

    fn new(settings: Settings, _: &MiddlewareContext) -> Result<Self, Problem> {
        let rule = |(at, rule): (usize, &TextRule)| {
            Ok((compiled(&format!("rules.{at}.pattern"), &rule.pattern)?, rule.with.clone()))
        };
        Ok(Self(settings.rules.iter().enumerate().map(rule).collect::<Result<_, Problem>>()?))
    }
}

#[async_trait]
impl Middleware for Replace {
    async fn pass(&self, sms: &mut PassingSms) -> Verdict {
        if !sms.is_text {
            return Verdict::Pass;
        }
        for (pattern, with) in &self.0 {
            if let Cow::Owned(replaced) = pattern.replace_all(&sms.message, with) {
                sms.message = replaced;
            }
            if sms.message.len() > MAX_TEXT {
                return Verdict::Refuse("replacing makes the text too long".to_owned());
            }
        }
        Verdict::Pass
    }
}
