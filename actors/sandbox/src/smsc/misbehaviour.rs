//! How the SMPP centre misbehaves, beside what every provider of the sandbox can do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vumi_smpp_codec::status;

use crate::behaviour::Misbehaviour;

/// The table `smpp` in a provider's `misbehave`: of the SMPP centre only. A submission is one PDU: an SMS of three
/// parts is three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SmscMisbehaviour {
    /// Nothing is answered any more, and no connection is closed; what comes is read and thrown away.
    pub half_open: bool,
    /// Every n-th submission is recorded and never answered; 0, the default, leaves out none.
    pub silent_every: u64,
    /// The part of this number of each long SMS is recorded and never answered; 0, the default, leaves out none.
    pub silent_part: u8,
    /// The next n submissions are refused, with `refuse_with`, else with `RTHROTTLED`; `RMSGQFUL` is a full queue,
    /// `RSYSERR` a system error.
    pub refuse_next: u64,
    /// The part of this number of each long SMS is refused, with `refuse_with`; 0, the default, refuses none.
    pub refuse_part: u8,
    /// Answers come in groups of n, the last first, 100 at the most; a group waits 500 ms to be complete. The parts of
    /// inbound SMS, too, come the last first. 0, the default, keeps the order.
    pub out_of_order: u64,
    /// Receipts come before the answer to their submission, without waiting for `receipt_delay`.
    pub receipt_first: bool,
    /// The status of the answer to every bind, by its name (`RINVPASWD`) or number; empty, the default, lets in whoever
    /// has the right credentials.
    pub refuse_bind: String,
    /// The centre unbinds after n submissions on a connection; 0, the default, never does.
    pub unbind_after: u64,
    /// Each receipt and inbound SMS comes after a PDU of an unknown command, a response that nobody asked for and an
    /// alert_notification.
    pub odd_pdus: bool,
    /// Receipts and inbound SMS have TLVs of a vendor, a receipted_message_id without its NUL and a message_state of two
    /// octets.
    pub odd_tlvs: bool,
    /// How answers spell the message id.
    pub answer_ids: IdForm,
    /// How receipts spell it.
    pub receipt_ids: IdForm,
    /// Where a receipt says what it says.
    pub receipt_form: ReceiptForm,
    /// Receipts come as data_sm, in its message_payload.
    pub receipts_as_data_sm: bool,
    /// The part of this number of each inbound SMS is never sent; 0, the default, leaves out none.
    pub lose_part: u8,
}

/// What is wrong with the statuses that rules name, for the centre; `None` if it can act by them.
pub(crate) fn wrong_status(rules: &Misbehaviour) -> Option<String> {
    let given = [("refuse_with", &rules.refuse_with), ("smpp.refuse_bind", &rules.smpp.refuse_bind)];
    let wrong = given.into_iter().find(|(_, text)| !text.is_empty() && status::parse(text).is_none())?;
    let (key, text) = wrong;
    Some(format!("{key}: `{text}` is no command_status: give a name such as RTHROTTLED, or a number such as 0x58"))
}

/// The spelling of a message id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdForm {
    /// `281605133`.
    #[default]
    Decimal,
    /// `10c8f40d`.
    Hex,
    /// `10C8F40D`.
    UpperHex,
    /// Twenty digits, zeros in front.
    Padded,
    /// None at all.
    Empty,
}

impl IdForm {
    /// The id of the number `n`.
    pub(crate) fn id_of(self, n: u64) -> String {
        match self {
            Self::Decimal => n.to_string(),
            Self::Hex => format!("{n:x}"),
            Self::UpperHex => format!("{n:X}"),
            Self::Padded => format!("{n:020}"),
            Self::Empty => String::new(),
        }
    }

    /// The number of an id in this spelling.
    pub(crate) fn number_of(self, id: &str) -> Option<u64> {
        match self {
            Self::Decimal | Self::Padded => id.parse().ok(),
            Self::Hex | Self::UpperHex => u64::from_str_radix(id, 16).ok(),
            Self::Empty => None,
        }
    }
}

/// Where a receipt names the SMS and its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptForm {
    /// In the text and in TLVs.
    #[default]
    Both,
    /// In the text only.
    Text,
    /// In TLVs only; there is no text.
    Tlvs,
}
