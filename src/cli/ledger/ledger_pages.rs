//! SMS to and from people, page by page.

use vumi_kit::{
    export::{ExportFilter, ExportReceived, ExportSms, FindLedgerEnd, LedgerEnd, NumberRange},
    sms::{Received, Sms},
    store::{Ask, Store},
};

/// An SMS of the ledger.
pub(crate) enum LedgerRow {
    /// To a person, whatever became of it.
    Sent(Box<Sms>),
    /// From a person, whole: its parts were joined.
    Received(Box<Received>),
}

/// All SMS that a filter lets through and that were there at the beginning: those to people, then those from them.
pub(crate) struct LedgerPages {
    filter: ExportFilter,
    end: LedgerEnd,
    sms_after: Option<i64>,
    received_after: Option<i64>,
}

impl LedgerPages {
    pub(crate) async fn begin(store: &Store, filter: ExportFilter) -> anyhow::Result<Self> {
        let end = store.ledger.ask_waiting(FindLedgerEnd).await?;
        Ok(Self { filter, end, sms_after: Some(0), received_after: Some(0) })
    }

    /// Goes on with what came since.
    pub(crate) async fn go_on(&mut self, store: &Store) -> anyhow::Result<()> {
        let LedgerEnd { sms, received } = self.end;
        self.end = store.ledger.ask_waiting(FindLedgerEnd).await?;
        (self.sms_after, self.received_after) = (Some(sms), Some(received));
        Ok(())
    }

    /// The next page, which may be empty; none: that was all.
    pub(crate) async fn next(&mut self, store: &Store) -> anyhow::Result<Option<Vec<LedgerRow>>> {
        let filter = self.filter.clone();
        if let Some(after) = self.sms_after {
            let range = NumberRange { after, up_to: self.end.sms };
            let page = store.ledger.ask_waiting(ExportSms { range, filter }).await?;
            self.sms_after = page.next;
            return Ok(Some(page.rows.into_iter().map(|sms| LedgerRow::Sent(Box::new(sms))).collect()));
        }
        if let Some(after) = self.received_after {
            let range = NumberRange { after, up_to: self.end.received };
            let page = store.ledger.ask_waiting(ExportReceived { range, filter }).await?;
            self.received_after = page.next;
            return Ok(Some(page.rows.into_iter().map(|one| LedgerRow::Received(Box::new(one))).collect()));
        }
        Ok(None)
    }
}
