//! The words of an SMS, as people write them: `STOP.`, `stop!`, `“STOP”`, `STOP,please`, with invisible marks, in any
//! case and in any Unicode normal form.

use unicode_normalization::UnicodeNormalization;

/// A keyword in the form that keywords are compared in: without invisible marks, in capitals, in one Unicode normal form.
#[must_use]
pub fn normalized(word: &str) -> String {
    let visible = word.chars().filter(|c| !is_invisible(*c));
    let upper: String = visible.nfkc().flat_map(char::to_uppercase).collect();
    upper.nfkc().collect()
}

/// What may be meant as the keyword of a text, the most exact first: its first word as it stands, without the
/// punctuation around it, and up to the first punctuation in it.
pub fn candidates(text: &str) -> impl Iterator<Item = String> {
    let word = text.split_whitespace().map(normalized).find(|word| word.chars().any(is_letter)).unwrap_or_default();
    let trimmed = word.trim_matches(|c| !is_letter(c)).to_owned();
    let beginning = trimmed.split(|c| !is_letter(c)).next().unwrap_or_default().to_owned();
    [word, trimmed, beginning].into_iter().filter(|word| !word.is_empty())
}

/// The longest text that [`whole`] reads, in characters: what is longer says more than a word.
const LONGEST_WHOLE: usize = 160;

/// A whole text in the form that keywords are compared in: punctuation is left out, one space stands between words, and a word
/// that is written several times (`STOP STOP!`) stands once. Empty: it has no letter, or is longer than 160 characters.
#[must_use]
pub fn whole(text: &str) -> String {
    if text.trim().chars().nth(LONGEST_WHOLE).is_some() {
        return String::new();
    }
    let text = normalized(text);
    let mut words: Vec<&str> = text.split(|c| !is_letter(c)).filter(|word| !word.is_empty()).collect();
    if words.iter().all(|word| Some(word) == words.first()) {
        words.truncate(1);
    }
    words.join(" ")
}

/// A letter, a digit, or a mark that combines with one.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c)
}

/// Marks that nobody sees: byte order marks, zero-width characters, directions, soft hyphens, variation selectors.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E007F}'
    )
}

#[cfg(test)]
mod tests {
    use super::{candidates, normalized, whole};

    fn is_meant(text: &str, keyword: &str) -> bool {
        candidates(text).any(|word| word == normalized(keyword))
    }

    #[test]
    fn a_keyword_is_known_as_people_write_it() {
        for text in [
            "STOP",
            "stop",
            "STOP.",
            "stop!",
            "“STOP”",
            "«Stop»",
            "STOP,please",
            "(stop)",
            "stop...now",
            "- stop",
            "\u{FEFF}STOP",
            "\u{200B}stop\u{200B}",
            "\u{202A}STOP\u{202C}",
            "ST\u{AD}OP",
            "\u{A0}Stop\u{A0}please",
            "ＳＴＯＰ",
            "stop/end",
            "¡STOP!",
        ] {
            assert!(is_meant(text, "STOP"), "{text:?}");
        }
        for text in ["STOPPED", "DON'T STOP", "please stop", "", "...", "st op"] {
            assert!(!is_meant(text, "STOP"), "{text:?}");
        }
    }

    #[test]
    fn normal_forms_and_cases_are_the_same_word() {
        assert!(is_meant("ARRE\u{302}T", "arrêt"), "NFD against NFC");
        assert!(is_meant("arrêt!", "ARRE\u{302}T"), "NFC against NFD");
        assert!(is_meant("Straße.", "STRASSE"));
        assert!(is_meant("СТОП,", "стоп"));
        assert!(is_meant("कृपया", "कृपया"), "marks are part of a word");
    }

    #[test]
    fn a_keyword_with_punctuation_of_its_own_is_known_too() {
        assert!(is_meant("A+B please", "a+b"));
        assert!(is_meant("#1", "#1"));
    }

    #[test]
    fn a_whole_text_is_known_as_people_write_it() {
        for text in [
            "STOP",
            " stop. ",
            "“Stop”",
            "«stop!»",
            "\u{FEFF}STOP",
            "s\u{200B}top",
            "ＳＴＯＰ",
            "stop\u{A0}",
            "Stop 🙏",
            "STOP STOP stop!!",
            "(stop)\n",
            "st\u{AD}op",
        ] {
            assert_eq!(whole(text), "STOP", "{text:?}");
        }
        for (text, words) in [
            ("STOP ALL", "STOP ALL"),
            ("stop,  all!", "STOP ALL"),
            ("opt-out", "OPT OUT"),
            ("arre\u{302}t", "ARRÊT"),
            ("አቁም።", "አቁም"),
            ("please stop", "PLEASE STOP"),
            ("...", ""),
            ("", ""),
        ] {
            assert_eq!(whole(text), words, "{text:?}");
        }
        assert_eq!(whole(&"stop ".repeat(33)), "", "that is more than a word");
    }
}
