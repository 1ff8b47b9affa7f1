//! What came of submissions: one update and one small insert each.

use diesel::prelude::*;
use tracing::warn;
use vumi_kit::{
    clock::Timestamp,
    ledger::{OutboxState, Outcome, RecordOutcomes, Then},
    name::Name,
    sms::TransportStatus,
};

use super::{Failed, Fixed, Tx, Write, alone, receipts, rows};
use crate::schema::{sms, sms_attempts};

impl Write for RecordOutcomes {
    fn write(self, tx: &mut Tx<'_>) -> Result<OutboxState, Failed> {
        // A receipt may come to another process at this moment, and finds no id yet.
        alone(tx.conn, || {
            let ids = self.outcomes.iter().filter_map(|outcome| match &outcome.then {
                Then::Done { provider_id, .. } => provider_id.as_deref(),
                _ => None,
            });
            ids.map(|id| receipts::name(&self.transport, id)).collect()
        })?;
        for outcome in self.outcomes {
            record(tx, &self.transport, outcome)?;
        }
        let waiting = tx.memory.outboxes.waiting(&self.transport);
        Ok(if waiting { OutboxState::Waiting } else { OutboxState::Empty })
    }
}

/// The row as it was before the outcome, and then as it is to be.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sms)]
struct Row {
    account: i64,
    recipient: String,
    status: i32,
    provider_said: Option<String>,
    provider_id: Option<String>,
    attempts: i32,
    delivered_at: Option<i64>,
    give_up_at: i64,
    next_attempt_at: Option<i64>,
    claimed_by: Option<String>,
    unsure: i32,
}

fn record(tx: &mut Tx<'_>, transport: &Name, outcome: Outcome) -> QueryResult<()> {
    let found = sms::table.find(outcome.id).filter(sms::transport.eq(transport.as_str()));
    let Some(mut row) = for_update!(found.select(Row::as_select())).first(tx.conn).optional()? else {
        warn!(%transport, sms = outcome.id, "an outcome of an SMS that is not in the ledger");
        return Ok(());
    };
    // Given back by one who held it before.
    if let Then::Untried { held_until, .. } = outcome.then
        && row.next_attempt_at.is_some_and(|until| until != held_until.micros())
    {
        return Ok(());
    }
    if row.claimed_by.is_some() && row.claimed_by.as_deref() == tx.memory.outboxes.present(transport).as_deref() {
        tx.memory.outboxes.freed(transport, 1);
    }
    let Outcome { id, at, said, then } = outcome;
    let tried = !matches!(then, Then::Untried { .. });
    let new_provider_id = row.follow(then, at, &said)?;
    if tried {
        row.attempts += 1;
        diesel::insert_into(sms_attempts::table)
            .values((
                sms_attempts::sms.eq(id),
                sms_attempts::attempt.eq(row.attempts),
                sms_attempts::at.eq(at.micros()),
                sms_attempts::said.eq(&said),
            ))
            .execute(tx.conn)?;
    }
    Fixed(diesel::update(sms::table.find(id)).set((
        sms::status.eq(row.status),
        sms::provider_said.eq(row.provider_said.as_deref()),
        sms::provider_id.eq(row.provider_id.as_deref()),
        sms::attempts.eq(row.attempts),
        sms::delivered_at.eq(row.delivered_at),
        sms::next_attempt_at.eq(row.next_attempt_at),
        sms::claimed_by.eq(None::<String>),
        sms::unsure.eq(row.unsure),
        sms::updated_at.eq(tx.now.micros()),
    )))
    .execute(tx.conn)?;
    if row.next_attempt_at.is_some_and(|due| due <= tx.now.micros()) {
        tx.memory.outboxes.set_waiting(transport, true);
    }
    if let Some(provider_id) = new_provider_id {
        let known = receipts::Known { id, account: row.account, recipient: &row.recipient };
        receipts::adopt(tx, transport, &provider_id, &known)?;
    }
    Ok(())
}

impl Row {
    /// Changes the row as the outcome says; answers the provider's id if it is news.
    fn follow(&mut self, then: Then, at: Timestamp, said: &str) -> QueryResult<Option<String>> {
        match then {
            Then::Done { status, provider_id } => {
                self.next_attempt_at = None;
                self.unsure = 0;
                // A receipt may have been faster: then the row is further than the provider's answer.
                if status.supersedes(rows::status(self.status)?) {
                    self.status = i32::from(status.0);
                    self.provider_said = Some(said.to_owned());
                    if status == TransportStatus::DELIVERED {
                        self.delivered_at = Some(at.micros());
                    }
                }
                let news = provider_id.filter(|id| self.provider_id.as_ref() != Some(id));
                if news.is_some() {
                    self.provider_id.clone_from(&news);
                }
                return Ok(news);
            }
            Then::Again { at: due, unsure } => {
                self.again(due);
                self.unsure = self.unsure.saturating_add(i32::from(unsure));
            }
            Then::Untried { at: due, .. } => self.again(due),
        }
        if self.next_attempt_at.is_some() && !said.is_empty() {
            self.provider_said = Some(said.to_owned());
        }
        Ok(None)
    }

    /// Due again, unless a receipt has settled it; at its deadline at the latest, since that is when it expires.
    fn again(&mut self, due: Timestamp) {
        self.next_attempt_at = self.next_attempt_at.map(|_| due.micros().min(self.give_up_at));
    }
}
