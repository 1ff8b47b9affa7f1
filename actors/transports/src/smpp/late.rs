//! Answers that came after their attempt had ended: the next attempt takes them instead of submitting the part again.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::link::{PartAnswer, PartKey};

/// How many are kept, and how long.
const MOST: usize = 10_000;
const KEPT: Duration = Duration::from_secs(3600);

/// See the module.
#[derive(Default)]
pub(super) struct LateAnswers {
    answers: HashMap<PartKey, PartAnswer>,
    order: VecDeque<(Instant, PartKey)>,
}

impl LateAnswers {
    pub(super) fn keep(&mut self, key: PartKey, answer: PartAnswer) {
        let now = Instant::now();
        while let Some((came, oldest)) = self.order.front().copied()
            && (self.order.len() >= MOST || now.saturating_duration_since(came) > KEPT)
        {
            self.order.pop_front();
            self.answers.remove(&oldest);
        }
        if self.answers.insert(key, answer).is_none() {
            self.order.push_back((now, key));
        }
    }

    pub(super) fn has(&self, key: PartKey) -> bool {
        self.answers.contains_key(&key)
    }

    pub(super) fn take(&mut self, key: PartKey) -> Option<PartAnswer> {
        let answer = self.answers.remove(&key)?;
        self.order.retain(|(_, kept)| *kept != key);
        Some(answer)
    }
}
