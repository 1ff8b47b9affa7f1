//! `[transports.<name>.receipts]`: how receipts are read.

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::sent_parts::IdSpellings;
use vumi_smpp_codec::{
    message_id::{Base, Matching, lookup_key, lookup_keys},
    receipt::Detect,
};

/// The fewest digits of an id that is compared in another base unless the settings name the bases.
const SHORTEST_CONVERTED: usize = 5;

/// How receipts are read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SmppReceiptSettings {
    /// How the id in a receipt may differ from that in the answer to the submission. Default auto
    pub(crate) message_ids: MessageIds,
    /// When a long SMS is delivered: when `all` of its parts are, when `any` is, or when the `last` is, for SMSC that report
    /// only that. A part that failed fails the SMS in any case. Default all
    pub(crate) parts: PartReceipts,
    /// Whether a text in the form of a receipt is one although nothing else marks it as such. A person could write such a text.
    /// Default false
    pub(crate) unmarked: bool,
}

impl SmppReceiptSettings {
    /// As the codec takes it.
    pub(crate) const fn detect(&self) -> Detect {
        if self.unmarked { Detect::ByTextToo } else { Detect::ByMarks }
    }
}

/// How the id in a receipt may differ from that in the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MessageIds {
    /// In the case of letters, in leading zeros, or one is decimal and the other hexadecimal, of five digits or more.
    #[default]
    Auto,
    /// In nothing.
    Exact,
    /// Both are decimal: leading zeros may differ.
    Decimal,
    /// Both are hexadecimal: case and leading zeros may differ.
    Hex,
    /// The answer's is hexadecimal, the receipt's decimal.
    HexThenDecimal,
    /// The answer's is decimal, the receipt's hexadecimal.
    DecimalThenHex,
}

impl MessageIds {
    /// How the answer may have spelled the id of a receipt.
    pub(crate) fn spellings_of_receipt(self, id: &str) -> IdSpellings {
        self.spellings(self.matching(), id)
    }

    /// How receipts may spell the id of an answer.
    pub(crate) fn spellings_of_answer(self, id: &str) -> IdSpellings {
        let other_way = match self {
            Self::HexThenDecimal => Self::DecimalThenHex,
            Self::DecimalThenHex => Self::HexThenDecimal,
            same => same,
        };
        self.spellings(other_way.matching(), id)
    }

    fn spellings(self, matching: Matching, id: &str) -> IdSpellings {
        if self == Self::Exact {
            return IdSpellings { folded: id.to_owned(), others: Vec::new() };
        }
        let folded = lookup_key(id);
        // A counter's small numbers are somebody's in every base: nobody writes those in two.
        let doubtful = |key: &String| self == Self::Auto && folded.len().min(key.len()) < SHORTEST_CONVERTED;
        let mut others = lookup_keys(matching, id);
        others.retain(|key| *key != folded && !doubtful(key));
        IdSpellings { folded, others }
    }

    /// As the codec takes it, for the id of a receipt.
    const fn matching(self) -> Matching {
        match self {
            Self::Auto => Matching::Auto,
            Self::Exact => Matching::Exact,
            Self::Decimal => Matching::Bases { response: Base::Decimal, receipt: Base::Decimal },
            Self::Hex => Matching::Bases { response: Base::Hex, receipt: Base::Hex },
            Self::HexThenDecimal => Matching::Bases { response: Base::Hex, receipt: Base::Decimal },
            Self::DecimalThenHex => Matching::Bases { response: Base::Decimal, receipt: Base::Hex },
        }
    }
}

/// Which parts of a long SMS have to be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PartReceipts {
    #[default]
    All,
    Any,
    Last,
}

impl PartReceipts {
    /// Whether the SMS is delivered only when this part is. An SMS of one part has nothing to wait for.
    pub(crate) const fn must_report(self, number: u8, total: u8) -> bool {
        total > 1
            && match self {
                Self::All => true,
                Self::Any => false,
                Self::Last => number == total,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::MessageIds as Ids;

    #[test]
    fn ids_are_converted_as_the_settings_say_and_a_counters_small_numbers_by_themselves_never() {
        let (none, hex): (&[&str], &[&str]) = (&[], &["10c8f40d"]);
        for (ids, id, folded, of_receipt, of_answer) in [
            (Ids::Auto, "281605133", "281605133", &["10c8f40d", "10760507699"][..], &["10c8f40d", "10760507699"][..]),
            (Ids::Auto, "10C8F40D", "10c8f40d", &["281605133"], &["281605133"]),
            (Ids::Auto, "0018", "18", none, none),
            (Ids::Auto, "Ab-7", "ab-7", none, none),
            (Ids::Exact, "0010C8F40D", "0010C8F40D", none, none),
            (Ids::Hex, "0010C8F40D", "10c8f40d", none, none),
            (Ids::HexThenDecimal, "281605133", "281605133", hex, &["10760507699"]),
            (Ids::HexThenDecimal, "18", "18", &["12"], &["24"]),
            (Ids::DecimalThenHex, "10C8F40D", "10c8f40d", &["281605133"], none),
        ] {
            let (receipt, answer) = (ids.spellings_of_receipt(id), ids.spellings_of_answer(id));
            assert_eq!((receipt.folded.as_str(), answer.folded.as_str()), (folded, folded), "{ids:?} {id}");
            assert_eq!(receipt.others, of_receipt, "{ids:?} {id}");
            assert_eq!(answer.others, of_answer, "{ids:?} {id}");
        }
    }
}
