//! Paging: a text longer than a USSD screen is shown page by page; each but the last ends with a line that offers more.

use serde::{Deserialize, Serialize};
use vumi_ssmi_codec::{SCREEN_UNITS, screen_units};

/// The part of a text that was not shown yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnshownText {
    pub(super) text: String,
    /// The session ends with its last page.
    pub(super) closes: bool,
}

/// Splits a text into its first page and the rest: at a space or line break, where the second half of the page has one.
pub(super) fn first_page(text: &str, more: &str) -> (String, Option<String>) {
    if screen_units(text) <= SCREEN_UNITS {
        return (text.to_owned(), None);
    }
    let space = SCREEN_UNITS.saturating_sub(screen_units(more) + 1);
    let (mut taken, mut end, mut last_space) = (0, 0, None);
    for (at, c) in text.char_indices() {
        taken += screen_units(c.encode_utf8(&mut [0; 4]));
        if matches!(c, ' ' | '\n') {
            last_space = Some(at);
        }
        if taken > space {
            break;
        }
        end = at + c.len_utf8();
    }
    let cut = last_space.filter(|&space| space > end / 2).unwrap_or(end);
    let (page, rest) = text.split_at(cut);
    let rest = rest.trim_start();
    (format!("{}\n{more}", page.trim_end()), (!rest.is_empty()).then(|| rest.to_owned()))
}

/// How many pages a text takes; counts no further than `most` + 1.
pub(super) fn page_count(text: &str, more: &str, most: usize) -> usize {
    let mut rest = Some(text.to_owned());
    let mut count = 0;
    while let Some(left) = rest {
        count += 1;
        if count > most {
            break;
        }
        rest = first_page(&left, more).1;
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vumi_ssmi_codec::{SCREEN_UNITS, screen_units};

    use super::{first_page, page_count};

    const MORE: &str = "0 More";

    #[test]
    fn a_text_that_fits_is_one_page() {
        let text = "a".repeat(SCREEN_UNITS);
        assert_eq!(first_page(&text, MORE), (text.clone(), None));
    }

    #[test]
    fn a_longer_text_is_cut_between_words_and_offers_more() {
        let (page, rest) = first_page(&"word ".repeat(40), MORE);
        assert!(page.ends_with("word\n0 More"), "{page}");
        assert!(rest.unwrap().starts_with("word word"));
    }

    #[test]
    fn pages_are_counted_no_further_than_asked() {
        assert_eq!(page_count("short", MORE, 3), 1);
        assert_eq!(page_count(&"x".repeat(300), MORE, 3), 2);
        assert_eq!(page_count(&"x".repeat(100_000), MORE, 3), 4);
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_no_page_is_too_long(text in "([a-z\\[]{1,250}[ \n]{1,3}){0,20}") {
            let mut rest = Some(text.clone());
            let mut shown = String::new();
            while let Some(left) = rest {
                let (page, further) = first_page(&left, MORE);
                prop_assert!(screen_units(&page) <= SCREEN_UNITS);
                prop_assert!(further.as_ref().is_none_or(|further| further.len() < left.len()));
                shown.push_str(page.strip_suffix("\n0 More").unwrap_or(&page));
                rest = further;
            }
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(letters(&shown), letters(&text));
        }
    }
}
