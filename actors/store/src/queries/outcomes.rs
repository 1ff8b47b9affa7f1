//! What came of submissions: a batch is read, followed and written at once, and what takes its places is begun.

use std::collections::HashMap;

use diesel::prelude::*;
use vumi_kit::{
    clock::Timestamp,
    ledger::{OutboxState, Outcome, RecordOutcomes, RecordedOutcomes, Then},
    life::LifeEvent,
    name::Name,
    sent_parts::{IdSpellings, TakenPart},
    sms::{SmsId, TransportStatus},
};

use super::{
    Failed, Tx, Write, bulk,
    claims::{self, Begun},
    life::{LifeColumns, check_step, moves},
    parts, receipts, rows,
};
use crate::{
    schema::{sms, sms_attempts},
    writer::queue::Lane,
};

/// Rows of one request that may go before what waits in other lanes: those of an outbox's usual window, twice.
const MOST_URGENT: usize = 256;

impl Write for RecordOutcomes {
    fn rows(&self) -> usize {
        self.outcomes.len() + self.begin.len()
    }

    /// What is to begin goes out no sooner than this is committed: it does not wait behind batches.
    fn lane(&self) -> Lane {
        if self.rows() <= MOST_URGENT { Lane::Urgent } else { Lane::of_rows(self.rows()) }
    }

    /// A receipt may come to another process at this moment, and finds no id yet.
    fn lock_keys(&self) -> Vec<String> {
        let ids = self.outcomes.iter().filter_map(|outcome| match &outcome.then {
            Then::Done { provider_id, .. } => provider_id.as_deref(),
            _ => None,
        });
        let parts = self.outcomes.iter().flat_map(|outcome| &outcome.parts);
        let of_parts = parts.flat_map(|taken| {
            let spellings = taken.spellings.iter().flat_map(IdSpellings::iter);
            taken.part.provider_id.as_deref().into_iter().chain(spellings)
        });
        ids.chain(of_parts).map(|id| receipts::lock_key(&self.transport, id)).collect()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<RecordedOutcomes, Failed> {
        let outcomes: Vec<Outcome> = self.outcomes.into_iter().map(Outcome::keepable).collect();
        let transport = &self.transport;
        let ids: Vec<SmsId> = outcomes.iter().map(|outcome| outcome.id).collect();
        let found: Vec<(SmsId, Row)> = find_all!(
            sms::table.filter(sms::transport.eq(transport.as_str())).select((sms::id, Row::as_select())),
            sms::id,
            ids,
            tx.conn
        );
        let mut recording = Recording { rows: found.into_iter().collect(), ..Recording::default() };
        for outcome in outcomes {
            recording.follow(tx, transport, outcome)?;
        }
        recording.write(tx, transport)?;
        let Begun { begun, gone } = claims::begin(tx, transport, &self.begin)?;
        let waiting = tx.state.outboxes.waiting(transport);
        let state = if waiting { OutboxState::Waiting } else { OutboxState::Empty };
        Ok(RecordedOutcomes { state, begun, gone })
    }
}

/// The row as it was before the outcome, and then as it is to be.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sms)]
struct Row {
    account: i64,
    priority: i32,
    recipient: String,
    #[diesel(column_name = provider_said)]
    provider_response: Option<String>,
    provider_id: Option<String>,
    attempts: i32,
    delivered_at: Option<i64>,
    give_up_at: i64,
    begun: i32,
    #[diesel(embed)]
    life: LifeColumns,
}

/// What a batch of outcomes comes to, before it is written.
#[derive(Default)]
struct Recording {
    rows: HashMap<SmsId, Row>,
    changed: Vec<SmsId>,
    attempts: Vec<Attempt>,
    /// Ids that providers gave, and whose SMS they are.
    news: Vec<(String, SmsId)>,
    /// Ids that receipts had brought before, and what they said.
    replaced: Vec<(SmsId, String, TransportStatus)>,
    /// Parts that the provider took.
    parts: Vec<(SmsId, Vec<TakenPart>)>,
}

impl Recording {
    fn follow(&mut self, tx: &mut Tx<'_>, transport: &Name, outcome: Outcome) -> QueryResult<()> {
        let Some(row) = self.rows.get_mut(&outcome.id) else {
            vumi_kit::warn_limited!(transport.as_str(), %transport, sms = outcome.id, "an outcome of an SMS that is not in the ledger");
            return Ok(());
        };
        let present = tx.state.outboxes.present(transport);
        let held_elsewhere = row.life.claimed_by.is_some() && row.life.claimed_by.as_deref() != present.as_deref();
        let counted_since = row.attempts != outcome.attempts;
        let has_no_say = match &outcome.then {
            // Given back by one who held it before.
            Then::Untried { held_until, .. } => {
                row.life.next_attempt_at.is_some_and(|until| until != held_until.micros())
            }
            // Recorded before, and nobody knew: it may be in flight again. Or its lease ended meanwhile, and whoever holds it
            // now knows that an answer is lost.
            Then::Again { .. } => counted_since || held_elsewhere,
            // Says what became of it, whoever holds it now.
            Then::Done { .. } | Then::Unknown => counted_since && is_recorded(tx, &outcome)?,
        };
        if has_no_say {
            return Ok(());
        }
        let from = row.life.state(tx.now)?;
        if row.life.claimed_by.is_some() && !held_elsewhere {
            tx.state.outboxes.freed(transport, row.begun != 0);
        }
        (row.life.claimed_by, row.begun) = (None, 0);
        let Outcome { id, at, detail, then, parts, .. } = outcome;
        if !parts.is_empty() {
            self.parts.push((id, parts));
        }
        let tried = !matches!(then, Then::Untried { .. });
        let before = row.provider_id.clone().map(|provider_id| (provider_id, row.life.status));
        let by: &[LifeEvent] = match &then {
            Then::Done { .. } => &[LifeEvent::Submit, LifeEvent::Refuse, LifeEvent::Expire],
            Then::Unknown => &[LifeEvent::LoseTrack],
            Then::Again { .. } | Then::Untried { .. } => &[LifeEvent::Return],
        };
        let new_provider_id = row.follow(then, at, &detail, from.is_at_rest())?;
        check_step(id, from, by, row.life.state(tx.now)?);
        if row.life.next_attempt_at.is_some_and(|due| due <= tx.now.micros()) {
            tx.state.outboxes.set_waiting(transport, true);
            tx.state.fair_shares.waits(transport, rows::priority(row.priority)?, row.account);
        }
        if tried {
            row.attempts += 1;
            self.attempts.push(Attempt { sms: id, attempt: row.attempts, at: at.micros(), detail });
        }
        self.changed.push(id);
        if let (Some(_), Some((provider_id, status))) = (&new_provider_id, before) {
            self.replaced.push((id, provider_id, rows::status(status)?));
        }
        self.news.extend(new_provider_id.map(|provider_id| (provider_id, id)));
        Ok(())
    }

    fn write(mut self, tx: &mut Tx<'_>, transport: &Name) -> QueryResult<()> {
        bulk::add_attempts(tx.conn, self.attempts)?;
        let recipient = |id: SmsId| Some(self.rows.get(&id)?.recipient.clone());
        let mut known: Vec<receipts::Known> = self
            .news
            .into_iter()
            .filter_map(|(provider_id, id)| {
                Some(receipts::Known { id, recipient: recipient(id)?, provider_id, spellings: None })
            })
            .collect();
        for (id, TakenPart { part, spellings, .. }) in
            self.parts.iter().flat_map(|(id, parts)| parts.iter().map(|part| (*id, part)))
        {
            let Some((provider_id, recipient)) = part.provider_id.clone().zip(recipient(id)) else { continue };
            known.retain(|whole| whole.id != id || whole.provider_id != provider_id);
            known.push(receipts::Known { id, recipient, provider_id, spellings: spellings.clone() });
        }
        // Once each, as it is after the last of its outcomes.
        let changed = self.changed.into_iter().filter_map(|id| self.rows.remove(&id).map(|row| row.change(id)));
        moves::record(tx, changed.collect())?;
        for (id, provider_id, status) in self.replaced {
            parts::remember(tx, id, transport, &provider_id, status)?;
        }
        for (id, taken) in self.parts {
            parts::take(tx, (id, transport), &taken)?;
        }
        receipts::match_early_receipts(tx, transport, &known)
    }
}

/// Whether the outcome was recorded before.
fn is_recorded(tx: &mut Tx<'_>, outcome: &Outcome) -> QueryResult<bool> {
    let its = sms_attempts::table.filter(sms_attempts::sms.eq(outcome.id));
    diesel::select(diesel::dsl::exists(its.filter(sms_attempts::at.eq(outcome.at.micros())))).get_result(tx.conn)
}

/// A submission that was tried.
pub(crate) struct Attempt {
    pub(crate) sms: SmsId,
    pub(crate) attempt: i32,
    pub(crate) at: i64,
    pub(crate) detail: String,
}

/// What becomes of an SMS that nobody claims any longer.
pub(crate) struct Change {
    pub(crate) id: SmsId,
    pub(crate) status: i32,
    pub(crate) provider_response: Option<String>,
    pub(crate) provider_id: Option<String>,
    pub(crate) attempts: i32,
    pub(crate) delivered_at: Option<i64>,
    pub(crate) next_attempt_at: Option<i64>,
    pub(crate) unknown_outcomes: i32,
}

impl Row {
    fn change(self, id: SmsId) -> Change {
        let Self { provider_response, provider_id, attempts, delivered_at, life, .. } = self;
        let LifeColumns { status, next_attempt_at, unknown_outcomes, .. } = life;
        Change { id, status, provider_response, provider_id, attempts, delivered_at, next_attempt_at, unknown_outcomes }
    }

    /// Changes the row as the outcome says; answers the provider's id if it is news. What is `settled`, by a receipt, neither
    /// expires here nor is of unknown outcome.
    fn follow(&mut self, then: Then, at: Timestamp, detail: &str, settled: bool) -> QueryResult<Option<String>> {
        match then {
            Then::Done { status: TransportStatus::Expired, .. } | Then::Unknown if settled => {}
            Then::Done { status, provider_id } => {
                self.life.next_attempt_at = None;
                self.life.unknown_outcomes = 0;
                // A receipt may have been faster: then the row is further than the provider's answer.
                if status.supersedes(self.life.status()?) {
                    self.life.status = i32::from(status);
                    self.provider_response = Some(detail.to_owned());
                    if status == TransportStatus::Delivered {
                        self.delivered_at = Some(at.micros());
                    }
                }
                let news = provider_id.filter(|id| self.provider_id.as_ref() != Some(id));
                if news.is_some() {
                    self.provider_id.clone_from(&news);
                }
                return Ok(news);
            }
            Then::Unknown => {
                self.life.next_attempt_at = None;
                self.life.status = i32::from(TransportStatus::DeliveryError);
                self.life.unknown_outcomes = self.life.unknown_outcomes.max(1);
                self.provider_response = Some(detail.to_owned());
            }
            Then::Again { at: due, unknown_outcome } => {
                self.again(due);
                if unknown_outcome && !settled {
                    self.life.unknown_outcomes = self.life.unknown_outcomes.saturating_add(1);
                }
            }
            Then::Untried { at: due, .. } => self.again(due),
        }
        if self.life.next_attempt_at.is_some() && !detail.is_empty() {
            self.provider_response = Some(detail.to_owned());
        }
        Ok(None)
    }

    /// Due again, unless a receipt has settled it; at its deadline at the latest, since that is when it expires.
    fn again(&mut self, due: Timestamp) {
        self.life.next_attempt_at = self.life.next_attempt_at.map(|_| due.micros().min(self.give_up_at));
    }
}
