//! Paging: a text longer than a USSD screen is shown page by page; each but the last ends with a line that offers more.

use serde::{Deserialize, Serialize};

/// How much a screen holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageSize {
    /// So many units at the most.
    pub(crate) most: usize,
    /// How many units a text takes.
    pub(crate) units: fn(&str) -> usize,
}

impl PageSize {
    /// Whether a text fits one screen.
    pub(crate) fn holds(&self, text: &str) -> bool {
        (self.units)(text) <= self.most
    }
}

/// The part of a text that was not shown yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnshownText {
    pub(super) text: String,
    /// The session ends with its last page.
    pub(super) closes: bool,
}

/// Splits a text into its first page and the rest: at a space or line break, where the second half of the page has one.
pub(super) fn first_page(text: &str, more: &str, size: PageSize) -> (String, Option<String>) {
    if size.holds(text) {
        return (text.to_owned(), None);
    }
    let units = size.units;
    let space = size.most.saturating_sub(units(more) + 1);
    let (mut taken, mut end, mut last_space) = (0, 0, None);
    for (at, c) in text.char_indices() {
        taken += units(c.encode_utf8(&mut [0; 4]));
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
pub(super) fn page_count(text: &str, more: &str, size: PageSize, most: usize) -> usize {
    let mut rest = Some(text.to_owned());
    let mut count = 0;
    while let Some(left) = rest {
        count += 1;
        if count > most {
            break;
        }
        rest = first_page(&left, more, size).1;
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vumi_ssmi_codec::{SCREEN_UNITS, screen_units};

    use super::{PageSize, first_page, page_count};

    const MORE: &str = "0 More";
    const SIZE: PageSize = PageSize { most: SCREEN_UNITS, units: screen_units };

    #[test]
    fn a_text_that_fits_is_one_page() {
        let text = "a".repeat(SCREEN_UNITS);
        assert_eq!(first_page(&text, MORE, SIZE), (text.clone(), None));
    }

    #[test]
    fn a_longer_text_is_cut_between_words_and_offers_more() {
        let (page, rest) = first_page(&"word ".repeat(40), MORE, SIZE);
        assert!(page.ends_with("word\n0 More"), "{page}");
        assert!(rest.unwrap().starts_with("word word"));
    }

    #[test]
    fn pages_are_counted_no_further_than_asked() {
        assert_eq!(page_count("short", MORE, SIZE, 3), 1);
        assert_eq!(page_count(&"x".repeat(300), MORE, SIZE, 3), 2);
        assert_eq!(page_count(&"x".repeat(100_000), MORE, SIZE, 3), 4);
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_no_page_is_too_long(text in "([a-z\\[]{1,250}[ \n]{1,3}){0,20}") {
            let mut rest = Some(text.clone());
            let mut shown = String::new();
            while let Some(left) = rest {
                let (page, further) = first_page(&left, MORE, SIZE);
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
