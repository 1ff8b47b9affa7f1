//! Says what became of a file's tests.

use std::fmt::Write;

use crate::{
    runner::{FileOutcome, TestOutcome},
    test_file::{TestAction, TestCase, TestFile, TestStep},
};

/// A line for each test, and under those that differ what differs, with its place in the file `name`.
#[must_use]
pub fn report(name: &str, file: &TestFile, outcome: &FileOutcome) -> String {
    let mut report = String::new();
    for (test, done) in file.tests.iter().zip(&outcome.tests) {
        let word = if done.passed(test) { "ok    " } else { "FAILED" };
        let _infallible = writeln!(report, "{word} {}", test.name);
        report.push_str(&differences(name, test, done));
    }
    report
}

/// The first step that differs: what follows it would differ, too.
fn differences(name: &str, test: &TestCase, done: &TestOutcome) -> String {
    for (step, seen) in test.steps.iter().zip(&done.observed) {
        for one in &step.expectations {
            let lines = seen.differences(&one.expected);
            if !lines.is_empty() {
                return shown(name, one.key.line, one.key.column, &format!("{}: expected other", after(step)), &lines);
            }
        }
        if let Some(failure) = &seen.failure {
            let lines: Vec<String> = failure.lines().map(|line| format!("+ {line}")).collect();
            return shown(name, step.line, step.column, &after(step), &lines);
        }
    }
    String::new()
}

fn shown(name: &str, line: usize, column: usize, what: &str, lines: &[String]) -> String {
    let mut text = format!("  {name}:{line}:{column}: {what}\n");
    for line in lines {
        let _infallible = writeln!(text, "      {line}");
    }
    text
}

/// What was done in a step, in words. What a person types can be a secret of theirs, but it stands in the test file.
fn after(step: &TestStep) -> String {
    match &step.action {
        None => "here".to_owned(),
        Some(TestAction::Dial(code, beyond)) if beyond.is_empty() => format!("after dialling {code}"),
        Some(TestAction::Dial(code, beyond)) => format!("after dialling {code} and {} beyond it", beyond.join("*")),
        Some(TestAction::Send(texts)) => format!("after sending {}", texts.join(", ")),
        Some(TestAction::Write(texts)) => format!("after writing {}", texts.join(", ")),
        Some(TestAction::HangUp) => "after hanging up".to_owned(),
        Some(TestAction::Wait(time)) => {
            format!("after waiting {}", humantime_serde::re::humantime::format_duration(*time))
        }
        Some(TestAction::Away(names)) => format!("when {} is away", names.join(", ")),
    }
}
