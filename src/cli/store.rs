//! `vumi store`.

use std::process::ExitCode;

use clap::Subcommand;
use vumi_store::StoreSettings;

/// What to do with databases.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Copies everything from an SQLite file into an empty PostgreSQL database: all of it, or nothing. Stop the router first.
    /// The file stays as it is
    #[command(after_help = EXAMPLE)]
    Copy {
        /// sqlite://FILE
        from: String,
        /// postgres://USER:PASSWORD@HOST/DATABASE
        to: String,
    },
}

const EXAMPLE: &str = "Example:
  createdb --owner=vumi vumi
  vumi store copy sqlite://vumi.db postgres://vumi:secret@127.0.0.1/vumi";

#[expect(clippy::print_stderr, clippy::print_stdout, reason = "what the command is for")]
pub(super) fn run(command: &StoreCommand) -> anyhow::Result<ExitCode> {
    let StoreCommand::Copy { from, to } = command;
    let at = |url: &String| StoreSettings { url: url.clone(), ..StoreSettings::default() };
    let copied = vumi_store::copy(&at(from), &at(to), |progress| {
        let going_on = if progress.whole { "" } else { " so far" };
        eprintln!("{}: {} rows{going_on}", progress.table, progress.rows);
    })?;
    println!("{copied} rows copied; set store.url to the new database, and start vumi");
    Ok(ExitCode::SUCCESS)
}
