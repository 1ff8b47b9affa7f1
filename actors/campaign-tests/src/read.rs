//! Reads test files. All problems of a file are said at once, each with its place.

use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime};

use crate::{
    problem::{TestFileProblem, closest},
    test_file::{Expectation, Expected, LaterSms, TestAction, TestCase, TestFile, TestStep, trimmed},
    yaml::{self, YamlNode, YamlValue},
};

const TOP_KEYS: [&str; 4] = ["menu", "campaign", "now", "tests"];

const STEP_KEYS: [&str; 13] =
    ["dial", "send", "write", "hang_up", "wait", "away", "from", "see", "see_part", "end", "sms", "later", "kept"];

/// How many tests a file may have, and how many steps a test.
const MOST: usize = 2_000;

/// The longest time that a step may wait.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

impl TestFile {
    /// Reads a test file.
    pub fn read(text: &str) -> Result<Self, Vec<TestFileProblem>> {
        let tree = yaml::read(text).map_err(|problem| vec![problem])?;
        if let Some(twice) = yaml::repeated_key(&tree) {
            return Err(vec![twice]);
        }
        let mut reader = TestFileReader::default();
        let file = reader.file(text, &tree);
        if reader.problems.is_empty() { Ok(file) } else { Err(reader.problems) }
    }
}

/// Reads parts of a file, and collects what is wrong. What can't be read becomes a default; the file is then refused.
#[derive(Default)]
struct TestFileReader {
    problems: Vec<TestFileProblem>,
}

impl TestFileReader {
    fn wrong(&mut self, at: &YamlNode, message: impl Into<String>) {
        self.problems.push(at.problem(message));
    }

    fn file(&mut self, text: &str, tree: &YamlNode) -> TestFile {
        let mut file =
            TestFile { text: text.to_owned(), menu: None, campaign: None, now: usual_now(), tests: Vec::new() };
        let Some(entries) = tree.map() else {
            self.wrong(tree, format!("this is {}: a test file has `menu`, `now` and `tests`", tree.what()));
            return file;
        };
        for (key, value) in entries {
            match key.text().unwrap_or_default() {
                "menu" => file.menu = Some(self.words(value, "the menu's file, such as clinic.yaml")),
                "campaign" if value.get("kind").is_some() => file.campaign = Some(value.to_json()),
                "campaign" => self.wrong(value, "expected a campaign's settings, such as {kind: quiz}"),
                "now" => file.now = self.moment(value).unwrap_or(file.now),
                "tests" => file.tests = self.tests(value),
                other => self.unknown(key, other, &TOP_KEYS),
            }
        }
        if file.menu.is_some() && file.campaign.is_some() {
            self.wrong(tree, "`menu` and `campaign`: a file tests one of them");
        }
        if tree.get("tests").is_none() {
            self.wrong(tree, "`tests` is missing: expected names of tests, each with a list of steps");
        }
        file
    }

    fn unknown(&mut self, key: &YamlNode, name: &str, known: &[&str]) {
        let meant = closest(name, known.iter().copied());
        let hint =
            meant.map_or_else(|| format!("expected {}", known.join(", ")), |meant| format!("did you mean `{meant}`?"));
        self.wrong(key, format!("`{name}` is no key here: {hint}"));
    }

    fn tests(&mut self, value: &YamlNode) -> Vec<TestCase> {
        let Some(entries) = value.map().filter(|entries| !entries.is_empty()) else {
            self.wrong(value, format!("this is {}: expected names of tests, each with a list of steps", value.what()));
            return Vec::new();
        };
        if entries.len() > MOST {
            self.wrong(value, format!("{} tests: {MOST} are the most in a file", entries.len()));
            return Vec::new();
        }
        entries.iter().map(|(key, value)| self.test(key, value)).collect()
    }

    fn test(&mut self, key: &YamlNode, value: &YamlNode) -> TestCase {
        let name = key.text().unwrap_or_default().to_owned();
        let steps = match &value.value {
            YamlValue::List(steps) if (1..=MOST).contains(&steps.len()) => {
                steps.iter().map(|step| self.step(step)).collect()
            }
            YamlValue::List(steps) => {
                self.wrong(value, format!("{} steps: expected 1 to {MOST}", steps.len()));
                Vec::new()
            }
            _ => {
                self.wrong(
                    value,
                    format!("this is {}: expected a list of steps, such as `- dial: \"*120#\"`", value.what()),
                );
                Vec::new()
            }
        };
        TestCase { name, line: key.line, steps }
    }

    fn step(&mut self, step: &YamlNode) -> TestStep {
        let mut read =
            TestStep { line: step.line, column: step.column, from: None, action: None, expectations: Vec::new() };
        let Some(entries) = step.map() else {
            self.wrong(step, format!("this is {}: expected a step, such as `- send: 1`", step.what()));
            return read;
        };
        for (key, value) in entries {
            let name = key.text().unwrap_or_default();
            if name == "from" {
                read.from = Some(self.number(value));
            } else if let Some(action) = self.action(name, value) {
                if read.action.is_some() {
                    self.wrong(key, "a step does one thing: put this into a step of its own");
                }
                read.action = Some(action);
            } else if let Some(expected) = self.expected(name, value) {
                read.expectations.push(Expectation { expected, key: key.clone(), value: value.clone() });
            } else if !STEP_KEYS.contains(&name) {
                self.unknown(key, name, &STEP_KEYS);
            }
        }
        self.fits(step, &read);
        read
    }

    /// Refuses what a step can't be asked.
    fn fits(&mut self, step: &YamlNode, read: &TestStep) {
        let shows = !matches!(read.action, Some(TestAction::HangUp | TestAction::Wait(_) | TestAction::Away(_)));
        let screens: Vec<&Expectation> =
            read.expectations.iter().filter(|expectation| expectation.expected.is_of_the_screen()).collect();
        if let (false, Some(first)) = (shows, screens.first()) {
            self.wrong(&first.key, "this step shows no screen: move it to the step that does");
        }
        let whole: Vec<&&Expectation> =
            screens.iter().filter(|one| !matches!(one.expected, Expected::SeePart(_))).collect();
        if let [_, second, ..] = whole.as_slice() {
            self.wrong(&second.key, "`see` says that the dialogue is open, `end` that it is over: leave one out");
        }
        if read.action.is_none() && read.expectations.is_empty() && self.problems.is_empty() {
            self.wrong(step, "this step does nothing: expected `dial`, `send`, `see` or the like");
        }
    }

    fn action(&mut self, name: &str, value: &YamlNode) -> Option<TestAction> {
        match name {
            "dial" => Some(self.dial(value)),
            "send" => Some(TestAction::Send(self.list(value, "answers"))),
            "write" => Some(TestAction::Write(self.list(value, "texts of SMS"))),
            "hang_up" => {
                if value.text() != Some("true") {
                    self.wrong(value, "expected `hang_up: true`");
                }
                Some(TestAction::HangUp)
            }
            "wait" => Some(TestAction::Wait(self.duration(value))),
            "away" => Some(TestAction::Away(self.list(value, "names of look-ups"))),
            _ => None,
        }
    }

    /// A code, or `{code: CODE, beyond: [1, 2]}`.
    fn dial(&mut self, value: &YamlNode) -> TestAction {
        const CODE: &str = "a code in quotes, such as \"*120#\"";
        let Some(entries) = value.map() else { return TestAction::Dial(self.words(value, CODE), Vec::new()) };
        let (mut code, mut beyond) = (None, Vec::new());
        for (key, value) in entries {
            match key.text().unwrap_or_default() {
                "code" => code = Some(self.words(value, CODE)),
                "beyond" => beyond = self.list(value, "what is dialled beyond the code"),
                other => self.unknown(key, other, &["code", "beyond"]),
            }
        }
        if code.is_none() {
            self.wrong(value, format!("`code` is missing: expected {CODE}"));
        }
        TestAction::Dial(code.unwrap_or_default(), beyond)
    }

    fn expected(&mut self, name: &str, value: &YamlNode) -> Option<Expected> {
        match name {
            "see" => Some(Expected::See(self.screen(value))),
            "see_part" => Some(Expected::SeePart(self.screen(value))),
            "end" => Some(Expected::End(self.screen(value))),
            "sms" => {
                Some(Expected::Sms(self.list_or_none(value, "texts of SMS").iter().map(|text| trimmed(text)).collect()))
            }
            "later" => Some(Expected::Later(self.later(value))),
            "kept" => Some(Expected::Kept(self.kept(value))),
            _ => None,
        }
    }

    fn screen(&mut self, value: &YamlNode) -> String {
        match value.text() {
            Some(text) => trimmed(text),
            None => {
                self.wrong(
                    value,
                    format!("this is {}: expected the screen's text, after `|` where it has lines", value.what()),
                );
                String::new()
            }
        }
    }

    fn words(&mut self, value: &YamlNode, what: &str) -> String {
        let text = value.text().map(str::trim).unwrap_or_default();
        if text.is_empty() {
            self.wrong(value, format!("this is {}: expected {what}", value.what()));
        }
        text.to_owned()
    }

    fn number(&mut self, value: &YamlNode) -> String {
        let text = value.text().unwrap_or_default();
        let digits = text.strip_prefix('+').unwrap_or(text);
        if !(4..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            self.wrong(value, "expected a phone number in international form, such as 27830000002");
        }
        digits.to_owned()
    }

    /// One text, or a list of one or more.
    fn list(&mut self, value: &YamlNode, what: &str) -> Vec<String> {
        let list = self.list_or_none(value, what);
        if list.is_empty() && self.problems.is_empty() {
            self.wrong(value, format!("the list is empty: expected {what}"));
        }
        list
    }

    fn list_or_none(&mut self, value: &YamlNode, what: &str) -> Vec<String> {
        match &value.value {
            YamlValue::Text { text, plain } if text.is_empty() && *plain => {
                self.wrong(value, format!("there is nothing here: expected {what}; an empty one is \"\""));
                Vec::new()
            }
            YamlValue::Text { text, .. } => vec![text.clone()],
            YamlValue::List(items) if items.len() <= MOST => {
                let text = |item: &YamlNode| match item.text() {
                    Some(text) => text.to_owned(),
                    None => {
                        self.wrong(
                            item,
                            format!("this is {}: expected a text; put it in quotes if it has `: `", item.what()),
                        );
                        String::new()
                    }
                };
                items.iter().map(text).collect()
            }
            _ => {
                self.wrong(value, format!("this is {}: expected {what}: one, or a list of up to {MOST}", value.what()));
                Vec::new()
            }
        }
    }

    fn duration(&mut self, value: &YamlNode) -> Duration {
        let parsed = humantime_serde::re::humantime::parse_duration(value.text().unwrap_or_default());
        match parsed {
            Ok(duration) if duration <= LONGEST_WAIT => duration,
            _ => {
                self.wrong(value, "expected a time of up to ten years, such as 30s, 2h or 3days");
                Duration::ZERO
            }
        }
    }

    fn moment(&mut self, value: &YamlNode) -> Option<NaiveDateTime> {
        let moment = value.text().and_then(read_moment);
        if moment.is_none() {
            self.wrong(value, "expected a date and a time, such as 2026-03-02 10:00");
        }
        moment
    }

    fn later(&mut self, value: &YamlNode) -> Vec<LaterSms> {
        let YamlValue::List(items) = &value.value else {
            self.wrong(value, "expected a list of times, such as [2026-09-11 09:00]");
            return Vec::new();
        };
        let mut later = Vec::new();
        for item in items {
            match item.map() {
                Some([(time, text)]) => {
                    let text = self.screen(text);
                    later.extend(self.moment(time).map(|at| (at, Some(text))));
                }
                Some(_) => self.wrong(item, "expected one time with its text: `2026-09-11 09:00: Come today.`"),
                None => later.extend(self.moment(item).map(|at| (at, None))),
            }
        }
        later
    }

    fn kept(&mut self, value: &YamlNode) -> Vec<(String, String)> {
        let Some(entries) = value.map() else {
            self.wrong(
                value,
                "expected answers by their step's name, such as {age: 24}; `{}` says that nothing is kept",
            );
            return Vec::new();
        };
        let mut kept = Vec::new();
        for (key, value) in entries {
            match value.text() {
                Some(answer) => kept.push((key.text().unwrap_or_default().to_owned(), answer.to_owned())),
                None => self.wrong(value, format!("this is {}: expected an answer", value.what())),
            }
        }
        kept
    }
}

/// 2026-01-05 10:00, a Monday.
fn usual_now() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2026, 1, 5).and_then(|day| day.and_hms_opt(10, 0, 0)).unwrap_or_default()
}

/// Reads `2026-03-02 10:00`, with seconds and `T` allowed, or a date alone: its first minute.
pub(crate) fn read_moment(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim().replace('T', " ");
    let with = |format| NaiveDateTime::parse_from_str(&text, format).ok();
    with("%Y-%m-%d %H:%M")
        .or_else(|| with("%Y-%m-%d %H:%M:%S"))
        .or_else(|| NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
}
