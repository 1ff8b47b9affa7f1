//! Translates addresses: one number for another, a name for a number, a prefix for another.

use std::{borrow::Cow, collections::BTreeMap};

use async_trait::async_trait;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{
    address::{Address, Msisdn},
    kind::Problem,
    middleware::{Middleware, PassingSms, SmsDirection, Verdict},
};

use crate::{
    kind::{MiddlewareContext, MiddlewareKind},
    text_pattern::compiled,
};

/// Writes other addresses into an SMS: one number for another, a name for a number, a prefix for another.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// For each sender another one.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "38080": "MYCLINIC" }))]
    from: BTreeMap<String, String>,
    /// For each recipient another one.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "27110000000": "38080" }))]
    to: BTreeMap<String, String>,
    /// Expressions for senders that `from` does not name; the first that matches is used.
    #[serde(default)]
    from_patterns: Vec<AddressRewrite>,
    /// Expressions for recipients that `to` does not name.
    #[serde(default)]
    to_patterns: Vec<AddressRewrite>,
}

/// An expression, and what stands for what it matches.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AddressRewrite {
    /// A regular expression for the whole address, digits without `+`.
    #[schemars(example = "270*(\\d+)")]
    pattern: String,
    /// The new address; `$1` is the first group.
    #[schemars(example = "27$1")]
    with: String,
}

pub(crate) struct Addresses {
    from: Translation,
    to: Translation,
}

struct Translation {
    exact: BTreeMap<String, Address>,
    patterns: Vec<(Regex, String)>,
}

impl Translation {
    fn new(key: &str, exact: &BTreeMap<String, String>, patterns: &[AddressRewrite]) -> Result<Self, Problem> {
        let address = |(given, text): (&String, &String)| match Address::sender(text) {
            Ok(address) => Ok((given.clone(), address)),
            Err(wrong) => Err(Problem::new(format!("{key}.{given}"), wrong.to_string())),
        };
        let rewrite = |(at, rewrite): (usize, &AddressRewrite)| {
            let key = format!("{key}_patterns.{at}.pattern");
            Ok((compiled(&key, &format!("^(?:{})$", rewrite.pattern))?, rewrite.with.clone()))
        };
        Ok(Self {
            exact: exact.iter().map(address).collect::<Result<_, _>>()?,
            patterns: patterns.iter().enumerate().map(rewrite).collect::<Result<_, Problem>>()?,
        })
    }

    /// The address in place of another; none: it stays. What an expression makes is an address, or an error.
    fn of(&self, address: &Address) -> Result<Option<Address>, String> {
        if let Some(exact) = self.exact.get(address.as_str()) {
            return Ok(Some(exact.clone()));
        }
        for (pattern, with) in &self.patterns {
            if let Cow::Owned(made) = pattern.replace(address.as_str(), with) {
                return Address::sender(&made).map(Some).map_err(|wrong| wrong.to_string());
            }
        }
        Ok(None)
    }
}

impl MiddlewareKind for Addresses {
    const NAME: &'static str = "addresses";
    const EXAMPLE: &'static str = r#"
from = { "38080" = "MYCLINIC" }
to_patterns = [{ pattern = "27(0)(\\d+)", with = "27$2" }]
"#;
    type Settings = Settings;

    fn new(settings: Settings, _: &MiddlewareContext) -> Result<Self, Problem> {
        Ok(Self {
            from: Translation::new("from", &settings.from, &settings.from_patterns)?,
            to: Translation::new("to", &settings.to, &settings.to_patterns)?,
        })
    }
}

#[async_trait]
impl Middleware for Addresses {
    async fn pass(&self, sms: &mut PassingSms) -> Verdict {
        let (from, to) = match (self.from.of(&sms.from), self.to.of(&sms.to)) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(wrong), _) | (_, Err(wrong)) => return Verdict::Refuse(wrong),
        };
        if let Some(to) = to {
            if sms.direction == SmsDirection::Outbound && Msisdn::parse(to.as_str()).is_err() {
                return Verdict::Refuse(format!("`{to}` is no recipient: an MSISDN is 3 to 15 digits"));
            }
            sms.to = to;
        }
        sms.from = from.unwrap_or_else(|| sms.from.clone());
        Verdict::Pass
    }
}
