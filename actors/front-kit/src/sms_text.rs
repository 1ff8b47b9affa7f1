//! The text of an SMS: what may be sent.

use vumi_kit::text::{is_writable, measure};

/// Says what is wrong with a text, if anything.
#[must_use]
pub fn text_error(text: &str, max_segments: u32) -> Option<String> {
    if text.trim().is_empty() {
        return Some("the text is empty".to_owned());
    }
    if let Some(c) = text.chars().find(|&c| !is_writable(c)) {
        return Some(format!("the text holds U+{:04X}, which no carrier takes", u32::from(c)));
    }
    let measured = measure(text);
    (measured.segments > max_segments).then(|| {
        format!("the text takes {} parts in {}, {max_segments} are allowed", measured.segments, measured.encoding)
    })
}
