//! `vumi account token`.

use anyhow::{Context, bail};
use clap::Subcommand;
use vumi_kit::{
    account::{AddToken, AddedToken, ListTokens, RemoveToken, TokenDigest, new_token},
    clock::Clock,
    name::Name,
    store::{Ask, Store},
};

use super::{no_account, operator, values::ExpiryTime};

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TokenCommand {
    /// Makes up a token and shows it, once
    Add {
        /// The account, by the name that it logs in with
        name: String,
        /// What to call it: a-z, 0-9, `-`, `_` and `.`. Without it the first digits of its digest
        #[arg(long, value_parser = Name::parse)]
        label: Option<Name>,
        /// Until when it is good: a date (2027-01-31), a moment in UTC, a time from now (90d), or `never`
        #[arg(long, value_name = "WHEN", default_value = "never")]
        expires: ExpiryTime,
    },
    /// Lists an account's tokens
    List {
        /// The account, by the name that it logs in with
        name: String,
    },
    /// Removes a token: it is refused within a second
    Remove {
        /// The account, by the name that it logs in with
        name: String,
        /// What the token is called
        #[arg(value_parser = Name::parse)]
        label: Name,
    },
}

pub(super) async fn run(store: &Store, command: &TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Add { name, label, expires } => add(store, name, label.as_ref(), *expires).await,
        TokenCommand::List { name } => list(store, name).await,
        TokenCommand::Remove { name, label } => remove(store, name, label).await,
    }
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn add(store: &Store, name: &str, label: Option<&Name>, expires: ExpiryTime) -> anyhow::Result<()> {
    let token = new_token();
    let digest = TokenDigest::of(&token).context("the token that was made up is none")?;
    let label = label.map_or_else(|| Name::parse(digest.short()), |label| Ok(label.clone()))?;
    let add =
        AddToken { username: name.to_owned(), label: label.clone(), digest, expires_at: expires.0, by: operator() };
    match store.accounts.ask(add).await? {
        AddedToken::Added => {}
        AddedToken::NoAccount => return Err(no_account(name)),
        AddedToken::LabelTaken => {
            bail!("the account `{name}` has a token `{label}` already; `vumi account token list {name}`")
        }
        AddedToken::TooMany => bail!(
            "the account `{name}` has {} tokens, as many as it may: remove one, `vumi account token remove {name} LABEL`",
            AddToken::MOST
        ),
    }
    println!("token `{label}` of the account `{name}`, {}", until(expires.0));
    println!("shown once: {token}");
    Ok(())
}

fn until(expires_at: Option<vumi_kit::clock::Timestamp>) -> String {
    expires_at
        .map_or_else(|| "good until it is removed".to_owned(), |at| format!("good until {} UTC", at.to_seconds_text()))
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn list(store: &Store, name: &str) -> anyhow::Result<()> {
    let tokens = store.accounts.ask(ListTokens { username: name.to_owned() }).await?.ok_or_else(|| no_account(name))?;
    if tokens.is_empty() {
        println!("no tokens; `vumi account token add {name}` makes one");
    }
    let now = Clock::system().wall();
    for token in tokens {
        let expired = if token.expires_at.is_some_and(|at| at <= now) { "  (expired)" } else { "" };
        println!(
            "{}  made {} UTC, {}{expired}",
            token.label,
            token.created_at.to_seconds_text(),
            until(token.expires_at)
        );
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn remove(store: &Store, name: &str, label: &Name) -> anyhow::Result<()> {
    let remove = RemoveToken { username: name.to_owned(), label: label.clone(), by: operator() };
    if !store.accounts.ask(remove).await? {
        bail!("there is no account `{name}` with a token `{label}`; `vumi account token list {name}`");
    }
    println!("token `{label}` of the account `{name}` removed");
    Ok(())
}
