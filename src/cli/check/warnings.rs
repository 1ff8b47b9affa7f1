//! What works, and should not stay as it is.

use std::{path::Path, time::Duration};

use reqwest::Url;
use vumi_front_kit::tls::{TlsSettings, read_facts};
use vumi_kit::clock::{Clock, Timestamp};
use vumi_smpp::SmppSettings;

use crate::config::Settings;

/// A line for each.
pub(super) fn warnings(settings: &Settings) -> anyhow::Result<Vec<String>> {
    let smpp_tls = settings.smpp.as_ref().and_then(|smpp| smpp.tls.as_ref());
    let keys = settings.http.tls.iter().chain(smpp_tls).map(|tls| &tls.key);
    let mut found: Vec<String> = settings.secret_files.iter().chain(keys).filter_map(|file| readable(file)).collect();
    found.extend(vumi_store::check_file_system(&settings.store)?);
    found.extend(unverified_database(&settings.store.url));
    found.extend(settings.transports.iter().filter_map(|transport| unowned(settings, transport)));
    let now = Clock::system().wall();
    found.extend(settings.http.tls.as_ref().and_then(|tls| expiring("http.tls", tls, now)));
    found.extend(smpp_tls.and_then(|tls| expiring("smpp.tls", tls, now)));
    found.extend(settings.smpp.as_ref().and_then(open_smpp));
    let rates = &settings.http.rates;
    if [rates.receipts, rates.inbound].into_iter().flatten().any(|rate| rate > 0) {
        found.push("http.rates: `receipts` and `inbound` are no longer used, providers' calls have no rate".to_owned());
    }
    Ok(found)
}

/// How long before its end a certificate is warned of.
const RENEW_BEFORE: Duration = Duration::from_secs(14 * 24 * 3600);

/// A certificate that has expired, or will soon.
fn expiring(table: &str, tls: &TlsSettings, now: Timestamp) -> Option<String> {
    let at = read_facts(table, tls).ok()?.expires_at.filter(|at| *at < now.plus(RENEW_BEFORE))?;
    let what = if at <= now { "has expired" } else { "expires soon" };
    Some(format!("{table}.certificate: {} {what}, {} UTC: renew it", tls.certificate.display(), at.to_seconds_text()))
}

/// An SMPP server that others can reach, without TLS.
fn open_smpp(smpp: &SmppSettings) -> Option<String> {
    let plain = smpp.tls.as_ref().is_none_or(|tls| tls.bind.is_some());
    (plain && !smpp.bind.ip().is_loopback()).then(|| {
        format!(
            "smpp.bind: passwords and texts go over {} as they are: use [smpp.tls], or a network of your own",
            smpp.bind
        )
    })
}

/// A file with secrets that more than its owner and its group can read.
fn readable(file: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let who = if mode & 0o006 != 0 {
        "everybody on this machine"
    } else if mode & 0o020 != 0 {
        "its group, which can write it,"
    } else {
        return None;
    };
    let file = file.display();
    Some(format!("{file} holds secrets, and {who} has access (mode {mode:04o}): `chmod 640 {file}`, or 600"))
}

/// A PostgreSQL over a network that nobody proves to be the right one.
fn unverified_database(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| url.scheme().starts_with("postgres"))?;
    let option = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let host = option("host").unwrap_or_else(|| url.host_str().unwrap_or_default().to_owned());
    let here = ["", "localhost", "127.0.0.1", "[::1]"].contains(&host.as_str()) || host.starts_with('/');
    let what = match option("sslmode").as_deref() {
        _ if here => return None,
        Some("verify-full") => return None,
        Some("verify-ca") => "takes any server's certificate of that authority",
        Some("require") => "encrypts, and verifies nobody: whoever stands between reads everything",
        _ => "need not be encrypted",
    };
    Some(format!(
        "store.url: the connection to {host} {what}; `sslmode=verify-full&sslrootcert=FILE` verifies the server (`system` in \
         place of FILE: the machine's certificates)"
    ))
}

/// A transport whose SMS from people would wait for an account.
fn unowned(settings: &Settings, transport: &crate::ComponentConfig) -> Option<String> {
    let webhooks = (transport.kind.webhooks)(&transport.settings);
    let takes_sms = webhooks.iter().any(|webhook| webhook.path.starts_with("receive."));
    (takes_sms && !settings.table.names_all_accounts(&transport.name)).then(|| {
        format!(
            "transports.{0}: SMS from people belong to no account, and wait, unless a client's account posts them: `account = \
             \"NAME\"` in [transports.{0}], or in each of [[routes]] for SMS",
            transport.name
        )
    })
}

#[cfg(test)]
mod tests {
    use super::unverified_database;

    #[test]
    fn a_connection_to_postgresql_that_verifies_nobody_is_named() {
        for (url, warned) in [
            ("postgres://vumi:secret@db.internal/vumi?sslmode=require", Some("verifies nobody")),
            ("postgres://vumi:secret@db.internal/vumi", Some("need not be encrypted")),
            ("postgresql://db.internal/vumi?sslmode=prefer", Some("need not be encrypted")),
            ("postgres://db.internal/vumi?connect_timeout=3&sslmode=verify-ca", Some("any server's certificate")),
            ("postgres://db.internal/vumi?sslmode=verify-full&sslrootcert=system", None),
            ("postgres://vumi@127.0.0.1:5432/vumi", None),
            ("postgres://vumi@localhost/vumi?sslmode=require", None),
            ("postgres:///vumi?host=/run/postgresql", None),
            ("sqlite://vumi.db", None),
        ] {
            let warning = unverified_database(url);
            assert_eq!(warning.is_some(), warned.is_some(), "{url}: {warning:?}");
            if let (Some(warning), Some(words)) = (warning, warned) {
                assert!(warning.contains(words) && warning.contains("verify-full"), "{warning}");
                assert!(!warning.contains("secret"), "{warning}");
            }
        }
    }
}
