//! Transports that fail: what waits for one goes to another, and processes tell each other how theirs are.

use std::time::Duration;

use diesel::prelude::*;
use vumi_kit::{
    account::AccountId,
    name::Name,
    rerouting::{BeatTransports, RerouteSms, TransportBeat, WayOut},
    sms::SmsId,
    transport_board::Sendability,
};

use super::{
    Failed, Tx, Write, bulk,
    life::{self, moves},
    rows::{self, as_limit},
};
use crate::schema::{accounts, sms, transport_beats};

/// A process that has not beaten for so long has left its rows.
const GONE_AFTER: Duration = Duration::from_secs(3600);

impl Write for RerouteSms {
    fn rows(&self) -> usize {
        Self::STEP
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<usize, Failed> {
        // Accounts that may send over some transports alone, an item a line.
        let limited: Vec<(AccountId, String)> = accounts::table
            .filter(accounts::transports.ne(""))
            .select((accounts::id, accounts::transports))
            .load(tx.conn)?;
        let mut moved = 0;
        for way in &self.ways {
            let may_not = |transports: &str| !transports.lines().any(|allowed| allowed == way.to.as_str());
            let others = limited.iter().filter(|(_, transports)| may_not(transports)).map(|(id, _)| *id).collect();
            let ids = waiting(tx, &self.from, way, others, Self::STEP - moved)?;
            send_on(tx, &self, way, &ids)?;
            moved += ids.len();
        }
        Ok(moved)
    }
}

/// SMS of a route that wait, the longest due first, but for those of some accounts.
fn waiting(
    tx: &mut Tx<'_>,
    from: &Name,
    way: &WayOut,
    but_of: Vec<AccountId>,
    limit: usize,
) -> QueryResult<Vec<SmsId>> {
    let now = tx.now.micros();
    // What the outbox of this process has in hand it gives back by itself.
    let present = tx.state.outboxes.present(from).unwrap_or_default();
    let lease_ended = sms::next_attempt_at.le(now).and(sms::claimed_by.ne(present.to_string()));
    let most_unknown = if way.resend_unknown { i32::MAX } else { 0 };
    let waiting = sms::table
        .filter(sms::transport.eq(from.as_str()))
        .filter(sms::route.eq(way.route.as_str()))
        .filter(sms::route.is_not_null())
        .filter(sms::next_attempt_at.is_not_null())
        .filter(sms::claimed_by.is_null().or(lease_ended))
        .filter(sms::scheduled_at.is_null().or(sms::scheduled_at.le(now)))
        .filter((sms::unsure + sms::begun).le(most_unknown))
        .filter(sms::account.ne_all(but_of))
        .order((sms::next_attempt_at, sms::id))
        .limit(as_limit(limit))
        .select(sms::id);
    skip_locked!(waiting).load(tx.conn)
}

/// They are due at their new transport. What the dead held as begun may have been sent.
fn send_on(tx: &mut Tx<'_>, ask: &RerouteSms, way: &WayOut, ids: &[SmsId]) -> QueryResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    moves::reroute(tx, ids, &way.to)?;
    tx.state.outboxes.set_waiting(&way.to, true);
    tx.state.fair_shares.look_again(&way.to);
    life::note(tx, ids, "rerouted", &format!("from {} to {}: {}", ask.from, way.to, ask.because))
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = transport_beats)]
struct BeatRow {
    node: String,
    transport: String,
    sendability: Option<i32>,
    wants_probe: i32,
    submitted: i64,
    receipts: i64,
}

impl Write for BeatTransports {
    fn rows(&self) -> usize {
        self.beats.len()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<Vec<(String, TransportBeat)>, Failed> {
        let node = tx.rules.node.clone();
        bulk::beat(tx.conn, &node, tx.now, &self.beats)?;
        let gone = transport_beats::at.lt(tx.now.minus(GONE_AFTER).micros());
        diesel::delete(transport_beats::table.filter(gone)).execute(tx.conn)?;
        let others = transport_beats::table
            .filter(transport_beats::node.ne(&node))
            .filter(transport_beats::at.gt(tx.now.minus(Self::LIVE_FOR).micros()))
            .select(BeatRow::as_select());
        let rows: Vec<BeatRow> = others.load(tx.conn)?;
        Ok(rows.into_iter().map(heard).collect::<QueryResult<_>>()?)
    }
}

fn heard(row: BeatRow) -> QueryResult<(String, TransportBeat)> {
    let sendability = |number| u8::try_from(number).map(Sendability::from_number).unwrap_or_default();
    let beat = TransportBeat {
        transport: rows::name(&row.transport)?,
        sendability: row.sendability.map(sendability),
        wants_probe: row.wants_probe != 0,
        submitted: u64::try_from(row.submitted).unwrap_or_default(),
        receipts: u64::try_from(row.receipts).unwrap_or_default(),
    };
    Ok((row.node, beat))
}

/// A count as the database keeps it.
pub(crate) fn as_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
