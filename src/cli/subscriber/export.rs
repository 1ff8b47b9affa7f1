//! Everything that is kept of a person, as JSON Lines.

use std::{io::Write, path::Path};

use vumi_kit::{
    export::ExportFilter,
    ledger::{SmsTimeline, TimelineEvent},
    sms::SmsId,
    store::{Ask, Store},
    subscriber::{PersonTable, Subscriber},
};

use super::{
    super::ledger::{self, ExportFormat, LedgerPages, LedgerRow, Record, RecordWriter},
    erase::PersonPages,
};
use crate::config::Settings;

pub(super) fn run(settings: Settings, subscriber: &Subscriber, out: Option<&Path>, force: bool) -> anyhow::Result<()> {
    ledger::write_to(settings, out, force, async |store, out| export(store, subscriber, out).await)
}

async fn export(store: &Store, subscriber: &Subscriber, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut writer = RecordWriter::begin(out, ExportFormat::Jsonl, &[])?;
    let names = ledger::account_names(store).await?;
    let filter = ExportFilter { numbers: subscriber.numbers.clone(), ..ExportFilter::default() };
    let mut pages = LedgerPages::begin(store, filter).await?;
    while let Some(rows) = pages.next(store).await? {
        for row in &rows {
            let (what, record) = match row {
                LedgerRow::Sent(sms) => ("sms sent", ledger::sent(sms, &names)),
                LedgerRow::Received(received) => ("sms received", ledger::received(received, &names)),
            };
            writer.write(&named(what, record))?;
            let LedgerRow::Sent(sms) = row else { continue };
            let timeline = SmsTimeline { account: sms.account, transport: Some(sms.transport.clone()), id: sms.id };
            for event in store.ledger.ask_waiting(timeline).await?.unwrap_or_default() {
                writer.write(&event_of(sms.id, &event))?;
            }
        }
    }
    for table in [PersonTable::Sessions, PersonTable::Answers] {
        let mut pages = PersonPages::begin(table);
        while let Some(page) = pages.next(store, subscriber).await? {
            for session in page.sessions {
                let expires_at = ledger::time(session.expires_at);
                writer.write(&vec![
                    ("what", "session".into()),
                    ("owner", session.owner.as_str().into()),
                    ("address", session.address.into()),
                    ("state", session.state.into()),
                    ("expires_at", expires_at),
                ])?;
            }
            for kept in page.answers {
                let (campaign, _) = kept.key;
                writer.write(&vec![
                    ("what", "answer".into()),
                    ("campaign", campaign.into()),
                    ("question", kept.question.into()),
                    ("answer", kept.answer.into()),
                ])?;
            }
        }
    }
    Ok(())
}

fn named(what: &str, record: Record) -> Record {
    std::iter::once(("what", what.into())).chain(record).collect()
}

fn event_of(sms: SmsId, event: &TimelineEvent) -> Record {
    let what: &str = &event.what;
    vec![
        ("what", "event".into()),
        ("sms", sms.into()),
        ("event", what.into()),
        ("at", ledger::time(event.at)),
        ("detail", (&event.detail).into()),
        ("provider_id", event.provider_id.as_ref().into()),
    ]
}
