//! `vumi store`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;
use vumi_kit::clock::Clock;
use vumi_store::{BackupProgress, StoreSettings};

use crate::config::{Settings, SettingsError};

/// What to do with databases.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Copies everything from an SQLite file into an empty PostgreSQL database: all of it, or nothing. Stop the router first.
    /// The file stays as it is
    #[command(after_help = COPY_EXAMPLE)]
    Copy {
        /// sqlite://FILE
        from: String,
        /// postgres://USER:PASSWORD@HOST/DATABASE
        to: String,
    },
    /// Writes a backup of SQLite's file, while the router runs or not: the database as it is at this moment, in one file
    #[command(after_help = BACKUP_EXAMPLE)]
    Backup {
        /// The file to write; it appears once it is whole
        file: PathBuf,
        /// Replaces a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Reads a backup from end to end: is it sound, whose is it, what is in it. Changes nothing
    Verify {
        /// A file that `vumi store backup` wrote
        file: PathBuf,
    },
    /// Puts a backup in the database's place, with the router stopped. The database that was there is kept beside it. What
    /// waited to be sent when the backup was made is held: it may have been sent since
    Restore {
        /// A file that `vumi store backup` wrote
        file: PathBuf,
        /// Sends what waited when the backup was made, also what was sent since
        #[arg(long)]
        send_waiting: bool,
    },
}

const COPY_EXAMPLE: &str = "Example:
  createdb --owner=vumi vumi
  vumi store copy sqlite://vumi.db postgres://vumi:secret@127.0.0.1/vumi";

const BACKUP_EXAMPLE: &str = "Example, each night:
  vumi store backup --force /backup/vumi.db && vumi store verify /backup/vumi.db";

pub(super) fn run(
    command: &StoreCommand,
    load: impl FnOnce() -> Result<Settings, SettingsError>,
) -> anyhow::Result<ExitCode> {
    match command {
        StoreCommand::Copy { from, to } => copy(from, to)?,
        StoreCommand::Backup { file, force } => backup(&load()?, file, *force)?,
        StoreCommand::Verify { file } => verify(file)?,
        StoreCommand::Restore { file, send_waiting } => restore(&load()?, file, *send_waiting)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stderr, clippy::print_stdout, reason = "what the command is for")]
fn copy(from: &str, to: &str) -> anyhow::Result<()> {
    let at = |url: &str| StoreSettings { url: url.to_owned(), ..StoreSettings::default() };
    let copied = vumi_store::copy(&at(from), &at(to), |progress| {
        let going_on = if progress.whole { "" } else { " so far" };
        eprintln!("{}: {} rows{going_on}", progress.table, progress.rows);
    })?;
    println!("{copied} rows copied; set store.url to the new database, and start vumi");
    Ok(())
}

#[expect(clippy::print_stderr, clippy::print_stdout, reason = "what the command is for")]
fn backup(settings: &Settings, to: &Path, force: bool) -> anyhow::Result<()> {
    let done = vumi_store::backup(&settings.store, to, force, |progress| eprintln!("{}", shown(&progress)))?;
    println!("{}: {}", to.display(), shown(&done));
    Ok(())
}

fn shown(progress: &BackupProgress) -> String {
    let megabytes = |bytes: u64| format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000);
    let BackupProgress { written, of, log_grew, took } = *progress;
    format!(
        "{} written of a database of {}, {:.1} s; the log of changes grew by {}",
        megabytes(written),
        megabytes(of),
        took.as_secs_f64(),
        megabytes(log_grew)
    )
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn verify(file: &Path) -> anyhow::Result<()> {
    let verified = vumi_store::verify(file)?;
    let rows: Vec<String> = verified.rows.iter().map(|(table, rows)| format!("{rows} {table}")).collect();
    println!("{}: sound; {}", file.display(), rows.join(", "));
    if !verified.pending.is_empty() {
        println!("of an older vumi: a restore runs {}", verified.pending.join(", "));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn restore(settings: &Settings, from: &Path, send_waiting: bool) -> anyhow::Result<()> {
    let restored = vumi_store::restore(&settings.store, from, Clock::system().wall(), send_waiting)?;
    for migration in &restored.migrated {
        println!("{migration}");
    }
    if let Some(replaced) = &restored.replaced {
        println!("the database that was there is {} now", replaced.display());
    }
    if restored.held > 0 {
        println!(
            "{} SMS waited when the backup was made, and may have been sent since: they are held; `vumi sms release` or \
             `vumi sms cancel` decides",
            restored.held
        );
    }
    println!("{}: restored from {}; start vumi", settings.store.shown_url(), from.display());
    Ok(())
}
