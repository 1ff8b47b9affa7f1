//! `vumi account password` and `rotate`.

use std::{io::BufRead, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use vumi_front_kit::password::hash_password;
use vumi_kit::{
    account::{AccountChange, TokenDigest},
    clock::Clock,
    ids,
    store::Store,
};

use super::{
    changed,
    values::{MOST_AHEAD, duration},
};

/// An account's name, and where its password comes from.
#[derive(Debug, Args)]
pub(in crate::cli) struct NameAndPassword {
    /// The account, by the name that it logs in with
    pub(super) name: String,
    /// Reads the password from standard input (its first line) instead of making one up
    #[arg(long)]
    password_stdin: bool,
}

/// A new password beside the old one.
#[derive(Debug, Args)]
pub(in crate::cli) struct RotateArgs {
    #[command(flatten)]
    who: NameAndPassword,
    /// How long the password before is right as well, such as 7d
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "7d")]
    keep: Duration,
}

/// Another password; the former one is wrong at once.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) async fn replace(store: &Store, who: &NameAndPassword) -> anyhow::Result<()> {
    let (password, made_up) = chosen(who)?;
    changed(store, &who.name, AccountChange::Password(hash_password(&password)?)).await?;
    println!("account `{}` has another password", who.name);
    if made_up {
        println!("shown once: {password}");
    }
    Ok(())
}

/// Another password; the former one is right for a while longer.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) async fn rotate(store: &Store, RotateArgs { who, keep }: &RotateArgs) -> anyhow::Result<()> {
    if *keep > MOST_AHEAD {
        bail!("--keep {keep:?} is longer than ten years: a password that is to stay is not rotated");
    }
    let (password, made_up) = chosen(who)?;
    let until = Clock::system().wall().plus(*keep);
    changed(store, &who.name, AccountChange::RotatePassword(hash_password(&password)?, until)).await?;
    println!(
        "account `{}` has another password; the one before is right until {} UTC",
        who.name,
        until.to_seconds_text()
    );
    if made_up {
        println!("shown once: {password}");
    }
    Ok(())
}

/// The password given, or one made up.
pub(super) fn chosen(who: &NameAndPassword) -> anyhow::Result<(String, bool)> {
    if !who.password_stdin {
        return Ok((ids::secret(), true));
    }
    let password = from_stdin()?;
    if TokenDigest::of(&password).is_some() {
        bail!("the password looks like a token, and would be taken for one: choose another");
    }
    Ok((password, false))
}

/// The first line of standard input.
pub(super) fn from_stdin() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("the password can't be read from standard input")?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        bail!("the password is empty: its first line on standard input is taken");
    }
    Ok(password)
}
