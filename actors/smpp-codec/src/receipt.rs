//! Receipts: what became of a message, in TLVs and in a text that every SMSC spells in its own way.

mod scan;
mod text;

pub use text::ReceiptText;

use crate::{MessageState, Tlvs, esm_class, tag};

/// A receipt, as far as the SMSC tells it. Texts are as they were spelled; empty ones are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct SmppReceipt {
    /// `id:` of the text.
    pub id: Option<String>,
    /// The TLV receipted_message_id.
    pub tlv_id: Option<String>,
    /// The TLV message_state.
    pub tlv_state: Option<MessageState>,
    /// `stat:` of the text, or a word that stands there without it.
    pub stat: Option<String>,
    /// `err:` of the text: digits or letters.
    pub err: Option<String>,
    /// The TLV network_error_code.
    pub network_error: Option<NetworkError>,
    pub sub: Option<String>,
    pub dlvrd: Option<String>,
    /// For [`crate::time::read_date`].
    pub submit_date: Option<String>,
    /// For [`crate::time::read_date`]; zeros where there is none.
    pub done_date: Option<String>,
    /// Whether esm_class marks it as a notification on the way.
    pub intermediate: bool,
}

/// The TLV network_error_code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetworkError {
    /// 1 ANSI-136, 2 IS-95, 3 GSM.
    pub network: u8,
    /// The network's own code.
    pub code: u16,
}

/// What is a receipt where neither esm_class nor the TLVs say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Detect {
    /// Nothing.
    #[default]
    ByMarks,
    /// A text that has `id:` and a state as a receipt has: some SMSC send them with esm_class 0. A person could write
    /// such a text.
    ByTextToo,
}

impl SmppReceipt {
    /// Reads a deliver_sm or data_sm. `None` where it is no receipt: no bit of esm_class for one, not both TLVs
    /// receipted_message_id and message_state, and no such text where [`Detect`] asks for it. `text` is what
    /// [`crate::Message::octets`] gives, without a UDH: octets of ASCII, or UTF-16BE.
    #[must_use]
    pub fn read(esm: u8, text: &[u8], tlvs: &Tlvs, detect: Detect) -> Option<Self> {
        let has_tlvs = tlvs.get(tag::RECEIPTED_MESSAGE_ID).is_some() && tlvs.get(tag::MESSAGE_STATE).is_some();
        let marked = esm_class::is_receipt(esm) || has_tlvs;
        if !marked && detect == Detect::ByMarks {
            return None;
        }
        let mut receipt = scan::scan(text);
        if !marked && (receipt.id.is_none() || receipt.text_state().is_none()) {
            return None;
        }
        receipt.tlv_id = tlvs.c_string(tag::RECEIPTED_MESSAGE_ID).and_then(scan::value);
        receipt.tlv_state = tlvs.octet(tag::MESSAGE_STATE).map(MessageState::from);
        receipt.network_error = NetworkError::read(tlvs);
        receipt.intermediate = esm & esm_class::INTERMEDIATE != 0;
        Some(receipt)
    }

    /// The ids to look for, the TLV's first, each once.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let text = self.id.as_deref().filter(|id| self.tlv_id.as_deref() != Some(id));
        self.tlv_id.as_deref().into_iter().chain(text)
    }

    /// What became of the message: the TLV, unless it says accepted or unknown and the text says something final.
    /// `None` where neither is there or known.
    #[must_use]
    pub fn state(&self) -> Option<MessageState> {
        let text = self.text_state();
        match self.tlv_state {
            Some(MessageState::Accepted | MessageState::Unknown) => {
                text.filter(|state| state.is_final()).or(self.tlv_state)
            }
            Some(_) => self.tlv_state,
            None => text,
        }
    }

    fn text_state(&self) -> Option<MessageState> {
        self.stat.as_deref().and_then(MessageState::from_word)
    }
}

impl NetworkError {
    fn read(tlvs: &Tlvs) -> Option<Self> {
        match ***tlvs.get(tag::NETWORK_ERROR_CODE).as_ref()? {
            [network, high, low] => Some(Self { network, code: u16::from_be_bytes([high, low]) }),
            _ => None,
        }
    }

    /// The value of the TLV.
    #[must_use]
    pub fn to_octets(self) -> [u8; 3] {
        let [high, low] = self.code.to_be_bytes();
        [self.network, high, low]
    }
}
