//! `vumi account codes`: which USSD codes and keywords an account may use for conversations.

use anyhow::bail;
use clap::Args;
use vumi_kit::{
    account::AccountChange,
    conversation::{AccountCodes, ConversationCode},
    store::Store,
};

use super::change;

/// The codes of an account; they replace the ones before.
#[derive(Debug, Args)]
pub(in crate::cli) struct CodesArgs {
    /// The account, by the name that it logs in with
    name: String,
    /// USSD codes, short codes and keywords, such as '*120*663*81#' 38080 WATER; or `any`, or `none`
    #[arg(required = true, value_delimiter = ',')]
    codes: Vec<String>,
}

pub(super) async fn set(store: &Store, args: &CodesArgs) -> anyhow::Result<()> {
    change(store, &args.name, AccountChange::Codes(codes(&args.codes)?)).await
}

fn codes(given: &[String]) -> anyhow::Result<AccountCodes> {
    let mut codes = Vec::new();
    let mut wrong = Vec::new();
    for text in given {
        match (text.as_str(), text.parse::<ConversationCode>()) {
            ("any", _) if given.len() == 1 => return Ok(AccountCodes::Any),
            ("none", _) if given.len() == 1 => return Ok(AccountCodes::Only(Vec::new())),
            ("any" | "none", _) => wrong.push(format!("`{text}` stands alone")),
            (_, Ok(code)) => codes.push(code),
            (_, Err(error)) => wrong.push(format!("`{text}`: {error}")),
        }
    }
    if !wrong.is_empty() {
        bail!("{}; nothing was changed", wrong.join("; "));
    }
    Ok(AccountCodes::Only(codes))
}

#[cfg(test)]
mod tests {
    use super::codes;

    #[test]
    fn codes_are_a_list_or_any_or_none_and_all_that_is_wrong_is_named() {
        let read = |given: &[&str]| codes(&given.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(read(&["*120*663*81", "water", "38080"]).unwrap().to_string(), "*120*663*81#\nWATER\n38080");
        assert_eq!(read(&["any"]).unwrap().to_string(), "any");
        assert_eq!(read(&["none"]).unwrap().to_string(), "none");
        let refused = read(&["any", "*x#", "two words"]).err().unwrap().to_string();
        for named in ["`any` stands alone", "`*x#`", "`two words`", "nothing was changed"] {
            assert!(refused.contains(named), "{named}: {refused}");
        }
    }
}
