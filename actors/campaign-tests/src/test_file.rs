//! A test file as it is read.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::time::Duration;

use chrono::NaiveDateTime;

use crate::yaml::YamlNode;

/// A `*.test.yaml` as it was read: what is tested, from which moment on, and the tests in the order of the file.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// As it was read.
    pub text: String,
    /// The menu that it tests, as a path from the test file's folder.
    pub menu: Option<String>,
    /// The campaign that it tests, where it is no menu: settings with `kind`.
    pub campaign: Option<serde_json::Value>,
    /// When the tests begin, in the campaign's time zone; 2026-01-05 10:00, a Monday, unless given.
    pub now: NaiveDateTime,
    /// In the file's order.
    pub tests: Vec<TestCase>,
}

/// A test: a person's dialogue from its beginning, with nothing kept from before.
#[derive(Clone, Debug)]
pub struct TestCase {
    pub name: String,
    /// Where it begins; the first line is 1.
    pub line: usize,
    /// In their order; 1 or more.
    pub steps: Vec<TestStep>,
}

/// What a person does, and what is seen after it.
#[derive(Clone, Debug)]
pub struct TestStep {
    /// Where it begins; the first line is 1.
    pub line: usize,
    /// The first character of a line is 1.
    pub column: usize,
    /// Whose phone it is, an MSISDN without `+`; the test's own unless given.
    pub from: Option<String>,
    /// None: it only looks at what is there.
    pub action: Option<TestAction>,
    /// What must hold after it.
    pub expectations: Vec<Expectation>,
}

/// What is done in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestAction {
    /// Dials a code, and these inputs beyond the code of the campaign's route.
    Dial(String, Vec<String>),
    /// Types answers, one after the other: into the USSD session, or by SMS where the person wrote last.
    Send(Vec<String>),
    /// Writes SMS to the campaign, one after the other.
    Write(Vec<String>),
    HangUp,
    Wait(Duration),
    /// From now on these look-ups fail.
    Away(Vec<String>),
}

/// What must hold after a step, and where the file says so.
#[derive(Clone, Debug)]
pub struct Expectation {
    pub expected: Expected,
    /// The key, such as `see`.
    pub key: YamlNode,
    pub value: YamlNode,
}

/// When an SMS is due, in the campaign's time zone, and its text where a file gives one.
pub type LaterSms = (NaiveDateTime, Option<String>);

/// What must hold after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The dialogue is open, with exactly this screen.
    See(String),
    /// The screen has these words.
    SeePart(String),
    /// The dialogue has ended, with exactly this screen.
    End(String),
    /// These SMS went out at once in this step, in this order.
    Sms(Vec<String>),
    /// These SMS are due later, by their times in the campaign's time zone; the text where one is given.
    Later(Vec<LaterSms>),
    /// These answers are kept of the person; none at all where it is empty.
    Kept(Vec<(String, String)>),
}

impl Expected {
    /// The key that says it in a file.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::See(_) => "see",
            Self::SeePart(_) => "see_part",
            Self::End(_) => "end",
            Self::Sms(_) => "sms",
            Self::Later(_) => "later",
            Self::Kept(_) => "kept",
        }
    }

    /// Whether it is about the screen.
    #[must_use]
    pub const fn is_of_the_screen(&self) -> bool {
        matches!(self, Self::See(_) | Self::SeePart(_) | Self::End(_))
    }
}

/// A screen's text without the white space at its end, which no phone shows.
pub(crate) fn trimmed(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}
