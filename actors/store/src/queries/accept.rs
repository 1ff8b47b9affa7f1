//! SMS come in.

use std::{borrow::Cow, sync::Arc};

use diesel::prelude::*;
use vumi_kit::{
    account::Micros,
    clock::Timestamp,
    ledger::{AcceptSms, Accepted},
    levers::Lever,
    outbound::RouteChoice,
    sms::{NewSms, Sms, SmsId, Submission, TransportStatus},
};

use super::{
    Conn, Evidence, Failed, Tx, Write, consent, idempotency,
    life::{self, moves},
    permission::occasion_number,
    rows::{content_columns, priority_number, told_column},
    timeline,
};
use crate::{schema::sms, writer::queue::Lane};

impl Write for AcceptSms {
    const GROWS: bool = true;

    fn rows(&self) -> usize {
        self.batch.len()
    }

    fn lane(&self) -> Lane {
        Lane::of_batch(self.batch.len())
    }

    /// The same request may be with another process at this moment.
    fn lock_keys(&self) -> Vec<String> {
        let key = self.idempotency.as_ref().zip(self.batch.first());
        key.map(|(key, sms)| format!("idempotency {} {}", sms.account, key.key)).into_iter().collect()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<Accepted, Failed> {
        match answered(tx, &self)? {
            Some(answer) => Ok(answer),
            None => keep(tx, self, None),
        }
    }

    fn evidence(answer: &Accepted) -> Option<Evidence> {
        match answer {
            Accepted::Now(kept) => kept.first().map(|sms| Evidence::Sms(sms.id)),
            Accepted::Before(_) | Accepted::KeyReused | Accepted::AccountStopped => None,
        }
    }
}

/// The answer to a request of which nothing is to be kept: an earlier one had the same key, or the account is stopped.
pub(super) fn answered(tx: &mut Tx<'_>, accept: &AcceptSms) -> QueryResult<Option<Accepted>> {
    if let Some((key, sms)) = accept.idempotency.as_ref().zip(accept.batch.first())
        && let Some(earlier) = idempotency::earlier(tx.conn, tx.now, sms.account, key)?
    {
        return Ok(Some(earlier));
    }
    for of_one in accept.batch.chunk_by(|one, next| one.account == next.account) {
        if let Some(sms) = of_one.first()
            && tx.is_stopped(sms.account)?
        {
            return Ok(Some(Accepted::AccountStopped));
        }
    }
    Ok(None)
}

/// Keeps a batch, and its key. `charged`: what each SMS took from the quotas of its account, which count it.
pub(super) fn keep(tx: &mut Tx<'_>, accept: AcceptSms, charged: Option<&[Micros]>) -> Result<Accepted, Failed> {
    let key = accept.idempotency.and_then(|key| accept.batch.first().map(|sms| (sms.account, key)));
    let kept = insert(tx, accept.batch, charged)?;
    if let Some((account, key)) = &key {
        idempotency::keep(tx, *account, key, &kept)?;
    }
    Ok(Accepted::Now(kept.into()))
}

/// An SMS on its way into the ledger.
pub(crate) struct Incoming {
    pub(crate) new: NewSms,
    pub(crate) segments: u32,
    /// When it is due; where it is born claimed, the end of its lease.
    pub(crate) due: i64,
    /// Who claims it.
    pub(crate) claimed_by: Option<Arc<str>>,
    /// Whether it may go out as soon as it is committed.
    pub(crate) begun: bool,
    pub(crate) created_at: i64,
    pub(crate) give_up_at: i64,
    /// What it took from its account's budget; none: the account's quotas do not count it.
    pub(crate) charged: Option<i64>,
    /// Whether its person is out: it is kept and ends at once.
    pub(crate) unwanted: bool,
}

impl Incoming {
    pub(crate) fn priority(&self) -> i32 {
        priority_number(self.new.options.priority)
    }

    pub(crate) fn scheduled_at(&self) -> Option<i64> {
        self.new.options.send_at.map(Timestamp::micros)
    }

    pub(crate) fn segments(&self) -> i32 {
        i32::try_from(self.segments).unwrap_or(i32::MAX)
    }

    /// What its text is, and the header of a binary one.
    pub(crate) fn content(&self) -> (Cow<'static, str>, Option<&str>) {
        content_columns(&self.new.options.content)
    }

    /// Whom it is told of beside the account's callbacks.
    pub(crate) fn told(&self) -> Option<Cow<'_, str>> {
        told_column(&self.new.options)
    }

    /// What it is sent for, as its column has it.
    pub(crate) fn occasion(&self) -> i32 {
        occasion_number(self.new.options.occasion)
    }

    pub(crate) fn route(&self) -> Option<&str> {
        self.new.route.as_ref().map(|choice| choice.route.as_str())
    }
}

/// Keeps SMS: claimed and to be handed over where their transport has room for them, else waiting.
pub(super) fn insert(tx: &mut Tx<'_>, batch: Vec<NewSms>, charged: Option<&[Micros]>) -> QueryResult<Vec<Sms>> {
    let (now, lease_until) = (tx.now, tx.lease_until());
    let unwanted = consent::unwanted(tx, &batch)?;
    let mut incoming = Vec::with_capacity(batch.len());
    for (at, new) in batch.into_iter().enumerate() {
        let send_at = new.options.send_at.map_or(now, |send_at| send_at.max(now));
        let held = new.options.held.is_some();
        // One that is scheduled or held is looked at when its time has come.
        let unwanted = send_at <= now && !held && unwanted.get(at).copied().unwrap_or(false);
        let waits = send_at > now || held || unwanted;
        let claim = if waits { None } else { tx.state.outboxes.claim_new(&new.transport) };
        let due = if claim.is_some() {
            lease_until
        } else {
            // What is scheduled is found when its time has come.
            if !waits {
                tx.state.outboxes.set_waiting(&new.transport, true);
                tx.state.fair_shares.waits(&new.transport, new.options.priority, new.account);
            }
            send_at
        };
        let validity = new.options.validity.map_or(tx.rules.give_up_after, |asked| asked.min(tx.rules.give_up_after));
        let give_up_at = send_at.plus(validity);
        let (claimed_by, begun) = claim.map_or((None, false), |(claim_token, begun)| (Some(claim_token), begun));
        let (due, created_at, give_up_at) = (due.micros(), now.micros(), give_up_at.micros());
        let segments = new.segments();
        let charged = charged.map(|of_each| of_each.get(at).copied().unwrap_or_default().get());
        incoming.push(Incoming { new, segments, due, claimed_by, begun, created_at, give_up_at, charged, unwanted });
    }
    let ids = moves::accept(tx, &incoming)?;
    note_choices(tx, &ids, &incoming)?;
    let mut kept = Vec::with_capacity(ids.len());
    for (id, Incoming { new, segments, claimed_by, begun, give_up_at, unwanted, .. }) in ids.into_iter().zip(incoming) {
        let give_up_at = Timestamp::from_micros(give_up_at);
        if let Some(why) = &new.options.held {
            moves::hold(tx, id, why)?;
            life::note(tx, &[id], Lever::Hold.done(), why)?;
        }
        if unwanted {
            consent::end(tx, id)?;
        }
        if let Some(claim_token) = claimed_by {
            let submission = Submission {
                id,
                to: new.to.clone(),
                from: new.from.clone(),
                message: new.message.clone(),
                content: new.options.content.clone(),
                segments,
                priority: new.options.priority,
                reference: new.options.reference.clone(),
                attempts: 0,
                unknown_outcomes: 0,
                parts: Vec::new(),
                due_at: now,
                lease_until,
                give_up_at,
                limited: new.options.validity.is_some(),
                begun,
                renewed: false,
                claim_token,
            };
            tx.state.submissions.push((new.transport.clone(), submission));
        }
        kept.push(Sms::accepted(id, new, segments, now, give_up_at));
    }
    Ok(kept)
}

/// Writes into their timelines why SMS go by the transport that a route chose.
fn note_choices(tx: &mut Tx<'_>, ids: &[SmsId], incoming: &[Incoming]) -> QueryResult<()> {
    let choices = ids.iter().zip(incoming).filter_map(|(id, one)| Some((*id, one.new.route.as_deref()?)));
    let detail = |RouteChoice { transport, why, .. }: &RouteChoice| format!("to {transport}: {why}");
    let events = choices.map(|(id, choice)| (id, detail(choice))).collect();
    timeline::add(tx, "routed", events)
}

/// The statement for one, prepared once. `batch` is the first SMS that came with it.
pub(crate) fn insert_one(conn: &mut Conn, incoming: &Incoming, batch: Option<SmsId>) -> QueryResult<SmsId> {
    let Incoming { new, due, claimed_by, begun, created_at, give_up_at, .. } = incoming;
    let (content, udh) = incoming.content();
    diesel::insert_into(sms::table)
        .values((
            sms::account.eq(new.account),
            sms::transport.eq(new.transport.as_str()),
            sms::recipient.eq(new.to.as_str()),
            sms::sender.eq(new.from.as_str()),
            sms::message.eq(&new.message),
            sms::status.eq(i32::from(TransportStatus::Pending)),
            sms::attempts.eq(0),
            sms::created_at.eq(created_at),
            sms::updated_at.eq(created_at),
            sms::give_up_at.eq(give_up_at),
            sms::next_attempt_at.eq(Some(due)),
            sms::claimed_by.eq(claimed_by.as_deref()),
            sms::unsure.eq(0),
            sms::begun.eq(i32::from(*begun)),
            sms::priority.eq(incoming.priority()),
            sms::scheduled_at.eq(incoming.scheduled_at()),
            sms::segments.eq(incoming.segments()),
            sms::batch.eq(batch),
            sms::reference.eq(new.options.reference.as_deref()),
            sms::callback_url.eq(incoming.told()),
            sms::content.eq(content),
            sms::udh.eq(udh),
            sms::route.eq(incoming.route()),
            sms::charged.eq(incoming.charged),
            sms::occasion.eq(incoming.occasion()),
        ))
        .returning(sms::id)
        .get_result(conn)
}
