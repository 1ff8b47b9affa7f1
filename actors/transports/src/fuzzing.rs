//! For the fuzzer only (feature `fuzzing`, `fuzz/README.md`): the readers that no webhook leads to.

use vumi_kit::{
    clock::Timestamp,
    sms::{Decision, InboundPart},
    webhook::WebhookRequest,
};

use crate::{concatenation, time};

pub use crate::http_provider::fuzzing::{fill_in, read_answer};

/// Reads the page that E-Scape answers a submission with.
#[must_use]
pub fn read_e_scape_answer(page: &str) -> Decision {
    crate::providers::e_scape::read_sent(page)
}

/// Reads a user data header.
#[must_use]
pub fn part_of_header(hex: &str) -> Option<InboundPart> {
    concatenation::part_of_header(hex)
}

/// Reads fields that say which part an SMS is.
#[must_use]
pub fn part_of_fields(reference: &str, total: &str, number: &str) -> Option<InboundPart> {
    concatenation::part_of_fields(reference, total, number)
}

/// Reads the time that a provider wrote; `format` as settings name it.
#[must_use]
pub fn read_time(text: &str, format: Option<&str>, now: Timestamp) -> Option<Timestamp> {
    let format = match format {
        Some(format) => Some(time::TimeFormat::try_from(format.to_owned()).ok()?),
        None => None,
    };
    let request = WebhookRequest { received_at: now, ..WebhookRequest::default() };
    time::read_time(text, format.as_ref(), &request)
}
