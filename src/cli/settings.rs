//! `vumi settings`: for those who work on vumi.

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::{Kinds, settings_page};

/// What to print about settings.
#[derive(Debug, Subcommand)]
pub(super) enum SettingsCommand {
    /// The page docs/settings.md
    Docs,
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) fn run(command: &SettingsCommand, kinds: &Kinds) -> anyhow::Result<ExitCode> {
    match command {
        SettingsCommand::Docs => print!("{}", settings_page(kinds)),
    }
    Ok(ExitCode::SUCCESS)
}
