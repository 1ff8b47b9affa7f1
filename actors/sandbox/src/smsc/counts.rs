//! What `/seen/smsc` shows besides the counts of submissions.

use serde::Serialize;

/// The counts since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SmscCounts {
    /// Binds accepted.
    pub(crate) binds: u64,
    /// Binds refused.
    pub(crate) binds_refused: u64,
    /// enquire_link received.
    pub(crate) enquiries: u64,
    /// unbind received.
    pub(crate) unbinds: u64,
    /// Submissions that were parts of a long SMS.
    pub(crate) parts: u64,
    /// Submissions taken and not answered, as asked.
    pub(crate) silent: u64,
    /// query_sm received.
    pub(crate) queries: u64,
    /// Submissions cancelled.
    pub(crate) cancelled: u64,
    /// Inbound PDUs, receipts left out, that the router acknowledged with status 0.
    pub(crate) inbound_taken: u64,
    /// Inbound PDUs that it answered with another status.
    pub(crate) inbound_refused: u64,
    /// Connections closed because the router acknowledged nothing.
    pub(crate) unacknowledged: u64,
    /// PDUs that could not be read, or that this centre does nothing with.
    pub(crate) ignored: u64,
}
