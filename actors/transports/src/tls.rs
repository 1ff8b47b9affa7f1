//! Connections to servers of providers, with TLS or without.

use std::sync::Arc;

use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

/// A socket, whatever is on it.
pub(crate) trait ServerSocket: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> ServerSocket for S {}

/// What a connection by TLS trusts, and what it shows. Texts in PEM form.
#[derive(Clone)]
pub(crate) struct TlsTarget {
    /// The name in the server's certificate.
    pub(crate) server_name: String,
    /// None: the machine's authorities.
    pub(crate) ca: Option<String>,
    /// Our certificate and its key, where the server asks for one.
    pub(crate) identity: Option<(String, String)>,
}

/// Shakes hands where there is a target. An error says what to do.
pub(crate) async fn secured(target: Option<TlsTarget>, stream: TcpStream) -> Result<Box<dyn ServerSocket>, String> {
    let Some(target) = target else { return Ok(Box::new(stream)) };
    let name = target.server_name.clone();
    let name = ServerName::try_from(name).map_err(|error| format!("`server_name`: {error}"))?;
    // The machine's authorities are files.
    let config = tokio::task::spawn_blocking(move || client_config(&target));
    let config = config.await.map_err(|error| error.to_string())??;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = connected
        .map_err(|error| format!("TLS: {error}; check `ca` and `server_name`, or that the server speaks TLS"))?;
    Ok(Box::new(stream))
}

/// Trusts the authorities of the target, or without any those of the machine.
fn client_config(target: &TlsTarget) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder();
    let builder = match &target.ca {
        None => builder.with_platform_verifier().map_err(|error| format!("the machine's authorities: {error}"))?,
        Some(ca) => builder.with_root_certificates(authorities(ca).ok_or_else(|| format!("`ca` {NO_AUTHORITIES}"))?),
    };
    let Some((certificate, key)) = &target.identity else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = identity(certificate, key).ok_or_else(|| format!("`client_certificate` {NO_IDENTITY}"))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| format!("`client_certificate`: {error}"))
}

/// What is said of a text without authorities.
pub(crate) const NO_AUTHORITIES: &str =
    "must be one certificate or more in PEM form: -----BEGIN CERTIFICATE----- and so on";

/// What is said of texts without a certificate and its key.
pub(crate) const NO_IDENTITY: &str = "must be a certificate in PEM form, and `client_key` its private key in PEM form";

/// The certificates of a text in PEM form; none: they can't be read, or there is none.
pub(crate) fn authorities(pem: &str) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.ok()?).ok()?;
    }
    (!roots.is_empty()).then_some(roots)
}

/// A certificate with its chain, and its key; none: one of them can't be read.
pub(crate) fn identity(certificate: &str, key: &str) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().ok()?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).ok()?;
    (!chain.is_empty()).then_some((chain, key))
}
