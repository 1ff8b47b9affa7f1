//! A bound on what a provider's post makes when it is parsed. A tree takes up to a hundred times the bytes of its text, and a
//! list of fields up to fifty times, so both are counted before.

use bytes::Bytes;

use crate::response::error::ApiError;

/// So many of a form's fields are kept at its beginning, and at its end: a provider sends some twenty.
const FIELDS_KEPT: usize = 500;

/// The most objects of a JSON document: each is some 600 bytes, and one receipt has a few.
const MAX_OBJECTS: usize = 50_000;
/// The most values of a JSON document, and elements of an XML document.
const MAX_VALUES: usize = 250_000;

/// Refuses a body with more structure than ten thousand receipts have. What stands in texts is counted, too: no text is that
/// long.
pub(crate) fn bounded(body: &[u8]) -> Result<(), ApiError> {
    let (mut objects, mut values) = (0, 0);
    for byte in body {
        match byte {
            b'{' => objects += 1,
            b'[' | b',' | b'<' => values += 1,
            _ => {}
        }
    }
    if objects > MAX_OBJECTS || values > MAX_VALUES {
        let what = format!("a document may have {MAX_OBJECTS} objects and {MAX_VALUES} values: send smaller ones");
        return Err(ApiError::Unreadable(what));
    }
    Ok(())
}

/// A form's first and last fields: those between them are no reason to refuse a receipt.
pub(crate) fn first_and_last_fields(form: &Bytes) -> Bytes {
    let ends = || form.iter().enumerate().filter(|(_, byte)| **byte == b'&').map(|(at, _)| at);
    let first = ends().nth(FIELDS_KEPT - 1);
    let last = form.iter().rev().enumerate().filter(|(_, byte)| **byte == b'&').nth(FIELDS_KEPT - 1);
    match (first, last.map(|(from_end, _)| form.len() - 1 - from_end)) {
        (Some(first), Some(last)) if first < last => [form.slice(..first), form.slice(last..)].concat().into(),
        _ => form.clone(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{bounded, first_and_last_fields};

    #[test]
    fn of_a_form_without_end_the_first_and_the_last_fields_are_kept() {
        let form = Bytes::from("id=1&status=4");
        assert_eq!(first_and_last_fields(&form), form);
        for form in [format!("id=1&{}status=4", "a&".repeat(2_000_000)), "a&".repeat(2_000_000)] {
            let kept = first_and_last_fields(&Bytes::from(form.clone()));
            let fields: Vec<_> = kept.split(|byte| *byte == b'&').collect();
            assert!(fields.len() <= 1_001, "{}", fields.len());
            assert_eq!(fields.first(), form.as_bytes().split(|byte| *byte == b'&').collect::<Vec<_>>().first());
            assert_eq!(fields.last(), form.as_bytes().split(|byte| *byte == b'&').collect::<Vec<_>>().last());
        }
        let thousand = Bytes::from("a=1&".repeat(999) + "b");
        assert_eq!(first_and_last_fields(&thousand).split(|byte| *byte == b'&').count(), 1_000);
    }

    #[test]
    fn ten_thousand_receipts_pass_and_a_document_of_brackets_does_not() {
        let receipt = r#"{"data":{"payload":{"id":"x","to":[{"status":"4"}],"at":"2026-01-01","text":"a, b, c"}}},"#;
        assert!(bounded(receipt.repeat(10_000).as_bytes()).is_ok());
        assert!(
            bounded("<receipt><reference>1</reference><status>D</status></receipt>".repeat(10_000).as_bytes()).is_ok()
        );
        for bomb in ["{},", "[", "<a/>"] {
            assert!(bounded(bomb.repeat(500_000).as_bytes()).is_err(), "{bomb}");
        }
    }
}
