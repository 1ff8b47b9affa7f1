//! What clients do wrong, counted: any client can repeat it without end, so it is a line of the log for each cause and
//! interval, and not for each case.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use actix_web::http::StatusCode;
use tokio::time::{Duration, Instant};

/// The least time between two lines of one cause.
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);

/// Why a connection was closed, or a request refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientFault {
    /// The request is not HTTP, or has an illegal header.
    NotHttp,
    /// TLS is spoken there, and the client did not, or not in time.
    NoTls,
    /// A request's head did not come in time.
    SlowRequest,
    /// A body went on though its request was answered.
    UnreadBody,
    /// Nobody logged in on the connection.
    NoLogIn,
    /// The client does not read its answer.
    SlowReader,
    /// Too many bytes wait for clients to read them.
    TooMuchUnread,
    /// The place of an idle connection is needed.
    IdleClosed,
    /// One address holds too many connections.
    TooManyConnections,
}

impl ClientFault {
    const ALL: [(Self, &'static str); 9] = [
        (Self::NotHttp, "requests that are not HTTP"),
        (Self::NoTls, "connections without a TLS handshake in time"),
        (Self::SlowRequest, "requests that did not come in time"),
        (Self::UnreadBody, "bodies that went on after the answer"),
        (Self::NoLogIn, "connections on which nobody logged in"),
        (Self::SlowReader, "answers that were not read in time"),
        (Self::TooMuchUnread, "answers that were not read while others needed the memory"),
        (Self::IdleClosed, "idle connections whose place was needed"),
        (Self::TooManyConnections, "connections beyond `connections_per_address`"),
    ];
}

/// The statuses of refusals that are counted; others are counted as 400.
const REFUSALS: [StatusCode; 12] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::CONFLICT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// A count that is logged at the first case, and then once an interval.
#[derive(Debug, Default)]
struct Count {
    not_logged: AtomicU64,
    last_line: Mutex<Option<Instant>>,
}

impl Count {
    /// Counts a case; the number to be logged, if it is time.
    fn add(&self, now: Instant) -> Option<u64> {
        self.not_logged.fetch_add(1, Ordering::Relaxed);
        self.due(now)
    }

    /// The cases since the last line, if there are any and it is time for the next line.
    fn due(&self, now: Instant) -> Option<u64> {
        if self.not_logged.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut last_line = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last_line.is_some_and(|at| now.duration_since(at) < INTERVAL) {
            return None;
        }
        *last_line = Some(now);
        Some(self.not_logged.swap(0, Ordering::Relaxed)).filter(|count| *count > 0)
    }
}

/// The counts of a server.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    faults: [Count; ClientFault::ALL.len()],
    refusals: [Count; REFUSALS.len()],
}

impl Tally {
    /// Counts a fault of a client.
    pub(crate) fn count(&self, fault: ClientFault) {
        for ((known, what), count) in ClientFault::ALL.iter().zip(&self.faults) {
            if *known == fault {
                log_fault(what, count.add(Instant::now()));
            }
        }
    }

    /// Counts a request that was answered with an error.
    pub(crate) fn count_refusal(&self, status: StatusCode) {
        let place = REFUSALS.iter().position(|known| *known == status).unwrap_or_default();
        if let Some(count) = self.refusals.get(place) {
            log_refusal(status, count.add(Instant::now()));
        }
    }

    /// Logs what was counted since the last lines; to be called once an interval.
    pub(crate) fn flush(&self) {
        let now = Instant::now();
        for ((_, what), count) in ClientFault::ALL.iter().zip(&self.faults) {
            log_fault(what, count.due(now));
        }
        for (status, count) in REFUSALS.iter().zip(&self.refusals) {
            log_refusal(*status, count.due(now));
        }
    }
}

fn log_fault(what: &str, count: Option<u64>) {
    if let Some(count) = count {
        tracing::info!(count, "closed: {what}");
    }
}

fn log_refusal(status: StatusCode, count: Option<u64>) {
    if let Some(count) = count {
        tracing::info!(count, status = status.as_u16(), "refused HTTP calls");
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{ClientFault, Count, INTERVAL};

    #[test]
    fn the_first_case_is_a_line_and_the_others_of_an_interval_are_one_more() {
        let (count, start) = (Count::default(), Instant::now());
        assert_eq!(count.add(start), Some(1));
        for _ in 0..1000 {
            assert_eq!(count.add(start + INTERVAL / 2), None);
        }
        assert_eq!(count.due(start + INTERVAL), Some(1000));
        assert_eq!(count.due(start + INTERVAL * 2), None, "nothing has happened since");
    }

    #[test]
    fn every_fault_has_a_line() {
        for fault in [
            ClientFault::NotHttp,
            ClientFault::SlowRequest,
            ClientFault::UnreadBody,
            ClientFault::NoLogIn,
            ClientFault::SlowReader,
            ClientFault::TooMuchUnread,
            ClientFault::IdleClosed,
            ClientFault::TooManyConnections,
        ] {
            assert!(ClientFault::ALL.iter().any(|(known, _)| *known == fault), "{fault:?}");
        }
    }
}
