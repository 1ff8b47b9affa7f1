//! Scans the text of a receipt: keys in any order and case, each value up to the next blank.

use std::borrow::Cow;

use super::SmppReceipt;
use crate::{Alphabet, MessageState};

#[derive(Clone, Copy, PartialEq, Eq)]
enum ReceiptKey {
    Id,
    Sub,
    Dlvrd,
    SubmitDate,
    DoneDate,
    Stat,
    Err,
    Text,
}

/// Without blanks and the colon: these are optional between the words of a key.
const KEYS: [(&str, ReceiptKey); 8] = [
    ("id", ReceiptKey::Id),
    ("sub", ReceiptKey::Sub),
    ("dlvrd", ReceiptKey::Dlvrd),
    ("submitdate", ReceiptKey::SubmitDate),
    ("donedate", ReceiptKey::DoneDate),
    ("stat", ReceiptKey::Stat),
    ("err", ReceiptKey::Err),
    ("text", ReceiptKey::Text),
];

/// What a text says; nothing of it is required. Nothing behind the first `text:` is read: it is the person's.
pub(super) fn scan(octets: &[u8]) -> SmppReceipt {
    let text = plain(octets);
    let mut receipt = SmppReceipt::default();
    let mut bare_state = None;
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((key, after)) = key(rest) else {
            let (word, after) = word(rest);
            if bare_state.is_none() && word.parse::<u8>().is_err() && MessageState::from_word(word).is_some() {
                bare_state = Some(word.to_owned());
            }
            rest = after;
            continue;
        };
        if key == ReceiptKey::Text {
            break;
        }
        // A key right behind a key: the first has no value.
        let after = after.trim_start();
        let (found, after) = if self::key(after).is_some() { ("", after) } else { word(after) };
        receipt.keep(key, found);
        rest = after;
    }
    receipt.stat = receipt.stat.or(bare_state);
    receipt
}

/// A value as a text; `None` where it is empty. Octets above ASCII are read as Latin-1.
pub(super) fn value(octets: &[u8]) -> Option<String> {
    let text = Alphabet::Latin1.decode(octets);
    let trimmed = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

impl SmppReceipt {
    fn keep(&mut self, key: ReceiptKey, found: &str) {
        let place = match key {
            ReceiptKey::Id => &mut self.id,
            ReceiptKey::Sub => &mut self.sub,
            ReceiptKey::Dlvrd => &mut self.dlvrd,
            ReceiptKey::SubmitDate => &mut self.submit_date,
            ReceiptKey::DoneDate => &mut self.done_date,
            ReceiptKey::Stat => &mut self.stat,
            ReceiptKey::Err => &mut self.err,
            ReceiptKey::Text => return,
        };
        if place.is_none() && !found.is_empty() {
            *place = Some(found.to_owned());
        }
    }
}

/// The text in characters: UTF-16BE where a zero octet leads it, else Latin-1. NULs end words.
fn plain(octets: &[u8]) -> Cow<'static, str> {
    let alphabet = if octets.first() == Some(&0) && octets.len() > 1 { Alphabet::Ucs2 } else { Alphabet::Latin1 };
    Cow::Owned(alphabet.decode(octets).replace('\0', " "))
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, after) = text.split_at_checked(end).unwrap_or((text, ""));
    (word, after.trim_start())
}

/// A key at the front of a text, and what follows its colon.
fn key(text: &str) -> Option<(ReceiptKey, &str)> {
    KEYS.into_iter().find_map(|(name, key)| Some((key, after_key(text, name)?)))
}

fn after_key<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    for letter in name.chars() {
        let mut characters = rest.trim_start_matches([' ', '_']).chars();
        characters.next().filter(|c| c.eq_ignore_ascii_case(&letter))?;
        rest = characters.as_str();
    }
    rest.trim_start_matches(' ').strip_prefix(':')
}
