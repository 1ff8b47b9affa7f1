//! What a connection is doing, since when, and how long it may go on.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use crate::tally::ClientFault;

/// How long a client may go on sending what nobody reads, so that it sees its answer before the connection ends.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// actix answers a slow head with 408: it comes first.
const HEAD_GRACE: Duration = Duration::from_secs(1);

/// How long the parts of a connection may last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// Without a request.
    pub(crate) idle: Duration,
    /// From a request's first byte to the end of its head.
    pub(crate) head: Duration,
    /// Since the connection was opened, or the last log-in.
    pub(crate) without_log_in: Duration,
    /// From the moment an answer waits for its client until the client has read it.
    pub(crate) unread_answer: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting for a request.
    Idle,
    /// A part of a request has come.
    Head,
    /// A request is being answered.
    Answering,
}

#[derive(Debug)]
struct Life {
    phase: Phase,
    since: Instant,
    logged_in_at: Instant,
    /// A request was answered without being read to its end.
    ends_at: Option<Instant>,
    body_read: bool,
    /// An answer waits for the client to read it.
    unread: bool,
    give_up_place: bool,
    aborted: bool,
}

/// A connection, as its stream, its requests and the bounds over all connections see it.
#[derive(Debug)]
pub(crate) struct ClientConnection {
    tls: bool,
    limits: ConnectionLimits,
    life: Mutex<Life>,
    task: AtomicWaker,
}

impl ClientConnection {
    pub(crate) fn new(limits: ConnectionLimits, tls: bool) -> Self {
        let now = Instant::now();
        let life = Life {
            phase: Phase::Idle,
            since: now,
            logged_in_at: now,
            ends_at: None,
            body_read: false,
            unread: false,
            give_up_place: false,
            aborted: false,
        };
        Self { tls, limits, life: Mutex::new(life), task: AtomicWaker::new() }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is by TLS.
    pub(crate) const fn is_tls(&self) -> bool {
        self.tls
    }

    pub(crate) const fn limits(&self) -> &ConnectionLimits {
        &self.limits
    }

    /// The task that is woken when something else ends the connection.
    pub(crate) const fn task(&self) -> &AtomicWaker {
        &self.task
    }

    pub(crate) fn received(&self) {
        let mut life = self.life();
        if life.phase == Phase::Idle {
            (life.phase, life.since) = (Phase::Head, Instant::now());
        }
        life.give_up_place = false;
    }

    /// A request's head is complete.
    pub(crate) fn begin_request(&self) {
        let mut life = self.life();
        (life.phase, life.body_read) = (Phase::Answering, false);
    }

    /// The account of the request's credentials was found.
    pub(crate) fn logged_in(&self) {
        self.life().logged_in_at = Instant::now();
    }

    /// The request's body was read to its end.
    pub(crate) fn read_body(&self) {
        self.life().body_read = true;
    }

    /// The answer is there. Whether the connection can take another request: not where the client still sends what
    /// nobody will read.
    pub(crate) fn end_request(&self, has_body: bool) -> bool {
        let mut life = self.life();
        let now = Instant::now();
        (life.phase, life.since) = (Phase::Idle, now);
        let goes_on = !has_body || life.body_read;
        if !goes_on {
            life.ends_at.get_or_insert(now + LINGER);
        }
        goes_on
    }

    /// When nothing more is read from the client, and what it does wrong then; the time changes with what the connection
    /// does.
    pub(crate) fn deadline(&self) -> (Instant, Option<ClientFault>) {
        let life = self.life();
        let log_in = life.logged_in_at + self.limits.without_log_in;
        let (phase, fault) = match life.phase {
            Phase::Idle => (log_in.min(life.since + self.limits.idle), None),
            Phase::Head => (log_in.min(life.since + self.limits.head + HEAD_GRACE), Some(ClientFault::SlowRequest)),
            Phase::Answering => (log_in, Some(ClientFault::NoLogIn)),
        };
        match life.ends_at {
            Some(end) if end < phase => (end, Some(ClientFault::UnreadBody)),
            _ => (phase, fault),
        }
    }

    /// Since when the connection waits for a request; `None` where it does something, or is about to be closed.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let life = self.life();
        let idle = life.phase == Phase::Idle && !life.unread && !life.give_up_place && !life.aborted;
        idle.then_some(life.since)
    }

    /// Asks an idle connection to end; a request that has come meanwhile is answered.
    pub(crate) fn give_up_place(&self) {
        self.life().give_up_place = true;
        self.task.wake();
    }

    pub(crate) fn gives_up_place(&self) -> bool {
        self.life().give_up_place
    }

    pub(crate) fn set_unread(&self, unread: bool) {
        self.life().unread = unread;
    }

    /// Ends the connection, whatever its client has not read.
    pub(crate) fn abort(&self) {
        self.life().aborted = true;
        self.task.wake();
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.life().aborted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::{ClientConnection, ConnectionLimits, HEAD_GRACE, LINGER};
    use crate::tally::ClientFault;

    const S: Duration = Duration::from_secs(1);

    fn connection() -> ClientConnection {
        let limits = ConnectionLimits { idle: S * 75, head: S * 10, without_log_in: S * 115, unread_answer: S * 60 };
        ClientConnection::new(limits, false)
    }

    fn ends_in(connection: &ClientConnection) -> (Duration, Option<ClientFault>) {
        let (at, fault) = connection.deadline();
        (at - Instant::now(), fault)
    }

    #[tokio::test(start_paused = true)]
    async fn each_part_of_a_connection_has_its_time() {
        let connection = connection();
        assert_eq!(ends_in(&connection), (S * 75, None));
        connection.received();
        assert_eq!(ends_in(&connection), (S * 10 + HEAD_GRACE, Some(ClientFault::SlowRequest)));
        advance(S).await;
        // Byte by byte is no new beginning.
        connection.received();
        assert_eq!(ends_in(&connection), (S * 9 + HEAD_GRACE, Some(ClientFault::SlowRequest)));
        connection.begin_request();
        assert_eq!(ends_in(&connection), (S * 114, Some(ClientFault::NoLogIn)));
        connection.logged_in();
        assert_eq!(ends_in(&connection), (S * 115, Some(ClientFault::NoLogIn)));
        assert!(connection.end_request(false));
        assert_eq!(ends_in(&connection), (S * 75, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_reads_ends_the_connection_and_one_that_was_read_does_not() {
        let connection = connection();
        connection.begin_request();
        connection.read_body();
        assert!(connection.end_request(true));
        connection.begin_request();
        assert!(!connection.end_request(true), "the body of the request before is not this one's");
        assert_eq!(ends_in(&connection), (LINGER, Some(ClientFault::UnreadBody)));
        advance(LINGER / 2).await;
        connection.received();
        connection.begin_request();
        assert_eq!(ends_in(&connection).0, LINGER / 2, "nothing that follows puts it off");
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_waits_for_a_request_is_idle() {
        let connection = connection();
        assert!(connection.idle_since().is_some());
        connection.set_unread(true);
        assert_eq!(connection.idle_since(), None, "its answer is not read yet");
        connection.set_unread(false);
        connection.give_up_place();
        assert_eq!(connection.idle_since(), None, "it is asked once");
        connection.received();
        assert!(!connection.gives_up_place(), "a request has come: it is answered");
        assert_eq!(connection.idle_since(), None);
    }
}
