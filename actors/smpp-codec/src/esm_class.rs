//! esm_class: the mode and type of a message, and whether a UDH leads it.

/// submit: datagram.
pub const DATAGRAM: u8 = 0x01;
/// submit: forward, which is a transaction.
pub const FORWARD: u8 = 0x02;
/// submit: store and forward.
pub const STORE_AND_FORWARD: u8 = 0x03;
/// deliver: a receipt.
pub const RECEIPT: u8 = 0x04;
/// An acknowledgement of delivery by the recipient's device or application.
pub const DELIVERY_ACK: u8 = 0x08;
/// An acknowledgement by the recipient.
pub const USER_ACK: u8 = 0x10;
/// deliver: a conversation was aborted.
pub const CONVERSATION_ABORT: u8 = 0x18;
/// deliver: a notification on the way to the final receipt.
pub const INTERMEDIATE: u8 = 0x20;
/// A UDH leads the text.
pub const UDH: u8 = 0x40;
/// A reply path is set.
pub const REPLY_PATH: u8 = 0x80;

/// The bits of the type of a message.
const TYPE: u8 = 0x3C;

/// Whether a deliver_sm is a receipt: any bit of the type. SMSC combine them (0x0C).
#[must_use]
pub const fn is_receipt(esm_class: u8) -> bool {
    esm_class & TYPE != 0
}

/// Whether a UDH leads the text.
#[must_use]
pub const fn has_udh(esm_class: u8) -> bool {
    esm_class & UDH != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_have_a_bit_of_the_type() {
        for receipt in [RECEIPT, DELIVERY_ACK, USER_ACK, CONVERSATION_ABORT, INTERMEDIATE, 0x0C, RECEIPT | UDH] {
            assert!(is_receipt(receipt), "{receipt:#x}");
        }
        for message in [0, DATAGRAM, FORWARD, STORE_AND_FORWARD, UDH, REPLY_PATH] {
            assert!(!is_receipt(message), "{message:#x}");
        }
        assert!(has_udh(0x43) && !has_udh(0x83));
    }
}
