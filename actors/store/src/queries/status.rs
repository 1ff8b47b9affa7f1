//! The status of SMS: of one, of several, of those changed since a moment.

use diesel::prelude::*;
use vumi_kit::{
    clock::Timestamp,
    ledger::{FindSms, ListSms, Order, StatusCursor, Which},
    sms::Sms,
};

use super::{
    Conn, Failed, Read,
    rows::{SmsRow, as_limit},
};
use crate::schema::sms;

impl Read for FindSms {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Option<Sms>, Failed> {
        Ok(find(conn, self.account, self.transport.as_str(), self.id)?)
    }
}

fn find(conn: &mut Conn, account: i64, transport: &str, id: i64) -> QueryResult<Option<Sms>> {
    let row: Option<SmsRow> = sms::table
        .find(id)
        .filter(sms::account.eq(account))
        .filter(sms::transport.eq(transport))
        .select(SmsRow::as_select())
        .first(conn)
        .optional()?;
    row.map(Sms::try_from).transpose()
}

impl Read for ListSms {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<Vec<Sms>, Failed> {
        let transport = self.transport.as_str();
        match self.which {
            Which::Since { at, order: Order::NewestFirst, after } => {
                let (last, id) = after.map_or((i64::MAX, i64::MAX), |place| (place.updated_at.micros(), place.id));
                let rows: Vec<SmsRow> = sms::table
                    .filter(sms::account.eq(self.account))
                    .filter(sms::transport.eq(transport))
                    .filter(sms::updated_at.ge(at.micros()))
                    // The first bound is the index's, the second leaves out what was listed of that moment.
                    .filter(sms::updated_at.le(last))
                    .filter(sms::updated_at.lt(last).or(sms::id.lt(id)))
                    .order((sms::updated_at.desc(), sms::id.desc()))
                    .limit(as_limit(self.limit))
                    .offset(as_limit(self.start))
                    .select(SmsRow::as_select())
                    .load(conn)?;
                Ok(rows.into_iter().map(Sms::try_from).collect::<Result<_, _>>()?)
            }
            Which::Since { at, order: Order::OldestFirst, after } => {
                let begin = StatusCursor { updated_at: at, id: i64::MIN };
                let StatusCursor { updated_at, id } = after.map_or(begin, |place| place.max(begin));
                let rows: Vec<SmsRow> = sms::table
                    .filter(sms::account.eq(self.account))
                    .filter(sms::transport.eq(transport))
                    .filter(sms::updated_at.ge(updated_at.micros()))
                    .filter(sms::updated_at.gt(updated_at.micros()).or(sms::id.gt(id)))
                    .order((sms::updated_at, sms::id))
                    .limit(as_limit(self.limit))
                    .offset(as_limit(self.start))
                    .select(SmsRow::as_select())
                    .load(conn)?;
                Ok(rows.into_iter().map(Sms::try_from).collect::<Result<_, _>>()?)
            }
            Which::Ids(mut ids) => {
                // Numbers grow with time. A cached look-up for each costs less than a statement of its own length.
                ids.sort_unstable_by(|a, b| b.cmp(a));
                ids.dedup();
                let found = ids.into_iter().filter_map(|id| find(conn, self.account, transport, id).transpose());
                Ok(found.skip(self.start).take(self.limit).collect::<QueryResult<_>>()?)
            }
        }
    }
}
