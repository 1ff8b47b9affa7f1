//! The settings of `quiz`, and what follows from them alone.

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_campaign_kit::Limits;
use vumi_kit::kind::Problem;

/// How many choices a question may have: one key of the phone each, and 0 is none.
const CHOICES: std::ops::RangeInclusive<usize> = 2..=9;

/// The settings of `quiz`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct QuizSettings {
    /// The questions, in their order; three about HIV tests unless set.
    pub(super) questions: Vec<QuizQuestion>,
    /// The screen after the last question.
    pub(super) thanks: String,
    /// The line before a question that is asked again.
    pub(super) wrong: String,
    /// The line before the statistics, for a returning person.
    pub(super) welcome_back: String,
    /// The last line of statistics while there are more.
    pub(super) more: String,
    /// How many messages it takes at once, and when its sessions expire.
    pub(super) limits: Limits,
}

/// A multiple-choice question.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuizQuestion {
    /// The question. Answers are stored under these words: other words are another question.
    pub(super) ask: String,
    /// 2 to 9 choices.
    pub(super) choices: Vec<String>,
}

impl Default for QuizSettings {
    fn default() -> Self {
        let question = |ask: &str, choices: &[&str]| QuizQuestion {
            ask: ask.to_owned(),
            choices: choices.iter().map(|&choice| choice.to_owned()).collect(),
        };
        Self {
            questions: vec![
                question("When did you last test for HIV?", &["This year", "Longer ago", "Never"]),
                question("Can a person who looks healthy have HIV?", &["Yes", "No", "I don't know"]),
                question("Where would you go for a test?", &["Clinic", "Hospital", "Mobile clinic", "I don't know"]),
            ],
            thanks: "Thank you! A test is free at any clinic. Dial again to see what others answered.".to_owned(),
            wrong: "Please send the number of your choice.".to_owned(),
            welcome_back: "Welcome back! So far people said:".to_owned(),
            more: "Send 1 for more.".to_owned(),
            limits: Limits::default(),
        }
    }
}

impl QuizSettings {
    /// What is wrong, except the lengths of screens.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.questions.is_empty() {
            problems.push(Problem::new("questions", "there are none: give one or more, or leave the key out"));
        }
        for (number, question) in self.questions.iter().enumerate() {
            let key = format!("questions[{number}]");
            if question.ask.trim().is_empty() {
                problems.push(Problem::new(format!("{key}.ask"), "it is empty: expected a question"));
            }
            if self.questions.iter().take(number).any(|earlier| earlier.ask == question.ask) {
                problems.push(Problem::new(format!("{key}.ask"), "it is asked twice: answers are kept by question"));
            }
            if let Some(what) = question.wrong_choices() {
                problems.push(Problem::new(format!("{key}.choices"), what));
            }
        }
        problems
    }
}

impl QuizQuestion {
    /// The question and its numbered choices.
    pub(super) fn screen(&self) -> String {
        let choices = self.choices.iter().zip(1..);
        choices.fold(self.ask.clone(), |text, (choice, number)| format!("{text}\n{number}. {choice}"))
    }

    /// The choice that an input means: its number, or its words in any case.
    pub(super) fn chosen(&self, input: &str) -> Option<&str> {
        let by_number = input.parse::<usize>().ok().and_then(|number| self.choices.get(number.checked_sub(1)?));
        let by_words = || self.choices.iter().find(|choice| choice.to_lowercase() == input.to_lowercase());
        by_number.or_else(by_words).map(String::as_str)
    }

    /// The share of each choice, in per cent, of all that were counted for a choice there is now.
    pub(super) fn shares(&self, counts: &[(String, u64)]) -> Vec<u64> {
        let count = |choice: &String| counts.iter().find(|(answer, _)| answer == choice).map_or(0, |(_, count)| *count);
        let counted: Vec<u64> = self.choices.iter().map(count).collect();
        let all = counted.iter().sum::<u64>().max(1);
        counted.into_iter().map(|count| (count * 100 + all / 2) / all).collect()
    }

    fn wrong_choices(&self) -> Option<String> {
        let (fewest, most) = (CHOICES.start(), CHOICES.end());
        if !CHOICES.contains(&self.choices.len()) {
            return Some(format!("{} choices: expected {fewest} to {most}", self.choices.len()));
        }
        if self.choices.iter().any(|choice| choice.trim().is_empty()) {
            return Some("a choice is empty: expected words".to_owned());
        }
        let twice = |(number, choice): (usize, &String)| self.choices.iter().take(number).any(|other| other == choice);
        self.choices.iter().enumerate().any(twice).then(|| "a choice is there twice".to_owned())
    }
}
