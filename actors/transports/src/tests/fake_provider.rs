//! A provider's HTTP API on loopback.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// What the server does with a call.
#[derive(Clone, Debug)]
pub(crate) enum FakeAnswer {
    /// It answers with this status, these further header lines and this body.
    Status(u16, &'static str, String),
    /// It never answers.
    Never,
    /// It closes the connection.
    HangUp,
}

pub(crate) fn answers(status: u16, body: &str) -> FakeAnswer {
    FakeAnswer::Status(status, "", body.to_owned())
}

/// A provider that gives one answer to every call, and hands the calls to the test.
pub(crate) struct FakeProvider {
    pub(crate) url: String,
    calls: mpsc::UnboundedReceiver<String>,
}

impl FakeProvider {
    pub(crate) async fn start(answer: FakeAnswer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, calls) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), sender.clone()));
            }
        });
        Self { url, calls }
    }

    /// The next call head and body.
    pub(crate) async fn call(&mut self) -> String {
        self.calls.recv().await.unwrap()
    }
}

async fn serve(mut stream: TcpStream, answer: FakeAnswer, sender: mpsc::UnboundedSender<String>) {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase().lines().find_map(|line| {
                line.strip_prefix("content-length:").map(|length| length.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                sender.send(text).ok();
                match &answer {
                    FakeAnswer::Never => std::future::pending().await,
                    FakeAnswer::HangUp => return,
                    FakeAnswer::Status(status, headers, body) => {
                        let answer =
                            format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
                read.clear();
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(length) => read.extend_from_slice(&chunk[..length]),
        }
    }
}
