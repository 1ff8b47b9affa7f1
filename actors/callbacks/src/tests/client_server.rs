//! Clients' servers on loopback: each request waits for the test to answer it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// Longer than any step of a test that passes.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) struct ClientServer {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<ReceivedPost>,
}

pub(super) struct ReceivedPost {
    pub(super) line: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
    reply: oneshot::Sender<String>,
}

impl ClientServer {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        actix_rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                actix_rt::spawn(serve(stream, sender.clone()));
            }
        });
        Self { address, requests }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) async fn next(&mut self) -> ReceivedPost {
        tokio::time::timeout(DEADLINE, self.requests.recv()).await.expect("a request in time").unwrap()
    }

    pub(super) fn has_none(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }
}

impl ReceivedPost {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(super) fn answer(self, status: &str, headers: &[&str]) {
        let headers = [headers, &["Content-Length: 2"]].concat().join("\r\n");
        self.reply.send(format!("HTTP/1.1 {status}\r\n{headers}\r\n\r\nok")).unwrap();
    }

    /// Sends the head of an answer whose body never comes.
    pub(super) fn begin_answer(self, status: &str, headers: &[&str]) {
        self.reply.send(format!("HTTP/1.1 {status}\r\n{}\r\n\r\n", headers.join("\r\n"))).unwrap();
    }
}

async fn serve(stream: TcpStream, sender: mpsc::UnboundedSender<ReceivedPost>) {
    let mut stream = BufReader::new(stream);
    while let Some((request, reply)) = read(&mut stream).await {
        if sender.send(request).is_err() {
            return;
        }
        // A request that the test drops is never answered.
        let Ok(answer) = reply.await else { return std::future::pending().await };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<(ReceivedPost, oneshot::Receiver<String>)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        match header.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, n)| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (reply, answer) = oneshot::channel();
    let line = line.trim_end().to_owned();
    Some((ReceivedPost { line, headers, body: String::from_utf8(body).unwrap(), reply }, answer))
}

/// A self-signed certificate for `localhost`, valid for a hundred years, and its key.
pub(super) const CERTIFICATE: &str = include_str!("localhost.crt");
const KEY: &str = include_str!("localhost.key");

/// A client's server that speaks TLS with [`CERTIFICATE`] and answers each request with 204.
pub(super) struct TlsClientServer(SocketAddr);

impl TlsClientServer {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        actix_rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                actix_rt::spawn(async move {
                    // A peer that does not trust the certificate closes the connection.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut request = [0; 4096];
                    let _read = stream.read(&mut request).await;
                    let _answered = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                });
            }
        });
        Self(address)
    }

    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}/", self.0.port())
    }
}
