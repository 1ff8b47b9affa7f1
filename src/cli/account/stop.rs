//! `vumi account stop`: nothing is sent for an account any more, and what waits ends as cancelled.

use clap::Args;
use vumi_kit::{
    account::AccountChange,
    audit::{AuditEvent, RecordAudit},
    levers::{ACCOUNT_STOPPED, Lever, PulledLever, SmsFilter},
    life::SmsState,
    store::{Ask, Store},
};

use super::{change, find, operator};
use crate::cli::sms::pull::{confirmed, count, meant, pull_all};

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
    let ended = SmsFilter { states: vec![SmsState::Cancelled], ..filter.clone() };
    let before = count(store, &ended).await?;
    // From its commit on nothing of the account begins to go out, and nothing is accepted: what waits is all there is.
    change(store, name, AccountChange::Stop).await?;
    let PulledLever { begun, .. } = pull_all(store, Lever::Cancel, &filter, ACCOUNT_STOPPED, waiting).await?;
    // A router that runs cancels some of them itself, as it comes to them.
    let cancelled = count(store, &ended).await?.saturating_sub(before);
    println!("{cancelled} SMS cancelled");
    if begun > 0 {
        println!("{begun} stay: they have begun to go out");
    }
    if cancelled > 0 {
        let (account, detail) = (Some(name.clone()), format!("{cancelled} SMS: {ACCOUNT_STOPPED}"));
        let entry = RecordAudit { by: operator(), address: None, account, event: AuditEvent::Cancelled, detail };
        store.accounts.ask(entry).await?;
    }
    Ok(())
}
