//! Texts as providers want them written.

use std::fmt::Write as _;

/// UTF-16BE in hexadecimal digits.
pub(crate) fn hex_utf16(text: &str) -> String {
    let mut hex = String::with_capacity(text.len() * 4);
    for unit in text.encode_utf16() {
        // Writing to a String can't fail.
        let _written = write!(hex, "{unit:04x}");
    }
    hex
}
