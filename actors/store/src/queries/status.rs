//! The status of SMS: of one, of several, of those changed since a moment.

use std::cmp::Reverse;

use diesel::prelude::*;
use vumi_kit::{
    clock::Timestamp,
    ledger::{FindSms, ListSms, Order, StatusCursor, Which},
    sms::Sms,
};

use super::{
    Conn, Failed, Read,
    rows::{self, SmsRow, as_limit},
};
use crate::schema::sms;

impl Read for FindSms {
    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<Option<Sms>, Failed> {
        let own = sms::table.find(self.id).filter(sms::account.eq(self.account)).select(SmsRow::as_select());
        let row: Option<SmsRow> = match &self.transport {
            Some(transport) => own.filter(sms::transport.eq(transport.as_str())).first(conn).optional()?,
            None => own.filter(sms::route.is_not_null()).first(conn).optional()?,
        };
        Ok(row.map(|row| row.at(now)).transpose()?)
    }
}

impl Read for ListSms {
    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<Vec<Sms>, Failed> {
        let of_call = || {
            let own = within_limit!(sms::table).filter(sms::account.eq(self.account)).into_boxed();
            match &self.transport {
                Some(transport) => own.filter(sms::transport.eq(transport.as_str())),
                None => own.filter(sms::route.is_not_null()),
            }
        };
        match self.which {
            Which::Since { at, order: Order::NewestFirst, after } => {
                let (last, id) = after.map_or((i64::MAX, i64::MAX), |place| (place.updated_at.micros(), place.id));
                let rows: Vec<SmsRow> = of_call()
                    .filter(sms::updated_at.ge(at.micros()))
                    // The first bound is the index's, the second leaves out what was listed of that moment.
                    .filter(sms::updated_at.le(last))
                    .filter(sms::updated_at.lt(last).or(sms::id.lt(id)))
                    .order((sms::updated_at.desc(), sms::id.desc()))
                    .limit(as_limit(self.limit))
                    .offset(as_limit(self.start))
                    .select(SmsRow::as_select())
                    .load(conn)?;
                Ok(rows.into_iter().map(|row| row.at(now)).collect::<Result<_, _>>()?)
            }
            Which::Since { at, order: Order::OldestFirst, after } => {
                let begin = StatusCursor { updated_at: at, id: i64::MIN };
                let StatusCursor { updated_at, id } = after.map_or(begin, |place| place.max(begin));
                let rows: Vec<SmsRow> = of_call()
                    .filter(sms::updated_at.ge(updated_at.micros()))
                    .filter(sms::updated_at.gt(updated_at.micros()).or(sms::id.gt(id)))
                    .order((sms::updated_at, sms::id))
                    .limit(as_limit(self.limit))
                    .offset(as_limit(self.start))
                    .select(SmsRow::as_select())
                    .load(conn)?;
                Ok(rows.into_iter().map(|row| row.at(now)).collect::<Result<_, _>>()?)
            }
            Which::Reference(reference) => {
                let rows: Vec<SmsRow> = of_call()
                    .filter(sms::reference.eq(reference))
                    .order(sms::id.desc())
                    .limit(as_limit(self.limit))
                    .offset(as_limit(self.start))
                    .select(SmsRow::as_select())
                    .load(conn)?;
                Ok(rows.into_iter().map(|row| row.at(now)).collect::<Result<_, _>>()?)
            }
            Which::Ids(ids) => {
                let mut found = rows::find_sms(conn, &ids, now)?;
                let asked_for = |sms: &Sms| match &self.transport {
                    Some(transport) => sms.transport == *transport,
                    None => sms.route.is_some(),
                };
                found.retain(|sms| sms.account == self.account && asked_for(sms));
                // Numbers grow with time.
                found.sort_unstable_by_key(|sms| Reverse(sms.id));
                Ok(found.into_iter().skip(self.start).take(self.limit).collect())
            }
        }
    }
}
