//! The connection to the server, with TLS or without.

use std::{path::PathBuf, sync::Arc};

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
    // Reads files. Each connection reads them, so that a renewed one needs no restart.
    let config = tokio::task::spawn_blocking(move || client_config(ca)).await.map_err(|error| error.to_string())??;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = connected.map_err(|error| format!("TLS: {error}; check `ca` and `server_name`, or that the server speaks TLS"))?;
    Ok(Box::new(stream))
}

/// Trusts the authorities of a file, or without one those of the machine.
fn client_config(ca: Option<PathBuf>) -> Result<ClientConfig, String> {
    let Some(path) = ca else {
        return ClientConfig::with_platform_verifier().map_err(|error| format!("the machine's authorities: {error}"));
    };
    let wrong = |error: &dyn std::fmt::Display| format!("`ca`: {}: {error}", path.display());
    let read = CertificateDer::pem_file_iter(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| wrong(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"holds no certificate in PEM form"));
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
