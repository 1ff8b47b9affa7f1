//! `vumi account`.

use std::{io::BufRead, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use vumi_http::password::hash_password;
use vumi_kit::{
    account::{AccountRole, AccountRoles, CreateAccount, ListAccounts, RemoveAccount, SetPassword, SetRoles},
    clock::Clock,
    ids,
    store::{Ask, Store, StoreError},
};

use super::block_on;
use crate::config::Settings;

/// What to do with accounts. Works beside a running router, which notices within a few seconds.
#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Makes an account, and shows its password once unless it was given
    Add(AddArgs),
    /// Lists the accounts and their roles
    List,
    /// Gives an account these roles and no others
    Role {
        /// The account's name
        name: String,
        /// client: sends SMS and reads their status. carrier: calls the webhooks of transports
        #[arg(required = true, value_delimiter = ',')]
        roles: Vec<AccountRole>,
    },
    /// Removes an account; its SMS stay in the ledger
    Remove {
        /// The account's name
        name: String,
    },
    /// Gives an account another password
    Password(NameAndPassword),
}

/// A new account.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    who: NameAndPassword,
    /// client: sends SMS and reads their status. carrier: calls the webhooks of transports, for a provider that knows
    /// HTTP Basic only. May be repeated
    #[arg(long = "role", value_name = "ROLE", default_value = "client", value_delimiter = ',')]
    roles: Vec<AccountRole>,
}

/// An account's name, and where its password comes from.
#[derive(Debug, Args)]
pub(super) struct NameAndPassword {
    /// The account's name
    name: String,
    /// Reads the password from standard input (its first line) instead of making one up
    #[arg(long)]
    password_stdin: bool,
}

pub(super) fn run(command: &AccountCommand, settings: Settings) -> anyhow::Result<ExitCode> {
    with_store(settings, async |store| match command {
        AccountCommand::Add(args) => add(store, &args.who, args.roles.iter().copied().collect()).await,
        AccountCommand::List => list(store).await,
        AccountCommand::Role { name, roles } => set_roles(store, name, roles.iter().copied().collect()).await,
        AccountCommand::Remove { name } => remove(store, name).await,
        AccountCommand::Password(who) => password(store, who).await,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the store as a tool does, beside a router that may be running, and closes it again.
pub(super) fn with_store(
    settings: Settings,
    work: impl AsyncFnOnce(&Store) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    block_on(async {
        let opened = vumi_store::open_beside(settings.store, Clock::system())?;
        let worked = work(&opened.store).await;
        opened.close().await;
        worked
    })
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn add(store: &Store, who: &NameAndPassword, roles: AccountRoles) -> anyhow::Result<()> {
    if who.name.is_empty() || who.name.contains(':') || who.name.chars().any(char::is_control) {
        bail!("`{}` can't be a name: HTTP Basic allows no `:` and no control characters in it", who.name);
    }
    let (password, made_up) = chosen(who)?;
    let (username, password_hash) = (who.name.clone(), hash_password(&password)?);
    match store.accounts.ask(CreateAccount { username, password_hash, sandbox: false, roles }).await {
        Ok(_) => {}
        Err(StoreError::Exists(_)) => bail!("there is an account `{0}` already; `vumi account password {0}`", who.name),
        Err(error) => return Err(error.into()),
    }
    println!("account `{}` made: {roles}", who.name);
    if made_up {
        println!("its password, shown once: {password}");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn list(store: &Store) -> anyhow::Result<()> {
    let accounts = store.accounts.ask(ListAccounts).await?;
    if accounts.is_empty() {
        println!("no accounts; `vumi account add NAME` makes one");
    }
    for account in accounts {
        println!(
            "{}  {}{}",
            account.username,
            account.roles,
            if account.sandbox { "  (the sandbox's: its password is known to all)" } else { "" }
        );
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn set_roles(store: &Store, name: &str, roles: AccountRoles) -> anyhow::Result<()> {
    if !store.accounts.ask(SetRoles { username: name.to_owned(), roles }).await? {
        bail!("there is no account `{name}`; `vumi account list`");
    }
    println!("account `{name}`: {roles}");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn remove(store: &Store, name: &str) -> anyhow::Result<()> {
    if !store.accounts.ask(RemoveAccount { username: name.to_owned() }).await? {
        bail!("there is no account `{name}`; `vumi account list`");
    }
    println!("account `{name}` removed");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn password(store: &Store, who: &NameAndPassword) -> anyhow::Result<()> {
    let (password, made_up) = chosen(who)?;
    let set = SetPassword { username: who.name.clone(), password_hash: hash_password(&password)? };
    if !store.accounts.ask(set).await? {
        bail!("there is no account `{}`; `vumi account list`", who.name);
    }
    println!("account `{}` has another password", who.name);
    if made_up {
        println!("shown once: {password}");
    }
    Ok(())
}

/// The password given, or one made up.
fn chosen(who: &NameAndPassword) -> anyhow::Result<(String, bool)> {
    if !who.password_stdin {
        return Ok((ids::secret(), true));
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("the password can't be read from standard input")?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        bail!("the password is empty: its first line on standard input is taken");
    }
    Ok((password, false))
}
