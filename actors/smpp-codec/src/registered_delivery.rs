//! registered_delivery: which reports a sender asks for.

/// No receipt.
pub const NONE: u8 = 0;
/// A receipt of success and of failure.
pub const ALWAYS: u8 = 1;
/// A receipt of failure.
pub const ON_FAILURE: u8 = 2;
/// A receipt of success (5.0).
pub const ON_SUCCESS: u8 = 3;
/// An acknowledgement by the recipient's device.
pub const DELIVERY_ACK: u8 = 0x04;
/// An acknowledgement by the recipient.
pub const USER_ACK: u8 = 0x08;
/// Notifications on the way.
pub const INTERMEDIATE: u8 = 0x10;

/// Whether a receipt is asked for that says how a message ended.
#[must_use]
pub const fn wants_receipt(registered_delivery: u8, delivered: bool) -> bool {
    match registered_delivery & 3 {
        ALWAYS => true,
        ON_FAILURE => !delivered,
        ON_SUCCESS => delivered,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::wants_receipt;

    #[test]
    fn receipts_come_as_they_are_asked_for() {
        let table = [(0, false, false), (1, true, true), (2, false, true), (3, true, false), (0x1C, false, false)];
        for (asked, success, failure) in table {
            assert_eq!((wants_receipt(asked, true), wants_receipt(asked, false)), (success, failure), "{asked}");
        }
    }
}
