//! `vumi subscriber`: what is kept of one person, handed out or forgotten.

mod erase;
mod export;

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use vumi_kit::subscriber::Subscriber;

use super::account::with_store;
use crate::config::Settings;

/// What to do with what is kept of a person. Works beside a running router.
#[derive(Debug, Subcommand)]
pub(super) enum SubscriberCommand {
    /// Writes everything that is kept of a person as JSON Lines: SMS to and from them, with receipts and what else happened;
    /// open dialogues; answers
    Export {
        /// The number, in any spelling: +27 83 123 4567, 0027831234567
        #[arg(value_parser = Subscriber::parse)]
        msisdn: Subscriber,
        /// The file; it appears once it is whole. Without it the lines go to standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Replaces a file that is there
        #[arg(long, requires = "out")]
        force: bool,
    },
    /// Takes a person out of everything that is kept: texts go, and a number by chance that nobody can have stands in the
    /// place of theirs, so that counts and lists stay whole. What waits to be sent to them is cancelled first. It can't be
    /// undone, and backups are not changed
    Erase {
        /// The number, in any spelling: +27 83 123 4567, 0027831234567
        #[arg(value_parser = Subscriber::parse)]
        msisdn: Subscriber,
        /// Does it without a question
        #[arg(long)]
        yes: bool,
    },
}

pub(super) fn run(command: &SubscriberCommand, settings: Settings) -> anyhow::Result<ExitCode> {
    match command {
        SubscriberCommand::Export { msisdn, out, force } => export::run(settings, msisdn, out.as_deref(), *force)?,
        SubscriberCommand::Erase { msisdn, yes } => {
            with_store(settings, async |store| erase::run(store, msisdn, *yes).await)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
