//! ussd_service_op: what a PDU does to a USSD dialogue.

/// A person opens a dialogue; an indication.
pub const PSSD_INDICATION: u8 = 0;
/// A person opens a dialogue; a request, which has an answer.
pub const PSSR_INDICATION: u8 = 1;
/// The service asks.
pub const USSR_REQUEST: u8 = 2;
/// The service notifies.
pub const USSN_REQUEST: u8 = 3;
/// The answer to an indication.
pub const PSSD_RESPONSE: u8 = 16;
/// The last text of a dialogue that a person opened.
pub const PSSR_RESPONSE: u8 = 17;
/// A person answers.
pub const USSR_CONFIRM: u8 = 18;
/// A person has seen a notification.
pub const USSN_CONFIRM: u8 = 19;
/// A vendor's: the dialogue was aborted.
pub const USSREL: u8 = 129;
