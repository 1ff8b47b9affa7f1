//! The handlers of the API, a file for each group of calls.

pub(crate) mod account;
pub(crate) mod broadcasts;
pub(crate) mod callbacks;
pub(crate) mod consent;
pub(crate) mod conversations;
pub(crate) mod preview;
pub(crate) mod received;
pub(crate) mod routed;
pub(crate) mod send;
pub(crate) mod status;
pub(crate) mod ussd_push;
