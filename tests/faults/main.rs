//! Bad days, each against the built binary: killed under load, stopped beyond its lease, with a clock that jumps, a disk that
//! is full, more calls than it can take. Afterwards three books are compared: what clients were answered, the ledger, and what the
//! provider took.
//!
//! Short by default, so that every change runs it. By hand, for hours if need be:
//!
//! ```text
//! VUMI_FAULTS_ROUNDS=200 VUMI_FAULTS_SECONDS=60 cargo test --release --test faults -- --nocapture
//! ```

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the figures of a run, and what is left out")]

#[expect(dead_code, reason = "what the stories of tests/it use beside this")]
#[path = "../black_box/mod.rs"]
mod black_box;

mod broadcast;
mod clock;
mod comparison;
mod disk;
mod fixture;
mod kills;
mod load;
mod overload;
mod stopped;
