//! The settings below `[consent]`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{keyword, kind::Problem};

/// Which words end SMS and begin them again, and how that is answered: `[consent]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsentSettings {
    /// What a word of `out` and `in` counts for: `all` senders, or the `sender` (the number that the person wrote to). Take
    /// `sender` only where people answer to the very number that an SMS came from: a name can't be answered.
    pub scope: OptOutScope,
    /// Whether the first word of an SMS counts, whatever follows it. If not, the SMS has to be the word and nothing else.
    pub first_word: bool,
    /// What people read once they are out. Empty: nothing.
    pub stopped: String,
    /// What people read once they are in. Empty: nothing.
    pub started: String,
    /// What people read who ask for help. Empty: nothing, and such an SMS goes to its campaign.
    pub help: String,
    /// The words, in any case and with any punctuation around them; `STOP ALL` is a word, too.
    pub words: ConsentWordSettings,
    /// What people read who wrote this word, where it is not the text above: `[consent.texts]` with `ARRET = "..."`.
    #[schemars(example = BTreeMap::from([("ARRET", "Vous ne recevrez plus de SMS de nous.")]))]
    pub texts: BTreeMap<String, String>,
}

/// What an opt-out counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptOutScope {
    /// SMS of every sender.
    #[default]
    All,
    /// SMS of the number that the person wrote to.
    Sender,
}

/// The words that mean out, in and help: `[consent.words]`. A word stands in one list only.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsentWordSettings {
    /// No more SMS: counts for `consent.scope`.
    pub out: Vec<String>,
    /// No more SMS of any sender, whatever `consent.scope` says.
    pub out_of_all: Vec<String>,
    /// SMS again: counts for `consent.scope`.
    #[serde(rename = "in")]
    pub opt_in: Vec<String>,
    /// As `in`, and only from a number that is out: words that also answer other questions, such as `YES`.
    pub in_if_out: Vec<String>,
    /// How it is done.
    pub help: Vec<String>,
}

impl Default for ConsentSettings {
    fn default() -> Self {
        Self {
            scope: OptOutScope::All,
            first_word: false,
            stopped: "You will get no more SMS from us. Reply START to get them again.".to_owned(),
            started: "You will get our SMS. Reply STOP to end them, HELP for help.".to_owned(),
            help: "Reply STOP to end our SMS, START to get them again.".to_owned(),
            words: ConsentWordSettings::default(),
            texts: BTreeMap::new(),
        }
    }
}

impl Default for ConsentWordSettings {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            out: words(&["STOP", "UNSUBSCRIBE"]),
            out_of_all: words(&["STOPALL", "STOP ALL"]),
            opt_in: words(&["START"]),
            in_if_out: Vec::new(),
            help: words(&["HELP"]),
        }
    }
}

/// Words of a list.
const MOST_WORDS: usize = 1_000;
/// Characters of a word, and of a text that people read.
const LONGEST_WORD: usize = 80;
const LONGEST_TEXT: usize = 1_000;

impl ConsentWordSettings {
    /// Each list with its key.
    pub(super) const fn lists(&self) -> [(&'static str, &Vec<String>); 5] {
        [
            ("out", &self.out),
            ("out_of_all", &self.out_of_all),
            ("in", &self.opt_in),
            ("in_if_out", &self.in_if_out),
            ("help", &self.help),
        ]
    }
}

impl ConsentSettings {
    /// What is wrong with them; keys as below `[consent]`.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let (mut problems, mut known) = (Vec::new(), BTreeMap::new());
        for (list, words) in self.words.lists() {
            if words.len() > MOST_WORDS {
                problems
                    .push(Problem::new(format!("words.{list}"), format!("expected {MOST_WORDS} words at the most")));
            }
            for (at, word) in words.iter().enumerate().take(MOST_WORDS) {
                let key = format!("words.{list}[{at}]");
                let compared = keyword::whole(word);
                if compared.is_empty() || compared.chars().count() > LONGEST_WORD {
                    let what =
                        format!("expected a word with a letter or digit, of {LONGEST_WORD} characters at the most");
                    problems.push(Problem::new(key, what));
                } else if let Some(before) = known.insert(compared.clone(), list).filter(|before| *before != list) {
                    problems.push(Problem::new(key, format!("`{compared}` stands in `{before}` too: leave it in one")));
                }
            }
        }
        let mut said = BTreeSet::new();
        for (word, text) in &self.texts {
            let (key, compared) = (format!("texts.{word}"), keyword::whole(word));
            if !known.contains_key(&compared) {
                problems.push(Problem::new(key.clone(), "expected a word of `consent.words`".to_owned()));
            } else if !said.insert(compared) {
                problems.push(Problem::new(key.clone(), "the same word has a text already".to_owned()));
            }
            problems.extend(check_text(key, text));
        }
        for (key, text) in [("stopped", &self.stopped), ("started", &self.started), ("help", &self.help)] {
            problems.extend(check_text(key.to_owned(), text));
        }
        problems
    }
}

fn check_text(key: String, text: &str) -> Option<Problem> {
    let long = text.chars().nth(LONGEST_TEXT).is_some();
    long.then(|| Problem::new(key, format!("expected {LONGEST_TEXT} characters at the most")))
}

#[cfg(test)]
mod tests {
    use super::ConsentSettings;

    #[test]
    fn the_defaults_pass_their_own_check() {
        assert_eq!(ConsentSettings::default().check(), []);
    }

    #[test]
    fn nonsense_is_named_by_its_key() {
        let long = "x".repeat(1_001);
        let nonsense = serde_json::json!({
            "stopped": long,
            "words": {"out": ["STOP", "..."], "in": ["stop!"], "help": ["y".repeat(81)]},
            "texts": {"QUIT": "", "STOP": long},
        });
        let settings: ConsentSettings = serde_json::from_value(nonsense).unwrap();
        let keys: Vec<_> = settings.check().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["words.out[1]", "words.in[0]", "words.help[0]", "texts.QUIT", "texts.STOP", "stopped"]);
        assert!(serde_json::from_str::<ConsentSettings>(r#"{"word": {}}"#).is_err());
    }
}
