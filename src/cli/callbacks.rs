//! `vumi callbacks`.

use std::process::ExitCode;

use clap::Subcommand;
use vumi_kit::{
    callback::{DeliveryId, ListParked, ReplayParked},
    store::Ask,
};

use super::account::with_store;
use crate::config::Settings;

/// What to do with callbacks that were given up.
#[derive(Debug, Subcommand)]
pub(super) enum CallbacksCommand {
    /// Lists what was given up, newest first
    List {
        /// How many at the most
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Posts it again
    Replay {
        /// The numbers that `list` shows
        #[arg(required_unless_present = "all")]
        ids: Vec<DeliveryId>,
        /// All that were given up
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) fn run(command: &CallbacksCommand, settings: Settings) -> anyhow::Result<ExitCode> {
    with_store(settings, async |store| {
        match command {
            CallbacksCommand::List { limit } => {
                let parked = store.callbacks.ask(ListParked { limit: *limit }).await?;
                if parked.is_empty() {
                    println!("none were given up");
                }
                for one in parked {
                    let (at, name) = (one.created_at.to_seconds_text(), one.name.as_str());
                    println!("{:>8}  {at}  {name:12}  {} attempts  {}  {}", one.id, one.attempts, one.url, one.error);
                }
            }
            CallbacksCommand::Replay { ids, all } => {
                let ids = (!all).then(|| ids.clone());
                let replayed = store.callbacks.ask(ReplayParked { ids }).await?;
                println!("{replayed} will be posted again by the running router");
            }
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
