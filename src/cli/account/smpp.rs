//! `vumi account smpp`: the password with which an account's programs bind to the SMPP server.

use anyhow::bail;
use clap::Args;
use vumi_front_kit::password::{hash_password, new_smpp_password};
use vumi_kit::{account::AccountChange, store::Store};

use super::{change, changed, find, password::from_stdin, quota::Most};

/// The longest password that SMPP has room for.
const LONGEST_PASSWORD: usize = 8;
/// The longest name that SMPP has room for.
const LONGEST_NAME: usize = 15;

/// Whose programs may bind, and how many at once.
#[derive(Debug, Args)]
pub(in crate::cli) struct SmppArgs {
    /// The account's name, which is the `system_id` of a bind
    name: String,
    /// Binds at once, in each process; or `none`: as many as `smpp.binds_per_account`. A password that there is stays
    #[arg(long, value_name = "NUMBER")]
    binds: Option<Most>,
    /// Reads the password from standard input (its first line, 8 characters at the most) instead of making one up: for
    /// programs that keep the one they had elsewhere
    #[arg(long)]
    password_stdin: bool,
    /// Its programs may not bind any more. What they were still to be told is gone
    #[arg(long, conflicts_with_all = ["binds", "password_stdin"])]
    remove: bool,
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) async fn set(
    store: &Store,
    SmppArgs { name, binds, password_stdin, remove }: &SmppArgs,
) -> anyhow::Result<()> {
    if *remove {
        return change(store, name, AccountChange::NoSmpp).await;
    }
    if name.len() > LONGEST_NAME {
        bail!(
            "`{name}` is too long for a `system_id`, which has {LONGEST_NAME} characters: make an account with a shorter name"
        );
    }
    let has_password = find(store, name).await?.smpp.is_some();
    if let Some(most) = binds {
        change(store, name, AccountChange::SmppBinds(most.0)).await?;
        if has_password && !password_stdin {
            return Ok(());
        }
    }
    let password = if *password_stdin { given()? } else { new_smpp_password() };
    changed(store, name, AccountChange::SmppPassword(hash_password(&password)?)).await?;
    println!("account `{name}` binds with another password for SMPP; binds with the one before end");
    if !password_stdin {
        println!("shown once: {password}");
    }
    Ok(())
}

/// A password that SMPP has room for.
fn given() -> anyhow::Result<String> {
    let password = from_stdin()?;
    if password.len() > LONGEST_PASSWORD || !password.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!(
            "the password has to be 1 to {LONGEST_PASSWORD} ASCII characters without blanks: SMPP has room for no others"
        );
    }
    Ok(password)
}
