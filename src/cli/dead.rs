//! `vumi dead`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;
use vumi_amqp::{
    AmqpSettings,
    dead_letters::{self, Replay},
};
use vumi_kit::audit::AuditEvent;

use super::{account::with_store, audit::note, block_on};
use crate::config::Settings;

/// What to do with messages from the broker that could not be used.
#[derive(Debug, Subcommand)]
pub(super) enum DeadCommand {
    /// Lists them, oldest first, each with the reason
    List {
        /// How many at the most
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Shows one, with its body
    Show {
        /// The id that `list` shows
        id: String,
    },
    /// Puts them back where they came from
    Replay {
        /// The id that `list` shows
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// All there are
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

pub(super) fn run(command: &DeadCommand, settings: Settings) -> anyhow::Result<ExitCode> {
    let amqp = settings.amqp.as_ref().context("these settings have no [amqp], so there is no broker to ask")?;
    let mut replayed = 0;
    block_on(async {
        match command {
            DeadCommand::List { limit } => list(amqp, *limit).await,
            DeadCommand::Show { id } => show(amqp, id).await,
            DeadCommand::Replay { id, .. } => replay(amqp, id.as_ref()).await.map(|count| replayed = count),
        }
    })?;
    if replayed > 0 {
        let detail = format!("{replayed} dead letters");
        with_store(settings, async |store| note(store, AuditEvent::Replayed, detail).await)?;
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn list(amqp: &AmqpSettings, limit: usize) -> anyhow::Result<()> {
    let letters = dead_letters::list(amqp, limit).await?;
    let shown = letters.len();
    if letters.is_empty() {
        println!("`{}` is empty", amqp.dead_letters);
    }
    for letter in letters {
        println!("{}  {}  {}  {}", letter.id, letter.at, letter.queue.as_deref().unwrap_or("-"), letter.reason);
    }
    let all = usize::try_from(dead_letters::count(amqp).await?).unwrap_or(usize::MAX);
    if all > shown {
        println!("{shown} of {all} dead letters, the oldest first; `vumi dead list --limit {all}` shows them all");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn show(amqp: &AmqpSettings, id: &str) -> anyhow::Result<()> {
    let Some(letter) = dead_letters::show(amqp, id).await? else {
        bail!("there is no dead letter `{id}`; `vumi dead list`");
    };
    println!("from {} at {}: {}", letter.queue.as_deref().unwrap_or("-"), letter.at, letter.reason);
    println!("{}", String::from_utf8_lossy(&letter.body));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn replay(amqp: &AmqpSettings, id: Option<&String>) -> anyhow::Result<usize> {
    let which = id.map_or(Replay::All, |id| Replay::One(id.clone()));
    let replayed = dead_letters::replay(amqp, &which).await?;
    if let (0, Some(id)) = (replayed, id) {
        bail!("there is no dead letter `{id}`; `vumi dead list`");
    }
    println!("{replayed} put back");
    Ok(replayed)
}
