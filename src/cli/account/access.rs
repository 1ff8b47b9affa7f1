//! `vumi account show`, and what `list` says beside an account.

use vumi_kit::{
    account::{Account, AccountToken, ListTokens, SmppAccess},
    address::CountryCode,
    clock::{Clock, Timestamp},
    store::{Ask, Store},
};

use super::find;

/// Why an account's calls are refused, or nothing is sent for it.
pub(super) fn notes(account: &Account, now: Timestamp) -> impl Iterator<Item = &'static str> {
    let locked = account.locked_at.map(|_| "locked");
    let expired = account.expires_at.filter(|at| *at <= now).map(|_| "expired");
    locked.into_iter().chain(expired).chain(account.stopped_at.map(|_| "stopped"))
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) async fn show(store: &Store, name: &str) -> anyhow::Result<()> {
    let account = find(store, name).await?;
    let tokens = store.accounts.ask(ListTokens { username: name.to_owned() }).await?.unwrap_or_default();
    for (what, said) in lines(&account, &tokens, Clock::system().wall()) {
        println!("{what:<22}{said}");
    }
    Ok(())
}

fn lines(account: &Account, tokens: &[AccountToken], now: Timestamp) -> Vec<(&'static str, String)> {
    let (rights, quotas) = (&account.rights, &account.quotas);
    let since =
        |at: Option<Timestamp>| at.map_or_else(|| "no".to_owned(), |at| format!("since {} UTC", at.to_seconds_text()));
    let expired = |at: Timestamp| if at <= now { " (expired)" } else { "" };
    let expires = account.expires_at.map(|at| format!("{} UTC{}", at.to_seconds_text(), expired(at)));
    let former = account.former_password.as_ref().filter(|former| now < former.until);
    let limit = |most: Option<u32>| most.map_or_else(|| "no limit".to_owned(), |most| most.to_string());
    let labels: Vec<String> =
        tokens.iter().map(|token| format!("{}{}", token.label, token.expires_at.map_or("", expired))).collect();
    let mut lines = vec![
        ("name", account.username.clone()),
        ("roles", account.roles.to_string()),
        ("expires", expires.unwrap_or_else(|| "never".to_owned())),
        ("locked", since(account.locked_at)),
        ("stopped", since(account.stopped_at)),
        ("networks", listed(&account.networks, "any")),
        ("senders", listed(&rights.senders, "any")),
        ("transports", listed(&rights.transports, "any")),
        ("countries", listed(rights.countries.iter().map(CountryCode::as_str), "any")),
        ("country code", rights.country_code.as_ref().map_or("the transport's", CountryCode::as_str).to_owned()),
        ("recipients a minute", limit(quotas.recipients_per_minute)),
        ("SMS waiting", limit(quotas.most_waiting)),
        ("budget", quotas.budget.map_or_else(|| "no limit".to_owned(), |budget| budget.to_string())),
        ("tokens", listed(&labels, "none")),
        ("SMPP", account.smpp.as_ref().map_or_else(|| "none".to_owned(), smpp)),
    ];
    lines.extend(
        former.map(|former| ("former password", format!("right until {} UTC", former.until.to_seconds_text()))),
    );
    lines
}

fn smpp(access: &SmppAccess) -> String {
    let binds = access.most_binds.map_or_else(|| "the settings' number of".to_owned(), |most| most.to_string());
    format!("may bind, {binds} binds in each process")
}

fn listed(items: impl IntoIterator<Item = impl ToString>, none: &str) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}
