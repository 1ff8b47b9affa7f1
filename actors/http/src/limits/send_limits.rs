//! How much one call may send.

/// The bounds of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendLimits {
    /// Parts of one SMS.
    pub(crate) max_segments: u32,
    /// Recipients of one call.
    pub(crate) max_batch: usize,
}
