//! For the fuzzer only (feature `fuzzing`, `fuzz/README.md`): the readers that no webhook leads to.

use vumi_kit::sms::Decision;

pub use crate::http::fuzzing::{fill_in, read_answer};

/// Reads the page that E-Scape answers a submission with.
#[must_use]
pub fn read_escape_answer(page: &str) -> Decision {
    crate::escape::read_sent(page)
}
