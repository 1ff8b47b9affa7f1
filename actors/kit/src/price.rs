//! What a segment costs, by the recipient's number: the price table of the settings, for budgets in money.

use std::{collections::HashMap, sync::Arc};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    account::{BudgetUnit, Micros},
    address::Msisdn,
    sms::NewSms,
};

/// The longest number, in digits.
const LONGEST: usize = 15;

/// A line of the price table, for accounts with a budget in money (`vumi account budget`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceSettings {
    /// The first digits of the recipients' numbers, without `+`; the longest that fits counts, an empty one fits all.
    #[schemars(example = &"27")]
    pub prefix: String,
    /// What a segment costs, as a text, with six decimal places at the most.
    #[schemars(example = &"0.012")]
    pub per_segment: String,
}

/// Prices by prefix. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceTable(Arc<HashMap<String, Micros>>);

/// What is wrong with a line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongPrice {
    /// Which line, counted from 0.
    pub line: usize,
    /// The key of the line that is wrong, as the settings spell it.
    pub key: &'static str,
    /// What is wrong, and what was expected.
    pub what: String,
}

impl PriceTable {
    /// The table of these lines; or everything that is wrong with them.
    pub fn new(lines: &[PriceSettings]) -> Result<Self, Vec<WrongPrice>> {
        let (mut prices, mut wrong) = (HashMap::new(), Vec::new());
        for (line, PriceSettings { prefix, per_segment }) in lines.iter().enumerate() {
            let mut refuse = |key, what: String| wrong.push(WrongPrice { line, key, what });
            if prefix.len() > LONGEST || !prefix.bytes().all(|b| b.is_ascii_digit()) {
                refuse("prefix", format!("`{prefix}` is no prefix: expected 0 to 15 digits, without `+`, such as 27"));
            }
            match per_segment.parse::<Micros>() {
                Ok(price) if price < Micros::default() => {
                    refuse("per_segment", format!("`{per_segment}` is below 0: expected what a segment costs"));
                }
                Ok(price) => {
                    if prices.insert(prefix.clone(), price).is_some() {
                        refuse("prefix", format!("`{prefix}` has a price already: expected one line for each prefix"));
                    }
                }
                Err(what) => refuse("per_segment", what),
            }
        }
        if wrong.is_empty() { Ok(Self(Arc::new(prices))) } else { Err(wrong) }
    }

    /// What a segment to a number costs; none: the table does not say.
    #[must_use]
    pub fn per_segment(&self, to: &Msisdn) -> Option<Micros> {
        let number = to.as_str();
        (0..=number.len()).rev().find_map(|length| self.0.get(number.get(..length)?).copied())
    }

    /// What an SMS takes from a budget of this unit; none: the table has no price for its recipient.
    #[must_use]
    pub fn charge(&self, unit: BudgetUnit, sms: &NewSms) -> Option<Micros> {
        let segments = sms.segments();
        match unit {
            BudgetUnit::Segments => Some(Micros::whole(segments)),
            BudgetUnit::Money => self.per_segment(&sms.to).map(|price| price.times(segments)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Msisdn, PriceSettings, PriceTable};

    fn table(lines: &[(&str, &str)]) -> Result<PriceTable, Vec<(usize, &'static str)>> {
        let line = |(prefix, price): &(&str, &str)| PriceSettings {
            prefix: (*prefix).to_owned(),
            per_segment: (*price).to_owned(),
        };
        let lines: Vec<PriceSettings> = lines.iter().map(line).collect();
        PriceTable::new(&lines).map_err(|wrong| wrong.into_iter().map(|wrong| (wrong.line, wrong.key)).collect())
    }

    #[test]
    fn the_longest_prefix_that_fits_says_the_price() {
        let prices = table(&[("27", "0.012"), ("2783", "0.01"), ("", "0.5")]).unwrap();
        let price = |to: &str| prices.per_segment(&Msisdn::parse(to).unwrap()).map(|price| price.to_string());
        assert_eq!(price("27831234567").as_deref(), Some("0.01"));
        assert_eq!(price("27821234567").as_deref(), Some("0.012"));
        assert_eq!(price("447700900123").as_deref(), Some("0.5"));
        assert_eq!(table(&[("27", "1")]).unwrap().per_segment(&Msisdn::parse("44770").unwrap()), None);
    }

    #[test]
    fn every_wrong_line_is_named() {
        let wrong = table(&[("27", "0.012"), ("+27", "x"), ("27", "1"), ("1", "-1"), ("1234567890123456", "1")]);
        let named = [(1, "prefix"), (1, "per_segment"), (2, "prefix"), (3, "per_segment"), (4, "prefix")];
        assert_eq!(wrong.unwrap_err(), named);
    }
}
