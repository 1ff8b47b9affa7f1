//! Makes a test of a session that somebody held.
//!
//! Numbers of people are replaced: the phone's own by 27831234567, others that were typed by numbers from 27830000001 on, and
//! identity numbers by one that belongs to nobody.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use vumi_campaign_kit::Screen;

use crate::{
    problem::TestFileProblem,
    rendering,
    runner::USUAL_MSISDN,
    test_file::{Expected, TestFile, trimmed},
};

/// A South African identity number whose check digit is right and that is used as an example everywhere.
const NOBODYS_ID: &str = "8001015009087";

/// A session under way, as it is recorded.
#[derive(Clone, Debug)]
pub struct SessionRecording {
    own: String,
    others: BTreeMap<String, String>,
    steps: Vec<RecordedStep>,
}

/// What was done, and what was shown after it.
#[derive(Clone, Debug)]
struct RecordedStep {
    action: String,
    shown: Option<Expected>,
}

impl SessionRecording {
    /// Of a phone with this number, which is written nowhere.
    #[must_use]
    pub fn of(msisdn: &str) -> Self {
        Self { own: msisdn.trim_start_matches('+').to_owned(), others: BTreeMap::new(), steps: Vec::new() }
    }

    /// The person dialled a code.
    pub fn dialled(&mut self, code: &str, shown: Option<&Screen>) {
        self.add(format!("dial: {}", rendering::quoted(code)), shown);
    }

    /// The person typed an answer.
    pub fn sent(&mut self, text: &str, shown: Option<&Screen>) {
        let text = self.replaced_input(text);
        self.add(format!("send: {}", rendering::scalar(&text, false)), shown);
    }

    /// The person hung up.
    pub fn hung_up(&mut self) {
        self.add("hang_up: true".to_owned(), None);
    }

    fn add(&mut self, action: String, shown: Option<&Screen>) {
        let shown = shown.map(|screen| match screen {
            Screen::End(text) => Expected::End(trimmed(&self.replaced(text))),
            other => Expected::See(trimmed(&self.replaced(other.text()))),
        });
        self.steps.push(RecordedStep { action, shown });
    }

    /// The test, as an entry of `tests`.
    #[must_use]
    pub fn to_test(&self, name: &str) -> String {
        let mut text = format!("  {}:\n", rendering::scalar(name, false));
        for step in &self.steps {
            text.push_str(&format!("    - {}\n", step.action));
            if let Some(shown) = &step.shown {
                text.push_str(&format!("      {}:{}\n", shown.key(), rendering::value(shown, 6, false)));
            }
        }
        text
    }

    /// A new file with the test; `menu` is the menu's file where it is one, `now` the time in the campaign's time zone.
    #[must_use]
    pub fn to_file(&self, menu: Option<&str>, now: NaiveDateTime, name: &str) -> String {
        let menu = menu.map_or_else(
            || "# `menu: FILE` is missing here: name the menu, or run this file with a campaign in Rust.\n".to_owned(),
            |menu| format!("menu: {}\n", rendering::scalar(menu, false)),
        );
        format!("{menu}now: {}\ntests:\n{}", now.format("%Y-%m-%d %H:%M"), self.to_test(name))
    }

    /// A file with one more test, under a name that it does not have yet.
    pub fn appended_to(&self, text: &str, name: &str) -> Result<String, Vec<TestFileProblem>> {
        let file = TestFile::read(text)?;
        let taken = |name: &str| file.tests.iter().any(|test| test.name == name);
        let numbered = (2..).map(|number| format!("{name} ({number})"));
        let name = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let more = format!("{text}{end}{}", self.to_test(&name));
        let read = TestFile::read(&more)?;
        if read.tests.len() == file.tests.len() + 1 {
            return Ok(more);
        }
        let message = "`tests` must be the last key of the file, with its tests two spaces further in".to_owned();
        Err(vec![TestFileProblem { line: 1, column: 1, message }])
    }

    /// What the person typed, with its number replaced where it is one.
    fn replaced_input(&mut self, text: &str) -> String {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let is_number = text.chars().all(|c| c.is_ascii_digit() || "+ -()".contains(c));
        if is_number && digits.len() == NOBODYS_ID.len() && text.len() == digits.len() {
            self.others.insert(digits, NOBODYS_ID.to_owned());
        } else if is_number
            && (9..=15).contains(&digits.len())
            && self.own_forms().iter().all(|(form, _)| *form != text)
        {
            let number = format!("{:07}", self.others.len() + 1);
            // A number that is written within its country keeps its form: 0 in front and ten digits.
            let stand_in = if text.starts_with('0') { format!("083{number}") } else { format!("2783{number}") };
            self.others.entry(digits).or_insert(stand_in);
            let plus = if text.starts_with('+') { "+" } else { "" };
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            return format!("{plus}{}", self.others.get(&digits).cloned().unwrap_or_default());
        }
        self.replaced(text)
    }

    /// A text with the numbers of people replaced.
    fn replaced(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (number, stand_in) in &self.others {
            text = text.replace(number, stand_in);
        }
        for (form, stand_in) in self.own_forms() {
            text = text.replace(&form, stand_in);
        }
        text
    }

    /// The phone's own number as people write it, and what stands for it.
    fn own_forms(&self) -> [(String, &'static str); 2] {
        let national = self.own.get(2..).filter(|rest| rest.len() >= 7).map(|rest| format!("0{rest}"));
        [(self.own.clone(), USUAL_MSISDN), (national.unwrap_or_else(|| self.own.clone()), "0831234567")]
    }
}
