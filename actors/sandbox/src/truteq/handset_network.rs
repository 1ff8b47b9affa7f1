//! The network behind TruTeq: the routers that are logged in, the handsets' sessions, and which router's connection
//! serves which session.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use vumi_ssmi_codec::{Phase, SCREEN_UNITS, ServerCommand, UssdType, screen_units, to_latin1};

use crate::{
    phone::HandsetEvent,
    provider_core::{ProviderCore, is_msisdn},
};

/// How many handsets can have a session at once.
const MAX_SESSIONS: usize = 100_000;
/// How many delivery reports wait for a router to log in again.
pub(super) const MAX_REPORTS: usize = 100_000;

/// What a handset shows after the router's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HandsetScreen {
    pub(crate) text: String,
    pub(crate) open: bool,
}

/// Why a handset shows no screen. The text is for the person at the handset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HandsetError {
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
    #[error("too many handsets have a session ({MAX_SESSIONS}): hang some up")]
    TooMany,
    #[error("this handset has no session: dial a code first")]
    NoSession,
    #[error("this handset still waits for the router's reply")]
    StillWaiting,
    #[error("the session was replaced, hung up or timed out while this handset waited")]
    Interrupted,
    #[error("the router did not reply within {0:?}: is there a route and a campaign for this code?")]
    NoReply(Duration),
    #[error("{0}")]
    Aggregator(String),
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
    /// Sessions that the network ended because no message came.
    pub(crate) timed_out: u64,
    /// Messages from the router to a handset that waited for one.
    pub(crate) replies: u64,
    /// Messages from the router that no handset waited for.
    pub(crate) strays: u64,
    /// Messages of more than 182 7-bit characters; a real network cuts or drops them.
    pub(crate) too_long: u64,
    /// Commands that could not be read, or that this sandbox does nothing with.
    pub(crate) ignored: u64,
}

#[derive(Debug)]
struct HandsetSession {
    connection: u64,
    waiter: Option<oneshot::Sender<HandsetScreen>>,
    touched: Instant,
}

#[derive(Debug, Default)]
struct NetworkState {
    connections: BTreeMap<u64, mpsc::Sender<ServerCommand>>,
    sessions: HashMap<String, HandsetSession>,
    /// Delivery reports that wait for a router to log in.
    reports: VecDeque<ServerCommand>,
    counts: UssdCounts,
    last_connection: u64,
    turns: usize,
}

impl NetworkState {
    /// The connection of that number; if it is gone, the next one in turn.
    fn connection(&mut self, pinned: Option<u64>) -> Result<u64, HandsetError> {
        self.connections.retain(|_, connection| !connection.is_closed());
        if let Some(connection) = pinned.filter(|connection| self.connections.contains_key(connection)) {
            return Ok(connection);
        }
        self.turns = self.turns.wrapping_add(1);
        let nth = self.turns.checked_rem(self.connections.len()).ok_or(HandsetError::NoRouter)?;
        self.connections.keys().nth(nth).copied().ok_or(HandsetError::NoRouter)
    }

    fn send(&self, connection: u64, command: ServerCommand) -> Result<(), HandsetError> {
        match self.connections.get(&connection).ok_or(HandsetError::NoRouter)?.try_send(command) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(HandsetError::Stuck),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(HandsetError::NoRouter),
        }
    }
}

/// The network of one sandbox.
#[derive(Debug)]
pub(crate) struct HandsetNetwork {
    pub(crate) core: Arc<ProviderCore>,
    answer_limit: Duration,
    /// Changes when all connections have to close.
    drops: watch::Sender<()>,
    state: Mutex<NetworkState>,
}

impl HandsetNetwork {
    pub(crate) fn new(core: Arc<ProviderCore>, answer_limit: Duration) -> Self {
        Self { core, answer_limit, drops: watch::Sender::new(()), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, NetworkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> UssdCounts {
        self.state().counts.clone()
    }

    pub(crate) fn reset_counts(&self) {
        self.state().counts = UssdCounts::default();
    }

    /// Closes every router's connection; their sessions stay.
    pub(crate) fn drop_connections(&self) {
        self.state().connections.clear();
        self.drops.send_replace(());
    }

    /// Changes when the connection has to close.
    pub(super) fn drops(&self) -> watch::Receiver<()> {
        self.drops.subscribe()
    }

    /// Whether a handset has a session.
    pub(crate) fn has_session(&self, msisdn: &str) -> bool {
        self.state().sessions.contains_key(msisdn)
    }

    /// How many routers are logged in.
    pub(crate) fn routers(&self) -> usize {
        let mut state = self.state();
        state.connections.retain(|_, connection| !connection.is_closed());
        state.connections.len()
    }

    /// A handset dials. This ends the session it had.
    pub(crate) async fn dial(&self, msisdn: &str, code: &str) -> Result<HandsetScreen, HandsetError> {
        let msisdn = read_msisdn(msisdn)?;
        let is_code = code.starts_with('*') && code.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#');
        if !is_code {
            return Err(HandsetError::NotACode(code.to_owned()));
        }
        let reply = {
            let mut state = self.state();
            if state.sessions.len() >= MAX_SESSIONS && !state.sessions.contains_key(&msisdn) {
                return Err(HandsetError::TooMany);
            }
            let connection = state.connection(None)?;
            let times = if self.core.behaviour.rules().duplicate_new { 2 } else { 1 };
            for _ in 0..times {
                state.send(connection, ussd(&msisdn, UssdType::New, code))?;
            }
            state.counts.dialled += 1;
            self.core.journal.record(&msisdn, || HandsetEvent::Dialled { text: code.to_owned() });
            let (waiter, reply) = oneshot::channel();
            state
                .sessions
                .insert(msisdn.clone(), HandsetSession { connection, waiter: Some(waiter), touched: Instant::now() });
            reply
        };
        self.wait(reply).await
    }

    /// A person answers in the handset's session.
    pub(crate) async fn answer(&self, msisdn: &str, text: &str) -> Result<HandsetScreen, HandsetError> {
        let msisdn = read_msisdn(msisdn)?;
        check_latin1(text)?;
        let reply = {
            let mut state = self.state();
            let session = state.sessions.get(&msisdn).ok_or(HandsetError::NoSession)?;
            // A waiter that gave up has closed its end.
            if session.waiter.as_ref().is_some_and(|waiter| !waiter.is_closed()) {
                return Err(HandsetError::StillWaiting);
            }
            let pinned = session.connection;
            let connection = state.connection(Some(pinned))?;
            state.send(connection, ussd(&msisdn, UssdType::Response, text))?;
            state.counts.answered += 1;
            self.core.journal.record(&msisdn, || HandsetEvent::Answered { text: text.to_owned() });
            let (waiter, reply) = oneshot::channel();
            state.sessions.insert(msisdn, HandsetSession { connection, waiter: Some(waiter), touched: Instant::now() });
            reply
        };
        self.wait(reply).await
    }

    /// A handset ends its session. The router gets a message and does not reply.
    pub(crate) fn hang_up(&self, msisdn: &str) -> Result<HandsetScreen, HandsetError> {
        let msisdn = read_msisdn(msisdn)?;
        let mut state = self.state();
        let session = state.sessions.remove(&msisdn).ok_or(HandsetError::NoSession)?;
        let connection = state.connection(Some(session.connection))?;
        state.send(connection, ussd(&msisdn, UssdType::End, ""))?;
        state.counts.hung_up += 1;
        self.core.journal.record(&msisdn, || HandsetEvent::HungUp);
        Ok(HandsetScreen { text: String::new(), open: false })
    }

    /// A person sends an SMS; with `to`, a premium SMS to that number. Returns its sequence number.
    pub(crate) fn send_sms(&self, from: &str, to: &str, text: &str) -> Result<String, HandsetError> {
        let msisdn = read_msisdn(from)?;
        let destination = if to.is_empty() { None } else { Some(read_msisdn(to)?) };
        check_latin1(text)?;
        let mut state = self.state();
        let connection = state.connection(None)?;
        let sequence = self.core.next_number().number.to_string();
        let (number, message) = (sequence.clone(), text.to_owned());
        let command = match destination {
            Some(destination) => ServerCommand::PremiumMo { msisdn, sequence: number, destination, message },
            None => ServerCommand::Mo { msisdn, sequence: number, message },
        };
        state.send(connection, command)?;
        Ok(sequence)
    }

    async fn wait(&self, reply: oneshot::Receiver<HandsetScreen>) -> Result<HandsetScreen, HandsetError> {
        match tokio::time::timeout(self.answer_limit, reply).await {
            Ok(Ok(screen)) => Ok(screen),
            Ok(Err(_)) => Err(HandsetError::Interrupted),
            Err(_) => Err(HandsetError::NoReply(self.answer_limit)),
        }
    }

    /// A router has logged in. Returns its number and the delivery reports that waited for a router.
    pub(super) fn log_in(&self, connection: mpsc::Sender<ServerCommand>) -> (u64, VecDeque<ServerCommand>) {
        let mut state = self.state();
        state.counts.logins += 1;
        state.last_connection += 1;
        let number = state.last_connection;
        state.connections.insert(number, connection);
        self.core.journal.wake();
        (number, std::mem::take(&mut state.reports))
    }

    /// A router's connection is gone. Its sessions stay: the same or another router can go on with them.
    pub(super) fn log_out(&self, connection: Option<u64>, reports: impl Iterator<Item = ServerCommand>) {
        let mut state = self.state();
        if let Some(connection) = connection {
            state.connections.remove(&connection);
        }
        self.core.journal.wake();
        let mut lost = 0;
        for report in reports {
            if state.reports.len() < MAX_REPORTS {
                state.reports.push_back(report);
            } else {
                lost += 1;
            }
        }
        drop(state);
        self.core.seen.record().counts.receipts_given_up += lost;
    }

    /// A USSD message from a router.
    pub(super) fn show(&self, connection: u64, msisdn: &str, kind: UssdType, text: String) {
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
                if kind == UssdType::NetworkInitiated && state.sessions.len() < MAX_SESSIONS {
                    let session = HandsetSession { connection, waiter: None, touched: Instant::now() };
                    state.sessions.insert(msisdn.to_owned(), session);
                }
                None
            }
        };
        if !open {
            state.sessions.remove(msisdn);
        }
        let waiter = waiter.filter(|waiter| !waiter.is_closed());
        let asked = waiter.is_some();
        self.core.journal.record(msisdn, || HandsetEvent::Screen { text: text.clone(), open, asked });
        if waiter.is_some_and(|waiter| waiter.send(HandsetScreen { text, open }).is_ok()) {
            state.counts.replies += 1;
        } else {
            state.counts.strays += 1;
        }
    }

    pub(super) fn ignored(&self) {
        self.state().counts.ignored += 1;
    }

    /// Ends the sessions that had no message within `timeout`.
    pub(crate) fn expire(&self, timeout: Duration) {
        let mut state = self.state();
        let now = Instant::now();
        let over: Vec<(String, HandsetSession)> =
            state.sessions.extract_if(|_, session| now.duration_since(session.touched) > timeout).collect();
        for (msisdn, session) in over {
            state.counts.timed_out += 1;
            self.core.journal.record(&msisdn, || HandsetEvent::TimedOut);
            // A router that is away ends the session by its own timeout.
            if let Ok(connection) = state.connection(Some(session.connection))
                && let Err(why) = state.send(connection, ussd(&msisdn, UssdType::Timeout, ""))
            {
                tracing::debug!(%why, "the end of a session could not be sent");
            }
        }
    }
}

fn ussd(msisdn: &str, kind: UssdType, text: &str) -> ServerCommand {
    ServerCommand::Ussd { msisdn: msisdn.to_owned(), kind, phase: Phase::Two, message: text.to_owned() }
}

fn read_msisdn(text: &str) -> Result<String, HandsetError> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if is_msisdn(digits) { Ok(digits.to_owned()) } else { Err(HandsetError::NotAnMsisdn(text.to_owned())) }
}

fn check_latin1(text: &str) -> Result<(), HandsetError> {
    let (_, replaced) = to_latin1(text);
    if replaced.is_empty() { Ok(()) } else { Err(HandsetError::NotLatin1(replaced.into_iter().collect())) }
}
