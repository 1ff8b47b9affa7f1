//! `[transports.<name>.receipts]`: how receipts are read.

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_smpp_codec::{
    message_id::{Base, Matching},
    receipt::Detect,
};

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
    /// In the case of letters, in leading zeros, or one is decimal and the other hexadecimal.
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
    /// As the codec takes it, for the id of a receipt.
    pub(crate) const fn of_receipt(self) -> Matching {
        match self {
            Self::Auto => Matching::Auto,
            Self::Exact => Matching::Exact,
            Self::Decimal => Matching::Bases { response: Base::Decimal, receipt: Base::Decimal },
            Self::Hex => Matching::Bases { response: Base::Hex, receipt: Base::Hex },
            Self::HexThenDecimal => Matching::Bases { response: Base::Hex, receipt: Base::Decimal },
            Self::DecimalThenHex => Matching::Bases { response: Base::Decimal, receipt: Base::Hex },
        }
    }

    /// The same the other way round: which ids of receipts the id of an answer may have.
    pub(crate) const fn of_answer(self) -> Matching {
        match self {
            Self::HexThenDecimal => Self::DecimalThenHex.of_receipt(),
            Self::DecimalThenHex => Self::HexThenDecimal.of_receipt(),
            same => same.of_receipt(),
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
