//! What an SMS means for consent, and what its person reads.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::collections::HashMap;

use super::{ConsentNotice, ConsentSettings, OptOutScope};
use crate::keyword;

/// What a word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentWord {
    /// No more SMS of the sender that the person wrote to, or as `scope` says.
    Out,
    /// No more SMS of any sender.
    OutOfAll,
    In,
    /// SMS again, where the person is out; else it is an ordinary SMS.
    InIfOut,
    /// How it is done.
    Help,
}

/// `[consent]`, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsentRules {
    words: HashMap<String, ConsentWord>,
    texts: HashMap<String, String>,
    first_word: bool,
    of_sender: bool,
    stopped: String,
    started: String,
    help: String,
}

impl ConsentRules {
    /// Those of the settings.
    #[must_use]
    pub fn new(settings: &ConsentSettings) -> Self {
        let meanings =
            [ConsentWord::Out, ConsentWord::OutOfAll, ConsentWord::In, ConsentWord::InIfOut, ConsentWord::Help];
        let lists = settings.words.lists().into_iter().map(|(_, words)| words).zip(meanings);
        let words = lists.flat_map(|(words, meaning)| words.iter().map(move |word| (keyword::whole(word), meaning)));
        Self {
            words: words.collect(),
            texts: settings.texts.iter().map(|(word, text)| (keyword::whole(word), text.clone())).collect(),
            first_word: settings.first_word,
            of_sender: settings.scope == OptOutScope::Sender,
            stopped: settings.stopped.clone(),
            started: settings.started.clone(),
            help: settings.help.clone(),
        }
    }

    /// What a text means; none: nothing.
    #[must_use]
    pub fn meaning(&self, text: &str) -> Option<ConsentWord> {
        self.word_of(text).and_then(|word| self.words.get(&word)).copied()
    }

    /// Whether words count for the number that the person wrote to, and not for all.
    #[must_use]
    pub const fn is_of_sender(&self) -> bool {
        self.of_sender
    }

    /// What the person reads; none: nothing.
    #[must_use]
    pub fn answer(&self, notice: ConsentNotice, text: &str) -> Option<&str> {
        let usual = match notice {
            ConsentNotice::Out => &self.stopped,
            ConsentNotice::In => &self.started,
            ConsentNotice::Help => &self.help,
            ConsentNotice::OutBefore => return None,
        };
        let own = self.word_of(text).and_then(|word| self.texts.get(&word));
        Some(own.unwrap_or(usual).as_str()).filter(|text| !text.is_empty())
    }

    fn word_of(&self, text: &str) -> Option<String> {
        if self.words.is_empty() {
            return None;
        }
        let whole = keyword::whole(text);
        if self.words.contains_key(&whole) {
            return Some(whole);
        }
        let mut first = keyword::candidates(text).filter(|_| self.first_word);
        first.find(|word| self.words.contains_key(word))
    }
}

#[cfg(test)]
mod tests {
    use super::{ConsentRules, ConsentWord};
    use crate::consent::{ConsentNotice, ConsentSettings};

    #[test]
    fn words_out_of_the_box_are_known_as_people_write_them() {
        let rules = ConsentRules::new(&ConsentSettings::default());
        for (text, meaning) in [
            ("STOP", Some(ConsentWord::Out)),
            ("“Stop”.", Some(ConsentWord::Out)),
            ("\u{FEFF}s\u{AD}top!", Some(ConsentWord::Out)),
            ("stop stop", Some(ConsentWord::Out)),
            ("Unsubscribe", Some(ConsentWord::Out)),
            ("StopAll", Some(ConsentWord::OutOfAll)),
            ("STOP ALL", Some(ConsentWord::OutOfAll)),
            ("start", Some(ConsentWord::In)),
            ("help?", Some(ConsentWord::Help)),
            ("stop the bus", None),
            ("YES", None),
            ("END", None),
            ("", None),
        ] {
            assert_eq!(rules.meaning(text), meaning, "{text:?}");
        }
    }

    #[test]
    fn a_market_has_words_and_texts_of_its_own() {
        let settings = serde_json::json!({
            "first_word": true,
            "words": {"out": ["STOP", "ARRÊT", "አቁም"], "in_if_out": ["YES"]},
            "texts": {"arrêt": "Vous ne recevrez plus de SMS."},
        });
        let rules = ConsentRules::new(&serde_json::from_value::<ConsentSettings>(settings).unwrap());
        for (text, meaning) in [
            ("arre\u{302}t !", Some(ConsentWord::Out)),
            ("አቁም", Some(ConsentWord::Out)),
            ("STOP, please", Some(ConsentWord::Out)),
            ("please stop", None),
            ("yes", Some(ConsentWord::InIfOut)),
            ("UNSUBSCRIBE", None),
        ] {
            assert_eq!(rules.meaning(text), meaning, "{text:?}");
        }
        assert_eq!(rules.answer(ConsentNotice::Out, "ARRÊT"), Some("Vous ne recevrez plus de SMS."));
        assert!(rules.answer(ConsentNotice::Out, "stop").unwrap().contains("START"));
        assert_eq!(rules.answer(ConsentNotice::OutBefore, "stop"), None);
    }
}
