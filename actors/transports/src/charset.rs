//! Texts in the character sets that providers use.

use std::fmt::Write as _;

use percent_encoding::percent_decode;

/// The bytes of form-encoded text.
pub(crate) fn percent_decoded(encoded: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

/// Reads text in a named character set; `None` for an unknown set, or bytes that are not in it.
pub(crate) fn in_charset(bytes: &[u8], charset: &str) -> Option<String> {
    match charset.trim().to_ascii_uppercase().as_str() {
        "UTF-16BE" | "UCS-2" => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            rest.is_empty().then(|| String::from_utf16(&units).ok()).flatten()
        }
        // Some senders name ISO-8859-1 and send UTF-8; bytes that are both are UTF-8 in practice.
        "ISO-8859-1" | "LATIN1" | "WINDOWS-1252" => match std::str::from_utf8(bytes) {
            Ok(text) => Some(text.to_owned()),
            Err(_) => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        },
        "" | "UTF-8" | "UTF8" | "US-ASCII" => String::from_utf8(bytes.to_vec()).ok(),
        _ => None,
    }
}

/// UTF-16BE in hexadecimal digits.
pub(crate) fn hex_utf16(text: &str) -> String {
    let mut hex = String::with_capacity(text.len() * 4);
    for unit in text.encode_utf16() {
        // Writing to a String can't fail.
        let _written = write!(hex, "{unit:04x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::in_charset;

    #[test]
    fn bytes_are_read_in_the_character_set_that_was_named() {
        assert_eq!(in_charset(&[0x04, 0x1f, 0xd8, 0x3d, 0xde, 0x00], "utf-16be").as_deref(), Some("П😀"));
        assert_eq!(in_charset(b"caf\xe9", "ISO-8859-1").as_deref(), Some("café"));
        assert_eq!(in_charset("café".as_bytes(), "ISO-8859-1").as_deref(), Some("café"));
        assert_eq!(in_charset(b"x", "UTF-16BE"), None);
        assert_eq!(in_charset(b"x", "EBCDIC"), None);
    }
}
