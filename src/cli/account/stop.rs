//! `vumi account stop`: nothing is sent for an account any more, and what waits ends as cancelled.

use std::time::Duration;

use clap::Args;
use vumi_kit::{
    account::AccountChange,
    audit::{AuditEvent, RecordAudit},
    levers::{Lever, PulledLever, SmsFilter},
    store::{Ask, Store},
};

use super::{change, find, operator};
use crate::cli::sms::pull::{confirmed, count, meant, pull_all};

/// Routers remember an account for up to a second, and take SMS for it meanwhile.
const FORGOTTEN_AFTER: Duration = Duration::from_millis(1500);

/// What the timeline of each SMS says.
const REASON: &str = "its account is stopped";

/// Which account, and whether it is asked before.
#[derive(Debug, Args)]
pub(in crate::cli) struct StopArgs {
    /// The account, by the name that it logs in with
    name: String,
    /// Cancels what waits without a question
    #[arg(long)]
    yes: bool,
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) async fn stop(store: &Store, StopArgs { name, yes }: &StopArgs) -> anyhow::Result<()> {
    let account = find(store, name).await?.id;
    let filter = SmsFilter { account: Some(account), states: meant(Lever::Cancel, &[])?, ..SmsFilter::default() };
    let waiting = count(store, &filter).await?;
    if waiting > 0 && !yes && !confirmed(Lever::Cancel, waiting)? {
        println!("nothing was done");
        return Ok(());
    }
    change(store, name, AccountChange::Stop).await?;
    let before = pull_all(store, Lever::Cancel, &filter, REASON, waiting).await?;
    tokio::time::sleep(FORGOTTEN_AFTER).await;
    let PulledLever { done, begun, .. } = pull_all(store, Lever::Cancel, &filter, REASON, waiting).await?;
    let cancelled = before.done + done;
    println!("{cancelled} SMS cancelled");
    if begun > 0 {
        println!("{begun} stay: they have begun to go out");
    }
    if cancelled > 0 {
        let (account, detail) = (Some(name.clone()), format!("{cancelled} SMS: {REASON}"));
        let entry = RecordAudit { by: operator(), address: None, account, event: AuditEvent::Cancelled, detail };
        store.accounts.ask(entry).await?;
    }
    Ok(())
}
