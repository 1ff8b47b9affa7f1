//! `vumi audit`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use vumi_kit::{
    audit::{AuditEntry, AuditEvent, ListAudit, RecordAudit},
    clock::{Clock, Timestamp},
    store::{Ask, Store},
};

use super::account::{duration, operator, with_store};
use crate::config::Settings;

/// Commands of `vumi audit`; all read, none changes the trail.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Lists who logged in, and who changed, cancelled or repeated what; the oldest first
    List(AuditListArgs),
}

/// Which entries, and how they are shown.
#[derive(Debug, Args)]
pub(super) struct AuditListArgs {
    /// From when on: a date (2026-11-28), a moment in UTC, or a time before now (7d)
    #[arg(long, value_name = "WHEN", value_parser = since, default_value = "7d")]
    since: Timestamp,
    /// Only those about this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// An object a line, for programs
    #[arg(long)]
    json: bool,
}

/// Entries that are read at once.
const PAGE: usize = 500;

fn since(text: &str) -> Result<Timestamp, String> {
    let before_now = || duration(text).ok().map(|time| Clock::system().wall().minus(time));
    Timestamp::parse(text).or_else(before_now).ok_or_else(|| {
        format!("`{text}` is no time: a date (2026-11-28), a moment in UTC (2026-11-28T18:00:00Z), or a time before now (7d)")
    })
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) fn run(command: &AuditCommand, settings: Settings) -> anyhow::Result<ExitCode> {
    let AuditCommand::List(args) = command;
    with_store(settings, async |store| {
        let (mut after, mut any) = (None, false);
        loop {
            let list = ListAudit { since: Some(args.since), account: args.account.clone(), after, limit: PAGE };
            let page = store.accounts.ask(list).await?;
            for entry in &page {
                println!("{}", if args.json { json(entry) } else { line(entry) });
            }
            any |= !page.is_empty();
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some((last.at, last.id)),
                _ => break,
            }
        }
        if !any && !args.json {
            println!("nothing since {} UTC", args.since.to_seconds_text());
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

fn line(entry: &AuditEntry) -> String {
    let about = entry.account.as_ref().map_or_else(String::new, |account| format!(" `{account}`"));
    let from = entry.address.as_ref().map_or_else(String::new, |address| format!(" from {address}"));
    let detail = if entry.detail.is_empty() { String::new() } else { format!(": {}", entry.detail) };
    let text = format!("{}  {}  {}{about}{from}{detail}", entry.at.to_seconds_text(), entry.by, entry.event);
    // What a stranger sent as a name does not reach the terminal as it is.
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn json(entry: &AuditEntry) -> String {
    serde_json::json!({
        "at": entry.at.to_seconds_text(), "by": entry.by.as_str(), "address": entry.address, "account": entry.account,
        "event": entry.event, "detail": entry.detail,
    })
    .to_string()
}

/// Notes what an operator did at this command line.
pub(super) async fn note(store: &Store, event: AuditEvent, detail: String) -> anyhow::Result<()> {
    store.accounts.ask(RecordAudit { by: operator(), address: None, account: None, event, detail }).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use vumi_kit::{
        audit::{AuditActor, AuditEntry},
        clock::Timestamp,
    };

    use super::{json, line, since};

    #[test]
    fn an_entry_is_a_line_for_people_and_an_object_for_programs() {
        let entry = AuditEntry {
            id: 1,
            at: Timestamp::parse("2026-11-28 12:00:00").unwrap(),
            by: AuditActor::account("a\u{1b}[2J"),
            address: Some("203.0.113.9".to_owned()),
            account: Some("clinic".to_owned()),
            event: "log-in".to_owned(),
            detail: "by token till".to_owned(),
        };
        let shown = "2026-11-28 12:00:00  account a\u{fffd}[2J  log-in `clinic` from 203.0.113.9: by token till";
        assert_eq!(line(&entry), shown);
        let read: serde_json::Value = serde_json::from_str(&json(&entry)).unwrap();
        assert_eq!((&read["by"], &read["address"]), (&"account a\u{1b}[2J".into(), &"203.0.113.9".into()));
    }

    #[test]
    fn a_beginning_is_a_date_or_a_time_before_now() {
        assert_eq!(since("2026-11-28").unwrap(), Timestamp::parse("2026-11-28 00:00:00").unwrap());
        assert!(since("7d").unwrap() < since("1h").unwrap());
        assert!(since("yesterday").unwrap_err().contains("is no time"));
    }
}
