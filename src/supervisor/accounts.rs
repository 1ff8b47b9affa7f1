//! The sandbox's account: made at start-up where the settings ask for one, never open to others.

use secrecy::ExposeSecret;
use vumi_http::password::{hash_password, verify_password};
use vumi_kit::{
    account::{CreateAccount, FindAccount, ListAccounts, SetPassword},
    store::{Ask, Store, StoreError},
};

use super::error::StartFailed;
use crate::config::Settings;

/// Makes the sandbox's account, and refuses to go on where others could use it.
pub(super) async fn prepare(store: &Store, settings: &Settings) -> Result<(), StartFailed> {
    if !settings.deployment.http {
        return Ok(());
    }
    if let Some(sandbox) = &settings.sandbox
        && settings.http.bind.ip().is_loopback()
    {
        make(store, &sandbox.username, sandbox.password.expose_secret()).await?;
    }
    let accounts = store.accounts.ask(ListAccounts).await?;
    let known = accounts.into_iter().find(|account| account.sandbox).map(|account| account.username);
    let known = known.or_else(|| settings.sandbox.as_ref().map(|sandbox| sandbox.username.clone()));
    match known {
        Some(username) if !settings.http.bind.ip().is_loopback() => {
            Err(StartFailed::SandboxAccount(settings.http.bind, username))
        }
        _ => Ok(()),
    }
}

async fn make(store: &Store, username: &str, password: &str) -> Result<(), StartFailed> {
    let found = store.accounts.ask(FindAccount { username: username.to_owned() }).await?;
    let username = username.to_owned();
    match found {
        // An operator's account of that name keeps its own password.
        Some(account) if !account.sandbox => Ok(()),
        Some(account) if verify_password(password, &account.password_hash) => Ok(()),
        Some(_) => {
            let password_hash = hash_password(password)?;
            store.accounts.ask(SetPassword { username, password_hash }).await?;
            Ok(())
        }
        None => {
            let password_hash = hash_password(password)?;
            match store.accounts.ask(CreateAccount { username, password_hash, sandbox: true }).await {
                // Another process that starts at this moment was faster.
                Ok(_) | Err(StoreError::Exists(_)) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
    }
}
