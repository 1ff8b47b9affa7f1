//! What was seen after a step, and what of it differs from what was expected.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use chrono::NaiveDateTime;
use vumi_campaign_kit::Screen;

use crate::{
    difference::lines_between,
    test_file::{Expected, LaterSms, trimmed},
};

/// An SMS that a campaign sent to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentSms {
    /// When it is due, in the campaign's time zone; none: at once.
    pub at: Option<NaiveDateTime>,
    pub text: String,
}

/// What was seen after a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The last screen; none where none was shown.
    pub screen: Option<Screen>,
    /// The SMS of this step.
    pub sms: Vec<SentSms>,
    /// What is kept of the person: question and answer.
    pub kept: Vec<(String, String)>,
    /// Why there is no screen, or why a phone can't show it; nothing else was seen then.
    pub failure: Option<String>,
}

impl Observed {
    /// The expectation that would have held in place of this one.
    pub(crate) fn instead_of(&self, expected: &Expected) -> Expected {
        match expected {
            Expected::See(_) | Expected::SeePart(_) | Expected::End(_) => match &self.screen {
                Some(Screen::End(text)) => Expected::End(trimmed(text)),
                Some(screen) => Expected::See(trimmed(screen.text())),
                None => Expected::See(String::new()),
            },
            Expected::Sms(_) => Expected::Sms(self.at_once().map(|sms| trimmed(&sms.text)).collect()),
            Expected::Later(expected) => {
                let with_texts = expected.iter().any(|(_, text)| text.is_some());
                let later = self.sms.iter().filter_map(|sms| Some((sms.at?, with_texts.then(|| trimmed(&sms.text)))));
                Expected::Later(later.collect())
            }
            Expected::Kept(expected) if expected.is_empty() => Expected::Kept(self.kept.clone()),
            Expected::Kept(expected) => {
                let kept = |(name, _): &(String, String)| self.kept.iter().find(|(kept, _)| kept == name).cloned();
                Expected::Kept(expected.iter().filter_map(kept).collect())
            }
        }
    }

    /// Whether it is as expected.
    pub(crate) fn is(&self, expected: &Expected) -> bool {
        match (expected, self.instead_of(expected)) {
            (Expected::SeePart(part), Expected::See(seen) | Expected::End(seen)) => seen.contains(part.as_str()),
            (Expected::Later(expected), Expected::Later(seen)) => {
                let same = |(wanted, seen): (&LaterSms, &LaterSms)| {
                    wanted.0 == seen.0 && (wanted.1.is_none() || wanted.1 == seen.1)
                };
                expected.len() == seen.len() && expected.iter().zip(&seen).all(same)
            }
            (expected, seen) => *expected == seen,
        }
    }

    /// What differs, a line each: `-` before what was expected, `+` before what was seen. Empty where nothing does.
    pub(crate) fn differences(&self, expected: &Expected) -> Vec<String> {
        if let (true, Some(failure)) = (expected.is_of_the_screen(), &self.failure) {
            return vec![format!("+ {failure}")];
        }
        if self.is(expected) {
            return Vec::new();
        }
        let seen = self.instead_of(expected);
        let mut lines = match (expected, &self.screen) {
            (Expected::SeePart(part), Some(screen)) => {
                let mut lines = vec![format!("- … {part} …")];
                lines.extend(screen.text().lines().map(|line| format!("+ {line}")));
                lines
            }
            _ => lines_between(&shown(expected), &shown(&seen)),
        };
        match (expected, &self.screen) {
            (Expected::See(_), Some(Screen::End(_))) => lines.push("+ and the dialogue is over (`end`)".to_owned()),
            (Expected::End(_), Some(Screen::Ask(_))) => {
                lines.push("+ and the dialogue goes on (`see`)".to_owned());
            }
            (Expected::See(_) | Expected::End(_) | Expected::SeePart(_), None) => {
                lines.push("+ no screen: the campaign answered nothing".to_owned());
            }
            _ => {}
        }
        lines
    }

    fn at_once(&self) -> impl Iterator<Item = &SentSms> {
        self.sms.iter().filter(|sms| sms.at.is_none())
    }
}

/// An expectation as lines that people compare.
fn shown(expected: &Expected) -> Vec<String> {
    match expected {
        Expected::See(text) | Expected::SeePart(text) | Expected::End(text) => {
            text.lines().map(str::to_owned).collect()
        }
        Expected::Sms(texts) if texts.is_empty() => vec!["no SMS".to_owned()],
        Expected::Sms(texts) => texts.iter().map(|text| format!("SMS: {}", text.replace('\n', " / "))).collect(),
        Expected::Later(later) if later.is_empty() => vec!["nothing later".to_owned()],
        Expected::Later(later) => later.iter().map(|(at, text)| later_line(*at, text.as_deref())).collect(),
        Expected::Kept(kept) if kept.is_empty() => vec!["nothing kept".to_owned()],
        Expected::Kept(kept) => kept.iter().map(|(name, answer)| format!("{name}: {answer}")).collect(),
    }
}

fn later_line(at: NaiveDateTime, text: Option<&str>) -> String {
    let text = text.map(|text| format!(": {}", text.replace('\n', " / "))).unwrap_or_default();
    format!("{}{text}", at.format("%Y-%m-%d %H:%M"))
}
