//! For the fuzzer only (feature `fuzzing`, `fuzz/README.md`): the readers that no webhook leads to.

use vumi_kit::sms::Decision;

pub use crate::http_provider::fuzzing::{fill_in, read_answer};

/// Reads the page that E-Scape answers a submission with.
#[must_use]
pub fn read_e_scape_answer(page: &str) -> Decision {
    crate::providers::e_scape::read_sent(page)
}
