//! Texts in the character sets that carriers use, by the labels of the WHATWG Encoding Standard.
//!
//! No byte is lost: what is not in the set that was named is U+FFFD only where a multi-byte set has nothing better, and a
//! label that nobody knows is never taken for another set.

use std::borrow::Cow;

use encoding_rs::{Encoding, ISO_8859_15, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest label that is kept, in characters.
const LONGEST_LABEL: usize = 40;

/// The character set of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Charset(Set);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Set {
    /// Nobody named one.
    Unnamed,
    Known(&'static Encoding),
    /// A label that is not in the standard.
    Unknown(String),
}

/// Why a label is refused in the settings.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no character set: expected a label of the WHATWG Encoding Standard, such as windows-1252 or UTF-16BE"
)]
pub struct UnknownCharset(String);

/// That of a text of which nobody says it: UTF-8; bytes that are not UTF-8 are read as Windows-1252.
impl Default for Charset {
    fn default() -> Self {
        Self(Set::Unnamed)
    }
}

impl Charset {
    /// The set of a label, in any case. `UCS-2` is that of SMS, big-endian (3GPP TS 23.038), where the standard has
    /// little-endian.
    #[must_use]
    pub fn of_label(label: &str) -> Self {
        let label = label.trim().trim_matches('"');
        let ucs2 = ["ucs-2", "ucs2", "ucs-2be", "iso-10646-ucs-2"].iter().any(|name| label.eq_ignore_ascii_case(name));
        let known = if ucs2 { Some(UTF_16BE) } else { Encoding::for_label(label.as_bytes()) };
        match known.filter(|encoding| *encoding != REPLACEMENT) {
            Some(encoding) => Self(Set::Known(encoding)),
            None => Self(Set::Unknown(label.chars().take(LONGEST_LABEL).collect())),
        }
    }

    /// Whether the standard has the label.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        !matches!(self.0, Set::Unknown(_))
    }

    /// Whether ASCII is the same in it: else only texts are written in it, and not numbers and names of fields.
    #[must_use]
    pub fn holds_ascii(&self) -> bool {
        !matches!(&self.0, Set::Known(encoding) if *encoding == UTF_16BE || *encoding == UTF_16LE)
    }

    /// Its name in the standard, or the unknown label.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.0 {
            Set::Unnamed => UTF_8.name(),
            Set::Known(encoding) => encoding.name(),
            Set::Unknown(label) => label,
        }
    }

    /// Reads a text. A byte order mark is left out, and half a character at the end becomes U+FFFD. `None`: the label is
    /// unknown, and the bytes are not ASCII.
    #[must_use]
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
        match &self.0 {
            Set::Unknown(_) => std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii()).map(Cow::Borrowed),
            Set::Unnamed => Some(utf8_or_latin(bytes, is_cut_utf8)),
            Set::Known(encoding) if *encoding == UTF_8 => Some(utf8_or_latin(bytes, |_, _| true)),
            // Many senders name one of these and write UTF-8; bytes that are both are UTF-8 in practice.
            Set::Known(encoding) if *encoding == WINDOWS_1252 || *encoding == ISO_8859_15 => {
                let utf8 = std::str::from_utf8(bytes).ok().map(without_mark).map(Cow::Borrowed);
                Some(utf8.unwrap_or_else(|| encoding.decode_without_bom_handling(bytes).0))
            }
            Set::Known(encoding) if *encoding == UTF_16BE || *encoding == UTF_16LE => Some(utf16(encoding, bytes)),
            Set::Known(encoding) => Some(encoding.decode_without_bom_handling(bytes).0),
        }
    }
}

/// In UTF-16, by its byte order mark where it has one.
fn utf16<'a>(named: &'static Encoding, bytes: &'a [u8]) -> Cow<'a, str> {
    match Encoding::for_bom(bytes) {
        Some((marked, length)) if marked != UTF_8 => {
            marked.decode_without_bom_handling(bytes.get(length..).unwrap_or_default()).0
        }
        _ => named.decode_without_bom_handling(bytes).0,
    }
}

/// UTF-8, of which a carrier may have cut the end; else Windows-1252, in which every byte means something. `is_cut` tells a
/// cut end from a letter of Windows-1252, by the text before it and its length.
fn utf8_or_latin(bytes: &[u8], is_cut: impl Fn(&[u8], usize) -> bool) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(without_mark(text)),
        Err(error) if error.error_len().is_none() && is_cut(bytes, error.valid_up_to()) => {
            let cut = String::from_utf8_lossy(bytes).into_owned();
            Cow::Owned(without_mark(&cut).to_owned())
        }
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// Whether half a character at the end is one of UTF-8, where nobody says so: others are before it, or it has two bytes.
fn is_cut_utf8(bytes: &[u8], valid: usize) -> bool {
    let before = bytes.get(..valid).unwrap_or_default();
    !before.is_ascii() || bytes.len() - valid > 1
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

impl TryFrom<String> for Charset {
    type Error = UnknownCharset;
    fn try_from(label: String) -> Result<Self, UnknownCharset> {
        match Self::of_label(&label) {
            Self(Set::Unknown(label)) => Err(UnknownCharset(label)),
            known => Ok(known),
        }
    }
}

impl From<Charset> for String {
    fn from(charset: Charset) -> Self {
        charset.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Charset;

    fn read(label: &str, bytes: &[u8]) -> Option<String> {
        Charset::of_label(label).decode(bytes).map(std::borrow::Cow::into_owned)
    }

    #[test]
    fn bytes_are_read_in_the_character_set_that_was_named() {
        for (label, bytes, text) in [
            ("ISO-8859-1", b"je suis tr\xe8s satisfait".as_slice(), "je suis très satisfait"),
            ("latin1", b"caf\xe9", "café"),
            ("windows-1252", b"\x93hi\x94 \x80 5", "“hi” € 5"),
            ("cp1252", b"\x93hi\x94 \x80 5", "“hi” € 5"),
            (" X-CP1252 ", b"\x80", "€"),
            ("ISO-8859-15", b"\xa4 5", "€ 5"),
            ("iso-8859-7", b"\xe1", "α"),
            ("windows-1251", b"\xcf\xf0\xe8", "При"),
            ("koi8-r", b"\xf0\xd2\xc9", "При"),
            ("shift_jis", b"\x82\xa0", "あ"),
            ("gb18030", b"\xc4\xe3", "你"),
            ("UTF-16BE", b"\x04\x1f\xd8\x3d\xde\x00", "П😀"),
            ("UTF-16", b"h\0i\0", "hi"),
            ("UTF-16LE", b"\x1f\x04", "П"),
            ("UCS-2", b"\0h\0i", "hi"),
            ("utf8", "é😀".as_bytes(), "é😀"),
            ("\"utf-8\"", "é".as_bytes(), "é"),
            ("us-ascii", b"hi", "hi"),
        ] {
            assert_eq!(read(label, bytes).as_deref(), Some(text), "{label}");
        }
    }

    #[test]
    fn what_names_a_latin_set_and_is_utf_8_is_utf_8() {
        for label in ["ISO-8859-1", "windows-1252", "iso-8859-15"] {
            assert_eq!(read(label, "café".as_bytes()).as_deref(), Some("café"), "{label}");
        }
    }

    #[test]
    fn half_a_character_at_the_end_is_one_replacement_there() {
        assert_eq!(read("UTF-16BE", b"\0h\0i\0 \xd8\x3d").as_deref(), Some("hi \u{fffd}"));
        assert_eq!(read("UTF-16BE", b"\0h\0i\0").as_deref(), Some("hi\u{fffd}"));
        assert_eq!(read("UTF-16LE", b"h\0\x3d\xd8").as_deref(), Some("h\u{fffd}"));
        assert_eq!(read("utf-8", b"caf\xc3").as_deref(), Some("caf\u{fffd}"));
        assert_eq!(read("utf-8", b"\xef\xbb\xbf\xf0\x9f\x98").as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn a_byte_order_mark_decides_and_is_left_out() {
        for (label, bytes) in [
            ("UTF-16BE", b"\xfe\xff\0h\0i".as_slice()),
            ("UTF-16BE", b"\xff\xfeh\0i\0"),
            ("UTF-16", b"\xfe\xff\0h\0i"),
            ("utf-8", b"\xef\xbb\xbfhi"),
            ("windows-1252", b"\xef\xbb\xbfhi"),
        ] {
            assert_eq!(read(label, bytes).as_deref(), Some("hi"), "{label}");
        }
        assert_eq!(read("windows-1252", b"\xff\xfe").as_deref(), Some("ÿþ"), "two letters are no mark");
    }

    #[test]
    fn bytes_that_are_not_utf_8_keep_a_meaning() {
        assert_eq!(read("utf-8", b"tr\xe8s").as_deref(), Some("très"));
        for (bytes, text) in [
            (b"\x93hi\x94".as_slice(), "“hi”"),
            (b"caf\xe9", "café"),
            ("😀 caf\u{e9}".as_bytes(), "😀 café"),
            (b"\xc3\xa9 caf\xc3", "é caf\u{fffd}"),
            (b"hi \xf0\x9f\x98", "hi \u{fffd}"),
        ] {
            assert_eq!(Charset::default().decode(bytes).as_deref(), Some(text));
        }
    }

    #[test]
    fn an_unknown_label_is_not_taken_for_another_set() {
        for label in ["EBCDIC", "", "x-gsm", "iso-2022-kr"] {
            assert!(!Charset::of_label(label).is_known(), "{label}");
            assert_eq!(read(label, b"hi").as_deref(), Some("hi"), "ASCII is the same nearly everywhere");
            assert_eq!(read(label, "é".as_bytes()), None, "{label}");
        }
        assert_eq!(Charset::of_label(&"x".repeat(9000)).name().len(), 40);
    }

    #[test]
    fn settings_take_known_labels_only() {
        assert_eq!(serde_json::from_str::<Charset>("\"cp1252\"").unwrap(), Charset::of_label("windows-1252"));
        assert!(
            serde_json::from_str::<Charset>("\"gsm\"").unwrap_err().to_string().contains("`gsm` is no character set")
        );
    }

    proptest! {
        #[test]
        fn no_bytes_are_unreadable_in_a_known_set(
            bytes in any::<Vec<u8>>(),
            label in prop::sample::select(vec!["utf-8", "utf-16be", "utf-16", "windows-1252", "iso-8859-15", "gb18030", "big5"]),
        ) {
            prop_assert!(read(label, &bytes).is_some());
        }
    }
}
