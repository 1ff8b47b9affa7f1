//! `vumi account`.

mod access;
mod codes;
mod password;
mod quota;
mod rights;
mod smpp;
mod stop;
mod token;
mod values;

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use vumi_front_kit::password::hash_password;
use vumi_kit::{
    account::{
        Account, AccountChange, AccountRole, AccountRoles, ChangeAccount, CreateAccount, FindAccount, ListAccounts,
        RemoveAccount,
    },
    audit::AuditActor,
    clock::Clock,
    store::{Ask, Store, StoreError},
};

pub(super) use self::values::duration;
use self::{
    codes::CodesArgs,
    password::{NameAndPassword, RotateArgs},
    quota::{BudgetArgs, QuotaArgs},
    rights::AllowArgs,
    smpp::SmppArgs,
    stop::StopArgs,
    token::TokenCommand,
    values::ExpiryTime,
};
use super::block_on;
use crate::config::Settings;

/// What to do with accounts. Works beside a running router, which notices within a second.
#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Makes an account, and shows its password once unless it was given
    Add(AddArgs),
    /// Lists the accounts and their roles
    List,
    /// Shows everything about an account but its secrets
    Show(AccountName),
    /// Gives an account these roles and no others
    Role {
        /// The account, by the name that it logs in with
        name: String,
        /// client: sends SMS and reads their status. read-only: reads, and changes nothing. carrier: calls the webhooks of
        /// transports
        #[arg(required = true, value_delimiter = ',')]
        roles: Vec<AccountRole>,
    },
    /// Removes an account and its tokens; its SMS stay in the ledger
    Remove(AccountName),
    /// Gives an account another password; the one before is wrong at once
    Password(NameAndPassword),
    /// Gives an account another password, and lets the one before be right for a while
    Rotate(RotateArgs),
    /// Tokens, by which programs log in: as the password of HTTP Basic, or as a bearer token
    #[command(subcommand)]
    Token(TokenCommand),
    /// Says until when an account may call
    Expire {
        /// The account, by the name that it logs in with
        name: String,
        /// A date (2027-01-31), a moment in UTC (2027-01-31T18:00:00Z), a time from now (90d), or `never`
        when: ExpiryTime,
    },
    /// Refuses an account's calls; what it has sent goes out
    Lock(AccountName),
    /// Takes an account's calls again
    Unlock(AccountName),
    /// Says where an account may call from, and as whom, over what and to whom it may send
    Allow(AllowArgs),
    /// Says which codes and keywords an account may use for the conversations that it posts
    Codes(CodesArgs),
    /// Says how many recipients a minute and how many waiting SMS an account may have
    Quota(QuotaArgs),
    /// Says what an account may spend, in segments or money
    Budget(BudgetArgs),
    /// Lets programs of an account bind to the SMPP server: shows a fresh password for that once, good for nothing else
    Smpp(SmppArgs),
    /// Sends nothing more for an account, and cancels what waits; its calls that read go on
    Stop(StopArgs),
    /// Sends for an account again
    Start(AccountName),
}

/// The only argument of the commands that need no more than an account.
#[derive(Debug, Args)]
pub(super) struct AccountName {
    /// The account, by the name that it logs in with
    name: String,
}

/// A new account.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    who: NameAndPassword,
    /// client: sends SMS and reads their status. read-only: reads, and changes nothing. carrier: calls the webhooks of
    /// transports, for a provider that knows HTTP Basic only. May be repeated
    #[arg(long = "role", value_name = "ROLE", default_value = "client", value_delimiter = ',')]
    roles: Vec<AccountRole>,
}

pub(super) fn run(command: &AccountCommand, settings: Settings) -> anyhow::Result<ExitCode> {
    let transports: Vec<String> = settings.transports.iter().map(|transport| transport.name.to_string()).collect();
    with_store(settings, async |store| match command {
        AccountCommand::Add(args) => add(store, &args.who, args.roles.iter().copied().collect()).await,
        AccountCommand::List => list(store).await,
        AccountCommand::Show(AccountName { name }) => access::show(store, name).await,
        AccountCommand::Role { name, roles } => {
            change(store, name, AccountChange::Roles(roles.iter().copied().collect())).await
        }
        AccountCommand::Remove(AccountName { name }) => remove(store, name).await,
        AccountCommand::Password(who) => password::replace(store, who).await,
        AccountCommand::Rotate(args) => password::rotate(store, args).await,
        AccountCommand::Token(command) => token::run(store, command).await,
        AccountCommand::Expire { name, when } => change(store, name, AccountChange::Expiry(when.0)).await,
        AccountCommand::Lock(AccountName { name }) => change(store, name, AccountChange::Lock).await,
        AccountCommand::Unlock(AccountName { name }) => change(store, name, AccountChange::Unlock).await,
        AccountCommand::Allow(args) => rights::allow(store, args, &transports).await,
        AccountCommand::Codes(args) => codes::set(store, args).await,
        AccountCommand::Quota(args) => quota::set(store, args).await,
        AccountCommand::Budget(args) => quota::budget(store, args).await,
        AccountCommand::Smpp(args) => smpp::set(store, args).await,
        AccountCommand::Stop(args) => stop::stop(store, args).await,
        AccountCommand::Start(AccountName { name }) => change(store, name, AccountChange::Start).await,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Who works at this command line, for the audit trail.
pub(super) fn operator() -> AuditActor {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|variable| std::env::var(variable).ok());
    AuditActor::operator(named.filter(|name| !name.is_empty()).as_deref())
}

/// Changes an account, and says what of it changed.
#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn change(store: &Store, name: &str, change: AccountChange) -> anyhow::Result<()> {
    let said = change.to_string();
    changed(store, name, change).await?;
    println!("account `{name}`: {said}");
    Ok(())
}

async fn changed(store: &Store, name: &str, change: AccountChange) -> anyhow::Result<Account> {
    let change = ChangeAccount { username: name.to_owned(), change, by: operator() };
    store.accounts.ask(change).await?.ok_or_else(|| no_account(name))
}

async fn find(store: &Store, name: &str) -> anyhow::Result<Account> {
    let found = store.accounts.ask(FindAccount { username: name.to_owned() }).await?;
    found.ok_or_else(|| no_account(name))
}

fn no_account(name: &str) -> anyhow::Error {
    anyhow::anyhow!("there is no account `{name}`; `vumi account list`")
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
    let (password, made_up) = password::chosen(who)?;
    let (username, password_hash) = (who.name.clone(), hash_password(&password)?);
    match store.accounts.ask(CreateAccount { username, password_hash, sandbox: false, roles, by: operator() }).await {
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
    let now = Clock::system().wall();
    for account in accounts {
        let sandbox = account.sandbox.then_some("the sandbox's: its password is known to all");
        let notes: Vec<&str> = sandbox.into_iter().chain(access::notes(&account, now)).collect();
        let notes = if notes.is_empty() { String::new() } else { format!("  ({})", notes.join(", ")) };
        println!("{}  {}{notes}", account.username, account.roles);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn remove(store: &Store, name: &str) -> anyhow::Result<()> {
    if !store.accounts.ask(RemoveAccount { username: name.to_owned(), by: operator() }).await? {
        return Err(no_account(name));
    }
    println!("account `{name}` removed");
    Ok(())
}
