//! Texts that are longer than a screen: page by page, each but the last with a line that offers more.

use serde::{Deserialize, Serialize};
use vumi_kit::{
    message::ScreenLimit,
    text::{Encoding, measure},
};

/// What of a text was not shown yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnshownPages {
    pub(super) text: String,
    /// The session ends with its last page.
    pub(super) closes: bool,
    /// It came after its call was answered: whatever the person sends shows it.
    pub(super) late: bool,
}

impl UnshownPages {
    /// Whether an input asks for it. A session that is to end takes no other input.
    pub(super) fn is_asked_for(&self, input: &str, more: &str) -> bool {
        self.closes || self.late || more.split_whitespace().next() == Some(input.trim())
    }
}

/// Splits a text into its first page and the rest: at a space or line break, where the second half of the page has one.
pub(super) fn first_page(text: &str, limit: ScreenLimit, more: &str) -> (String, Option<String>) {
    let measured = measure(text);
    let most = match measured.encoding {
        Encoding::Gsm7 => limit.gsm_characters,
        Encoding::Ucs2 => limit.ucs2_characters,
    };
    if measured.units <= most {
        return (text.to_owned(), None);
    }
    let units = |part: &str| match measured.encoding {
        Encoding::Gsm7 => measure(part).units,
        Encoding::Ucs2 => part.encode_utf16().count(),
    };
    let space = most.saturating_sub(units(more) + 1);
    let (mut taken, mut end, mut last_space) = (0, 0, None);
    for (at, c) in text.char_indices() {
        taken += units(c.encode_utf8(&mut [0; 4]));
        if taken > space && end > 0 {
            break;
        }
        if matches!(c, ' ' | '\n') {
            last_space = Some(at);
        }
        end = at + c.len_utf8();
    }
    let cut = last_space.filter(|&space| space > end / 2).unwrap_or(end);
    let (page, rest) = text.split_at(cut);
    let rest = rest.trim_start();
    (format!("{}\n{more}", page.trim_end()), (!rest.is_empty()).then(|| rest.to_owned()))
}
