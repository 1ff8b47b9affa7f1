//! JSON as Python writes it, and as no standard allows it: `NaN` and `Infinity`, numbers beyond all bounds, and half of
//! a surrogate pair. Workers of the family read and write all of these.

use serde::de::DeserializeOwned;

/// What stands in for half of a surrogate pair, as an escape and as bytes.
const REPLACED_ESCAPE: &[u8] = br"\ufffd";
const REPLACED_BYTES: &[u8] = "\u{fffd}".as_bytes();

/// Reads JSON. What only Python writes is read as null or U+FFFD.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    // Nearly every body is what the standard allows.
    serde_json::from_slice(body).or_else(|_| serde_json::from_slice(&standard(body)))
}

/// The same document as the standard writes it. A body that is no JSON stays none.
pub(super) fn standard(body: &[u8]) -> Vec<u8> {
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
    use serde_json::{Value, json};

    use super::read;

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
