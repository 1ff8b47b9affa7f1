//! A USSD aggregator: people dial, and it calls the router for each step of their session. The response is the next screen.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::future::join;
use reqwest::{Method, Url};
use serde::Deserialize;
use vumi_ussd_codec::{
    CallEvent, CallMethod, InputStyle, UssdAnswer, UssdCall, UssdShape, WrittenCall, joined::with_input, presets,
};

use crate::{
    router_client::{RouterCall, RouterClient},
    truteq::HandsetScreen,
};

/// How many handsets can have a session at once.
const MAX_SESSIONS: usize = 10_000;

/// By which of the router's transports a handset is served, and how badly. A part of each order to a handset.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AggregatorOrder {
    /// The router's transport, of kind `http-ussd`.
    pub(crate) transport: String,
    /// Whose calls it expects; none: Africa's Talking's.
    #[serde(default = "africas_talking")]
    pub(crate) aggregator: String,
    /// The call is made twice at once, as by an aggregator that is impatient.
    #[serde(default)]
    pub(crate) twice: bool,
    /// The session's call before comes again after this one.
    #[serde(default)]
    pub(crate) stale: bool,
}

fn africas_talking() -> String {
    "africas-talking".to_owned()
}

/// A session of a handset, as the aggregator sees it between two calls.
#[derive(Clone, Debug)]
struct AggregatorSession {
    id: String,
    code: String,
    inputs: String,
    turn: u64,
    /// The last call, which `stale` makes again after the next one.
    before: Option<UssdCall>,
}

/// The sandbox as an aggregator: it calls the router for each step of a handset.
pub(crate) struct UssdAggregator {
    router: RouterClient,
    /// `http://127.0.0.1:8000/api/v1/sms`: the transports' URLs are beside it.
    callback_url: String,
    sessions: Mutex<HashMap<(String, String), AggregatorSession>>,
    dialled: std::sync::atomic::AtomicU64,
}

impl UssdAggregator {
    pub(crate) fn new(router: RouterClient, callback_url: String) -> Self {
        Self { router, callback_url, sessions: Mutex::default(), dialled: std::sync::atomic::AtomicU64::default() }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<(String, String), AggregatorSession>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dials a code. The error is for the person at the handset.
    pub(crate) async fn dial(
        &self,
        order: &AggregatorOrder,
        msisdn: &str,
        code: &str,
    ) -> Result<HandsetScreen, String> {
        let number = self.dialled.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = format!("sandbox-{}-{number}", std::process::id());
        let session = AggregatorSession { id, code: code.to_owned(), inputs: String::new(), turn: 0, before: None };
        self.step(order, msisdn, session, CallEvent::New, None).await
    }

    /// Sends an input into the handset's session.
    pub(crate) async fn answer(
        &self,
        order: &AggregatorOrder,
        msisdn: &str,
        text: &str,
    ) -> Result<HandsetScreen, String> {
        let found = self.sessions().get(&key(order, msisdn)).cloned();
        let session = found.ok_or("this handset has no session: dial a code first")?;
        self.step(order, msisdn, session, CallEvent::Resume, Some(text)).await
    }

    /// Ends the handset's session, and tells the router where the aggregator does.
    pub(crate) async fn hang_up(&self, order: &AggregatorOrder, msisdn: &str) -> Result<HandsetScreen, String> {
        let found = self.sessions().remove(&key(order, msisdn));
        let session = found.ok_or("this handset has no session: dial a code first")?;
        let shape = shape_of(order)?;
        if shape.event.as_ref().is_some_and(|event| !event.end.is_empty()) {
            self.post(order, shape.write_call(&call_of(&session, msisdn, CallEvent::End, String::new()))).await?;
        }
        Ok(HandsetScreen { text: String::new(), open: false })
    }

    async fn step(
        &self,
        order: &AggregatorOrder,
        msisdn: &str,
        mut session: AggregatorSession,
        event: CallEvent,
        text: Option<&str>,
    ) -> Result<HandsetScreen, String> {
        let shape = shape_of(order)?;
        session.turn += 1;
        if let Some(text) = text {
            // Its first input makes the joined ones, also an empty one.
            session.inputs = if session.turn == 2 { text.to_owned() } else { with_input(&session.inputs, text) };
        }
        let input = match shape.inputs {
            InputStyle::Joined => session.inputs.clone(),
            InputStyle::Last => text.unwrap_or_default().to_owned(),
        };
        let call = call_of(&session, msisdn, event, input);
        let shown = if order.twice {
            let (one, other) = join(self.call(order, &shape, &call), self.call(order, &shape, &call)).await;
            let (one, other) = (one?, other?);
            if one != other {
                return Err("the router showed two screens for a call that was made twice".to_owned());
            }
            one
        } else {
            self.call(order, &shape, &call).await?
        };
        if let Some(before) = session.before.take().filter(|_| order.stale) {
            // Nobody is shown what it answers.
            self.call(order, &shape, &before).await?;
        }
        session.before = Some(call);
        let mut sessions = self.sessions();
        if !shown.is_open {
            sessions.remove(&key(order, msisdn));
        } else if sessions.len() < MAX_SESSIONS {
            sessions.insert(key(order, msisdn), session);
        } else {
            return Err(format!("too many handsets have a session ({MAX_SESSIONS}): hang some up"));
        }
        Ok(HandsetScreen { text: shown.text, open: shown.is_open })
    }

    async fn call(&self, order: &AggregatorOrder, shape: &UssdShape, call: &UssdCall) -> Result<UssdAnswer, String> {
        let body = self.post(order, shape.write_call(call)).await?;
        let text = std::str::from_utf8(&body).map_err(|_| "the router's answer is no UTF-8")?;
        shape.read_answer(text).map_err(|wrong| format!("the router's answer shows no screen: {wrong}"))
    }

    async fn post(&self, order: &AggregatorOrder, call: WrittenCall) -> Result<Bytes, String> {
        let base = self.callback_url.trim_end_matches('/').trim_end_matches("/sms");
        let mut url = Url::parse(&format!("{base}/ussd/{}", order.transport)).map_err(|wrong| wrong.to_string())?;
        if !call.path.is_empty() {
            url.set_path(&format!("{}/{}", url.path(), call.path));
        }
        if !call.query.is_empty() {
            url.set_query(Some(&call.query));
        }
        let method = match call.method {
            CallMethod::Get => Method::GET,
            CallMethod::Post => Method::POST,
        };
        let body = call.body.map(|(content_type, body)| (content_type, Bytes::from(body)));
        let answer = self.router.call(RouterCall { method, url, body }).await;
        let answer = answer.map_err(|error| format!("the router did not answer: {}", error.without_url()))?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(format!(
                "the router answered {status}: is `{}` a transport of kind http-ussd without a token, and does it run?",
                order.transport
            )),
        }
    }
}

fn key(order: &AggregatorOrder, msisdn: &str) -> (String, String) {
    (order.transport.clone(), msisdn.to_owned())
}

fn shape_of(order: &AggregatorOrder) -> Result<UssdShape, String> {
    let known = || format!("there is no aggregator `{}`: one of {}", order.aggregator, presets::names().join(", "));
    presets::preset(&order.aggregator).map(|preset| preset.shape).ok_or_else(known)
}

fn call_of(session: &AggregatorSession, msisdn: &str, event: CallEvent, input: String) -> UssdCall {
    UssdCall {
        session: session.id.clone(),
        person: msisdn.trim_start_matches('+').to_owned(),
        code: Some(session.code.clone()),
        input: Some(input),
        event,
        turn: Some(session.turn.to_string()),
        ..UssdCall::default()
    }
}
