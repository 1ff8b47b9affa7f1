//! A bound on what a provider's post makes when it is parsed. A tree takes up to a hundred times the bytes of its text, so
//! its elements are counted before.

use crate::response::error::ApiError;

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

#[cfg(test)]
mod tests {
    use super::bounded;

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
