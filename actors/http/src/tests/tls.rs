//! The listener with TLS: a real client of TLS, real files, and a new certificate while it runs.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, SupportedProtocolVersion,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
        version::{TLS12, TLS13},
    },
};

use super::harness::HttpHarness;
use crate::HttpSettings;
use vumi_front_kit::tls::{TlsSettings, read_facts};

const FIRST: [&str; 2] = [include_str!("tls/first.crt"), include_str!("tls/first.key")];
const SECOND: [&str; 2] = [include_str!("tls/second.crt"), include_str!("tls/second.key")];

/// Longer than any step takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// Files with this pair.
fn files(pair: [&str; 2]) -> (TempDir, TlsSettings) {
    let folder = TempDir::new().unwrap();
    let (certificate, key) = (folder.path().join("crt.pem"), folder.path().join("key.pem"));
    write(&certificate, pair[0]);
    write(&key, pair[1]);
    let (handshake_within, handshakes) = (Duration::from_secs(10), 64);
    (folder, TlsSettings { bind: None, certificate, key, handshake_within, handshakes })
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

async fn serve(tls: TlsSettings, change: impl FnOnce(&mut HttpSettings)) -> HttpHarness {
    let mut settings = HttpSettings { tls: Some(tls), ..HttpSettings::default() };
    change(&mut settings);
    HttpHarness::start(settings).await
}

/// Connects as somebody who trusts one certificate alone.
async fn connect(
    address: SocketAddr,
    trusted: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config.with_no_client_auth())).connect(name, stream).await
}

/// What the server answers to a request.
async fn ask<S: AsyncReadExt + AsyncWriteExt + Unpin>(mut stream: S) -> String {
    stream.write_all(b"GET /health/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("it closes");
    String::from_utf8(answer).unwrap()
}

#[actix_web::test]
async fn tls_1_2_and_1_3_are_spoken_and_plain_http_is_not() {
    let (_folder, tls) = files(FIRST);
    let harness = serve(tls, |_| {}).await;
    let address = harness.component.address;
    for version in [&TLS12, &TLS13] {
        let answer = ask(connect(address, FIRST[0], &[version]).await.unwrap()).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    assert!(connect(address, SECOND[0], &[&TLS13]).await.is_err(), "another certificate is not trusted");
    let answer = ask(TcpStream::connect(address).await.unwrap()).await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
}

#[actix_web::test]
async fn a_large_batch_and_its_answer_cross_tls_whole() {
    let (_folder, tls) = files(FIRST);
    let harness = serve(tls, |_| {}).await;
    let to: Vec<String> = (0..5_000).map(|n| format!("2783{n:07}")).collect();
    let body = serde_json::json!({"to_msisdn": to, "from_msisdn": "38080", "message": "x".repeat(150)}).to_string();
    let head = format!(
        "POST /api/v1/sms/clickatell/send.json HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic dXNlcm5hbWU6cGFzc3dvcmQ=\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = connect(harness.component.address, FIRST[0], &[&TLS13]).await.unwrap();
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await.unwrap();
    let mut answer = Vec::new();
    let _end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("it closes");
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{}", &answer[..200.min(answer.len())]);
    assert_eq!(answer.matches("\"to_msisdn\"").count(), 5_000);
}

#[actix_web::test]
async fn with_an_address_of_its_own_tls_is_beside_plain_http() {
    let (_folder, mut tls) = files(FIRST);
    // A free port, taken again at once.
    let bind = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    tls.bind = Some(bind);
    let harness = serve(tls, |_| {}).await;
    assert_eq!(harness.get_public("/health/").send().await.unwrap().text().await.unwrap(), "OK");
    let answer = ask(connect(bind, FIRST[0], &[&TLS13]).await.unwrap()).await;
    assert!(answer.ends_with("OK"), "{answer}");
}

/// Waits until a client that trusts this certificate alone is served.
async fn until_shown(address: SocketAddr, trusted: &str) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while connect(address, trusted, &[&TLS13]).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the other certificate goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[actix_web::test]
async fn a_new_pair_is_used_without_a_restart_and_a_broken_one_is_not() {
    let (_folder, tls) = files(FIRST);
    let (certificate, key) = (tls.certificate.clone(), tls.key.clone());
    let harness = serve(tls.clone(), |_| {}).await;
    let address = harness.component.address;
    // The key is missing, and then another one's: what was there goes on for whoever connects.
    fs::remove_file(&key).unwrap();
    write(&certificate, SECOND[0]);
    assert!(read_facts("http.tls", &tls).unwrap_err().to_string().contains("there is no such file"));
    write(&key, FIRST[1]);
    assert!(read_facts("http.tls", &tls).unwrap_err().to_string().contains("can't be used together"));
    let long_lived = connect(address, FIRST[0], &[&TLS13]).await.unwrap();
    write(&key, SECOND[1]);
    until_shown(address, SECOND[0]).await;
    assert!(ask(long_lived).await.starts_with("HTTP/1.1 200 OK"), "a connection from before goes on");
    assert!(connect(address, FIRST[0], &[&TLS13]).await.is_err());
    write(&certificate, "no certificate");
    assert!(read_facts("http.tls", &tls).unwrap_err().to_string().contains("holds no certificate in PEM form"));
    assert!(ask(connect(address, SECOND[0], &[&TLS13]).await.unwrap()).await.ends_with("OK"));
}

#[actix_web::test]
async fn a_handshake_that_does_not_end_is_ended_and_leaves_its_turn_to_others() {
    let (_folder, mut tls) = files(FIRST);
    (tls.handshake_within, tls.handshakes) = (Duration::from_millis(300), 1);
    let harness = serve(tls, |_| {}).await;
    let mut silent = TcpStream::connect(harness.component.address).await.unwrap();
    let deadline = tokio::time::Instant::now() + DEADLINE;
    // Whoever waits for the turn may be out of time with it.
    while connect(harness.component.address, FIRST[0], &[&TLS13]).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline);
    }
    let mut rest = Vec::new();
    let _end = tokio::time::timeout(DEADLINE, silent.read_to_end(&mut rest)).await.expect("it is closed");
    assert_eq!(rest, b"");
}

#[actix_web::test]
async fn a_pair_that_can_not_be_used_is_a_start_error_that_names_the_file() {
    let (_folder, mut tls) = files(FIRST);
    write(&tls.key, SECOND[1]);
    let settings =
        |tls| HttpSettings { bind: "127.0.0.1:0".parse().unwrap(), tls: Some(tls), ..HttpSettings::default() };
    let harness = super::harness().await;
    let refused = |tls| crate::start(harness.context(), settings(tls)).unwrap_err().to_string();
    let error = refused(tls.clone());
    assert!(error.contains("certificate and key can't be used together"), "{error}");
    tls.certificate = "nowhere.pem".into();
    let error = refused(tls);
    assert!(error.contains("http.tls.certificate: nowhere.pem can't be read"), "{error}");
}

#[test]
fn what_is_wrong_with_the_settings_is_named_and_the_expiry_is_read() {
    let (_folder, tls) = files(FIRST);
    let facts = read_facts("http.tls", &tls).unwrap();
    assert!(facts.expires_at.unwrap().to_seconds_text().starts_with("2126-"), "{facts:?}");
    let wrong = r#"{"bind": "127.0.0.1:8000", "tls": {"bind": "127.0.0.1:8000", "certificate": "", "key": "k",
        "handshake_within": "0s", "handshakes": 0}}"#;
    let settings: HttpSettings = serde_json::from_str(wrong).unwrap();
    let keys: Vec<String> = settings.check().into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["tls.certificate", "tls.bind", "tls.handshake_within", "tls.handshakes"]);
    assert!(serde_json::from_str::<HttpSettings>(r#"{"tls": {"certificate": "c"}}"#).is_err(), "a key is needed");
}
