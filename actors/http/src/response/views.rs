//! The JSON of the answers: an SMS, a time.

use actix_web::{
    HttpResponse,
    http::header::{CONTENT_TYPE, HeaderValue},
};
use serde::{Serialize, Serializer};
use vumi_kit::{
    clock::Timestamp,
    life::SmsState,
    name::Name,
    sent_parts::SentPartStatus,
    sms::{Sms, TransportStatus},
    sms_options::Content,
    text::measure,
};

/// A 200 with a JSON body; `capacity` is its expected size in bytes.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T, capacity: usize) -> HttpResponse {
    let mut body = Vec::with_capacity(capacity);
    if let Err(error) = serde_json::to_writer(&mut body, value) {
        // Unreachable with our types; half an answer must not pass as a whole one.
        tracing::error!(%error, "an answer could not be written as JSON");
        return HttpResponse::InternalServerError().finish();
    }
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    response.body(body)
}

/// About the bytes that an SMS takes as JSON.
const SMS_SIZE: usize = 512;

/// A 200 with a list of SMS.
pub(crate) fn sms_list<'a>(
    list: impl ExactSizeIterator<Item = &'a Sms>,
    view: fn(&'a Sms) -> SmsView<'a>,
) -> HttpResponse {
    let views: Vec<SmsView<'_>> = list.map(view).collect();
    json(&views, views.len() * SMS_SIZE)
}

/// The SMS object.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Sms)]
pub(crate) struct SmsView<'a> {
    /// The id by which its status is asked.
    id: i64,
    to_msisdn: &'a str,
    from_msisdn: &'a str,
    message: &'a str,
    /// 0 waiting here, 2 about to be submitted, 3 at the provider, 4 received by the recipient, 6 cancelled, 10 expired; 5, 7, 9,
    /// 12: failed.
    transport_status: i16,
    /// The status in words; empty while pending.
    transport_status_display: &'static str,
    #[schema(value_type = Option<String>)]
    delivered_at: Option<UtcTime>,
    #[schema(value_type = String, example = "2010-05-13 11:34:34")]
    created_at: UtcTime,
    #[schema(value_type = String, example = "2010-05-13 11:34:34")]
    updated_at: UtcTime,
    /// `GSM 03.38` or `UCS-2`; `8-bit` of a binary SMS, whose `message` is hex.
    encoding: &'static str,
    /// The parts it is sent in.
    segments: u32,
    /// The provider's last word on it, verbatim; with its code, where a receipt has one.
    provider_status: Option<&'a str>,
    /// The provider's id for it.
    provider_id: Option<&'a str>,
    /// The client's own name for it.
    reference: Option<&'a str>,
    /// Where it is in its life: `accepted`, `scheduled`, `held`, `claimed`, `submitted`, `delivered`, `failed`, `expired`,
    /// `cancelled` or `unknown`.
    #[schema(value_type = String)]
    state: SmsState,
    /// The parts it is sent in, as `segments`.
    parts: u32,
    /// How often it was submitted, or tried to be.
    attempts: i32,
    /// Not to be sent before; null: at once.
    #[schema(value_type = Option<String>)]
    scheduled_at: Option<UtcTime>,
    /// After this time it is not tried again.
    #[schema(value_type = String, example = "2010-05-14 11:34:34")]
    expires_at: UtcTime,
    /// The outbound route that chose its transport; null: the call named the transport.
    route: Option<&'a str>,
    /// Its parts of which something is known by itself, where the status of this one SMS was asked for; left out where there
    /// are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sent_parts: Vec<SentPartView<'a>>,
}

/// A part of a sent SMS.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = SentPart)]
pub(crate) struct SentPartView<'a> {
    /// Which part of the SMS it is, counted from 1.
    part: u8,
    /// The provider's id for it, as it answered the submission.
    provider_id: Option<&'a str>,
    /// The same in small letters and without leading zeros, where that differs: receipts that write the id otherwise are found
    /// by it.
    folded_id: Option<&'a str>,
    /// As that of the SMS.
    transport_status: i16,
    /// What `transport_status` means, in English.
    transport_status_display: &'static str,
    /// Whether the SMS is delivered only when this part is.
    must_report: bool,
}

impl<'a> SentPartView<'a> {
    fn of(part: &'a SentPartStatus) -> Self {
        let SentPartStatus { number, provider_id, folded_id, status, must_report } = part;
        Self {
            part: *number,
            provider_id: provider_id.as_deref(),
            folded_id: folded_id.as_deref(),
            transport_status: (*status).into(),
            transport_status_display: status.display(),
            must_report: *must_report,
        }
    }
}

impl<'a> SmsView<'a> {
    /// The SMS as it is now.
    pub(crate) fn now(sms: &'a Sms) -> Self {
        let encoding = match sms.content {
            Content::Binary { .. } | Content::Raw { .. } => "8-bit",
            Content::Text | Content::Flash => measure(&sms.message).encoding.as_str(),
        };
        Self {
            id: sms.id,
            to_msisdn: sms.to.as_str(),
            from_msisdn: sms.from.as_str(),
            message: &sms.message,
            transport_status: sms.shown_status().into(),
            transport_status_display: sms.shown_status().display(),
            delivered_at: sms.delivered_at.map(UtcTime),
            created_at: UtcTime(sms.created_at),
            updated_at: UtcTime(sms.updated_at),
            encoding,
            segments: sms.segments,
            provider_status: sms.provider_response.as_deref(),
            provider_id: sms.provider_id.as_deref(),
            reference: sms.reference.as_deref(),
            state: sms.state,
            parts: sms.segments,
            attempts: sms.attempts,
            scheduled_at: sms.scheduled_at.map(UtcTime),
            expires_at: UtcTime(sms.expires_at),
            route: sms.route.as_ref().map(Name::as_str),
            sent_parts: Vec::new(),
        }
    }

    /// The SMS as it is now, with its parts.
    pub(crate) fn with_parts(sms: &'a Sms, parts: &'a [SentPartStatus]) -> Self {
        Self { sent_parts: parts.iter().map(SentPartView::of).collect(), ..Self::now(sms) }
    }

    /// The SMS as it was accepted: a repeated request gets the first answer, whatever happened since.
    pub(crate) fn as_accepted(sms: &'a Sms) -> Self {
        Self {
            transport_status: TransportStatus::Pending.into(),
            transport_status_display: TransportStatus::Pending.display(),
            delivered_at: None,
            updated_at: UtcTime(sms.created_at),
            provider_status: None,
            provider_id: None,
            state: if sms.scheduled_at.is_some_and(|at| at > sms.created_at) {
                SmsState::Scheduled
            } else {
                SmsState::Accepted
            },
            attempts: 0,
            ..Self::now(sms)
        }
    }
}

/// A time as the API shows it: UTC, `YYYY-MM-DD HH:MM:SS`. Formatted by hand, because chrono's formatter takes a tenth of
/// the time that accepting an SMS takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UtcTime(pub(crate) Timestamp);

impl Serialize for UtcTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = self.0.micros().div_euclid(1_000_000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = date_of(days);
        if !(0..=9999).contains(&year) {
            return serializer.serialize_str(&self.0.to_seconds_text());
        }
        let mut text = *b"0000-00-00 00:00:00";
        let places = [
            (0, year / 100),
            (2, year % 100),
            (5, month),
            (8, day),
            (11, second / 3600),
            (14, second / 60 % 60),
            (17, second % 60),
        ];
        for (at, number) in places {
            if let Some([tens, ones]) = text.get_mut(at..at + 2) {
                *tens = digit(number / 10);
                *ones = digit(number % 10);
            }
        }
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

fn digit(number: i64) -> u8 {
    b'0' + u8::try_from(number.rem_euclid(10)).unwrap_or_default()
}

/// The date `days` after 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use vumi_kit::{
        address::Msisdn,
        clock::Timestamp,
        life::SmsState,
        name::Name,
        sms::{Sms, TransportStatus},
        sms_options::{Content, Priority},
    };

    use super::{SmsView, UtcTime};

    fn sms() -> Sms {
        Sms {
            id: 5,
            account: 1,
            transport: Name::parse("clickatell").unwrap(),
            to: Msisdn::parse("27123456789").unwrap(),
            from: Msisdn::parse("27123456780").unwrap().into(),
            message: "hello \"world\"".to_owned(),
            state: SmsState::Delivered,
            status: TransportStatus::Delivered,
            provider_response: Some("004".to_owned()),
            provider_id: Some("api1".to_owned()),
            attempts: 1,
            delivered_at: Timestamp::parse("2010-05-13 11:35:00"),
            created_at: Timestamp::parse("2010-05-13 11:34:34").unwrap(),
            updated_at: Timestamp::parse("2010-05-13 11:35:00").unwrap(),
            segments: 1,
            priority: Priority::Normal,
            content: Content::Text,
            scheduled_at: None,
            expires_at: Timestamp::parse("2010-05-14 11:34:34").unwrap(),
            reference: Some("order 7".to_owned()),
            callback_url: None,
            receipts: None,
            route: None,
        }
    }

    #[test]
    fn an_sms_is_shown_with_the_names_and_types_that_clients_know() {
        assert_eq!(
            serde_json::to_value(SmsView::now(&sms())).unwrap(),
            json!({
                "id": 5, "to_msisdn": "27123456789", "from_msisdn": "27123456780", "message": "hello \"world\"",
                "transport_status": 4, "transport_status_display": "Received by recipient",
                "delivered_at": "2010-05-13 11:35:00", "created_at": "2010-05-13 11:34:34",
                "updated_at": "2010-05-13 11:35:00", "encoding": "GSM 03.38", "segments": 1, "provider_status": "004",
                "provider_id": "api1", "reference": "order 7", "state": "delivered", "parts": 1, "attempts": 1,
                "scheduled_at": null, "expires_at": "2010-05-14 11:34:34", "route": null,
            })
        );
    }

    #[test]
    fn an_sms_as_accepted_is_the_same_whatever_happened_since() {
        let sms = sms();
        let first = serde_json::to_value(SmsView::as_accepted(&sms)).unwrap();
        assert_eq!(first["transport_status"], 0);
        assert_eq!(first["transport_status_display"], "");
        assert_eq!(first["delivered_at"], json!(null));
        assert_eq!(first["provider_status"], json!(null));
        assert_eq!(first["provider_id"], json!(null));
        assert_eq!((&first["state"], &first["attempts"]), (&json!("accepted"), &json!(0)));
        assert_eq!(first["updated_at"], "2010-05-13 11:34:34");
    }

    proptest! {
        #[test]
        fn a_time_is_formatted_as_chrono_formats_it(micros in -62_000_000_000_000_000_i64..253_402_300_799_000_000) {
            let at = Timestamp::from_micros(micros);
            prop_assert_eq!(serde_json::to_value(UtcTime(at)).unwrap(), json!(at.to_seconds_text()));
        }
    }
}
