//! Bounds on what providers say of an SMS. A database's index takes no text of any length, and a row of any size costs
//! everybody who waits for its transaction.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::text::keepable;

/// The longest id that is kept as it is, in bytes.
pub const LONGEST_ID: usize = 200;

/// The longest name of a character set, in bytes.
const LONGEST_NAME: usize = 64;

/// The longest status or answer of a provider, in bytes.
const LONGEST_WORDS: usize = 1000;

/// An id as it can be kept and indexed: a longer one is known by its digest. The same id gives the same text, however
/// often.
#[must_use]
pub fn bounded_id(id: String) -> String {
    if id.len() <= LONGEST_ID { keepable(id) } else { format!("sha256-{}", sha256_hex([id.as_str()])) }
}

/// A name of a character set, cut.
#[must_use]
pub fn bounded_name(name: String) -> String {
    cut(keepable(name), LONGEST_NAME)
}

/// A provider's words, cut.
#[must_use]
pub fn bounded_words(words: String) -> String {
    cut(keepable(words), LONGEST_WORDS)
}

fn cut(mut text: String, longest: usize) -> String {
    text.truncate(text.floor_char_boundary(longest));
    text
}

/// The SHA-256 of some texts, in hexadecimal digits. Each goes in with its length: texts that are split elsewhere differ.
pub(crate) fn sha256_hex<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(text.len().to_be_bytes());
        digest.update(text);
    }
    digest.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String can't fail.
        let _written = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_ID, bounded_id, bounded_name, bounded_words};

    #[test]
    fn an_id_is_kept_as_it_is_up_to_a_length_and_by_its_digest_beyond() {
        let longest = "x".repeat(LONGEST_ID);
        assert_eq!(bounded_id(longest.clone()), longest);
        let (long, other) = (bounded_id("x".repeat(9000)), bounded_id("x".repeat(9001)));
        assert!(long.starts_with("sha256-") && long.len() <= LONGEST_ID, "{long}");
        assert_ne!(long, other);
        assert_eq!(bounded_id(long.clone()), long, "bounded twice");
        assert_eq!(bounded_id("a\0c".to_owned()), "a\u{fffd}c");
    }

    #[test]
    fn names_and_words_are_cut_between_characters() {
        assert_eq!(bounded_name("é".repeat(100)), "é".repeat(32));
        assert_eq!(bounded_words("€".repeat(1000)), "€".repeat(333));
    }
}
