//! JSON as others write it: in UTF-16 or UTF-32, as RFC 4627 allowed it, and as Python and many providers write it and no
//! standard allows it: `NaN` and `Infinity`, numbers beyond all bounds, and half of a surrogate pair.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::charset::Charset;

/// What stands in for half of a surrogate pair, as an escape and as bytes.
const REPLACED_ESCAPE: &[u8] = br"\ufffd";
const REPLACED_BYTES: &[u8] = "\u{fffd}".as_bytes();

/// The text of a document whose sender names this character set; none where it can't be read in it. A document in UTF-16 or
/// UTF-32 shows that itself, by its byte order mark or by its first characters, which are ASCII.
#[must_use]
pub fn text<'a>(body: &'a [u8], charset: &Charset) -> Option<Cow<'a, str>> {
    wide_text(body).map(Cow::Owned).or_else(|| charset.decode(body))
}

/// The text of a document in UTF-16 or UTF-32; none for others. What is no character is U+FFFD.
#[must_use]
pub fn wide_text(body: &[u8]) -> Option<String> {
    let is_zero = |at: usize| body.get(at) == Some(&0);
    let zeros = [is_zero(0), is_zero(1), is_zero(2), is_zero(3)];
    let marked = |mark: &[u8]| body.starts_with(mark);
    let text = if marked(b"\xff\xfe\0\0") || zeros == [false, true, true, true] {
        utf32(body, u32::from_le_bytes)
    } else if marked(b"\0\0\xfe\xff") || zeros == [true, true, true, false] {
        utf32(body, u32::from_be_bytes)
    } else if marked(b"\xff\xfe") || matches!(zeros, [false, true, ..]) {
        utf16(body, u16::from_le_bytes)
    } else if marked(b"\xfe\xff") || matches!(zeros, [true, false, ..]) {
        utf16(body, u16::from_be_bytes)
    } else {
        return None;
    };
    Some(text)
}

/// As Unicode's byte order mark is where a text begins.
const MARK: char = '\u{feff}';

fn utf16(body: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (units, rest) = body.as_chunks::<2>();
    let cut = (!rest.is_empty()).then_some(char::REPLACEMENT_CHARACTER);
    let characters = char::decode_utf16(units.iter().map(|bytes| unit(*bytes)));
    without_mark(characters.map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)).chain(cut))
}

fn utf32(body: &[u8], unit: fn([u8; 4]) -> u32) -> String {
    let (units, rest) = body.as_chunks::<4>();
    let cut = (!rest.is_empty()).then_some(char::REPLACEMENT_CHARACTER);
    let characters = units.iter().map(|bytes| char::from_u32(unit(*bytes)).unwrap_or(char::REPLACEMENT_CHARACTER));
    without_mark(characters.chain(cut))
}

fn without_mark(characters: impl Iterator<Item = char>) -> String {
    characters
        .enumerate()
        .filter(|(at, character)| *at > 0 || *character != MARK)
        .map(|(_, character)| character)
        .collect()
}

/// Reads JSON in UTF-8. What the standard does not allow is read as null or U+FFFD.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    // Nearly every document is what the standard allows.
    serde_json::from_slice(body).or_else(|_| serde_json::from_slice(&standard(body)))
}

/// The same document as the standard writes it. A body that is no JSON stays none.
fn standard(body: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(body.len() + body.len() / 3);
    let mut rest = body;
    while let Some(first) = rest.first() {
        let taken = match first {
            b'"' => string(rest, &mut written),
            b'-' | b'0'..=b'9' | b'N' | b'I' => number(rest, &mut written),
            _ => {
                written.push(*first);
                1
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    written
}

/// Writes the string at the beginning of `rest`, and answers its length.
fn string(rest: &[u8], written: &mut Vec<u8>) -> usize {
    written.push(b'"');
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        let tail = rest.get(at..).unwrap_or_default();
        let (taken, text) = match (byte, half_escape(tail)) {
            (b'"', _) => {
                written.push(b'"');
                return at + 1;
            }
            (b'\\', Some(EscapedUnit::Half)) => (6, REPLACED_ESCAPE),
            (b'\\', Some(EscapedUnit::Pair)) => (12, tail.get(..12).unwrap_or(tail)),
            (b'\\', None) => (2, tail.get(..2).unwrap_or(tail)),
            // Half of a pair that was encoded all the same: Python's `surrogatepass`.
            (0xED, _) if matches!(tail.get(1), Some(0xA0..=0xBF)) => (3, REPLACED_BYTES),
            _ => (1, tail.get(..1).unwrap_or(tail)),
        };
        written.extend_from_slice(text);
        at += taken;
    }
    at
}

/// A Unicode escape (a backslash, `u` and four hex digits) of a surrogate.
enum EscapedUnit {
    Half,
    /// With the other half behind it.
    Pair,
}

fn half_escape(tail: &[u8]) -> Option<EscapedUnit> {
    match escaped_unit(tail)? {
        0xD800..=0xDBFF => {
            let next = tail.get(6..).and_then(escaped_unit);
            Some(if matches!(next, Some(0xDC00..=0xDFFF)) { EscapedUnit::Pair } else { EscapedUnit::Half })
        }
        0xDC00..=0xDFFF => Some(EscapedUnit::Half),
        _ => None,
    }
}

/// The UTF-16 unit of the Unicode escape at the beginning of `tail`.
fn escaped_unit(tail: &[u8]) -> Option<u16> {
    let digits = tail.strip_prefix(br"\u")?.get(..4)?;
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(text, 16).ok()
}

/// Writes the number, or the word for none, at the beginning of `rest`, and answers its length.
fn number(rest: &[u8], written: &mut Vec<u8>) -> usize {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
    let length = rest.iter().take_while(is_part).count();
    let token = rest.get(..length).unwrap_or_default();
    let text = std::str::from_utf8(token).unwrap_or_default();
    let is_a_word = matches!(text, "NaN" | "Infinity" | "-Infinity");
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"-+.eE".contains(&byte));
    let too_large = is_number && text.parse::<f64>().is_ok_and(f64::is_infinite);
    written.extend_from_slice(if is_a_word || too_large { b"null" } else { token });
    length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Charset, read, text, wide_text};

    const DOCUMENT: &str = "{\"text\": \"très 😀\"}";

    fn in_utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    fn in_utf32(text: &str, unit: fn(u32) -> [u8; 4]) -> Vec<u8> {
        text.chars().flat_map(|character| unit(character.into())).collect()
    }

    #[test]
    fn a_document_in_utf_16_or_utf_32_shows_it_itself() {
        for begin in ["", "\u{feff}"] {
            let document = format!("{begin}{DOCUMENT}");
            for body in [
                in_utf16(&document, u16::to_le_bytes),
                in_utf16(&document, u16::to_be_bytes),
                in_utf32(&document, u32::to_le_bytes),
                in_utf32(&document, u32::to_be_bytes),
            ] {
                for charset in ["utf-8", "utf-16", "utf-32", "none such"] {
                    let read = text(&body, &Charset::of_label(charset));
                    assert_eq!(read.as_deref(), Some(DOCUMENT), "{charset} {body:?}");
                }
            }
        }
        for one in ["7", "[]"] {
            assert_eq!(wide_text(&in_utf16(one, u16::to_le_bytes)).as_deref(), Some(one));
            assert_eq!(wide_text(&in_utf16(one, u16::to_be_bytes)).as_deref(), Some(one));
            assert_eq!(wide_text(&in_utf32(one, u32::to_le_bytes)).as_deref(), Some(one));
            assert_eq!(wide_text(&in_utf32(one, u32::to_be_bytes)).as_deref(), Some(one));
            assert_eq!(wide_text(one.as_bytes()), None);
        }
        // Text after the first two characters need not be ASCII.
        assert_eq!(wide_text(&in_utf16("\"世\"", u16::to_le_bytes)).as_deref(), Some("\"世\""));
        assert_eq!(wide_text(&in_utf16("\"世\"", u16::to_be_bytes)).as_deref(), Some("\"世\""));
        assert_eq!(wide_text(b"\xff\xfe7\0\x3d\xd8").as_deref(), Some("7\u{fffd}"), "half a pair");
        assert_eq!(wide_text(b"\xff\xfe7\0\x3d").as_deref(), Some("7\u{fffd}"), "half a unit");
    }

    #[test]
    fn other_documents_are_in_the_character_set_that_is_named() {
        assert_eq!(text(b"\"tr\xe8s\"", &Charset::of_label("iso-8859-1")).as_deref(), Some("\"très\""));
        assert_eq!(text(DOCUMENT.as_bytes(), &Charset::of_label("utf-8")).as_deref(), Some(DOCUMENT));
        assert_eq!(text(b"\"tr\xe8s\"", &Charset::of_label("none such")), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _wide = wide_text(&bytes);
            let _read = read::<Value>(&bytes);
        }
    }

    #[test]
    fn what_python_writes_is_read() {
        for (theirs, ours) in [
            (
                &br#"{"a": NaN, "b": [Infinity, -Infinity, 1e999, -2.5]}"#[..],
                json!({"a": null, "b": [null, null, null, -2.5]}),
            ),
            (
                br#"["\ud83d", "a\ud83db", "\ude00", "\ud83d\ude00", "\\ud83d", "NaN"]"#,
                json!(["\u{fffd}", "a\u{fffd}b", "\u{fffd}", "😀", "\\ud83d", "NaN"]),
            ),
            (b"[\"a\xed\xa0\xbdb\", NaN]", json!(["a\u{fffd}b", null])),
            (br#"["\ud83d\u0041", "\"\ud83d"]"#, json!(["\u{fffd}A", "\"\u{fffd}"])),
        ] {
            assert_eq!(read::<Value>(theirs).unwrap(), ours);
        }
    }

    #[test]
    fn what_is_no_json_stays_none() {
        for body in [&b"{"[..], b"\"", b"\"\\", b"\"\\ud8", b"\xff", b"NaNa", b"-", b"[1 NaN]", b"\"\xed", b"nan"] {
            assert!(read::<Value>(body).is_err(), "{body:?}");
        }
    }
}
