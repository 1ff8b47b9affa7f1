//! Writes texts in the GSM alphabet.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vumi_kit::{
    kind::Problem,
    middleware::{Middleware, PassingSms, Verdict},
    text::{measure, transliterate},
};

use crate::kind::{MiddlewareContext, MiddlewareKind};

/// Writes a text in the GSM alphabet, where a part holds 160 characters in place of 70. What it lacks gets the nearest
/// letters.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// When: `shorter`, where the SMS takes fewer parts then and no character is lost; or `always`, where a character
    /// without any letters becomes `?`. Default `shorter`.
    when: When,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum When {
    #[default]
    Shorter,
    Always,
}

impl Default for Settings {
    fn default() -> Self {
        Self { when: When::Shorter }
    }
}

pub(crate) struct Transliterate(When);

impl MiddlewareKind for Transliterate {
    const NAME: &'static str = "transliterate";
    const EXAMPLE: &'static str = "when = \"shorter\"";
    type Settings = Settings;

    fn new(settings: Settings, _: &MiddlewareContext) -> Result<Self, Problem> {
        Ok(Self(settings.when))
    }
}

#[async_trait]
impl Middleware for Transliterate {
    async fn pass(&self, sms: &mut PassingSms) -> Verdict {
        if sms.is_text {
            let (text, lost) = transliterate(&sms.message);
            let shorter = || lost.is_empty() && measure(&text).segments < measure(&sms.message).segments;
            if self.0 == When::Always || shorter() {
                sms.message = text;
            }
        }
        Verdict::Pass
    }
}
