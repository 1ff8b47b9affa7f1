//! The steps of a running broadcast: its next lines are found, and become SMS in one transaction with the count of those taken.

use std::mem;

use diesel::{prelude::*, result::Error};
use vumi_kit::{
    broadcast::{
        Broadcast, BroadcastLine, BroadcastState, FindDueBroadcasts, LineOutcome, MAX_STEP, TakeBroadcastLines,
        TakenLines,
    },
    clock::Timestamp,
    ledger::{AcceptSms, AcceptWithinQuota, Accepted, AcceptedWithinQuota},
    sms::{NewSms, SmsId},
    text::keepable,
};

use super::{
    super::{Conn, Evidence, Failed, Read, Tx, Write, rows::as_limit},
    BroadcastRow, count, find_row, unreadable,
};
use crate::schema::{broadcast_chunks, broadcast_refusals, broadcasts};

/// How long a broadcast waits where its account may send nothing now.
const HELD_BACK: std::time::Duration = std::time::Duration::from_secs(10);

/// Lines as a row keeps them.
pub(super) fn written(lines: &[BroadcastLine]) -> QueryResult<String> {
    let lines: Vec<(u64, &str, &str)> = lines.iter().map(|line| (line.line, &*line.to, &*line.text)).collect();
    let written = serde_json::to_string(&lines).map_err(|error| Error::SerializationError(error.into()))?;
    Ok(keepable(written))
}

fn read(lines: &str) -> QueryResult<Vec<BroadcastLine>> {
    let lines: Vec<(u64, String, String)> = serde_json::from_str(lines).map_err(unreadable)?;
    Ok(lines.into_iter().map(|(line, to, text)| BroadcastLine { line, to, text }).collect())
}

impl Read for FindDueBroadcasts {
    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<Vec<(Broadcast, Vec<BroadcastLine>)>, Failed> {
        let due: Vec<BroadcastRow> = broadcasts::table
            .filter(broadcasts::next_at.le(now.micros()))
            .order(broadcasts::next_at)
            .limit(as_limit(self.limit))
            .select(BroadcastRow::as_select())
            .load(conn)?;
        let mut found = Vec::with_capacity(due.len());
        for row in due {
            let broadcast = Broadcast::try_from(row)?;
            let chunk: Option<String> = broadcast_chunks::table
                .filter(broadcast_chunks::broadcast.eq(broadcast.id))
                .filter(broadcast_chunks::last_line.gt(count(broadcast.taken)))
                .order(broadcast_chunks::last_line)
                .select(broadcast_chunks::lines)
                .first(conn)
                .optional()?;
            let mut lines = chunk.as_deref().map(read).transpose()?.unwrap_or_default();
            lines.retain(|line| line.line > broadcast.taken);
            found.push((broadcast, lines));
        }
        Ok(found)
    }
}

/// What a step has done so far.
#[derive(Default)]
struct StepSums {
    /// Lines that became SMS or were refused.
    taken: usize,
    accepted: u64,
    refused: u64,
    first: Option<SmsId>,
    /// Why the lines behind those wait.
    held_back: Option<String>,
}

impl StepSums {
    /// Counts SMS, if they were kept; else the step ends before them.
    fn count(&mut self, lines: usize, accepted: AcceptedWithinQuota) {
        match accepted {
            AcceptedWithinQuota::Accepted(Accepted::Now(kept) | Accepted::Before(kept)) => {
                self.taken += lines;
                self.accepted += lines as u64;
                self.first = self.first.or(kept.first().map(|sms| sms.id));
            }
            AcceptedWithinQuota::Accepted(Accepted::AccountStopped | Accepted::KeyReused) => {
                self.held_back = Some("its account is stopped".to_owned());
            }
            AcceptedWithinQuota::Over(_) => self.held_back = Some("it is beyond the account's quotas".to_owned()),
        }
    }
}

impl Write for TakeBroadcastLines {
    const GROWS: bool = true;

    fn rows(&self) -> usize {
        self.outcomes.len() + 2
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<TakenLines, Failed> {
        let Some(broadcast) = find_row(tx, self.id)? else { return Ok(TakenLines::default()) };
        // Another process was here first, or somebody paused it.
        if broadcast.state != BroadcastState::Running || broadcast.taken != self.taken {
            return Ok(TakenLines::default());
        }
        let mut sums = StepSums::default();
        let mut together: Vec<NewSms> = Vec::with_capacity(MAX_STEP);
        for (outcome, line) in self.outcomes.into_iter().zip(self.taken + 1..) {
            let uncounted = matches!(&outcome, LineOutcome::Accept(prepared) if prepared.charge.is_none());
            if !uncounted {
                accept(tx, &mut together, &mut sums)?;
            }
            if sums.held_back.is_some() {
                break;
            }
            match outcome {
                LineOutcome::Accept(prepared) => match prepared.charge {
                    None => together.push(prepared.sms),
                    Some(charge) => {
                        let account = prepared.sms.account;
                        let accept = AcceptSms { batch: vec![prepared.sms], idempotency: None };
                        sums.count(1, AcceptWithinQuota { accept, account, charge }.write(tx)?);
                    }
                },
                LineOutcome::Refuse(why) => {
                    refuse(tx, &broadcast, line, why)?;
                    sums.taken += 1;
                    sums.refused += 1;
                }
            }
        }
        accept(tx, &mut together, &mut sums)?;
        let StepSums { taken, accepted, refused, first, held_back } = sums;
        let wait = if held_back.is_some() { HELD_BACK } else { self.wait };
        let all = self.taken + taken as u64;
        let state = match () {
            () if broadcast.lines == Some(all) => BroadcastState::Done,
            () if self.pause => BroadcastState::Paused,
            () => BroadcastState::Running,
        };
        let next_at = (state == BroadcastState::Running).then(|| tx.now.plus(wait).micros());
        diesel::update(broadcasts::table.find(self.id))
            .set((
                broadcasts::state.eq(state.as_str()),
                broadcasts::taken.eq(count(all)),
                broadcasts::accepted.eq(count(broadcast.accepted + accepted)),
                broadcasts::refused.eq(count(broadcast.refused + refused)),
                broadcasts::why.eq(held_back.or(self.why)),
                broadcasts::next_at.eq(next_at),
                broadcasts::updated_at.eq(tx.now.micros()),
            ))
            .execute(tx.conn)?;
        let done = broadcast_chunks::table
            .filter(broadcast_chunks::broadcast.eq(self.id))
            .filter(broadcast_chunks::last_line.le(count(all)));
        diesel::delete(done).execute(tx.conn)?;
        Ok(TakenLines { lines: taken, first })
    }

    fn evidence(answer: &TakenLines) -> Option<Evidence> {
        answer.first.map(Evidence::Sms)
    }
}

/// Keeps the SMS that no quota counts, in one statement.
fn accept(tx: &mut Tx<'_>, together: &mut Vec<NewSms>, sums: &mut StepSums) -> Result<(), Failed> {
    let batch = mem::take(together);
    if batch.is_empty() || sums.held_back.is_some() {
        return Ok(());
    }
    let lines = batch.len();
    let accepted = AcceptSms { batch, idempotency: None }.write(tx)?;
    sums.count(lines, AcceptedWithinQuota::Accepted(accepted));
    Ok(())
}

fn refuse(tx: &mut Tx<'_>, broadcast: &Broadcast, line: u64, why: String) -> QueryResult<()> {
    diesel::insert_into(broadcast_refusals::table)
        .values((
            broadcast_refusals::broadcast.eq(broadcast.id),
            broadcast_refusals::line.eq(count(line)),
            broadcast_refusals::why.eq(keepable(why)),
        ))
        .execute(tx.conn)
        .map(drop)
}
