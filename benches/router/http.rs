//! The load generator: keep-alive connections, each with one request in flight, as cheap as they can be.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

/// What a run gave.
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// A `POST` of a form with the benchmark's account.
pub(crate) fn form_request(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic dXNlcm5hbWU6cGFzc3dvcmQ=\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A `GET` with the benchmark's account.
pub(crate) fn get_request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic dXNlcm5hbWU6cGFzc3dvcmQ=\r\n\r\n")
        .into_bytes()
}

/// Sends requests one after the other over one connection for `time`.
pub(crate) fn one_by_one(address: SocketAddr, time: Duration, mut next: impl FnMut() -> Vec<u8>) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let micros = runtime.block_on(async {
        let mut connection = Connection::open(address).await;
        let mut micros = Histogram::<u64>::new(3).unwrap();
        let until = Instant::now() + time;
        while Instant::now() < until {
            let request = next();
            let begun = Instant::now();
            assert_eq!(connection.call(&request).await, 200, "{}", String::from_utf8_lossy(&connection.buffer));
            micros.record(u64::try_from(begun.elapsed().as_micros()).unwrap()).unwrap();
        }
        micros
    });
    figures(&micros, time)
}

/// Sends the same request over `connections` for `time` (and a warm-up of a fifth of it).
pub(crate) fn hammer(address: SocketAddr, connections: usize, request: &[u8], time: Duration) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = Instant::now() + time / 5;
    let until = started + time;
    let histograms = LocalSet::new().block_on(&runtime, async {
        let tasks: Vec<_> = (0..connections)
            .map(|_| tokio::task::spawn_local(one_connection(address, request.to_vec(), started, until)))
            .collect();
        let mut all = Histogram::<u64>::new(3).unwrap();
        for task in tasks {
            all.add(task.await.unwrap()).unwrap();
        }
        all
    });
    figures(&histograms, time)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn figures(micros: &Histogram<u64>, time: Duration) -> Figures {
    Figures {
        per_second: micros.len() as f64 / time.as_secs_f64(),
        p50_ms: micros.value_at_quantile(0.5) as f64 / 1000.0,
        p99_ms: micros.value_at_quantile(0.99) as f64 / 1000.0,
    }
}

async fn one_connection(address: SocketAddr, request: Vec<u8>, started: Instant, until: Instant) -> Histogram<u64> {
    let mut connection = Connection::open(address).await;
    let mut micros = Histogram::new(3).unwrap();
    loop {
        let begun = Instant::now();
        let status = connection.call(&request).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&connection.buffer));
        let ended = Instant::now();
        if ended >= until {
            return micros;
        }
        if begun >= started {
            micros.record(u64::try_from((ended - begun).as_micros()).unwrap()).unwrap();
        }
    }
}

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    /// The last answer.
    pub(crate) buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(4096) }
    }

    /// Sends a request and reads the answer whole; its status.
    pub(crate) async fn call(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        loop {
            assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "the router closed the connection");
            if let Some(status) = whole(&self.buffer) {
                return status;
            }
        }
    }
}

/// The status, once the whole answer is there.
fn whole(buffer: &[u8]) -> Option<u16> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&buffer[..head]).unwrap();
    let length = text
        .split("\r\n")
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
        .map_or(0, |length| length.parse::<usize>().unwrap());
    (buffer.len() >= head + 4 + length).then(|| text[9..12].parse().unwrap())
}
