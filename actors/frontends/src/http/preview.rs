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

#[derive(Debug, Serialize)]
struct Preview<'a> {
    message: &'a str,
    encoding: Encoding,
    segments: u32,
    units: usize,
    left_in_segment: usize,
    forced_ucs2: Vec<char>,
    transliterated: Option<Transliterated>,
}

/// The same text in the GSM alphabet: offered, not done.
#[derive(Debug, Serialize)]
struct Transliterated {
    message: String,
    encoding: Encoding,
    segments: u32,
    units: usize,
    left_in_segment: usize,
    lost: Vec<char>,
}

/// `POST sms/preview.json`
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
