//! `vumi consent`: who wants no SMS.

mod file;

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Subcommand;
use vumi_kit::{
    consent::{
        ConsentChange, ConsentDone, ConsentRecord, ConsentScope, ConsentState, ExportConsent, FindConsent, SetConsent,
    },
    store::{Ask, Store},
    subscriber::Subscriber,
};

use super::account::{operator, with_store};
use crate::config::Settings;

/// Commands of `vumi consent`. They work beside a running router.
#[derive(Debug, Subcommand)]
pub(super) enum ConsentCommand {
    /// Shows whether a person gets SMS, and who said so when
    Show {
        /// The number, in any spelling: +27 83 123 4567, 0027831234567
        #[arg(value_parser = Subscriber::parse)]
        msisdn: Subscriber,
    },
    /// Sets whether a person gets SMS. Who goes out gets nothing more that has not begun
    Set {
        /// The number, in any spelling: +27 83 123 4567, 0027831234567
        #[arg(value_parser = Subscriber::parse)]
        msisdn: Subscriber,
        /// `out`: no more SMS; `in`: SMS again
        #[arg(value_parser = |text: &str| text.parse::<ConsentState>())]
        state: ConsentState,
        /// For the SMS of this sender; without it for those of all
        #[arg(long, value_name = "SENDER", value_parser = ConsentScope::parse)]
        sender: Option<ConsentScope>,
        /// Why, for whoever asks later
        #[arg(long, default_value = "set by an operator")]
        why: String,
    },
    /// Writes the ledger of consent as CSV: msisdn, sender (empty: all), consent, at (UTC), by, words
    Export {
        /// The file; without it the lines go to standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Only what counts now, not what it was before
        #[arg(long)]
        current: bool,
    },
    /// Reads such a file: the columns msisdn and consent are needed, sender, at and words may be left out. Every line is
    /// checked before the first is written. What is so already is left as it is, and what is older than what is known, too
    Import {
        /// The file; a header line names its columns
        file: PathBuf,
    },
}

pub(super) fn run(command: &ConsentCommand, settings: Settings) -> anyhow::Result<ExitCode> {
    with_store(settings, async |store| match command {
        ConsentCommand::Show { msisdn } => show(store, msisdn).await,
        ConsentCommand::Set { msisdn, state, sender, why } => {
            let scope = sender.clone().unwrap_or(ConsentScope::All);
            let msisdn = number(msisdn)?;
            set(store, vec![ConsentChange { msisdn, scope, state: *state, at: None, words: why.clone() }]).await
        }
        ConsentCommand::Export { out, current } => export(store, out.as_deref(), *current).await,
        ConsentCommand::Import { file } => {
            let text = std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
            let changes = file::read(&text).map_err(|wrong| anyhow::anyhow!("{}: {wrong}", file.display()))?;
            set(store, changes).await
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The number as consent is kept: with its country code.
fn number(subscriber: &Subscriber) -> anyhow::Result<vumi_kit::address::Msisdn> {
    match subscriber.numbers.first() {
        Some(number) if !number.begins_with_zero() => Ok(number.clone()),
        _ => bail!("expected a number with its country code, such as +27831234567"),
    }
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn show(store: &Store, subscriber: &Subscriber) -> anyhow::Result<()> {
    let found = store.ledger.ask(FindConsent { msisdn: number(subscriber)? }).await?;
    if found.current.is_empty() {
        println!("nobody said anything: they get SMS");
    }
    for record in &found.current {
        println!("{} of {}, since {} UTC", record.state.as_str(), record.scope, record.at.to_seconds_text());
    }
    if !found.history.is_empty() {
        println!("\nwritten down, the newest first:");
    }
    for record in &found.history {
        println!("{}", line(record));
    }
    Ok(())
}

fn line(record: &ConsentRecord) -> String {
    let (at, state, scope) = (record.at.to_seconds_text(), record.state.as_str(), &record.scope);
    let text = format!("{at}  {state}  {scope}  by {}: {}", record.by.0, record.words);
    // What a stranger wrote does not reach the terminal as it is.
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn set(store: &Store, changes: Vec<ConsentChange>) -> anyhow::Result<()> {
    let mut all = ConsentDone::default();
    for some in changes.chunks(SetConsent::MOST) {
        let ask = SetConsent { changes: some.to_vec(), by: operator(), account: None };
        let done = store.ledger.ask(ask).await?;
        all.changed += done.changed;
        all.unchanged += done.unchanged;
        all.taken_back += done.taken_back;
    }
    let ConsentDone { changed, unchanged, taken_back } = all;
    println!("{changed} written, {unchanged} left as they were; {taken_back} SMS taken back that had not begun");
    Ok(())
}

async fn export(store: &Store, out: Option<&Path>, current: bool) -> anyhow::Result<()> {
    let mut into: Box<dyn Write> = match out {
        Some(path) => {
            let file = File::create_new(path).with_context(|| format!("{} can't be made", path.display()))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(BufWriter::new(io::stdout())),
    };
    write!(into, "{}\r\n", file::HEAD)?;
    let mut after = Some(0);
    while let Some(from) = after {
        let page = store.ledger.ask(ExportConsent { after: from, current }).await?;
        for record in &page.records {
            write!(into, "{}\r\n", file::line(record))?;
        }
        after = page.next;
    }
    into.flush()?;
    Ok(())
}
