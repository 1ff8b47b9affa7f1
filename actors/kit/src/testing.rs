//! For tests of components: a store that answers what the test says.

mod fake_store;
mod memory;

pub use fake_store::{FakeStore, store_of};
pub use memory::{MemoryStore, With, moment, store};
