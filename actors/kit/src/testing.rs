//! For tests of components: a store that answers what the test says, and the moment at which tests happen.

mod fake_store;

pub use fake_store::{FakeStore, store_of};

use crate::clock::Timestamp;

/// The moment at which everything in a test happens.
#[must_use]
pub const fn moment() -> Timestamp {
    // 2010-05-13 11:34:34.
    Timestamp::from_seconds(1_273_750_474)
}
