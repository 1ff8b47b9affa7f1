//! `vumi receipts`.

use std::process::ExitCode;

use clap::Args;
use vumi_kit::{
    ledger::{FindNearMisses, ListUnmatchedReceipts, NearMiss, NearMissReason},
    store::{Ask, Store},
};
use vumi_smpp_codec::message_id::{Matching, lookup_keys};

use super::account::with_store;
use crate::config::Settings;

/// Options of `vumi receipts`.
#[derive(Debug, Args)]
#[command(after_help = WHAT_TO_DO)]
pub(super) struct ReceiptsArgs {
    /// How many at the most
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Without the SMS that each may have been meant for
    #[arg(long)]
    no_near_misses: bool,
}

const WHAT_TO_DO: &str = "Below each receipt stand SMS that it may have been meant for: those whose id is the same but for case, \
leading zeros or base, then those to its recipient in the three days before. An id that is alike and was not matched: \
look at `receipts.message_ids` of the transport, and whether the recipients agree.";

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
            if args.no_near_misses {
                continue;
            }
            let ids = receipt.provider_id.as_deref().map(spellings).unwrap_or_default();
            show_near_misses(store, FindNearMisses { transport, ids, to: receipt.to, came_at: at }).await?;
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The ways to write an id that are looked for, whatever the settings of its transport say.
fn spellings(id: &str) -> Vec<String> {
    let mut ids = vec![id.to_owned()];
    for key in lookup_keys(Matching::Auto, id) {
        let (upper, bare) = (key.to_ascii_uppercase(), key.trim_start_matches('0').to_owned());
        for spelling in [key, upper, bare] {
            if !spelling.is_empty() && !ids.contains(&spelling) {
                ids.push(spelling);
            }
        }
    }
    ids
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn show_near_misses(store: &Store, ask: FindNearMisses) -> anyhow::Result<()> {
    for NearMiss { sms, why, provider_id, to, state, created_at } in store.ledger.ask(ask).await? {
        let why = match why {
            NearMissReason::AlikeId => "an id that is alike",
            NearMissReason::SameRecipient => "the same recipient",
        };
        let id = provider_id.as_deref().unwrap_or("-");
        println!("    {why}: SMS {sms}  {}  {to}  {state}  {id}", created_at.to_seconds_text());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::spellings;

    #[test]
    fn an_id_is_looked_for_in_other_case_without_zeros_and_in_the_other_base() {
        assert_eq!(
            spellings("0010C8F40D"),
            ["0010C8F40D", "10c8f40d", "10C8F40D", "281605133"],
            "hexadecimal digits, and the number that they are"
        );
        assert_eq!(spellings("0Ab-7"), ["0Ab-7", "0ab-7", "0AB-7", "ab-7"]);
        assert_eq!(spellings("000"), ["000", "0"]);
    }
}
