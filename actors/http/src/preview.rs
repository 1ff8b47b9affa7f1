//! `POST sms/preview.json`: what a text takes, without sending it.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use vumi_kit::text::{Encoding, Measure, measure, transliterate};

use super::{
    body::{Fields, media_type},
    entry::enter,
    rates::Class,
    refusal::{Refusal, Wrong},
    send::bad_message,
    view::json,
};

/// What a text takes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Preview<'a> {
    message: &'a str,
    /// `GSM 03.38` or `UCS-2`.
    #[schema(value_type = String)]
    encoding: Encoding,
    /// How many parts.
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

/// The same text in the GSM alphabet: offered, not done.
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

/// Tells what a text takes, without sending it.
#[utoipa::path(
    post,
    path = "/api/v1/sms/preview.json",
    tag = "sending",
    request_body(content((PreviewBody = "application/x-www-form-urlencoded"), (PreviewBody = "application/json"))),
    responses((status = 200, description = "What it takes", body = Preview)),
)]
pub(crate) async fn preview(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    enter(&request, Class::Sending, async |caller| {
        let body = caller.body(payload).await?;
        let fields = Fields::of_body(media_type(caller.request).as_ref(), &body)?;
        let mut wrong = Vec::new();
        let message = fields.required("message", &mut wrong).unwrap_or_default();
        if wrong.is_empty()
            && let Some(detail) = bad_message(message, caller.shared.bounds.max_segments)
        {
            wrong.push(Wrong::new("message", message, detail));
        }
        if wrong.is_empty() { Ok(json(&of(message), 512)) } else { Err(Refusal::Wrong(wrong)) }
    })
    .await
}

fn of(message: &str) -> Preview<'_> {
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

    use super::of;

    #[test]
    fn a_text_that_needs_ucs2_is_shown_with_the_reason_and_the_offer() {
        assert_eq!(
            serde_json::to_value(of("It’s on")).unwrap(),
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
    fn a_gsm_text_needs_no_offer() {
        let shown = serde_json::to_value(of("hello")).unwrap();
        assert_eq!((&shown["encoding"], &shown["transliterated"]), (&json!("GSM 03.38"), &json!(null)));
    }
}
