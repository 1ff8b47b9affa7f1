//! The pair that is used now, and how another takes its place.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_rustls::rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{
    TlsPairError, TlsSettings,
    pair::{TlsPair, TlsPairFacts, read_pair},
};

/// Time between looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The pair that clients are shown.
#[derive(Debug)]
pub struct CurrentPair {
    pub(super) table: &'static str,
    settings: TlsSettings,
    key: RwLock<Arc<CertifiedKey>>,
}

/// What tells that a file is another one than before.
type FileStamp = Option<(SystemTime, u64)>;

fn stamp(path: &Path) -> FileStamp {
    let file = fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

fn stamps(settings: &TlsSettings) -> [FileStamp; 2] {
    [stamp(&settings.certificate), stamp(&settings.key)]
}

impl CurrentPair {
    /// Reads the pair of the settings of this table, such as `http.tls`, at the start.
    pub fn read(table: &'static str, settings: &TlsSettings) -> Result<Arc<Self>, TlsPairError> {
        let TlsPair { key, facts } = read_pair(table, settings)?;
        tell(table, "this certificate is used", facts);
        Ok(Arc::new(Self { table, settings: settings.clone(), key: RwLock::new(key) }))
    }

    fn reload(&self) {
        match read_pair(self.table, &self.settings) {
            Ok(TlsPair { key, facts }) => {
                *self.key.write().unwrap_or_else(PoisonError::into_inner) = key;
                tell(self.table, "another certificate is used from now on", facts);
            }
            Err(error) => {
                tracing::error!(table = self.table, %error, "the new files are not used, the certificate before goes on");
            }
        }
    }
}

fn tell(table: &str, what: &str, facts: TlsPairFacts) {
    let expires = facts.expires_at.map_or_else(|| "?".to_owned(), |at| at.to_seconds_text());
    tracing::info!(table, %expires, "{what}");
}

impl ResolvesServerCert for CurrentPair {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Looks at the files, and reads them where they are others than before, or where SIGHUP comes.
pub async fn keep_fresh(pair: Arc<CurrentPair>) {
    let mut hangup = signal(SignalKind::hangup());
    let of = Arc::clone(&pair);
    let Ok(mut known) = tokio::task::spawn_blocking(move || stamps(&of.settings)).await else { return };
    loop {
        let asked = tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => false,
            () = next(&mut hangup) => true,
        };
        let of = Arc::clone(&pair);
        let looked = tokio::task::spawn_blocking(move || {
            let found = stamps(&of.settings);
            if asked || found != known {
                of.reload();
            }
            found
        });
        let Ok(found) = looked.await else { return };
        known = found;
    }
}

/// Waits for the next signal; for ever where there are none to be had.
async fn next(signals: &mut io::Result<Signal>) {
    if let Ok(signals) = signals
        && signals.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}
