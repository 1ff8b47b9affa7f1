//! `[[outbound]]` in the settings: what a line says, and what is wrong with it.

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{address::Address, name::Name};

/// One of `[[outbound]]` in the settings: which SMS it takes, and the transports that send them. An SMS whose client names no
/// transport goes by the first line that takes it, in the order written; a line takes what meets all of its conditions.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutboundRoute {
    /// Its name: shown with each of its SMS.
    #[schemars(example = &"south-africa")]
    pub name: Name,
    /// It takes SMS to numbers that begin with one of these; none: to any number.
    #[serde(default)]
    #[schemars(example = ["27", "264"])]
    pub prefixes: Vec<String>,
    /// It takes SMS of these accounts; none: of any.
    #[serde(default)]
    #[schemars(example = ["clinic"])]
    pub accounts: Vec<String>,
    /// It takes SMS that show one of these as their sender; none: any.
    #[serde(default)]
    #[schemars(example = ["38080"])]
    pub senders: Vec<Address>,
    /// It takes SMS whose text this regular expression finds something in.
    #[schemars(example = "(?i)one-time")]
    pub pattern: Option<String>,
    /// It takes SMS with one of these as their `tag`; none: with any, or without one.
    #[serde(default)]
    #[schemars(example = ["otp"])]
    pub tags: Vec<String>,
    /// The transports. The cheapest one that works sends; of those with the same cost each gets its share by weight, and those
    /// without a weight follow one after the other, in the order written, each where those before it fail.
    pub transports: Vec<RouteTransport>,
    /// The route whose transports are tried where all of its own fail.
    #[schemars(example = &"everywhere")]
    pub otherwise: Option<Name>,
    /// Whether an SMS whose outcome is unknown at a transport that fails may be sent by another: it may reach the person
    /// twice then. Default false: it waits for its transport.
    #[serde(default)]
    pub resend_unknown: bool,
}

/// A transport of a route.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteTransport {
    /// A transport of the settings: `[transports.NAME]`.
    #[schemars(example = &"clickatell")]
    pub name: Name,
    /// Its share beside the others of the same cost.
    #[schemars(example = 3.0)]
    pub weight: Option<f64>,
    /// What a part of an SMS costs over it, in any unit; the least is tried first. Default 0.
    #[serde(default)]
    #[schemars(example = 0.25)]
    pub cost: f64,
}

/// Something wrong with the routes outwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundProblem {
    /// The line's position in the list, counted from 0.
    pub route: usize,
    /// The key within the line; empty for the line itself.
    pub key: String,
    /// What is wrong and what was expected.
    pub what: String,
}

impl OutboundRoute {
    /// What is wrong with the line by itself. `known`: the transports of the settings.
    pub(super) fn check(&self, known: &[&Name]) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for prefix in self.prefixes.iter().filter(|prefix| digits(prefix).is_none()) {
            let what = format!("`{prefix}` is not the beginning of a number in international form, such as 2783");
            problems.push(("prefixes".to_owned(), what));
        }
        if let Some(Err(wrong)) = self.pattern.as_deref().map(regex::Regex::new) {
            problems.push(("pattern".to_owned(), format!("is not a regular expression: {wrong}")));
        }
        if self.transports.is_empty() {
            problems.push(("transports".to_owned(), "leads nowhere: name one transport or more".to_owned()));
        }
        for (index, transport) in self.transports.iter().enumerate() {
            let mut expect = |good: bool, key: &str, what: String| {
                if !good {
                    problems.push((format!("transports[{index}].{key}"), what));
                }
            };
            let names = || known.iter().map(|known| known.as_str()).collect::<Vec<_>>().join(", ");
            let is_known = known.contains(&&transport.name);
            let nowhere = || {
                format!(
                    "leads nowhere: there is no transport `{}` under [transports]: one of {}",
                    transport.name,
                    names()
                )
            };
            expect(is_known, "name", if is_known { String::new() } else { nowhere() });
            let before = self.transports.iter().take(index).any(|other| other.name == transport.name);
            expect(!before, "name", format!("`{}` stands in this line already", transport.name));
            let weight = transport.weight.is_none_or(|weight| (0.001..=1_000_000.0).contains(&weight));
            expect(weight, "weight", "expected 0.001 to 1000000".to_owned());
            let cost = (0.0..=1_000_000_000.0).contains(&transport.cost);
            expect(cost, "cost", "expected 0 to 1000000000".to_owned());
        }
        problems
    }

    /// Whether it takes every SMS that `other` takes.
    pub(super) fn takes_all_of(&self, other: &Self) -> bool {
        fn wider<T: PartialEq>(mine: &[T], others: &[T]) -> bool {
            mine.is_empty() || !others.is_empty() && others.iter().all(|one| mine.contains(one))
        }
        let begins = |prefix: &String| {
            self.prefixes.iter().any(|mine| digits(prefix).unwrap_or(prefix).starts_with(digits(mine).unwrap_or(mine)))
        };
        let prefixes = self.prefixes.is_empty() || !other.prefixes.is_empty() && other.prefixes.iter().all(begins);
        let pattern = self.pattern.is_none() || self.pattern == other.pattern;
        prefixes
            && pattern
            && wider(&self.accounts, &other.accounts)
            && wider(&self.senders, &other.senders)
            && wider(&self.tags, &other.tags)
    }
}

/// The digits of a prefix that is one.
pub(super) fn digits(prefix: &str) -> Option<&str> {
    let digits = prefix.strip_prefix('+').unwrap_or(prefix);
    let good = (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    (good && !digits.starts_with('0')).then_some(digits)
}
