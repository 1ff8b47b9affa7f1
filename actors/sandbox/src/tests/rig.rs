//! A started sandbox, and a router that writes down what it is called with.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{Running, SandboxSettings};

/// How long a test waits for what has to come.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// A call the router got.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) content_type: String,
    pub(super) authorization: String,
    pub(super) body: String,
}

#[derive(Clone)]
struct Script {
    calls: mpsc::UnboundedSender<Called>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

pub(super) struct Rig {
    pub(super) running: Running,
    pub(super) client: reqwest::Client,
    calls: mpsc::UnboundedReceiver<Called>,
}

impl Rig {
    /// A sandbox as `settings` say, and a router that answers with `answers` in turn, then 201.
    pub(super) async fn start(mut settings: SandboxSettings, answers: &[u16]) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let script = Script { calls: sender, answers: Arc::new(Mutex::new(answers.iter().copied().collect())) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        settings.callback_url = format!("http://{}/api/v1/sms", listener.local_addr().unwrap());
        settings.http_bind = "127.0.0.1:0".parse().unwrap();
        settings.truteq_bind = "127.0.0.1:0".parse().unwrap();
        let app = Router::new().fallback(note).with_state(script);
        tokio::spawn(async move { axum::serve(listener, app).await });
        let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
        Self { running: crate::start(settings).unwrap(), client, calls }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.running.http_address())
    }

    /// Posts a form; the status and the body.
    pub(super) async fn form(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let answer = self.client.post(self.url(path)).form(fields).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Posts JSON; the status and the JSON that came back.
    pub(super) async fn json(&self, path: &str, body: Value) -> (u16, Value) {
        let answer = self.client.post(self.url(path)).body(body.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    pub(super) async fn misbehave(&self, carrier: &str, rules: Value) {
        let url = self.url(&format!("misbehave/{carrier}"));
        let answer = self.client.put(url).body(rules.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
    }

    /// What `/seen` says.
    pub(super) async fn seen(&self, carrier: &str) -> Value {
        let answer = self.client.get(self.url(&format!("seen/{carrier}?ids=true"))).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// One of the counts of `/seen`.
    pub(super) async fn count(&self, carrier: &str, name: &str) -> u64 {
        self.seen(carrier).await[name].as_u64().unwrap()
    }

    /// Waits until one of the counts of `/seen` is `n`.
    pub(super) async fn until(&self, carrier: &str, name: &str, n: u64) {
        let reached = async { while self.count(carrier, name).await != n {} };
        tokio::time::timeout(DEADLINE, reached).await.expect("the count was not reached");
    }

    /// The next call the router gets.
    pub(super) async fn called(&mut self) -> Called {
        tokio::time::timeout(DEADLINE, self.calls.recv()).await.expect("the router was not called").unwrap()
    }

    /// Whether the router was called and nobody asked yet.
    pub(super) fn was_called(&mut self) -> bool {
        self.calls.try_recv().is_ok()
    }
}

async fn note(
    State(script): State<Script>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let read = |name| headers.get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let (content_type, authorization) = (read(header::CONTENT_TYPE), read(header::AUTHORIZATION));
    let body = String::from_utf8(body.to_vec()).unwrap();
    script.calls.send(Called { method, path: uri.to_string(), content_type, authorization, body }).unwrap();
    let status = script.answers.lock().unwrap().pop_front().unwrap_or(201);
    (StatusCode::from_u16(status).unwrap(), "the router's words")
}
