//! The text of an SMS: which alphabet it needs and how many parts it takes (3GPP TS 23.038 and 23.040).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The alphabet an SMS is sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// The GSM default alphabet with its extension table: a unit is a septet.
    #[serde(rename = "GSM 03.38")]
    Gsm7,
    /// Everything else: a unit is 16 bits, and a character beyond the basic plane (emoji) takes two.
    #[serde(rename = "UCS-2")]
    Ucs2,
}

impl Encoding {
    /// As the HTTP API shows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "GSM 03.38",
            Self::Ucs2 => "UCS-2",
        }
    }

    /// How many units an SMS of a single part holds.
    #[must_use]
    pub const fn single(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// How many units each part of a longer SMS holds: the header that joins the parts takes the rest.
    #[must_use]
    pub const fn part(self) -> usize {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }

    /// How many units a character takes; `None` where the alphabet lacks it.
    const fn units(self, c: char) -> Option<usize> {
        match self {
            Self::Gsm7 => septets(c),
            Self::Ucs2 => Some(c.len_utf16()),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a text takes as an SMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// The alphabet.
    pub encoding: Encoding,
    /// How many parts; none for an empty text.
    pub segments: u32,
    /// How many units in all: septets or 16-bit units.
    pub units: usize,
    /// How many units still fit before there is one more part than now.
    pub left_in_segment: usize,
    /// The characters that the GSM alphabet lacks, each once, in their order, [`FORCED_SHOWN`] at the most.
    pub forced_ucs2: Vec<char>,
}

/// How many characters [`Measure::forced_ucs2`] and [`transliterate`] name at the most.
pub const FORCED_SHOWN: usize = 32;

/// The septets a character takes in the GSM alphabet: 1, 2 with an escape in front, `None` if it has none.
pub(crate) const fn septets(c: char) -> Option<usize> {
    match c {
        '^' | '{' | '}' | '\\' | '[' | ']' | '~' | '|' | '\u{c}' | '€' => Some(2),
        '`' => None,
        '\n' | '\r' | ' '..='~' => Some(1),
        '£' | '¥' | 'è' | 'é' | 'ù' | 'ì' | 'ò' | 'Ç' | 'Ø' | 'ø' | 'Å' | 'å' | 'Æ' | 'æ' | 'ß' | 'É' | '¤' | '¡'
        | 'Ä' | 'Ö' | 'Ñ' | 'Ü' | '§' | '¿' | 'ä' | 'ö' | 'ñ' | 'ü' | 'à' => Some(1),
        'Δ' | 'Φ' | 'Γ' | 'Λ' | 'Ω' | 'Π' | 'Ψ' | 'Σ' | 'Θ' | 'Ξ' => Some(1),
        _ => None,
    }
}

/// Whether a character is in the GSM alphabet or its extension table.
#[must_use]
pub const fn is_gsm(c: char) -> bool {
    septets(c).is_some()
}

/// Whether an SMS may hold a character. NUL and the other control characters, but for line ends, tab and page
/// break, are no text: providers' XML can't hold them, and PostgreSQL can't store a NUL.
#[must_use]
pub const fn is_writable(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | '\u{c}' => true,
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => false,
        _ => true,
    }
}

/// Makes a text from outside storable: U+FFFD replaces NUL, which PostgreSQL can't store.
#[must_use]
pub fn keepable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// Measures a text: its alphabet, its parts, and why it needs UCS-2 if it does.
#[must_use]
pub fn measure(text: &str) -> Measure {
    if text.chars().all(is_gsm) { measure_as(text, Encoding::Gsm7) } else { measure_as(text, Encoding::Ucs2) }
}

fn measure_as(text: &str, encoding: Encoding) -> Measure {
    let units: usize = text.chars().filter_map(|c| encoding.units(c)).sum();
    let (segments, left_in_segment) = if units <= encoding.single() {
        (u32::from(units > 0), encoding.single() - units)
    } else {
        let (full, used) = parts(text, encoding);
        (full + 1, encoding.part() - used)
    };
    let forced_ucs2 = if encoding == Encoding::Gsm7 { Vec::new() } else { beyond_gsm(text) };
    Measure { encoding, segments, units, left_in_segment, forced_ucs2 }
}

/// The full parts of a long text and the units used in its last. A pair (escape and character, or two
/// surrogates) that does not fit moves on to the next part whole.
fn parts(text: &str, encoding: Encoding) -> (u32, usize) {
    let mut full = 0;
    let mut used = 0;
    for units in text.chars().filter_map(|c| encoding.units(c)) {
        if used + units > encoding.part() {
            full += 1;
            used = 0;
        }
        used += units;
    }
    (full, used)
}

fn beyond_gsm(text: &str) -> Vec<char> {
    let mut found = Vec::new();
    for c in text.chars().filter(|&c| !is_gsm(c)) {
        if found.len() == FORCED_SHOWN {
            break;
        }
        if !found.contains(&c) {
            found.push(c);
        }
    }
    found
}

/// Rewrites a text in the GSM alphabet: smart quotes, dashes, accents and other scripts in their nearest Latin
/// spelling. Answers the text and the characters that have none (each once, [`FORCED_SHOWN`] at the most); they
/// became `?`.
#[must_use]
pub fn transliterate(text: &str) -> (String, Vec<char>) {
    let mut spelled = String::with_capacity(text.len());
    let mut lost = Vec::new();
    for c in text.chars() {
        if is_gsm(c) {
            spelled.push(c);
        } else if let Some(near) = nearest(c) {
            spelled.push_str(near);
        } else {
            spelled.push('?');
            if lost.len() < FORCED_SHOWN && !lost.contains(&c) {
                lost.push(c);
            }
        }
    }
    (spelled, lost)
}

/// The nearest spelling of a character that the GSM alphabet lacks; empty for one that shows nothing.
fn nearest(c: char) -> Option<&'static str> {
    match c {
        '`' => Some("'"),
        // Tabs and hard spaces are spaces; joiners and direction marks show nothing of their own.
        '\t' | '\u{a0}' => Some(" "),
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' => Some(""),
        // Where any_ascii thinks of ASCII, the GSM alphabet has the letter itself.
        'ç' => Some("Ç"),
        // What belongs to the letter before it.
        '\u{300}'..='\u{36f}' => Some(""),
        _ => Some(any_ascii::any_ascii_char(c))
            .filter(|near| !near.is_empty() && !is_shortcode(near) && near.chars().all(is_gsm)),
    }
}

/// Whether a spelling is a symbol's name between colons, as chat programs write it (`:snowman2:`): no text for an SMS.
fn is_shortcode(near: &str) -> bool {
    near.len() > 2 && near.starts_with(':') && near.ends_with(':')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Encoding, FORCED_SHOWN, is_gsm, measure, transliterate};

    #[track_caller]
    fn assert_measures(text: &str, encoding: Encoding, segments: u32, units: usize, left: usize) {
        let measured = measure(text);
        assert_eq!(
            (measured.encoding, measured.segments, measured.units, measured.left_in_segment),
            (encoding, segments, units, left),
            "{text:?}"
        );
    }

    #[test]
    fn the_gsm_alphabet_has_127_characters_and_an_escape_and_ten_more_behind_it() {
        let all = (0..0x1_0000).filter_map(char::from_u32);
        let costs: Vec<usize> = all.filter_map(super::septets).collect();
        assert_eq!(costs.iter().filter(|&&cost| cost == 1).count(), 127);
        assert_eq!(costs.iter().filter(|&&cost| cost == 2).count(), 10);
    }

    #[test]
    fn gsm_text_takes_160_in_one_part_and_153_in_each_of_more() {
        assert_measures("", Encoding::Gsm7, 0, 0, 160);
        assert_measures("hello world", Encoding::Gsm7, 1, 11, 149);
        assert_measures(&"a".repeat(160), Encoding::Gsm7, 1, 160, 0);
        assert_measures(&"a".repeat(161), Encoding::Gsm7, 2, 161, 145);
        assert_measures(&"a".repeat(306), Encoding::Gsm7, 2, 306, 0);
        assert_measures(&"a".repeat(307), Encoding::Gsm7, 3, 307, 152);
    }

    #[test]
    fn ucs2_text_takes_70_in_one_part_and_67_in_each_of_more() {
        assert_measures("привет", Encoding::Ucs2, 1, 6, 64);
        assert_measures(&"я".repeat(70), Encoding::Ucs2, 1, 70, 0);
        assert_measures(&"я".repeat(71), Encoding::Ucs2, 2, 71, 63);
        assert_measures(&"я".repeat(134), Encoding::Ucs2, 2, 134, 0);
        assert_measures(&"я".repeat(135), Encoding::Ucs2, 3, 135, 66);
    }

    #[test]
    fn an_escaped_character_takes_two_and_is_never_split_over_parts() {
        assert_measures("€", Encoding::Gsm7, 1, 2, 158);
        assert_measures(&"€".repeat(80), Encoding::Gsm7, 1, 160, 0);
        // 76 pairs fill 152 of a part's 153 septets; the 77th moves on whole.
        assert_measures(&"€".repeat(152), Encoding::Gsm7, 2, 304, 1);
        assert_measures(&"€".repeat(153), Encoding::Gsm7, 3, 306, 151);
    }

    #[test]
    fn an_emoji_takes_two_and_is_never_split_over_parts() {
        assert_measures("😀", Encoding::Ucs2, 1, 2, 68);
        assert_measures(&"😀".repeat(35), Encoding::Ucs2, 1, 70, 0);
        assert_measures(&"😀".repeat(66), Encoding::Ucs2, 2, 132, 1);
        assert_measures(&"😀".repeat(67), Encoding::Ucs2, 3, 134, 65);
    }

    #[test]
    fn what_forced_ucs2_is_named_once_each_and_not_without_end() {
        assert_eq!(measure("“hi” – “there”").forced_ucs2, ['“', '”', '–']);
        assert!(measure("{hi} £5 ñ").forced_ucs2.is_empty());
        let many: String = ('一'..='龥').collect();
        assert_eq!(measure(&many).forced_ucs2.len(), FORCED_SHOWN);
    }

    #[test]
    fn transliteration_spells_quotes_dashes_accents_and_scripts_in_gsm() {
        for (text, spelled) in [
            ("“It’s” – fine…", "\"It's\" - fine..."),
            ("crème brûlée", "crème brulée"),
            ("Zażółć", "Zazolc"),
            ("привет", "privet"),
            ("façade\u{200b}\u{a0}x", "faÇade x"),
            ("€5 [ok] ñ", "€5 [ok] ñ"),
        ] {
            assert_eq!(transliterate(text), (spelled.to_owned(), vec![]), "{text:?}");
        }
        // A letter and its accent apart are the letter.
        assert_eq!(transliterate("Z\u{307}olty"), ("Zolty".to_owned(), vec![]));
        assert_eq!(transliterate("\u{e000}a\u{e000}"), ("?a?".to_owned(), vec!['\u{e000}']));
    }

    #[test]
    fn a_symbol_that_no_letters_spell_becomes_a_question_mark_and_is_named() {
        assert_eq!(transliterate("Snow ☃️ and 😀😀!"), ("Snow ? and ??!".to_owned(), vec!['☃', '😀']));
        // All that the engine knows: no name of a symbol is offered as text.
        for c in (0..=0x1_ffff).filter_map(char::from_u32).filter(|&c| !is_gsm(c)) {
            let (spelled, lost) = transliterate(&c.to_string());
            assert!(lost.is_empty() || (spelled.as_str(), lost.as_slice()) == ("?", &[c]), "{c}: {spelled}");
            let named = spelled.matches(':').count() > 1 && spelled.contains(|c: char| c.is_ascii_alphabetic());
            assert!(!named, "{c}: {spelled}");
        }
    }

    proptest! {
        #[test]
        fn parts_have_the_capacity_they_claim(text in "(\\PC|[a-z€{}\n]|😀){0,600}") {
            let measured = measure(&text);
            let (single, part) = (measured.encoding.single(), measured.encoding.part());
            prop_assert_eq!(measured.encoding == Encoding::Gsm7, text.chars().all(is_gsm));
            let segments = measured.segments as usize;
            if measured.units <= single {
                prop_assert_eq!(segments, usize::from(measured.units > 0));
                prop_assert_eq!(measured.left_in_segment, single - measured.units);
            } else {
                // Each part but the last wastes at most the one unit a pair did not fit in.
                prop_assert!(segments >= 2 && measured.units <= segments * part);
                prop_assert!(measured.units + measured.left_in_segment + (segments - 1) >= segments * part);
                prop_assert!(measured.units + measured.left_in_segment <= segments * part);
            }
        }

        #[test]
        fn more_text_never_takes_fewer_parts(a in "(\\PC|[a-z€]|😀){0,300}", b in "(\\PC|[a-z€]|😀){0,300}") {
            let (first, second, both) = (measure(&a), measure(&b), measure(&format!("{a}{b}")));
            prop_assert!(both.segments >= first.segments.max(second.segments));
            if first.encoding == second.encoding {
                prop_assert_eq!(both.units, first.units + second.units);
                // Joined, each text loses at most the longer single part and a pair at its seam.
                prop_assert!(both.segments <= first.segments + second.segments + 2);
            }
        }

        #[test]
        fn as_many_characters_as_are_left_still_fit(text in "[a-z]{1,500}") {
            let measured = measure(&text);
            let filled = measure(&format!("{text}{}", "a".repeat(measured.left_in_segment)));
            prop_assert_eq!(filled.segments, measured.segments);
            let over = measure(&format!("{text}{}", "a".repeat(measured.left_in_segment + 1)));
            prop_assert_eq!(over.segments, measured.segments + 1);
        }

        #[test]
        fn a_transliterated_text_is_gsm(text in any::<String>()) {
            prop_assert_eq!(measure(&transliterate(&text).0).encoding, Encoding::Gsm7);
        }
    }
}
