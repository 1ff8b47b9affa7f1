//! `POST sms/preview.json`: the encoding and parts of a text, without sending it.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use vumi_kit::text::{Encoding, Measure, measure, transliterate};

use crate::{
    api::send::text::message,
    guard::guarded,
    limits::call_rates::RateClass,
    request::fields::{KnownFields, RequestFields},
    response::{error::ApiError, field_errors::FieldErrors, views::json},
};

/// The encoding and parts of a text.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Preview<'a> {
    message: &'a str,
    /// `GSM 03.38` or `UCS-2`.
    #[schema(value_type = String)]
    encoding: Encoding,
    /// The parts it would be sent in.
    segments: u32,
    /// Septets or 16-bit units in all.
    units: usize,
    /// Units that still fit into the last part.
    left_in_segment: usize,
    /// The characters that forced UCS-2.
    #[schema(value_type = Vec<String>)]
    forced_ucs2: Vec<char>,
    transliterated: Option<Transliterated>,
}

/// The same text in the GSM alphabet as a suggestion.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Transliterated {
    message: String,
    #[schema(value_type = String)]
    encoding: Encoding,
    segments: u32,
    units: usize,
    left_in_segment: usize,
    /// The characters that have no spelling in the GSM alphabet and became `?`.
    #[schema(value_type = Vec<String>)]
    lost: Vec<char>,
}

/// What `preview.json` takes.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct PreviewBody {
    /// The text.
    #[schema(example = "It’s on")]
    message: String,
}

const KNOWN_FIELDS: KnownFields =
    KnownFields { single: &[&["message"]], lists: &[], numbers: &[], flags: &[], variables: None, max_values: 0 };

/// Tells the encoding and parts of a text, without sending it.
#[utoipa::path(
    post,
    path = "/api/v1/sms/preview.json",
    tag = "sending",
    request_body(content((PreviewBody = "application/x-www-form-urlencoded"), (PreviewBody = "application/json"), (PreviewBody = "multipart/form-data"))),
    responses((status = 200, description = "What it takes", body = Preview)),
)]
pub(crate) async fn preview(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| {
        let body = call.body(payload).await?;
        let fields = RequestFields::of_body(&body.media_type, &body, KNOWN_FIELDS)?;
        let mut errors = FieldErrors::default();
        let message = message(&fields, call.state.limits.max_segments, &mut errors).unwrap_or_default();
        if errors.is_empty() { Ok(json(&preview_of(message), 512)) } else { Err(ApiError::InvalidFields(errors)) }
    })
    .await
}

fn preview_of(message: &str) -> Preview<'_> {
    let Measure { encoding, segments, units, left_in_segment, forced_ucs2 } = measure(message);
    let transliterated = (encoding == Encoding::Ucs2).then(|| {
        let (message, lost) = transliterate(message);
        let Measure { encoding, segments, units, left_in_segment, .. } = measure(&message);
        Transliterated { message, encoding, segments, units, left_in_segment, lost }
    });
    Preview { message, encoding, segments, units, left_in_segment, forced_ucs2, transliterated }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::preview_of;

    #[test]
    fn a_text_that_needs_ucs2_is_shown_with_the_reason_and_an_alternative() {
        assert_eq!(
            serde_json::to_value(preview_of("It’s on")).unwrap(),
            json!({
                "message": "It’s on", "encoding": "UCS-2", "segments": 1, "units": 7, "left_in_segment": 63,
                "forced_ucs2": ["’"],
                "transliterated": {
                    "message": "It's on", "encoding": "GSM 03.38", "segments": 1, "units": 7, "left_in_segment": 153,
                    "lost": [],
                },
            })
        );
    }

    #[test]
    fn a_gsm_text_has_no_alternative() {
        let shown = serde_json::to_value(preview_of("hello")).unwrap();
        assert_eq!((&shown["encoding"], &shown["transliterated"]), (&json!("GSM 03.38"), &json!(null)));
    }
}
