//! All answers to a campaign, page by page along their keys.

use diesel::prelude::*;
use vumi_kit::{
    clock::Timestamp,
    session::{ANSWERS_PAGE, Answer, ListAnswerCounts, ListAnswers},
};

use super::{Conn, Failed, Read, rows::as_limit};
use crate::schema::{answer_counts, answers};

impl Read for ListAnswers {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<Answer>, Failed> {
        let (person, question) = self.after.unwrap_or_default();
        let page: Vec<(String, String, String)> = answers::table
            .filter(answers::campaign.eq(self.campaign.as_str()))
            // Told twice: only a plain bound is a bound on the walk along the key.
            .filter(answers::person.ge(&person))
            .filter(answers::person.gt(&person).or(answers::question.gt(&question)))
            .order((answers::person, answers::question))
            .limit(as_limit(ANSWERS_PAGE))
            .select((answers::person, answers::question, answers::answer))
            .load(conn)?;
        let campaign = self.campaign;
        let answer = |(person, question, answer)| Answer { campaign: campaign.clone(), person, question, answer };
        Ok(page.into_iter().map(answer).collect())
    }
}

impl Read for ListAnswerCounts {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<(String, String, u64)>, Failed> {
        let (question, answer) = self.after.unwrap_or_default();
        let page: Vec<(String, String, i64)> = answer_counts::table
            .filter(answer_counts::campaign.eq(self.campaign.as_str()))
            .filter(answer_counts::question.ge(&question))
            .filter(answer_counts::question.gt(&question).or(answer_counts::answer.gt(&answer)))
            .filter(answer_counts::count.gt(0))
            .order((answer_counts::question, answer_counts::answer))
            .limit(as_limit(ANSWERS_PAGE))
            .select((answer_counts::question, answer_counts::answer, answer_counts::count))
            .load(conn)?;
        Ok(page.into_iter().map(|(question, answer, count)| (question, answer, count.unsigned_abs())).collect())
    }
}
