//! Pages of the whole ledger, along its numbers: each is one range of the primary key, whatever the filter lets through.

use diesel::{
    dsl::sql,
    prelude::*,
    sql_types::{BigInt, Bool, Text},
};
use vumi_kit::{
    clock::Timestamp,
    export::{EXPORT_PAGE, ExportFilter, ExportPage, ExportReceived, ExportSms, FindLedgerEnd, LedgerEnd, NumberRange},
    sms::{Received, Sms},
};

use super::{
    Conn, Failed, Read, ledger_end,
    rows::{ReceivedRow, SmsRow, as_limit},
};
use crate::schema::{received_sms, sms};

impl Read for FindLedgerEnd {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<LedgerEnd, Failed> {
        Ok(ledger_end(conn)?)
    }
}

/// The last number of the page that begins a range, and whether the range goes on behind it.
macro_rules! page_end {
    ($conn:ident, $table:ident, $range:ident) => {{
        let NumberRange { after, up_to } = $range;
        let in_range = $table::table.filter($table::id.gt(after)).filter($table::id.le(up_to));
        let page = in_range.order($table::id).select($table::id).offset(as_limit(EXPORT_PAGE - 1)).limit(1);
        let last: Option<i64> = page.first($conn).optional()?;
        (last.unwrap_or(up_to), last.filter(|last| *last < up_to))
    }};
}
pub(super) use page_end;

/// The rows of a page that the filter lets through. The bounds of time are those of all time where the filter has none.
macro_rules! page_rows {
    ($conn:ident, $table:ident, $Row:ident, $range:ident, $last:ident, $filter:expr) => {{
        let ExportFilter { account, transport, from, to, numbers } = $filter;
        let mut page = within_limit!($table::table)
            .filter($table::id.gt($range.after))
            .filter($table::id.le($last))
            .filter($table::created_at.ge(from.map_or(i64::MIN, Timestamp::micros)))
            .filter($table::created_at.lt(to.map_or(i64::MAX, Timestamp::micros)))
            .order($table::id)
            .select($Row::as_select())
            .into_boxed::<<Conn as diesel::Connection>::Backend>();
        // As expressions: by an index of theirs the database would read past the page's bounds, and sort.
        if let Some(account) = account {
            page = page.filter(sql::<Bool>("account + 0 = ").bind::<BigInt, _>(account));
        }
        if let Some(transport) = transport {
            page = page.filter(sql::<Bool>("transport || '' = ").bind::<Text, _>(transport.to_string()));
        }
        if !numbers.is_empty() {
            let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            page = page.filter($table::sender.eq_any(numbers.clone()).or($table::recipient.eq_any(numbers)));
        }
        let rows: Vec<$Row> = page.load($conn)?;
        rows
    }};
}

impl Read for ExportSms {
    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<ExportPage<Sms>, Failed> {
        let range = self.range;
        let (last, next) = page_end!(conn, sms, range);
        let rows = page_rows!(conn, sms, SmsRow, range, last, self.filter);
        Ok(ExportPage { rows: rows.into_iter().map(|row| row.at(now)).collect::<QueryResult<_>>()?, next })
    }
}

impl Read for ExportReceived {
    fn read(self, conn: &mut Conn, _: Timestamp) -> Result<ExportPage<Received>, Failed> {
        let range = self.range;
        let (last, next) = page_end!(conn, received_sms, range);
        let rows = page_rows!(conn, received_sms, ReceivedRow, range, last, self.filter);
        let received = rows.into_iter().map(|row| row.into_received(false));
        Ok(ExportPage { rows: received.collect::<QueryResult<_>>()?, next })
    }
}
