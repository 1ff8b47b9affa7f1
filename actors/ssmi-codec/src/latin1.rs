//! Texts in ISO-8859-1, the protocol's character set, and how much of a USSD screen they take.

use std::borrow::Cow;

/// How many 7-bit characters a USSD message holds.
pub const SCREEN_UNITS: usize = 182;

/// How many 7-bit characters a text takes: those of the GSM alphabet's extension table (`[`, `{`, `€`, ...) take
/// two. A letter that the alphabet lacks (`ê`) counts as one.
#[must_use]
pub fn screen_units(text: &str) -> usize {
    let escaped = |c| matches!(c, '^' | '{' | '}' | '\\' | '[' | ']' | '~' | '|' | '\u{c}' | '€');
    text.chars().map(|c| if escaped(c) { 2 } else { 1 }).sum()
}

/// A text as the protocol can carry it: `\r\n` and `\r` become `\n`, and a character that ISO-8859-1 lacks its nearest
/// Latin spelling (`“` a `"`, `ł` an `l`, `€` `EUR`), or `?`. Answers the characters that were replaced, each once.
#[must_use]
pub fn to_latin1(text: &str) -> (Cow<'_, str>, Vec<char>) {
    if text.chars().all(|c| c != '\r' && u8::try_from(c).is_ok()) {
        return (Cow::Borrowed(text), Vec::new());
    }
    let mut spelled = String::with_capacity(text.len());
    let mut replaced = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\r' {
            rest.next_if_eq(&'\n');
            spelled.push('\n');
        } else if u8::try_from(c).is_ok() {
            spelled.push(c);
        } else {
            spelled.push_str(nearest(c));
            if !replaced.contains(&c) {
                replaced.push(c);
            }
        }
    }
    (Cow::Owned(spelled), replaced)
}

fn nearest(c: char) -> &'static str {
    match c {
        // Joiners, direction marks, variation selectors and combining accents show nothing of their own.
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{300}'..='\u{36f}' => "",
        _ => match any_ascii::any_ascii_char(c) {
            "" => "?",
            near if near.contains('\r') => "?",
            near => near,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{screen_units, to_latin1};

    #[test]
    fn latin_1_passes_as_it_is() {
        assert_eq!(to_latin1("crème, £5 ÿ\n"), ("crème, £5 ÿ\n".into(), vec![]));
    }

    #[test]
    fn line_breaks_become_line_feeds() {
        assert_eq!(to_latin1("a\r\nb\rc\r\r\nd\r"), ("a\nb\nc\n\nd\n".into(), vec![]));
    }

    #[test]
    fn what_latin_1_lacks_is_spelled_and_named_once() {
        let (text, replaced) = to_latin1("“Zażółć” €5 – привет “x” \u{e000}");
        assert_eq!(text, "\"Zazólc\" EUR5 - privet \"x\" ?");
        assert_eq!(replaced.first(), Some(&'“'));
        assert_eq!(replaced.iter().filter(|&&c| c == '“').count(), 1);
    }

    #[test]
    fn brackets_take_two_places_on_a_screen() {
        assert_eq!(screen_units("a[b]"), 6);
        assert_eq!(screen_units("ê"), 1);
    }
}
