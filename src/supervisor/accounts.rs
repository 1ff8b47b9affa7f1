//! The sandbox's account: made at start-up where the settings ask for one, never open to others.

use std::net::SocketAddr;

use secrecy::ExposeSecret;
use tracing::warn;
use vumi_front_kit::password::{hash_password, verify_password};
use vumi_kit::{
    account::{
        Account, AccountChange, AccountRole, AccountRoles, ChangeAccount, CreateAccount, FindAccount, ListAccounts,
    },
    audit::AuditActor,
    store::{Ask, Store, StoreError},
};

use super::error::StartFailed;
use crate::config::Settings;

/// The most accounts that a line of the log names.
const MOST_NAMED: usize = 10;

/// Makes the sandbox's account, and refuses to go on where others could use it.
pub(super) async fn prepare(store: &Store, settings: &Settings) -> Result<(), StartFailed> {
    if !settings.deployment.http {
        return Ok(());
    }
    if let Some(sandbox) = &settings.sandbox
        && outside(settings).is_none()
    {
        make(store, &sandbox.username, sandbox.password.expose_secret()).await?;
    }
    let accounts = store.accounts.ask_waiting(ListAccounts).await?;
    warn_of(&accounts, settings);
    let known = accounts.into_iter().find(|account| account.sandbox).map(|account| account.username);
    let known = known.or_else(|| settings.sandbox.as_ref().map(|sandbox| sandbox.username.clone()));
    match known.zip(outside(settings)) {
        Some((username, bind)) => Err(StartFailed::SandboxAccount(bind, username)),
        None => Ok(()),
    }
}

/// An address of the API that other machines can reach.
fn outside(settings: &Settings) -> Option<SocketAddr> {
    settings.http.binds().find(|bind| !bind.ip().is_loopback())
}

/// Says who is not let in, and who may do more than most need.
fn warn_of(accounts: &[Account], settings: &Settings) {
    for account in accounts.iter().filter(|account| account.sandbox) {
        let username = &account.username;
        if settings.sandbox.is_none() {
            warn!(
                %username,
                "a sandbox made this account, and everybody knows its password: it is not let in, since these settings have no \
                 [sandbox]; `vumi account remove {username}`"
            );
        } else if !settings.http.trusted_proxies.is_empty() {
            warn!(%username, "the sandbox's account is not let in through `http.trusted_proxies`: everybody knows its password");
        }
    }
    let has_both =
        |account: &&Account| [AccountRole::Client, AccountRole::Carrier].iter().all(|role| account.roles.has(*role));
    let both = accounts.iter().filter(|account| !account.sandbox).filter(has_both);
    let both: Vec<&str> = both.map(|account| account.username.as_str()).take(MOST_NAMED).collect();
    if !both.is_empty() {
        warn!(
            accounts = both.join(", "),
            "these accounts may send SMS, and also bring receipts and SMS from any person: take the role that each does not \
             need, `vumi account role NAME client` or `vumi account role NAME carrier`"
        );
    }
}

async fn make(store: &Store, username: &str, password: &str) -> Result<(), StartFailed> {
    let found = store.accounts.ask_waiting(FindAccount { username: username.to_owned() }).await?;
    let username = username.to_owned();
    match found {
        // An operator's account of that name keeps its own password.
        Some(account) if !account.sandbox => Ok(()),
        Some(account) if verify_password(password, &account.password_hash) => Ok(()),
        Some(_) => {
            let change = AccountChange::Password(hash_password(password)?);
            store.accounts.ask_waiting(ChangeAccount { username, change, by: AuditActor::router() }).await?;
            Ok(())
        }
        None => {
            let password_hash = hash_password(password)?;
            let (roles, by) = (AccountRoles::CLIENT_AND_CARRIER, AuditActor::router());
            match store.accounts.ask_waiting(CreateAccount { username, password_hash, sandbox: true, roles, by }).await
            {
                // Another process that starts at this moment was faster.
                Ok(_) | Err(StoreError::Exists(_)) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
    }
}
