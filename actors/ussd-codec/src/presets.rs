//! The aggregators that are known by name.
//!
//! `presets.json` beside this file is the table: for each the shape of its calls, how long it waits for an answer, and how
//! many characters its screens hold. `docs/providers/http-ussd.md` says where each is from.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use crate::shape::UssdShape;

const TABLE: &str = include_str!("presets.json");

/// An aggregator that is known by name: how its calls look, and how long it waits.
#[derive(Clone, Debug)]
pub struct UssdPreset {
    /// How its calls look.
    pub shape: UssdShape,
    /// How long it waits for an answer; where its documents do not say, the shortest of those that do.
    pub answers_within: Duration,
    /// How many characters of the GSM alphabet its screens hold.
    pub screen: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PresetRow {
    shape: UssdShape,
    answers_within_s: u64,
    screen: usize,
}

/// The aggregator of a name.
#[must_use]
pub fn preset(name: &str) -> Option<UssdPreset> {
    let row = table().remove(name)?;
    let PresetRow { shape, answers_within_s, screen } = serde_json::from_value(row).ok()?;
    Some(UssdPreset { shape, answers_within: Duration::from_secs(answers_within_s), screen })
}

/// The names of all, in their order.
#[must_use]
pub fn names() -> Vec<String> {
    table().into_keys().collect()
}

fn table() -> BTreeMap<String, Value> {
    // A test reads every row.
    serde_json::from_str(TABLE).unwrap_or_default()
}
