//! `vumi account quota` and `budget`.

use std::str::FromStr;

use anyhow::bail;
use clap::{ArgGroup, Args};
use vumi_kit::{
    account::{AccountChange, BudgetUnit, Micros},
    store::Store,
};

use super::{change, changed, find};

/// A quota that may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Most(pub(super) Option<u32>);

impl FromStr for Most {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = || text.parse().ok().filter(|number| *number > 0);
        let wrong =
            || format!("`{text}` is no quota: a number from 1 on, or `none`; `vumi account stop` sends nothing at all");
        if text == "none" { Ok(Self(None)) } else { number().map(|number| Self(Some(number))).ok_or_else(wrong) }
    }
}

/// How much an account may send.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("quotas").required(true).multiple(true).args(["recipients_per_minute", "waiting"]))]
pub(in crate::cli) struct QuotaArgs {
    /// The account, by the name that it logs in with
    name: String,
    /// Recipients a minute, whatever the number of calls; or `none`
    #[arg(long, value_name = "NUMBER")]
    recipients_per_minute: Option<Most>,
    /// SMS that may wait to be sent; or `none`
    #[arg(long, value_name = "NUMBER")]
    waiting: Option<Most>,
}

pub(super) async fn set(store: &Store, args: &QuotaArgs) -> anyhow::Result<()> {
    if let Some(Most(most)) = args.recipients_per_minute {
        change(store, &args.name, AccountChange::RecipientsPerMinute(most)).await?;
    }
    if let Some(Most(most)) = args.waiting {
        change(store, &args.name, AccountChange::MostWaiting(most)).await?;
    }
    Ok(())
}

/// What an account may spend.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).args(["add", "set", "none"]))]
pub(in crate::cli) struct BudgetArgs {
    /// The account, by the name that it logs in with
    name: String,
    /// Adds so much to what is left; `--add=-5` takes away
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    add: Option<Micros>,
    /// Leaves so much, and begins to count what is used
    #[arg(long, value_name = "AMOUNT")]
    set: Option<Micros>,
    /// What `--set` counts: segments, or money by the settings' `[[price]]`
    #[arg(long, value_name = "UNIT", default_value = "segments", conflicts_with_all = ["add", "none"])]
    unit: BudgetUnit,
    /// Takes the budget away: no limit
    #[arg(long)]
    none: bool,
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) async fn budget(store: &Store, args: &BudgetArgs) -> anyhow::Result<()> {
    let name = &args.name;
    let account = find(store, name).await?;
    let before = account.quotas.budget;
    let change = match (args.add, args.set) {
        (Some(more), _) if before.is_none() => {
            bail!("the account `{name}` has no budget; `vumi account budget {name} --set {more}` gives it one")
        }
        (Some(more), _) => AccountChange::AddToBudget(more),
        (None, Some(balance)) => {
            // What waits gives back in the unit in which it was taken.
            if before.is_some_and(|before| before.unit != args.unit) && account.quotas.waiting > 0 {
                bail!(
                    "{} SMS of `{name}` wait that were counted in another unit: try again when none does, or `vumi account \
                     stop {name}`",
                    account.quotas.waiting
                );
            }
            AccountChange::SetBudget(args.unit, balance)
        }
        (None, None) => AccountChange::NoBudget,
    };
    let said = change.to_string();
    let after = changed(store, name, change).await?.quotas.budget;
    let left = after.map_or_else(|| "no limit".to_owned(), |budget| format!("{budget} left"));
    println!("account `{name}`: {said}; {left}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Most;

    #[test]
    fn a_quota_is_a_number_or_none() {
        assert_eq!(("600".parse(), "none".parse()), (Ok(Most(Some(600))), Ok(Most(None))));
        for bad in ["", "0", "-1", "many", "99999999999"] {
            assert!(bad.parse::<Most>().unwrap_err().contains("no quota"), "{bad}");
        }
    }
}
