//! A running sandbox, and a router that records the calls it gets.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::{Method, StatusCode, header},
    web::{self, Bytes, Data},
};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{RunningSandbox, SandboxSettings};

/// How long a test waits for an event that has to come.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// A call that the router got.
#[derive(Debug)]
pub(super) struct ReceivedCall {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) content_type: String,
    pub(super) authorization: String,
    pub(super) body: String,
}

#[derive(Clone)]
struct RouterScript {
    calls: mpsc::UnboundedSender<ReceivedCall>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

pub(super) struct SandboxHarness {
    pub(super) running: RunningSandbox,
    pub(super) client: reqwest::Client,
    calls: mpsc::UnboundedReceiver<ReceivedCall>,
}

impl SandboxHarness {
    /// Starts a sandbox with these settings, and a router that answers with `answers` in turn, then with 201.
    pub(super) async fn start(mut settings: SandboxSettings, answers: &[u16]) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let script = RouterScript { calls: sender, answers: Arc::new(Mutex::new(answers.iter().copied().collect())) };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        settings.callback_url = format!("http://{}/api/v1/sms", listener.local_addr().unwrap());
        settings.http_bind = "127.0.0.1:0".parse().unwrap();
        settings.truteq_bind = "127.0.0.1:0".parse().unwrap();
        settings.smsc_bind = "127.0.0.1:0".parse().unwrap();
        let script = Data::new(script);
        let router = HttpServer::new(move || App::new().app_data(script.clone()).default_service(web::to(record_call)));
        tokio::spawn(router.workers(1).disable_signals().listen(listener).unwrap().run());
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

    pub(super) async fn misbehave(&self, provider: &str, rules: Value) {
        let url = self.url(&format!("misbehave/{provider}"));
        let answer = self.client.put(url).body(rules.to_string()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{}", answer.text().await.unwrap());
    }

    /// The answer of `/seen`.
    pub(super) async fn seen(&self, provider: &str) -> Value {
        let answer = self.client.get(self.url(&format!("seen/{provider}?ids=true"))).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// One of the counts of `/seen`.
    pub(super) async fn count(&self, provider: &str, name: &str) -> u64 {
        self.seen(provider).await[name].as_u64().unwrap()
    }

    /// Waits until one of the counts of `/seen` is `n`.
    pub(super) async fn until(&self, provider: &str, name: &str, n: u64) {
        let reached = async { while self.count(provider, name).await != n {} };
        tokio::time::timeout(DEADLINE, reached).await.expect("the count was not reached");
    }

    /// The next call that the router gets.
    pub(super) async fn called(&mut self) -> ReceivedCall {
        tokio::time::timeout(DEADLINE, self.calls.recv()).await.expect("the router was not called").unwrap()
    }

    /// Whether the router has got a call that no test has taken.
    pub(super) fn was_called(&mut self) -> bool {
        self.calls.try_recv().is_ok()
    }
}

async fn record_call(script: Data<RouterScript>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let read = |name| request.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let call = ReceivedCall {
        method: request.method().clone(),
        path: request.uri().to_string(),
        content_type: read(header::CONTENT_TYPE),
        authorization: read(header::AUTHORIZATION),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    script.calls.send(call).unwrap();
    let status = script.answers.lock().unwrap().pop_front().unwrap_or(201);
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).body("the router's words")
}
