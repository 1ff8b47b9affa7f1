//! Another program's HTTP server, answering as a test tells it to.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// A request that came in.
#[derive(Clone, Debug)]
pub(crate) struct HeardCall {
    /// Method, path and version.
    pub(crate) line: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl HeardCall {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// The fields of a form-encoded body, decoded, in their order.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut heard = Self { line: line.trim_end().to_owned(), headers, body: String::new() };
        let length = heard.header("content-length").parse().unwrap_or(0);
        reader.take(length).read_to_string(&mut heard.body).ok()?;
        Some(heard)
    }
}

/// The server; its thread ends with the tests.
pub(crate) struct CallbackListener {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<HeardCall>>>,
}

impl CallbackListener {
    /// Answers each request with the status and body that `answer` gives; one request after the other. A request
    /// counts as heard once it is answered.
    pub(crate) fn new(mut answer: impl FnMut(&HeardCall) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, heard) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
        let keep = heard.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = HeardCall::read(&stream) else { continue };
                let (status, body) = answer(&request);
                keep.lock().unwrap().push(request);
                let length = body.len();
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                // Who hung up meanwhile wants no answer.
                let _hung_up = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
        Self { port, heard }
    }

    /// Answers each request with the next of these statuses, then with the last of them.
    pub(crate) fn answering(statuses: &'static [u16]) -> Self {
        let mut next = statuses.iter();
        let mut last = 200;
        Self::new(move |_| {
            last = next.next().copied().unwrap_or(last);
            (last, String::new())
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Everything heard so far.
    pub(crate) fn heard(&self) -> Vec<HeardCall> {
        self.heard.lock().unwrap().clone()
    }
}
