//! The network behind TruTeq: the routers that are logged in, the handsets' sessions, and which of them is on
//! which router's line.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use serde::Serialize;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use vumi_ssmi_codec::{Phase, SCREEN_UNITS, ServerCommand, UssdType, screen_units, to_latin1};

use crate::carrier::{Carrier, is_msisdn};

/// How many handsets can have a session at once.
const MOST_SESSIONS: usize = 100_000;
/// How many delivery reports wait for a router to log in again.
pub(super) const MOST_REPORTS: usize = 100_000;

/// What a handset shows after the router's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    pub(crate) text: String,
    pub(crate) open: bool,
}

/// Why a handset shows nothing. The words are for the person at the handset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoScreen {
    #[error("`{0}` is no MSISDN: use 3 to 15 digits, with or without a leading +")]
    NotAnMsisdn(String),
    #[error("`{0}` is no USSD code: it looks like *120*663*79#")]
    NotACode(String),
    #[error("a phone on SSMI can type ISO-8859-1 only, and these characters are not in it: {0}")]
    NotLatin1(String),
    #[error("no router is logged in: start one whose ssmi transport connects to this sandbox's TruTeq address")]
    NoRouter,
    #[error("the router does not read what TruTeq sends it")]
    Stuck,
    #[error("too many handsets have a session ({MOST_SESSIONS}): hang some up")]
    TooMany,
    #[error("this handset has no session: dial a code first")]
    NoSession,
    #[error("this handset still waits for the router's reply")]
    StillWaiting,
    #[error("the session was replaced, hung up or timed out while this handset waited")]
    Interrupted,
    #[error("the router did not reply within {0:?}: is there a route and a campaign for this code?")]
    NoReply(Duration),
}

impl NoScreen {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::NotAnMsisdn(_) | Self::NotACode(_) | Self::NotLatin1(_) => StatusCode::BAD_REQUEST,
            Self::NoRouter | Self::Stuck | Self::TooMany => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoSession | Self::StillWaiting | Self::Interrupted => StatusCode::CONFLICT,
            Self::NoReply(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// What `/seen/truteq` shows besides the counts of SMS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct UssdCounts {
    /// Logins accepted.
    pub(crate) logins: u64,
    /// Sessions begun by a handset.
    pub(crate) dialled: u64,
    /// Answers typed into a session.
    pub(crate) answered: u64,
    /// Sessions a handset hung up.
    pub(crate) hung_up: u64,
    /// Sessions the network ended for want of messages.
    pub(crate) timed_out: u64,
    /// Messages from the router that reached a handset that waited.
    pub(crate) replies: u64,
    /// Messages from the router that no handset waited for.
    pub(crate) strays: u64,
    /// Messages of more than 182 7-bit characters; a real network cuts or drops them.
    pub(crate) too_long: u64,
    /// Commands that could not be read, or that this sandbox does nothing with.
    pub(crate) ignored: u64,
}

#[derive(Debug)]
struct Session {
    line: u64,
    waiter: Option<oneshot::Sender<Screen>>,
    touched: Instant,
}

#[derive(Debug, Default)]
struct State {
    lines: BTreeMap<u64, mpsc::Sender<ServerCommand>>,
    sessions: HashMap<String, Session>,
    /// Delivery reports whose line is gone.
    reports: VecDeque<ServerCommand>,
    counts: UssdCounts,
    last_line: u64,
    turns: usize,
}

impl State {
    /// The line of that number, or, where it is gone, the next one in turn.
    fn line(&mut self, pinned: Option<u64>) -> Result<u64, NoScreen> {
        self.lines.retain(|_, line| !line.is_closed());
        if let Some(line) = pinned.filter(|line| self.lines.contains_key(line)) {
            return Ok(line);
        }
        self.turns = self.turns.wrapping_add(1);
        let nth = self.turns.checked_rem(self.lines.len()).ok_or(NoScreen::NoRouter)?;
        self.lines.keys().nth(nth).copied().ok_or(NoScreen::NoRouter)
    }

    fn send(&self, line: u64, command: ServerCommand) -> Result<(), NoScreen> {
        match self.lines.get(&line).ok_or(NoScreen::NoRouter)?.try_send(command) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(NoScreen::Stuck),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(NoScreen::NoRouter),
        }
    }
}

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) carrier: Arc<Carrier>,
    answer_limit: Duration,
    /// Changes when all lines are to be closed.
    drops: watch::Sender<()>,
    state: Mutex<State>,
}

impl Exchange {
    pub(crate) fn new(carrier: Arc<Carrier>, answer_limit: Duration) -> Self {
        Self { carrier, answer_limit, drops: watch::Sender::new(()), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> UssdCounts {
        self.state().counts.clone()
    }

    pub(crate) fn reset_counts(&self) {
        self.state().counts = UssdCounts::default();
    }

    /// Closes every router's line; their sessions stay.
    pub(crate) fn drop_lines(&self) {
        self.state().lines.clear();
        self.drops.send_replace(());
    }

    /// What tells a line that it is to close.
    pub(super) fn drops(&self) -> watch::Receiver<()> {
        self.drops.subscribe()
    }

    /// How many routers are logged in.
    pub(crate) fn lines(&self) -> usize {
        let mut state = self.state();
        state.lines.retain(|_, line| !line.is_closed());
        state.lines.len()
    }

    /// A handset dials: any session it had is over.
    pub(crate) async fn dial(&self, msisdn: &str, code: &str) -> Result<Screen, NoScreen> {
        let msisdn = read_msisdn(msisdn)?;
        let is_code = code.starts_with('*') && code.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#');
        if !is_code {
            return Err(NoScreen::NotACode(code.to_owned()));
        }
        let reply = {
            let mut state = self.state();
            if state.sessions.len() >= MOST_SESSIONS && !state.sessions.contains_key(&msisdn) {
                return Err(NoScreen::TooMany);
            }
            let line = state.line(None)?;
            let times = if self.carrier.behaviour.rules().duplicate_new { 2 } else { 1 };
            for _ in 0..times {
                state.send(line, ussd(&msisdn, UssdType::New, code))?;
            }
            state.counts.dialled += 1;
            let (waiter, reply) = oneshot::channel();
            state.sessions.insert(msisdn.clone(), Session { line, waiter: Some(waiter), touched: Instant::now() });
            reply
        };
        self.wait(reply).await
    }

    /// A handset answers within its session.
    pub(crate) async fn answer(&self, msisdn: &str, text: &str) -> Result<Screen, NoScreen> {
        let msisdn = read_msisdn(msisdn)?;
        check_latin1(text)?;
        let reply = {
            let mut state = self.state();
            let session = state.sessions.get(&msisdn).ok_or(NoScreen::NoSession)?;
            // One that gave up waiting has closed its end.
            if session.waiter.as_ref().is_some_and(|waiter| !waiter.is_closed()) {
                return Err(NoScreen::StillWaiting);
            }
            let pinned = session.line;
            let line = state.line(Some(pinned))?;
            state.send(line, ussd(&msisdn, UssdType::Response, text))?;
            state.counts.answered += 1;
            let (waiter, reply) = oneshot::channel();
            state.sessions.insert(msisdn, Session { line, waiter: Some(waiter), touched: Instant::now() });
            reply
        };
        self.wait(reply).await
    }

    /// A handset ends its session; the router is told and answers nothing.
    pub(crate) fn hang_up(&self, msisdn: &str) -> Result<Screen, NoScreen> {
        let msisdn = read_msisdn(msisdn)?;
        let mut state = self.state();
        let session = state.sessions.remove(&msisdn).ok_or(NoScreen::NoSession)?;
        let line = state.line(Some(session.line))?;
        state.send(line, ussd(&msisdn, UssdType::End, ""))?;
        state.counts.hung_up += 1;
        Ok(Screen { text: String::new(), open: false })
    }

    /// A person sends an SMS: to a premium number if one is named. Answers its sequence number.
    pub(crate) fn send_sms(&self, from: &str, to: &str, text: &str) -> Result<String, NoScreen> {
        let msisdn = read_msisdn(from)?;
        let destination = if to.is_empty() { None } else { Some(read_msisdn(to)?) };
        check_latin1(text)?;
        let mut state = self.state();
        let line = state.line(None)?;
        let sequence = self.carrier.next_number().number.to_string();
        let (number, message) = (sequence.clone(), text.to_owned());
        let command = match destination {
            Some(destination) => ServerCommand::PremiumMo { msisdn, sequence: number, destination, message },
            None => ServerCommand::Mo { msisdn, sequence: number, message },
        };
        state.send(line, command)?;
        Ok(sequence)
    }

    async fn wait(&self, reply: oneshot::Receiver<Screen>) -> Result<Screen, NoScreen> {
        match tokio::time::timeout(self.answer_limit, reply).await {
            Ok(Ok(screen)) => Ok(screen),
            Ok(Err(_)) => Err(NoScreen::Interrupted),
            Err(_) => Err(NoScreen::NoReply(self.answer_limit)),
        }
    }

    /// A router logged in: its number, and the delivery reports that waited for one.
    pub(super) fn log_in(&self, line: mpsc::Sender<ServerCommand>) -> (u64, VecDeque<ServerCommand>) {
        let mut state = self.state();
        state.counts.logins += 1;
        state.last_line += 1;
        let number = state.last_line;
        state.lines.insert(number, line);
        (number, std::mem::take(&mut state.reports))
    }

    /// A router's line is gone; its sessions stay, for it or another one to go on with.
    pub(super) fn log_out(&self, line: Option<u64>, reports: impl Iterator<Item = ServerCommand>) {
        let mut state = self.state();
        if let Some(line) = line {
            state.lines.remove(&line);
        }
        let mut lost = 0;
        for report in reports {
            if state.reports.len() < MOST_REPORTS {
                state.reports.push_back(report);
            } else {
                lost += 1;
            }
        }
        drop(state);
        self.carrier.seen.tally().counts.receipts_given_up += lost;
    }

    /// A USSD message from a router.
    pub(super) fn show(&self, line: u64, msisdn: &str, kind: UssdType, text: String) {
        let open = matches!(kind, UssdType::Response | UssdType::NetworkInitiated);
        let mut state = self.state();
        if screen_units(&text) > SCREEN_UNITS {
            state.counts.too_long += 1;
        }
        let waiter = match state.sessions.get_mut(msisdn) {
            Some(session) => {
                session.touched = Instant::now();
                session.waiter.take()
            }
            None => {
                if kind == UssdType::NetworkInitiated && state.sessions.len() < MOST_SESSIONS {
                    let session = Session { line, waiter: None, touched: Instant::now() };
                    state.sessions.insert(msisdn.to_owned(), session);
                }
                None
            }
        };
        if !open {
            state.sessions.remove(msisdn);
        }
        if waiter.is_some_and(|waiter| waiter.send(Screen { text, open }).is_ok()) {
            state.counts.replies += 1;
        } else {
            state.counts.strays += 1;
        }
    }

    pub(super) fn ignored(&self) {
        self.state().counts.ignored += 1;
    }

    /// Ends the sessions that had no message for so long, as the network does.
    pub(crate) fn expire(&self, timeout: Duration) {
        let mut state = self.state();
        let now = Instant::now();
        let over: Vec<(String, Session)> =
            state.sessions.extract_if(|_, session| now.duration_since(session.touched) > timeout).collect();
        for (msisdn, session) in over {
            state.counts.timed_out += 1;
            // A router that is away learns it by its own lifetime of sessions.
            if let Ok(line) = state.line(Some(session.line))
                && let Err(why) = state.send(line, ussd(&msisdn, UssdType::Timeout, ""))
            {
                tracing::debug!(%why, "the end of a session could not be told");
            }
        }
    }
}

fn ussd(msisdn: &str, kind: UssdType, text: &str) -> ServerCommand {
    ServerCommand::Ussd { msisdn: msisdn.to_owned(), kind, phase: Phase::Two, message: text.to_owned() }
}

fn read_msisdn(text: &str) -> Result<String, NoScreen> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if is_msisdn(digits) { Ok(digits.to_owned()) } else { Err(NoScreen::NotAnMsisdn(text.to_owned())) }
}

fn check_latin1(text: &str) -> Result<(), NoScreen> {
    let (_, replaced) = to_latin1(text);
    if replaced.is_empty() { Ok(()) } else { Err(NoScreen::NotLatin1(replaced.into_iter().collect())) }
}
