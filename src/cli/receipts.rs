//! `vumi receipts`.

use std::process::ExitCode;

use clap::Args;
use vumi_kit::{ledger::ListUnmatchedReceipts, store::Ask};

use super::account::with_store;
use crate::config::Settings;

/// Options of `vumi receipts`.
#[derive(Debug, Args)]
pub(super) struct ReceiptsArgs {
    /// How many at the most
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) fn list(args: &ReceiptsArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    with_store(settings, async |store| {
        let unmatched = store.ledger.ask(ListUnmatchedReceipts { limit: args.limit }).await?;
        if unmatched.is_empty() {
            println!("every receipt matched an SMS");
        }
        for (at, transport, receipt) in unmatched {
            let id = receipt.provider_id.as_deref().unwrap_or("-");
            let fields: Vec<String> = receipt.fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
            println!("{}  {transport}  {id}  {:?}  {}", at.to_seconds_text(), receipt.status, fields.join(" "));
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
