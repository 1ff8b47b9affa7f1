//! `vumi ledger`.

mod format;
mod ledger_pages;
mod records;

use std::{
    collections::HashMap,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use vumi_kit::{
    account::{AccountId, FindAccount, ListAccounts},
    clock::Timestamp,
    export::{ExportFilter, ExportPage, ExportReceived, ExportSms, FindLedgerEnd, NumberRange},
    name::Name,
    store::{Ask, Store},
};
use vumi_store::NewFile;

pub(super) use self::{
    format::{ExportFormat, Record, RecordWriter},
    ledger_pages::{LedgerPages, LedgerRow},
    records::{received, sent, time},
};
use super::{
    account::with_store,
    sms::{moment, transport},
};
use crate::config::Settings;

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub(super) enum LedgerCommand {
    /// Writes SMS as CSV or JSON Lines, oldest first, while the router runs or not
    #[command(after_help = EXAMPLES)]
    Export(ExportArgs),
}

const EXAMPLES: &str = "Examples:
  vumi ledger export --from 2026-11-01 --to 2026-12-01 --account clinic --out november.csv
  vumi ledger export --format jsonl --which received | jq .message

Times are UTC. In CSV a text that begins with = + - @, a tab or a line's end has a ' before it, so that no spreadsheet
takes it for a formula; JSON Lines has every text as it is.";

/// Options of `vumi ledger export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Whether SMS to people or from people are written
    #[arg(long, value_enum, default_value = "sent")]
    which: Direction,
    #[arg(long, value_enum, default_value = "csv")]
    format: ExportFormat,
    /// Those that came at this time or later: a date (YYYY-MM-DD, or with HH:MM:SS, UTC), or so long ago (2h, 3d)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Timestamp>,
    /// Those that came before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Timestamp>,
    /// Those of an account, by its name; of one that was removed, by its number
    #[arg(long)]
    account: Option<String>,
    /// Those over a transport
    #[arg(long, value_name = "NAME", value_parser = transport)]
    transport: Option<Name>,
    /// Those above this number: where an earlier export ended, as it said
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: i64,
    /// The file; it appears once it is whole. Without it the export goes to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replaces a file that is there
    #[arg(long, requires = "out")]
    force: bool,
}

/// SMS to people, or from them.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Direction {
    /// To people
    Sent,
    /// From people
    Received,
}

pub(super) fn run(command: &LedgerCommand, settings: Settings) -> anyhow::Result<ExitCode> {
    let LedgerCommand::Export(args) = command;
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        bail!("--from is not before --to: nothing would be exported");
    }
    write_to(settings, args.out.as_deref(), args.force, async |store, out| export(store, args, out).await)?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the store and has something written to a new file, or to standard output.
pub(super) fn write_to(
    settings: Settings,
    path: Option<&Path>,
    force: bool,
    work: impl AsyncFnOnce(&Store, &mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // Before the database is opened: a wrong name is said at once.
    let file = path.map(|path| NewFile::begin(path, force)).transpose()?;
    with_store(settings, async |store| match file {
        Some(mut file) => {
            let mut buffered = BufWriter::new(&mut file);
            work(store, &mut buffered).await?;
            buffered.flush().context(NOT_WRITTEN)?;
            drop(buffered);
            Ok(file.finish()?)
        }
        None => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            work(store, &mut out).await?;
            out.flush().context(NOT_WRITTEN)
        }
    })
}

const NOT_WRITTEN: &str = "the export can't be written";

/// The names of the accounts.
pub(super) async fn account_names(store: &Store) -> anyhow::Result<HashMap<AccountId, String>> {
    let accounts = store.accounts.ask_waiting(ListAccounts).await?;
    Ok(accounts.into_iter().map(|one| (one.id, one.username)).collect())
}

async fn export(store: &Store, args: &ExportArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let accounts = account_names(store).await?;
    let account = match &args.account {
        Some(named) => Some(account_named(store, named).await?),
        None => None,
    };
    let filter = ExportFilter {
        account,
        transport: args.transport.clone(),
        from: args.from,
        to: args.to,
        ..ExportFilter::default()
    };
    // Taken first: what comes while the export runs is the next one's.
    let end = store.ledger.ask_waiting(FindLedgerEnd).await?;
    let (up_to, header) = match args.which {
        Direction::Sent => (end.sms, records::SENT),
        Direction::Received => (end.received, records::RECEIVED),
    };
    let mut writer = RecordWriter::begin(out, args.format, header)?;
    let mut progress = ExportProgress::new(up_to);
    let mut next = (args.after < up_to).then_some(args.after);
    while let Some(after) = next {
        let range = NumberRange { after, up_to };
        let filter = filter.clone();
        next = match args.which {
            Direction::Sent => {
                let page = store.ledger.ask_waiting(ExportSms { range, filter }).await?;
                write_page(&mut writer, page, |sms| records::sent(sms, &accounts))?
            }
            Direction::Received => {
                let page = store.ledger.ask_waiting(ExportReceived { range, filter }).await?;
                write_page(&mut writer, page, |received| records::received(received, &accounts))?
            }
        };
        progress.tell(writer.records(), next);
    }
    progress.end(writer.records());
    Ok(())
}

fn write_page<T>(
    writer: &mut RecordWriter<'_>,
    page: ExportPage<T>,
    record: impl Fn(&T) -> Record,
) -> anyhow::Result<Option<i64>> {
    for row in &page.rows {
        writer.write(&record(row)).context(NOT_WRITTEN)?;
    }
    Ok(page.next)
}

async fn account_named(store: &Store, named: &str) -> anyhow::Result<AccountId> {
    let found = store.accounts.ask_waiting(FindAccount { username: named.to_owned() }).await?;
    match (found, named.parse()) {
        (Some(account), _) => Ok(account.id),
        (None, Ok(number)) => Ok(number),
        (None, Err(_)) => bail!("--account: there is no account `{named}`; `vumi account list`"),
    }
}

/// Says how far an export is, on standard error.
struct ExportProgress {
    up_to: i64,
    told: u64,
}

/// SMS between two words of progress.
const TOLD_EVERY: u64 = 100_000;

#[expect(clippy::print_stderr, reason = "beside what is exported")]
impl ExportProgress {
    const fn new(up_to: i64) -> Self {
        Self { up_to, told: 0 }
    }

    fn tell(&mut self, records: u64, next: Option<i64>) {
        if let Some(next) = next
            && records >= self.told + TOLD_EVERY
        {
            self.told = records;
            eprintln!("{records} SMS so far; at number {next} of {}", self.up_to);
        }
    }

    fn end(&self, records: u64) {
        eprintln!("{records} SMS; for what comes after them: --after {}", self.up_to);
    }
}
