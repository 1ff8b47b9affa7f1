//! What the dialogues of every protocol have in common: how long they live, how many there are, what people read.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::kind::Problem;

/// How dialogues are held.
#[derive(Clone, Debug)]
pub(crate) struct DialogueSettings {
    /// How long a session stays open after the last message in it.
    pub(crate) lifetime: Duration,
    /// Sessions open at once.
    pub(crate) max_sessions: usize,
    /// Messages on their way to the router at once.
    pub(crate) window: usize,
    /// Replies that may wait.
    pub(crate) queue: usize,
    /// Screens that one reply may fill.
    pub(crate) max_pages: usize,
    pub(crate) texts: DialogueTexts,
}

impl DialogueSettings {
    /// What is wrong with the numbers.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.lifetime.is_zero() || self.lifetime > Duration::from_secs(86_400) {
            problems.push(Problem::new("lifetime", "expected a time above zero, 86400s at the most"));
        }
        let counts = [
            ("max_sessions", self.max_sessions, 10_000_000),
            ("window", self.window, 100_000),
            ("queue", self.queue, 1_000_000),
            ("max_pages", self.max_pages, 50),
        ];
        for (key, count, most) in counts {
            if !(1..=most).contains(&count) {
                problems.push(Problem::new(key, format!("expected 1 to {most}")));
            }
        }
        problems
    }
}

/// The screens that no campaign wrote.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DialogueTexts {
    /// No campaign takes the message.
    pub(crate) unavailable: String,
    /// As many sessions are open as there may be.
    pub(crate) full: String,
    /// The session is over, for example because its lifetime ended.
    pub(crate) gone: String,
    /// The campaign restarts or has stopped and can't take the answer now. The session stays open.
    pub(crate) again: String,
    /// The line under a page that is not the last; its first word is what to answer.
    pub(crate) more: String,
}

impl Default for DialogueTexts {
    fn default() -> Self {
        Self {
            unavailable: "Service unavailable, please try again later.".to_owned(),
            full: "Too many people use this service now, please try again later.".to_owned(),
            gone: "This session has ended. Please dial again.".to_owned(),
            again: "One moment, please. Then send your answer again.".to_owned(),
            more: "0 More".to_owned(),
        }
    }
}

impl DialogueTexts {
    /// What people answer to see the next page.
    pub(super) fn more_key(&self) -> &str {
        self.more.split_whitespace().next().unwrap_or_default()
    }

    /// What is wrong with them: `fits` says whether a screen holds a text, of so many characters at the most, and `expected`
    /// what such a text is.
    pub(crate) fn check(&self, fits: impl Fn(&str, usize) -> bool, most: usize, expected: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let texts =
            [("unavailable", &self.unavailable), ("full", &self.full), ("gone", &self.gone), ("again", &self.again)];
        for (key, text) in texts {
            if !fits(text, most) {
                let what = format!("expected at most {most} 7-bit characters of {expected}");
                problems.push(Problem::new(format!("texts.{key}"), what));
            }
        }
        let wrong = self.more_key().is_empty() || self.more.contains(['\r', '\n']) || !fits(&self.more, 40);
        if wrong {
            let what =
                format!("expected one line of at most 40 characters of {expected} that begins with what to answer");
            problems.push(Problem::new("texts.more", what));
        }
        problems
    }
}
