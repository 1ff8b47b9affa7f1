//! A list of questions and an end, worked through in order.

use vumi_campaign_kit::Screen;
use vumi_kit::text::{Encoding, measure};

/// What a person reads who has answered everything where the list says no `end`.
const GOODBYE: &str = "Thank you.";

/// An item of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListItem {
    /// Asked until it is answered.
    Question {
        text: String,
        /// None: any text is an answer.
        options: Vec<String>,
        /// What the answer is kept under.
        key: String,
        /// Whether `%(key)s` stands for an earlier answer.
        parse: bool,
    },
    /// Its text closes the session.
    End(String),
}

impl ListItem {
    /// The text with the answers filled in, then a line `1: option` for each option.
    pub(crate) fn shown(&self, answers: &[(String, String)]) -> String {
        match self {
            Self::End(text) => filled(text, answers),
            Self::Question { text, options, parse, .. } => {
                let mut screen = if *parse { filled(text, answers) } else { text.clone() };
                for (number, option) in options.iter().enumerate() {
                    screen.push_str(&format!("\n{}: {option}", number + 1));
                }
                screen
            }
        }
    }
}

/// A menu of the first Vumi's form.
#[derive(Debug)]
pub(crate) struct ListMenu(Vec<ListItem>);

/// What follows an input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ListTurn {
    /// The item that is shown now.
    pub(crate) position: usize,
    pub(crate) screen: Screen,
    /// Question and answer, where the input was one.
    pub(crate) answered: Option<(String, String)>,
}

impl ListMenu {
    pub(crate) const fn new(items: Vec<ListItem>) -> Self {
        Self(items)
    }

    /// Shows the first item; a list that is only an `end` closes at once.
    pub(crate) fn begin(&self) -> ListTurn {
        self.show(0, &[], None)
    }

    /// The screen after an input at an item, with the answers before it.
    pub(crate) fn answer(&self, position: usize, answers: &[(String, String)], input: &str) -> ListTurn {
        let Some(ListItem::Question { options, key, .. }) = self.0.get(position) else {
            return self.show(position, answers, None);
        };
        let chosen = if options.is_empty() {
            (!input.is_empty()).then(|| input.to_owned())
        } else {
            let number = input.parse::<usize>().ok().and_then(|number| options.get(number.checked_sub(1)?));
            let by_text = || options.iter().find(|option| option.trim().to_lowercase() == input.to_lowercase());
            number.or_else(by_text).cloned()
        };
        match chosen {
            None => self.show(position, answers, None),
            Some(answer) => {
                let mut all = answers.to_vec();
                all.push((key.clone(), answer.clone()));
                self.show(position + 1, &all, Some((key.clone(), answer)))
            }
        }
    }

    fn show(&self, position: usize, answers: &[(String, String)], answered: Option<(String, String)>) -> ListTurn {
        let screen = match self.0.get(position) {
            Some(item @ ListItem::Question { .. }) => Screen::ask(cut(item.shown(answers))),
            Some(item @ ListItem::End(_)) => Screen::end(cut(item.shown(answers))),
            None => Screen::end(GOODBYE),
        };
        ListTurn { position, screen, answered }
    }
}

/// A text with the answers in the places of their keys.
fn filled(text: &str, answers: &[(String, String)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("%(") {
        filled.push_str(before);
        let known = after.split_once(")s").and_then(|(key, behind)| {
            let answer = answers.iter().rev().find(|(known, _)| known == key)?;
            Some((answer.1.as_str(), behind))
        });
        match known {
            Some((answer, behind)) => {
                filled.push_str(answer);
                rest = behind;
            }
            None => {
                filled.push_str("%(");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// What a USSD screen holds of a text that a person's answers made too long.
fn cut(mut text: String) -> String {
    let most = |text: &str| if measure(text).encoding == Encoding::Gsm7 { 182 } else { 80 };
    while measure(&text).units > most(&text) {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use vumi_campaign_kit::Screen;

    use super::{ListItem, ListMenu};

    fn menu() -> ListMenu {
        let question = |text: &str, options: &[&str], parse| ListItem::Question {
            text: text.to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            key: text.to_owned(),
            parse,
        };
        ListMenu::new(vec![
            question("Water?", &["tap", "River"], false),
            question("%(Water?)s and %(other)s: who?", &[], true),
            ListItem::End("Bye".to_owned()),
        ])
    }

    #[test]
    fn an_answer_is_the_number_or_the_options_text_and_anything_else_asks_again() {
        let first = menu().begin();
        assert_eq!((first.position, first.screen), (0, Screen::ask("Water?\n1: tap\n2: River")));
        for (input, answer) in
            [("1", Some("tap")), ("RIVER", Some("River")), ("3", None), ("0", None), ("", None), ("*", None)]
        {
            let turn = menu().answer(0, &[], input);
            assert_eq!(turn.answered.as_ref().map(|(_, answer)| answer.as_str()), answer, "{input}");
            assert_eq!(turn.position, usize::from(answer.is_some()), "{input}");
        }
    }

    #[test]
    fn earlier_answers_stand_in_later_texts_and_the_end_is_the_end() {
        let before = [("Water?".to_owned(), "tap".to_owned())];
        let again = menu().answer(1, &before, "");
        assert_eq!(again.screen, Screen::ask("tap and %(other)s: who?"));
        let turn = menu().answer(1, &before, "me");
        assert_eq!((turn.position, turn.screen), (2, Screen::end("Bye")));
        assert_eq!(ListMenu::new(Vec::new()).begin().screen, Screen::end("Thank you."));
        let long = [("Water?".to_owned(), "x".repeat(300))];
        assert_eq!(menu().answer(1, &long, "").screen.text().len(), 182);
    }
}
