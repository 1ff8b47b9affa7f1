//! The carriers' calls to the router: receipts by a bounded queue with a few attempts each, inbound SMS at once.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use base64::Engine as _;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use reqwest::{Client, Method, Request, Url};
use secrecy::ExposeSecret as _;
use tokio::{sync::mpsc, time::Instant};
use vumi_kit::backoff::Backoff;

use crate::{carrier::Carrier, later::Later, settings::SandboxSettings};

/// The wait after a first failed attempt, and the longest.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));

/// A receipt on its way to the router.
pub(crate) struct Letter {
    pub(crate) from: Arc<Carrier>,
    pub(crate) due: Instant,
    pub(crate) content_type: HeaderValue,
    pub(crate) body: Bytes,
    pub(crate) attempts: u32,
}

/// The router's answer to a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) body: Bytes,
}

/// What carriers call the router with. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    client: Client,
    letters: mpsc::Sender<Letter>,
}

/// The work behind [`Post`]: one task that posts the receipts.
pub(crate) struct PostRoom {
    client: Client,
    letters: mpsc::Receiver<Letter>,
    settings: SandboxSettings,
}

/// Makes the client and the queue.
pub(crate) fn open(settings: &SandboxSettings) -> Result<(Post, PostRoom), reqwest::Error> {
    let user = format!("{}:{}", settings.username, settings.password.expose_secret());
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user));
    let mut headers = HeaderMap::new();
    if let Ok(mut basic) = HeaderValue::from_str(&basic) {
        basic.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, basic);
    }
    let client = Client::builder()
        .default_headers(headers)
        .timeout(settings.call_limit)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        // Below the keep-alive of usual servers: a connection they have closed is not taken for another call.
        .pool_idle_timeout(Duration::from_secs(4))
        .build()?;
    let (sender, letters) = mpsc::channel(settings.receipt_queue);
    let post = Post { client: client.clone(), letters: sender };
    Ok((post, PostRoom { client, letters, settings: settings.clone() }))
}

impl Post {
    /// Queues a receipt. Without room it is given up: the carrier's answer to the router must not wait for it.
    pub(crate) fn queue(&self, letter: Letter) {
        if let Err(full) = self.letters.try_send(letter) {
            give_up(&full.into_inner().from, "the queue is full (sandbox.receipt_queue)");
        }
    }

    /// Calls the router at once.
    pub(crate) async fn call(
        &self,
        method: Method,
        url: Url,
        form: Option<(&'static str, Bytes)>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = Request::new(method, url);
        if let Some((content_type, body)) = form {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            *request.body_mut() = Some(body.into());
        }
        let answer = self.client.execute(request).await?;
        let (status, content_type) = (answer.status(), answer.headers().get(header::CONTENT_TYPE).cloned());
        Ok(Answer { status, content_type, body: answer.bytes().await? })
    }
}

impl PostRoom {
    /// Posts receipts for as long as there are carriers.
    pub(crate) async fn work(mut self) {
        let mut later: Later<Letter> = Later::default();
        let mut under_way = FuturesUnordered::new();
        loop {
            let free = under_way.len() < self.settings.receipt_connections;
            let room = later.len() < self.settings.receipt_queue;
            if free && let Some(letter) = later.take_due(Instant::now()) {
                under_way.push(attempt(&self.client, letter));
                continue;
            }
            tokio::select! {
                Some((letter, delivered)) = under_way.next(), if !under_way.is_empty() => {
                    if let Some(letter) = settle(letter, delivered, self.settings.receipt_attempts) {
                        later.put(letter.due, letter);
                    }
                }
                () = later.wait(), if free => {}
                letter = self.letters.recv(), if room => match letter {
                    Some(letter) => later.put(letter.due, letter),
                    None => return,
                },
            }
        }
    }
}

/// Posts a receipt once; `Err` says what went wrong.
async fn attempt(client: &Client, letter: Letter) -> (Letter, Result<(), String>) {
    let mut request = Request::new(Method::POST, letter.from.receipt_url.clone());
    request.headers_mut().insert(header::CONTENT_TYPE, letter.content_type.clone());
    *request.body_mut() = Some(letter.body.clone().into());
    let result = match client.execute(request).await {
        Ok(answer) => {
            let status = answer.status();
            // Read to its end, so that the connection can be used again.
            let read = answer.bytes().await;
            match read {
                Ok(_) if status.is_success() => Ok(()),
                Ok(_) => Err(format!("the router answered {status}")),
                Err(error) => Err(error.to_string()),
            }
        }
        Err(error) => Err(error.to_string()),
    };
    (letter, result)
}

/// Counts an attempt; gives the letter back if there is to be another one.
fn settle(mut letter: Letter, delivered: Result<(), String>, most: u32) -> Option<Letter> {
    match delivered {
        Ok(()) => {
            letter.from.seen.tally().counts.receipts_posted += 1;
            None
        }
        Err(why) => {
            letter.from.seen.tally().counts.receipts_failed += 1;
            letter.attempts += 1;
            if letter.attempts >= most {
                give_up(&letter.from, &why);
                return None;
            }
            letter.due = Instant::now() + BACKOFF.wait(letter.attempts);
            Some(letter)
        }
    }
}

fn give_up(carrier: &Carrier, why: &str) {
    let mut tally = carrier.seen.tally();
    tally.counts.receipts_given_up += 1;
    let so_far = tally.counts.receipts_given_up;
    drop(tally);
    // The 1st, 2nd, 4th ...: a router that is away must not flood the log.
    if so_far.is_power_of_two() {
        tracing::warn!(carrier = carrier.name, so_far, why, "a receipt was given up");
    }
}
