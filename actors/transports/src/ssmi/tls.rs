//! The connection to the server, with TLS or without.

use std::sync::Arc;

use rustls_platform_verifier::ConfigVerifierExt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use super::Settings;

/// A socket, whatever is on it.
pub(super) trait ServerSocket: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> ServerSocket for S {}

/// Shakes hands where the settings say so. An error says what to do.
pub(super) async fn secured(settings: &Settings, stream: TcpStream) -> Result<Box<dyn ServerSocket>, String> {
    if !settings.tls {
        return Ok(Box::new(stream));
    }
    let name = settings.server_name.as_ref().unwrap_or(&settings.host).clone();
    let name = ServerName::try_from(name).map_err(|error| format!("`server_name`: {error}"))?;
    let ca = settings.ca.clone();
    // The machine's authorities are files.
    let config = tokio::task::spawn_blocking(move || client_config(ca.as_deref()));
    let config = config.await.map_err(|error| error.to_string())??;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = connected
        .map_err(|error| format!("TLS: {error}; check `ca` and `server_name`, or that the server speaks TLS"))?;
    Ok(Box::new(stream))
}

/// Trusts the authorities of the settings, or without any those of the machine.
fn client_config(ca: Option<&str>) -> Result<ClientConfig, String> {
    let Some(ca) = ca else {
        return ClientConfig::with_platform_verifier().map_err(|error| format!("the machine's authorities: {error}"));
    };
    let roots = authorities(ca).ok_or_else(|| format!("`ca` {NO_AUTHORITIES}"))?;
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// What is said of a text without authorities.
pub(super) const NO_AUTHORITIES: &str =
    "must be one certificate or more in PEM form: -----BEGIN CERTIFICATE----- and so on";

/// The certificates of a text in PEM form; none: they can't be read, or there is none.
pub(super) fn authorities(pem: &str) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.ok()?).ok()?;
    }
    (!roots.is_empty()).then_some(roots)
}
