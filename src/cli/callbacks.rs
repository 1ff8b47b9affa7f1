//! `vumi callbacks`.

use std::process::ExitCode;

use clap::Subcommand;
use vumi_kit::{
    audit::AuditEvent,
    callback::{
        DeliveryId, DroppedDeliveries, ListDisabled, ListParked, ParkedSelection, ReplayParked, ReplayedDeliveries,
    },
    store::{Ask, Store},
};

use super::{account::with_store, audit::note};
use crate::config::Settings;

/// What to do with posts that were given up.
#[derive(Debug, Subcommand)]
pub(super) enum CallbacksCommand {
    /// Lists what was given up, newest first, and the callbacks that are disabled
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
                list_parked(store, *limit).await?;
                list_disabled(store, *limit).await?;
            }
            CallbacksCommand::Replay { ids, all } => {
                let replayed = if *all { replay_all(store).await? } else { replay(store, ids).await? };
                println!("{} will be posted again by the running router", replayed.due);
                note(store, AuditEvent::Replayed, format!("{} posts to callbacks", replayed.due)).await?;
                if replayed.of_disabled > 0 {
                    let count = replayed.of_disabled;
                    println!("{count} stay: their callbacks are disabled until their clients change them");
                }
            }
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn replay(store: &Store, ids: &[DeliveryId]) -> anyhow::Result<ReplayedDeliveries> {
    let mut all = ReplayedDeliveries::default();
    for some in ids.chunks(ReplayParked::MOST) {
        let step = store.callbacks.ask(ReplayParked { which: ParkedSelection::These(some.to_vec()) }).await?;
        all.due += step.due;
        all.of_disabled += step.of_disabled;
    }
    Ok(all)
}

async fn replay_all(store: &Store) -> anyhow::Result<ReplayedDeliveries> {
    let (mut all, mut cursor) = (ReplayedDeliveries::default(), None);
    loop {
        let step = store.callbacks.ask(ReplayParked { which: ParkedSelection::All(cursor) }).await?;
        all.due += step.due;
        all.of_disabled += step.of_disabled;
        cursor = step.next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn list_parked(store: &Store, limit: usize) -> anyhow::Result<()> {
    let parked = store.callbacks.ask(ListParked { limit }).await?;
    if parked.total == 0 {
        println!("none were given up");
    }
    for one in &parked.listed {
        let (at, name) = (one.created_at.to_seconds_text(), one.name.as_str());
        println!("{:>8}  {at}  {name:12}  {} attempts  {}  {}", one.id, one.attempts, one.url, one.error);
    }
    if parked.total > parked.listed.len() {
        let (total, listed) = (parked.total, parked.listed.len());
        println!("{listed} of {total} that were given up; `--limit {total}` shows all");
    }
    for DroppedDeliveries { callback, url, count } in parked.dropped {
        println!(
            "callback {callback} lost {count} that were given up, the oldest: more were parked than \
             `store.waiting_per_callback` allows  {url}"
        );
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn list_disabled(store: &Store, limit: usize) -> anyhow::Result<()> {
    for callback in store.callbacks.ask(ListDisabled { limit }).await? {
        let Some(disabled) = callback.disabled else { continue };
        let (id, name, url) = (callback.id, callback.name.as_str(), callback.url);
        let (at, reason) = (disabled.at.to_seconds_text(), disabled.reason);
        println!("callback {id} is disabled since {at}  {name}  {url}  {reason}");
    }
    Ok(())
}
