//! Calls to the router: inbound SMS at once, receipts from a bounded queue with a few attempts each.

use std::{sync::Arc, time::Duration};

use base64::Engine as _;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use reqwest::{
    Client, Method, Request, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use tokio::{sync::mpsc, time::Instant};
use vumi_kit::backoff::Backoff;

use crate::{due_queue::DueQueue, seen::Seen};

/// The wait after a first failed attempt, and the longest.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));

/// How the router is called; see [`crate::SandboxSettings`] for each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouterClientOptions<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
    pub(crate) call_limit: Duration,
    pub(crate) receipt_queue: usize,
    pub(crate) receipt_connections: usize,
    pub(crate) receipt_attempts: u32,
}

/// A call to the router: method, URL, and content type and body if it has one.
#[derive(Debug)]
pub(crate) struct RouterCall {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<(&'static str, Bytes)>,
}

impl RouterCall {
    pub(crate) fn get(url: Url) -> Self {
        Self { method: Method::GET, url, body: None }
    }

    pub(crate) fn post(url: Url, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, url, body: Some((content_type, body.into())) }
    }
}

/// The router's answer to a call.
#[derive(Debug)]
pub(crate) struct RouterResponse {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
}

/// A receipt on its way to the router.
pub(crate) struct QueuedReceipt {
    pub(crate) provider: &'static str,
    /// Where the attempts are counted.
    pub(crate) seen: Arc<Seen>,
    pub(crate) url: Url,
    pub(crate) due: Instant,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// Attempts that failed.
    pub(crate) attempts: u32,
}

impl QueuedReceipt {
    fn give_up(&self, why: &str) {
        self.seen.give_up_receipt(self.provider, why);
    }
}

/// What the providers call the router with. Clones share their connections.
#[derive(Clone, Debug)]
pub(crate) struct RouterClient {
    client: Client,
    receipts: mpsc::Sender<QueuedReceipt>,
}

/// The task that posts the queued receipts.
pub(crate) struct ReceiptPoster {
    client: Client,
    receipts: mpsc::Receiver<QueuedReceipt>,
    max_queued: usize,
    max_connections: usize,
    max_attempts: u32,
}

/// Makes the client and the receipts' queue.
pub(crate) fn open(options: RouterClientOptions<'_>) -> Result<(RouterClient, ReceiptPoster), reqwest::Error> {
    let user = format!("{}:{}", options.username, options.password);
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user));
    let mut headers = HeaderMap::new();
    if let Ok(mut basic) = HeaderValue::from_str(&basic) {
        basic.set_sensitive(true);
        headers.insert(AUTHORIZATION, basic);
    }
    let client = Client::builder()
        .default_headers(headers)
        .timeout(options.call_limit)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        // Shorter than the keep-alive of usual servers: a connection that they have closed is not used again.
        .pool_idle_timeout(Duration::from_secs(4))
        .build()?;
    let (sender, receipts) = mpsc::channel(options.receipt_queue);
    let poster = ReceiptPoster {
        client: client.clone(),
        receipts,
        max_queued: options.receipt_queue,
        max_connections: options.receipt_connections,
        max_attempts: options.receipt_attempts,
    };
    Ok((RouterClient { client, receipts: sender }, poster))
}

impl RouterClient {
    /// Queues a receipt. If the queue is full the receipt is given up: the answer to the router must not wait for it.
    pub(crate) fn queue(&self, receipt: QueuedReceipt) {
        if let Err(full) = self.receipts.try_send(receipt) {
            full.into_inner().give_up("the queue is full (sandbox.receipt_queue)");
        }
    }

    /// Calls the router at once.
    pub(crate) async fn call(&self, call: RouterCall) -> Result<RouterResponse, reqwest::Error> {
        let mut request = Request::new(call.method, call.url);
        if let Some((content_type, body)) = call.body {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            *request.body_mut() = Some(body.into());
        }
        let response = self.client.execute(request).await?;
        let status = response.status().as_u16();
        let content_type =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(RouterResponse { status, content_type, body: response.bytes().await? })
    }
}

impl ReceiptPoster {
    /// Posts receipts until the last [`RouterClient`] is dropped.
    pub(crate) async fn run(mut self) {
        let mut queue: DueQueue<QueuedReceipt> = DueQueue::default();
        let mut in_flight = FuturesUnordered::new();
        loop {
            let has_connection = in_flight.len() < self.max_connections;
            let has_capacity = queue.len() < self.max_queued;
            if has_connection && let Some(receipt) = queue.take_due(Instant::now()) {
                in_flight.push(attempt(&self.client, receipt));
                continue;
            }
            tokio::select! {
                Some((receipt, result)) = in_flight.next(), if !in_flight.is_empty() => {
                    if let Some(receipt) = settle(receipt, result, self.max_attempts) {
                        queue.put(receipt.due, receipt);
                    }
                }
                () = queue.wait(), if has_connection => {}
                receipt = self.receipts.recv(), if has_capacity => match receipt {
                    Some(receipt) => queue.put(receipt.due, receipt),
                    None => return,
                },
            }
        }
    }
}

/// Posts a receipt once.
async fn attempt(client: &Client, receipt: QueuedReceipt) -> (QueuedReceipt, Result<(), String>) {
    let result = post(client, &receipt).await;
    (receipt, result)
}

async fn post(client: &Client, receipt: &QueuedReceipt) -> Result<(), String> {
    let mut request = Request::new(Method::POST, receipt.url.clone());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(receipt.content_type));
    *request.body_mut() = Some(receipt.body.clone().into());
    let response = client.execute(request).await.map_err(|error| error.to_string())?;
    let status = response.status();
    // The body is read to its end, so that the connection can be used again.
    response.bytes().await.map_err(|error| error.to_string())?;
    if status.is_success() { Ok(()) } else { Err(format!("the router answered {status}")) }
}

/// Counts an attempt; returns the receipt if another attempt follows.
fn settle(mut receipt: QueuedReceipt, result: Result<(), String>, max_attempts: u32) -> Option<QueuedReceipt> {
    let Err(why) = result else {
        receipt.seen.record().counts.receipts_posted += 1;
        return None;
    };
    receipt.seen.record().counts.receipts_failed += 1;
    receipt.attempts += 1;
    if receipt.attempts >= max_attempts {
        receipt.give_up(&why);
        return None;
    }
    receipt.due = Instant::now() + BACKOFF.wait(receipt.attempts);
    Some(receipt)
}
