//! `vumi sms`: what operators do with SMS in the ledger, beside a router that may be running.

mod filter;
pub(super) mod pull;

use std::{collections::HashMap, process::ExitCode};

use anyhow::bail;
use clap::{Args, Subcommand};
use vumi_kit::{
    account::{AccountId, ListAccounts},
    ledger::SmsTimeline,
    levers::{Lever, SearchSms, SmsFilter},
    sent_parts::{ListSentParts, SentPartStatus},
    sms::{Sms, SmsId},
    store::{Ask, Store},
};

use super::account::with_store;
use crate::config::Settings;
use filter::FilterArgs;
pub(super) use filter::{moment, transport};
use pull::PullArgs;

/// What to do with SMS.
#[derive(Debug, Subcommand)]
pub(super) enum SmsCommand {
    /// Lists SMS, the oldest first
    List(ListArgs),
    /// Shows one, and what happened to it
    Show {
        /// The number of the SMS, as `vumi sms list` and the API show it
        id: SmsId,
    },
    /// Cancels what has not begun to go out
    #[command(after_help = EXAMPLES)]
    Cancel(PullArgs),
    /// Holds back what has not begun to go out, until it is released; its time runs on
    Hold(PullArgs),
    /// Releases what is held
    Release(PullArgs),
    /// Sends again what ended as failed, expired, cancelled or unknown, with a fresh deadline
    Resend(PullArgs),
}

const EXAMPLES: &str = "Examples:
  vumi sms hold --transport clickatell --reason 'the text is wrong'
  vumi sms cancel --account clinic --newer 30m
  vumi sms resend --transport opera --state expired --newer '2026-11-27 08:00:00'";

/// Which SMS are listed, and how many.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    which: FilterArgs,
    /// How many at the most
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

pub(super) fn run(command: &SmsCommand, settings: Settings) -> anyhow::Result<ExitCode> {
    with_store(settings, async |store| match command {
        SmsCommand::List(args) => list(store, args).await,
        SmsCommand::Show { id } => show(store, *id).await,
        SmsCommand::Cancel(args) => pull::pull(store, Lever::Cancel, args).await,
        SmsCommand::Hold(args) => pull::pull(store, Lever::Hold, args).await,
        SmsCommand::Release(args) => pull::pull(store, Lever::Release, args).await,
        SmsCommand::Resend(args) => pull::pull(store, Lever::Resend, args).await,
    })?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn list(store: &Store, args: &ListArgs) -> anyhow::Result<()> {
    let (filter, names) = (args.which.filter(store).await?, names(store).await?);
    let (mut left, mut after, mut listed) = (args.limit, 0, 0);
    while left > 0 {
        let page = store.ledger.ask_waiting(SearchSms { filter: filter.clone(), after, limit: left }).await?;
        for sms in &page.found {
            println!("{}", line(sms, &names));
        }
        listed += page.found.len();
        left = left.saturating_sub(page.found.len());
        let Some(next) = page.next else { break };
        after = next;
    }
    match (listed, left) {
        (0, _) => println!("no such SMS"),
        (_, 0) => println!("{listed} shown; there may be more: `--limit {}`", args.limit.saturating_mul(10)),
        _ => {}
    }
    Ok(())
}

/// The names of the accounts.
async fn names(store: &Store) -> anyhow::Result<HashMap<AccountId, String>> {
    let accounts = store.accounts.ask(ListAccounts).await?;
    Ok(accounts.into_iter().map(|account| (account.id, account.username)).collect())
}

fn line(sms: &Sms, names: &HashMap<AccountId, String>) -> String {
    let (at, account) = (sms.created_at.to_seconds_text(), account_name(sms, names));
    let Sms { id, transport, to, state, attempts, .. } = sms;
    format!("{id:>8}  {at}  {account}  {transport}  {to}  {state:9}  {attempts} attempts")
}

fn account_name(sms: &Sms, names: &HashMap<AccountId, String>) -> String {
    names.get(&sms.account).cloned().unwrap_or_else(|| format!("account {} (removed)", sms.account))
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn show(store: &Store, id: SmsId) -> anyhow::Result<()> {
    let filter = SmsFilter { ids: vec![id], ..SmsFilter::default() };
    let found = store.ledger.ask(SearchSms { filter, after: 0, limit: 1 }).await?.found.pop();
    let Some(sms) = found else { bail!("there is no SMS {id}; `vumi sms list`") };
    println!("{}", line(&sms, &names(store).await?));
    println!("from {}, {} parts, priority {}", sms.from, sms.segments, sms.priority.as_str());
    let times = [
        ("scheduled for", sms.scheduled_at),
        ("not tried after", Some(sms.expires_at)),
        ("delivered", sms.delivered_at),
    ];
    for (what, at) in times {
        if let Some(at) = at {
            println!("{what} {}", at.to_seconds_text());
        }
    }
    for (what, word) in [
        ("reference", &sms.reference),
        ("the provider's id", &sms.provider_id),
        ("its last word", &sms.provider_response),
    ] {
        if let Some(word) = word {
            println!("{what}: {word}");
        }
    }
    for part in store.ledger.ask(ListSentParts { sms: id }).await? {
        println!("{}", part_line(&part));
    }
    let timeline = SmsTimeline { account: sms.account, transport: Some(sms.transport.clone()), id };
    for event in store.ledger.ask(timeline).await?.unwrap_or_default() {
        println!("{}  {:9}  {}", event.at.to_seconds_text(), event.what, event.detail);
    }
    Ok(())
}

fn part_line(SentPartStatus { number, provider_id, folded_id, status, must_report }: &SentPartStatus) -> String {
    let id = provider_id.as_deref().unwrap_or("without an id");
    let folded = folded_id.as_ref().map(|folded| format!(" (also {folded})")).unwrap_or_default();
    let counts = if *must_report { "; has to be delivered" } else { "" };
    format!("part {number}: {id}{folded}, {} {}{counts}", i16::from(*status), status.display())
}
