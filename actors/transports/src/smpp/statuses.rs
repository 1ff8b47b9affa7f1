//! What the command_status of an answer to a submission means.

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::sms::{Decision, TransportStatus};
use vumi_smpp_codec::status;

use super::Settings;

/// What an answer means for its SMS; also what the settings may say of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SubmitStatus {
    /// The SMSC has it.
    Accepted,
    /// A temporary error: again, a few times.
    Retry,
    /// Too fast.
    Throttled,
    /// The queue of the recipient or of the SMSC is full: again; several in a row are as `throttled`.
    QueueFull,
    /// The recipient can't be reached.
    RoutingError,
    /// Something is wrong with the SMS or with how it is written.
    MessageError,
    /// The SMSC failed to deliver it.
    DeliveryError,
    /// The account or a setting is wrong.
    Misconfigured,
    /// The session is not bound as it should be: again over a fresh one.
    BindAgain,
}

/// Answers in a row that a queue is full, after which the whole transport slows down.
pub(super) const QUEUE_FULL_IN_A_ROW: u32 = 5;

/// A status as the settings write it.
pub(super) fn status_of_key(key: &str) -> Option<u32> {
    match key.strip_prefix("0x").or_else(|| key.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => key.parse().ok(),
    }
}

/// What a status means: as the settings say, else as usual.
pub(super) fn meaning(settings: &Settings, status: u32) -> SubmitStatus {
    let named = settings.statuses.iter().find(|(key, _)| status_of_key(key) == Some(status));
    named.map_or_else(|| usual(status), |(_, meaning)| *meaning)
}

const fn usual(code: u32) -> SubmitStatus {
    match code {
        status::ESME_ROK => SubmitStatus::Accepted,
        status::ESME_RTHROTTLED => SubmitStatus::Throttled,
        status::ESME_RMSGQFUL => SubmitStatus::QueueFull,
        status::ESME_RINVBNDSTS => SubmitStatus::BindAgain,
        status::ESME_RINVDSTADR | status::ESME_RINVDSTTON | status::ESME_RINVDSTNPI => SubmitStatus::RoutingError,
        status::ESME_RINVSYSTYP
        | status::ESME_RSERTYPUNAUTH
        | status::ESME_RPROHIBITED
        | status::ESME_RSERTYPDENIED => SubmitStatus::Misconfigured,
        status::ESME_RDELIVERYFAILURE => SubmitStatus::DeliveryError,
        status::ESME_RINVSRCADR
        | status::ESME_RINVSRCTON
        | status::ESME_RINVSRCNPI
        | status::ESME_RINVSERTYP
        | status::ESME_RINVMSGLEN
        | status::ESME_RINVPRTFLG
        | status::ESME_RINVREGDLVFLG
        | status::ESME_RINVESMCLASS
        | status::ESME_RINVREPFLAG
        | status::ESME_RINVSCHED
        | status::ESME_RINVEXPIRY
        | status::ESME_RINVDFTMSGID
        | status::ESME_RINVDCS
        | status::ESME_RINVTLVSTREAM
        | status::ESME_RTLVNOTALLWD
        | status::ESME_RINVTLVLEN
        | status::ESME_RMISSINGTLV
        | status::ESME_RINVTLVVAL
        | status::ESME_RX_P_APPN
        | status::ESME_RX_R_APPN => SubmitStatus::MessageError,
        // RSYSERR, RX_T_APPN, RSUBMITFAIL, vendors', what nobody knows: not the SMS's fault as far as it says.
        _ => SubmitStatus::Retry,
    }
}

/// A status in words: its number, its name, what it means.
pub(super) fn in_words(code: u32) -> String {
    match (status::name(code), status::meaning(code)) {
        (_, "") => format!("command_status 0x{code:02X}"),
        (name, meaning) => format!("command_status 0x{code:02X} {name}: {meaning}"),
    }
}

/// What follows for an SMS that a part of was answered so; `attempt` counts from 1. Accepted ones have no decision here.
pub(super) fn decision(settings: &Settings, code: u32, attempt: u32, full_in_a_row: u32) -> Option<Decision> {
    let provider_response = in_words(code);
    let rejected = |status, provider_response| Some(Decision::Rejected { status, provider_response });
    let meaning = match meaning(settings, code) {
        SubmitStatus::QueueFull if full_in_a_row >= QUEUE_FULL_IN_A_ROW => SubmitStatus::Throttled,
        meaning => meaning,
    };
    match meaning {
        SubmitStatus::Accepted => None,
        SubmitStatus::Throttled => Some(Decision::Throttled { retry_after_s: None, provider_response }),
        SubmitStatus::RoutingError => rejected(TransportStatus::RoutingError, provider_response),
        SubmitStatus::MessageError => rejected(TransportStatus::MessageError, provider_response),
        SubmitStatus::DeliveryError => rejected(TransportStatus::DeliveryError, provider_response),
        SubmitStatus::Misconfigured => Some(Decision::Misconfigured { provider_response }),
        SubmitStatus::Retry | SubmitStatus::QueueFull | SubmitStatus::BindAgain => {
            if attempt >= settings.max_temporary {
                let given_up = format!("{provider_response}; given up after {attempt} attempts");
                return rejected(TransportStatus::DeliveryError, given_up);
            }
            Some(Decision::Retry { provider_response, unknown_outcome: false })
        }
    }
}

/// What follows where the SMSC can't read a PDU of ours (generic_nack): once more, then the fault is taken to be in the SMS.
pub(super) fn nacked(code: u32, attempt: u32) -> Decision {
    let provider_response = format!("generic_nack, {}", in_words(code));
    if attempt > 1 {
        return Decision::Rejected { status: TransportStatus::MessageError, provider_response };
    }
    Decision::Retry { provider_response, unknown_outcome: false }
}

#[cfg(test)]
mod tests {
    use vumi_kit::sms::{Decision, TransportStatus as S};

    use super::{super::tests::settings, QUEUE_FULL_IN_A_ROW, decision, meaning, nacked, status_of_key};

    fn kind(decision: Option<Decision>) -> String {
        match decision {
            None => "accepted".to_owned(),
            Some(Decision::Retry { unknown_outcome: false, .. }) => "retry".to_owned(),
            Some(Decision::Throttled { .. }) => "throttled".to_owned(),
            Some(Decision::Misconfigured { .. }) => "misconfigured".to_owned(),
            Some(Decision::Rejected { status, .. }) => format!("{}", i16::from(status)),
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_status_of_the_sheet_leads_to_its_decision() {
        let settings = settings("");
        let rows: [(&[u32], &str, &str); 8] = [
            (&[0], "accepted", "accepted"),
            (&[0x58], "throttled", "throttled"),
            (&[0x14, 0x08, 0x64, 0x45, 0xFF, 0x102, 0x400, 0x4FF, 0x55F, 0x22, 0x94, 0x04, u32::MAX], "retry", "7"),
            (&[0x0B, 0x50, 0x51], "9", "9"),
            (&[0x0A, 0x48, 0x49, 0x15], "5", "5"),
            (
                &[0x01, 0x06, 0x07, 0x43, 0x54, 0x61, 0x62, 0x63, 0x104, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0x65, 0x66],
                "5",
                "5",
            ),
            (&[0xFE], "7", "7"),
            (&[0x53, 0x100, 0x101, 0x103], "misconfigured", "misconfigured"),
        ];
        for (codes, first, last) in rows {
            for code in codes {
                assert_eq!(kind(decision(&settings, *code, 1, 1)), first, "0x{code:X}");
                assert_eq!(kind(decision(&settings, *code, settings.max_temporary, 1)), last, "0x{code:X}, too often");
            }
        }
        assert_eq!(kind(decision(&settings, 0x14, 1, QUEUE_FULL_IN_A_ROW)), "throttled");
        for code in [0x02, 0x03] {
            assert_eq!(kind(Some(nacked(code, 1))), "retry");
            assert_eq!(kind(Some(nacked(code, 2))), format!("{}", i16::from(S::MessageError)));
        }
    }

    #[test]
    fn the_settings_override_any_status() {
        let settings = settings(r#"statuses = { "0x58" = "misconfigured", "1375" = "accepted", "0" = "retry" }"#);
        assert_eq!(kind(decision(&settings, 0x58, 1, 0)), "misconfigured");
        assert_eq!(kind(decision(&settings, 0x55F, 1, 0)), "accepted");
        assert_eq!(kind(decision(&settings, 0, 1, 0)), "retry");
        assert_eq!(meaning(&settings, 0x0B), super::SubmitStatus::RoutingError);
        for (key, status) in [("0x14", Some(20)), ("20", Some(20)), ("0XfF", Some(255)), ("x", None), ("-1", None)] {
            assert_eq!(status_of_key(key), status, "{key}");
        }
    }
}
