//! A certificate with its key, as the files have it.

use std::{io, path::Path, sync::Arc};

use tokio_rustls::rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    sign::CertifiedKey,
};
use vumi_kit::clock::Timestamp;

use super::TlsSettings;

/// Why a pair is not used.
#[derive(Debug, thiserror::Error)]
pub enum TlsPairError {
    /// A file can't be read.
    #[error("{0}: {1} can't be read: {2}")]
    File(String, String, String),
    /// A file is no PEM file of what is expected.
    #[error("{0}: {1} holds no {2} in PEM form")]
    NoPem(String, String, &'static str),
    /// The key is another certificate's, or TLS can do nothing with the two.
    #[error("{0}: certificate and key can't be used together: {1}")]
    Unusable(String, String),
}

/// What a pair is.
#[derive(Clone, Debug)]
pub(super) struct TlsPair {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) facts: TlsPairFacts,
}

/// What operators want to know of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsPairFacts {
    /// From then on it is good for nothing; none: it does not say so in a way that is understood.
    pub expires_at: Option<Timestamp>,
}

/// Reads the pair of the settings of this table, such as `http.tls`, and says when it expires. Reads files: not for an actor's thread.
pub fn read_facts(table: &str, settings: &TlsSettings) -> Result<TlsPairFacts, TlsPairError> {
    read_pair(table, settings).map(|pair| pair.facts)
}

/// Reads the pair: key and certificate belong together, and TLS can use them.
pub(super) fn read_pair(table: &str, settings: &TlsSettings) -> Result<TlsPair, TlsPairError> {
    let (certificate, key) = (("certificate", settings.certificate.as_path()), ("key", settings.key.as_path()));
    let chain = CertificateDer::pem_file_iter(certificate.1).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| wrong(table, certificate, "certificate", &error))?;
    let Some(own) = chain.first() else {
        return Err(wrong(table, certificate, "certificate", &pem::Error::NoItemsFound));
    };
    let expires_at = expiry(own);
    let private = PrivateKeyDer::from_pem_file(key.1).map_err(|error| wrong(table, key, "private key", &error))?;
    let key = CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider());
    let key = key.map_err(|error| TlsPairError::Unusable(table.to_owned(), error.to_string()))?;
    Ok(TlsPair { key: Arc::new(key), facts: TlsPairFacts { expires_at } })
}

fn wrong(table: &str, (setting, path): (&str, &Path), expected: &'static str, error: &pem::Error) -> TlsPairError {
    let (setting, path) = (format!("{table}.{setting}"), path.display().to_string());
    match error {
        pem::Error::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            TlsPairError::File(setting, path, "there is no such file".to_owned())
        }
        pem::Error::Io(error) => TlsPairError::File(setting, path, error.to_string()),
        _ => TlsPairError::NoPem(setting, path, expected),
    }
}

fn expiry(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, read) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(Timestamp::from_seconds(read.validity().not_after.timestamp()))
}
