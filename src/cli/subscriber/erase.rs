//! A person is taken out of everything that is kept, in steps that hold nobody up.

use std::io::{BufRead, Write};

use anyhow::bail;
use vumi_kit::{
    audit::{AuditEvent, RecordAudit},
    export::{ExportFilter, NumberRange},
    levers::{Lever, PullLever},
    sms::{ReceivedId, SmsId},
    store::{Ask, Store},
    subscriber::{
        ErasePerson, ErasedRows, FindMentions, FindPerson, MentionTable, PersonKey, PersonPage, PersonRows,
        PersonTable, Subscriber,
    },
};

use super::super::{
    account::operator,
    ledger::{LedgerPages, LedgerRow},
};

/// Why the timelines say that SMS were cancelled.
const REASON: &str = "its person is to be forgotten";

/// The pages of a table of people, one by one.
pub(super) struct PersonPages {
    table: PersonTable,
    after: Option<PersonKey>,
}

impl PersonPages {
    pub(super) fn begin(table: PersonTable) -> Self {
        Self { table, after: Some(PersonKey::default()) }
    }

    pub(super) async fn next(&mut self, store: &Store, subscriber: &Subscriber) -> anyhow::Result<Option<PersonPage>> {
        let Some(after) = self.after.take() else { return Ok(None) };
        let find = FindPerson { subscriber: subscriber.clone(), table: self.table, after };
        let page = store.ledger.ask_waiting(find).await?;
        self.after.clone_from(&page.next);
        Ok(Some(page))
    }
}

/// What there is of a person.
#[derive(Default)]
struct PersonFound {
    sms: Vec<SmsId>,
    received: Vec<ReceivedId>,
    sessions: Vec<PersonKey>,
    answers: Vec<PersonKey>,
}

impl PersonFound {
    async fn of(store: &Store, subscriber: &Subscriber) -> anyhow::Result<(Self, LedgerPages)> {
        let mut found = Self::default();
        let filter = ExportFilter { numbers: subscriber.numbers.clone(), ..ExportFilter::default() };
        let mut pages = LedgerPages::begin(store, filter).await?;
        found.add(store, &mut pages).await?;
        for table in [PersonTable::Sessions, PersonTable::Answers] {
            let mut pages = PersonPages::begin(table);
            while let Some(page) = pages.next(store, subscriber).await? {
                found.sessions.extend(page.sessions.into_iter().map(|one| (one.owner.to_string(), one.person)));
                found.answers.extend(page.answers.into_iter().map(|one| one.key));
            }
        }
        found.answers.dedup();
        Ok((found, pages))
    }

    /// Adds the SMS of the pages that are left.
    async fn add(&mut self, store: &Store, pages: &mut LedgerPages) -> anyhow::Result<()> {
        while let Some(rows) = pages.next(store).await? {
            for row in rows {
                match row {
                    LedgerRow::Sent(sms) => self.sms.push(sms.id),
                    LedgerRow::Received(received) => self.received.push(received.id),
                }
            }
        }
        Ok(())
    }
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) async fn run(store: &Store, subscriber: &Subscriber, yes: bool) -> anyhow::Result<()> {
    let (mut found, mut pages) = PersonFound::of(store, subscriber).await?;
    println!(
        "{} SMS to this person, {} from them; {} open dialogues, answers in {} campaigns",
        found.sms.len(),
        found.received.len(),
        found.sessions.len(),
        found.answers.len()
    );
    if !yes && !confirmed()? {
        bail!("nothing was changed");
    }
    let erasing = Erasing { store, subscriber };
    let (mut sms, mut received) = (ErasedRows::default(), 0);
    // Dialogues first: they would go on.
    let sessions = erasing.all(&found.sessions, PersonRows::Sessions).await?.erased;
    while !found.sms.is_empty() || !found.received.is_empty() {
        let done = erasing.sms(&found.sms).await?;
        sms = ErasedRows { erased: sms.erased + done.erased, under_way: sms.under_way + done.under_way };
        received += erasing.all(&found.received, PersonRows::Received).await?.erased;
        // What came meanwhile.
        (found.sms, found.received) = (Vec::new(), Vec::new());
        pages.go_on(store).await?;
        found.add(store, &mut pages).await?;
    }
    let answers = erasing.all(&found.answers, PersonRows::Answers).await?.erased;
    let mentions = erasing.mentions().await?;
    println!(
        "erased: {} SMS to them, {received} from them, {sessions} dialogues, {answers} answers, {mentions} other mentions; \
         {} stands in their place",
        sms.erased, subscriber.pseudonym
    );
    let detail = format!(
        "{} SMS to a person, {received} from them, {sessions} dialogues, {answers} answers; {} in their place",
        sms.erased, subscriber.pseudonym
    );
    let event = AuditEvent::SubscriberErased;
    store.accounts.ask_waiting(RecordAudit { by: operator(), address: None, account: None, event, detail }).await?;
    if sms.under_way > 0 {
        bail!("{} SMS are on their way and were left: run this again in a minute", sms.under_way);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn confirmed() -> anyhow::Result<bool> {
    print!("This can't be undone. Type yes to erase: ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == "yes")
}

struct Erasing<'a> {
    store: &'a Store,
    subscriber: &'a Subscriber,
}

impl Erasing<'_> {
    /// Cancels what waits, and erases what is at rest.
    async fn sms(&self, ids: &[SmsId]) -> anyhow::Result<ErasedRows> {
        for ids in ids.chunks(PullLever::MOST) {
            let cancel = PullLever { lever: Lever::Cancel, ids: ids.to_vec(), reason: REASON.into() };
            self.store.ledger.ask_waiting(cancel).await?;
        }
        self.all(ids, PersonRows::Sms).await
    }

    async fn all<T: Clone>(&self, rows: &[T], these: fn(Vec<T>) -> PersonRows) -> anyhow::Result<ErasedRows> {
        let mut all = ErasedRows::default();
        for rows in rows.chunks(ErasePerson::MOST) {
            let erase = ErasePerson { subscriber: self.subscriber.clone(), rows: these(rows.to_vec()) };
            let done = self.store.ledger.ask_waiting(erase).await?;
            all = ErasedRows { erased: all.erased + done.erased, under_way: all.under_way + done.under_way };
        }
        Ok(all)
    }

    async fn mentions(&self) -> anyhow::Result<usize> {
        let mut erased = 0;
        for table in MentionTable::ALL {
            let mut next = Some(0);
            while let Some(after) = next {
                let range = NumberRange { after, up_to: i64::MAX };
                let find = FindMentions { subscriber: self.subscriber.clone(), table, range };
                let page = self.store.ledger.ask_waiting(find).await?;
                for ids in page.rows.chunks(ErasePerson::MOST) {
                    let rows = PersonRows::Mentions(table, ids.to_vec());
                    let erase = ErasePerson { subscriber: self.subscriber.clone(), rows };
                    erased += self.store.ledger.ask_waiting(erase).await?.erased;
                }
                next = page.next;
            }
        }
        Ok(erased)
    }
}
