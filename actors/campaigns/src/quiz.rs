//! Asks people multiple-choice questions and stores their answers. A person who has answered everything and comes back is
//! shown what everybody answered, a question at a time.
//!
//! A person who left halfway is asked what is still open. Over SMS it is the same dialogue, a message at a time.

mod settings;

use serde::{Deserialize, Serialize};
use settings::{QuizQuestion, QuizSettings};
use vumi_campaign_kit::{Campaign, Limits, Screen, Session};
use vumi_kit::kind::Problem;

/// The campaign.
pub(crate) struct Quiz(QuizSettings);

/// Where a person is.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QuizPosition {
    /// Before the first question.
    #[default]
    Outside,
    /// At a question: the number of the first is 0.
    Asked(usize),
    /// At the statistics of a question. Stored sessions call it `told`.
    #[serde(rename = "told")]
    Statistics(usize),
}

impl Campaign for Quiz {
    const NAME: &'static str = "quiz";
    const EXAMPLE: &'static str = r#"thanks = "Thank you! Dial again to see what others answered."

[[questions]]
ask = "Can a person who looks healthy have HIV?"
choices = ["Yes", "No", "I don't know"]

[[questions]]
ask = "Where would you go for a test?"
choices = ["Clinic", "Hospital", "Mobile clinic", "I don't know"]
"#;
    type Settings = QuizSettings;
    type State = QuizPosition;

    fn new(settings: QuizSettings) -> Result<Self, Vec<Problem>> {
        let quiz = Self(settings);
        let problems = quiz.problems();
        if problems.is_empty() { Ok(quiz) } else { Err(problems) }
    }

    async fn answer(&self, session: &mut Session<QuizPosition>, input: Option<&str>) -> Screen {
        match (&session.state, input) {
            (QuizPosition::Asked(number), Some(input)) => self.judge(*number, input, session),
            (QuizPosition::Statistics(number), Some(_)) => self.show_statistics(number + 1, session).await,
            _ => self.begin(session).await,
        }
    }

    fn limits(&self) -> Limits {
        self.0.limits.clone()
    }
}

impl Quiz {
    /// The first question that this person has not answered; the statistics where there is none.
    async fn begin(&self, session: &mut Session<QuizPosition>) -> Screen {
        let answers = session.answers().await;
        let answered = |question: &QuizQuestion| {
            answers.iter().any(|(asked, answer)| *asked == question.ask && question.choices.contains(answer))
        };
        match self.0.questions.iter().position(|question| !answered(question)) {
            Some(number) => self.ask(number, session),
            None => self.show_statistics(0, session).await,
        }
    }

    /// A question, or thanks after the last.
    fn ask(&self, number: usize, session: &mut Session<QuizPosition>) -> Screen {
        let Some(question) = self.0.questions.get(number) else { return Screen::end(&self.0.thanks) };
        session.state = QuizPosition::Asked(number);
        Screen::ask(question.screen())
    }

    /// Stores a choice and goes on to the next question; any other input asks again.
    fn judge(&self, number: usize, input: &str, session: &mut Session<QuizPosition>) -> Screen {
        // The settings may have fewer questions since this one was asked: then that was the last.
        let Some(question) = self.0.questions.get(number) else { return Screen::end(&self.0.thanks) };
        match question.chosen(input) {
            Some(choice) => {
                session.remember(&question.ask, choice);
                self.ask(number + 1, session)
            }
            None => Screen::ask(self.again(question)),
        }
    }

    fn again(&self, question: &QuizQuestion) -> String {
        format!("{}\n{}", self.0.wrong, question.screen())
    }

    /// What everybody answered to a question; thanks after the last.
    async fn show_statistics(&self, number: usize, session: &mut Session<QuizPosition>) -> Screen {
        let Some(question) = self.0.questions.get(number) else { return Screen::end(&self.0.thanks) };
        let counts = session.counts(&question.ask).await;
        let text = self.statistics(number, question, &question.shares(&counts));
        if number + 1 == self.0.questions.len() {
            return Screen::end(text);
        }
        session.state = QuizPosition::Statistics(number);
        Screen::ask(text)
    }

    /// A screen of statistics, with the share of each choice in per cent.
    fn statistics(&self, number: usize, question: &QuizQuestion, shares: &[u64]) -> String {
        let mut lines = Vec::with_capacity(question.choices.len() + 3);
        if number == 0 {
            lines.push(self.0.welcome_back.clone());
        }
        lines.push(question.ask.clone());
        lines.extend(question.choices.iter().zip(shares).map(|(choice, share)| format!("{share}% {choice}")));
        if number + 1 < self.0.questions.len() {
            lines.push(self.0.more.clone());
        }
        lines.join("\n")
    }

    /// The settings are refused where a screen that they lead to does not fit.
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.0.problems();
        let mut must_fit = |key: String, what: &str, text: String| {
            if let Err(wrong) = Screen::ask(text).fits_ussd() {
                problems.push(Problem::new(key, format!("{what}: {wrong}")));
            }
        };
        must_fit("thanks".to_owned(), "the last screen", self.0.thanks.clone());
        for (number, question) in self.0.questions.iter().enumerate() {
            let key = || format!("questions[{number}]");
            must_fit(key(), "with `wrong` before it", self.again(question));
            let widest = vec![100; question.choices.len()];
            must_fit(key(), "as statistics", self.statistics(number, question, &widest));
        }
        problems
    }
}

#[cfg(test)]
mod tests;
