//! Clickatell's error and status codes, and what each means.

use crate::outbox::LookUp;
use vumi_kit::sms::{Decision, TransportStatus};

/// Answers to a query for an SMS that Clickatell does not have.
pub(super) const UNKNOWN_MESSAGE: [u16; 3] = [103, 104, 109];

/// What an error means for the SMS.
enum ErrorMeaning {
    /// Clickatell takes nothing until an operator corrects settings or account.
    Misconfigured,
    /// The transport pauses.
    Pause,
    /// Another attempt may succeed; whether the SMS arrived is not known.
    Retry,
    /// This SMS fails.
    Fail(TransportStatus),
}

/// The code of `ERR: <code>, <description>`.
pub(super) fn error_code(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("ERR:")?.trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| rest.split_at(end).0);
    digits.parse().ok()
}

fn meaning(code: u16) -> ErrorMeaning {
    match code {
        // Authentication, account frozen, session, IP lockdown, api_id, credit.
        1..=5 | 7 | 108 | 301 | 302 => ErrorMeaning::Misconfigured,
        130 => ErrorMeaning::Pause,
        105 | 114 => ErrorMeaning::Fail(TransportStatus::RoutingError),
        115 => ErrorMeaning::Fail(TransportStatus::Expired),
        // Blocked, opted out, delisted.
        121 | 122 | 128 => ErrorMeaning::Fail(TransportStatus::DeliveryError),
        101..=202 => ErrorMeaning::Fail(TransportStatus::MessageError),
        // 901 is an internal error; a code that is not documented is treated like one, until the SMS's time is up.
        _ => ErrorMeaning::Retry,
    }
}

/// What to do after an error.
pub(super) fn decision(code: u16, provider_response: &str) -> Decision {
    let provider_response = provider_response.to_owned();
    match meaning(code) {
        ErrorMeaning::Misconfigured => Decision::Misconfigured { provider_response },
        ErrorMeaning::Pause => Decision::Throttled { retry_after_s: None, provider_response },
        ErrorMeaning::Retry => Decision::Retry { provider_response, unknown_outcome: true },
        ErrorMeaning::Fail(status) => Decision::Rejected { status, provider_response },
    }
}

/// A status code, with or without leading zeros: our scale is Clickatell's.
pub(crate) fn status(code: &str) -> Option<TransportStatus> {
    let code = code.trim();
    let plain = !code.is_empty() && code.len() <= 4 && code.bytes().all(|byte| byte.is_ascii_digit());
    let number: i16 = plain.then(|| code.parse().ok())??;
    (1..=14).contains(&number).then_some(number.into())
}

/// What the status of an SMS at Clickatell means for its submission.
pub(super) fn known(id: &str, status: TransportStatus, provider_response: &str) -> LookUp {
    let provider_response = provider_response.to_owned();
    let accepted = |status| Decision::Accepted {
        provider_id: Some(id.to_owned()),
        status,
        provider_response: provider_response.clone(),
    };
    match status {
        TransportStatus::UnknownMessage => LookUp::NotFound,
        TransportStatus::Queued | TransportStatus::QueuedForLater => LookUp::Decided(accepted(TransportStatus::Queued)),
        // A receipt reports when it reaches the phone.
        TransportStatus::AtGateway | TransportStatus::Delivered | TransportStatus::Accepted => {
            LookUp::Decided(accepted(TransportStatus::AtGateway))
        }
        _ if status.is_final() => LookUp::Decided(Decision::Rejected { status, provider_response }),
        _ => LookUp::Decided(accepted(TransportStatus::Queued)),
    }
}
