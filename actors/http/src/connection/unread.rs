//! The bytes of answers that wait for their clients to read them: bounded for each address and in all.
//!
//! Beyond a bound the connection is aborted that waits longest, of the address with the most bytes. One answer may wait
//! whatever its size: the largest is bounded by `max_batch`.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::Instant;

use super::life::ClientConnection;
use crate::tally::{ClientFault, Tally};

/// What waits on one connection.
#[derive(Debug)]
struct WaitingAnswer {
    connection: Arc<ClientConnection>,
    /// `None` for a trusted proxy, which has many clients.
    address: Option<IpAddr>,
    bytes: usize,
    since: Instant,
}

#[derive(Debug, Default)]
struct Table {
    next_key: u64,
    waiting: HashMap<u64, WaitingAnswer>,
}

/// All answers that wait.
#[derive(Debug)]
pub(crate) struct UnreadAnswers {
    per_address: usize,
    in_all: usize,
    table: Mutex<Table>,
    tally: Arc<Tally>,
}

/// An answer that waits, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnreadAnswer {
    of: Arc<UnreadAnswers>,
    key: u64,
}

impl Drop for UnreadAnswer {
    fn drop(&mut self) {
        let mut table = self.of.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = table.waiting.remove(&self.key) {
            waiting.connection.set_unread(false);
        }
    }
}

impl UnreadAnswers {
    pub(crate) fn new(per_address: usize, in_all: usize, tally: Arc<Tally>) -> Arc<Self> {
        Arc::new(Self { per_address, in_all, table: Mutex::default(), tally })
    }

    /// An answer begins to wait.
    pub(crate) fn begin(
        self: &Arc<Self>,
        connection: &Arc<ClientConnection>,
        address: Option<IpAddr>,
        bytes: usize,
    ) -> UnreadAnswer {
        connection.set_unread(true);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.next_key += 1;
        let key = table.next_key;
        let waiting = WaitingAnswer { connection: Arc::clone(connection), address, bytes, since: Instant::now() };
        table.waiting.insert(key, waiting);
        self.keep_bounds(&mut table, address);
        UnreadAnswer { of: Arc::clone(self), key }
    }

    fn keep_bounds(&self, table: &mut Table, address: Option<IpAddr>) {
        while let Some(address) = address
            && self.exceeds(table, self.per_address, |waiting| waiting.address == Some(address))
        {
            self.abort_longest(table, Some(address));
        }
        while self.exceeds(table, self.in_all, |_| true) {
            let most = address_with_most(table);
            self.abort_longest(table, most);
        }
    }

    fn exceeds(&self, table: &Table, bound: usize, counts: impl Fn(&WaitingAnswer) -> bool) -> bool {
        let mut answers = 0;
        let mut bytes = 0;
        for waiting in table.waiting.values().filter(|waiting| counts(waiting)) {
            answers += 1;
            bytes += waiting.bytes;
        }
        answers > 1 && bytes > bound
    }

    fn abort_longest(&self, table: &mut Table, address: Option<IpAddr>) {
        let of_address = table.waiting.iter().filter(|(_, waiting)| waiting.address == address);
        let longest = of_address.min_by_key(|(_, waiting)| waiting.since).map(|(key, _)| *key);
        if let Some(waiting) = longest.and_then(|key| table.waiting.remove(&key)) {
            waiting.connection.abort();
            self.tally.count(ClientFault::TooMuchUnread);
        }
    }
}

impl UnreadAnswer {
    /// The client has read a part: so many bytes are left.
    pub(crate) fn left(&self, bytes: usize) {
        let mut table = self.of.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = table.waiting.get_mut(&self.key) {
            waiting.bytes = bytes;
        }
    }
}

fn address_with_most(table: &Table) -> Option<IpAddr> {
    let mut by_address: HashMap<Option<IpAddr>, usize> = HashMap::new();
    for waiting in table.waiting.values() {
        *by_address.entry(waiting.address).or_default() += waiting.bytes;
    }
    by_address.into_iter().max_by_key(|(_, bytes)| *bytes).and_then(|(address, _)| address)
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc, time::Duration};

    use tokio::time::advance;

    use super::{UnreadAnswer, UnreadAnswers};
    use crate::connection::life::{ClientConnection, ConnectionLimits};

    fn at(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    async fn wait(
        answers: &Arc<UnreadAnswers>,
        address: Option<IpAddr>,
        bytes: usize,
    ) -> (Arc<ClientConnection>, UnreadAnswer) {
        let s = Duration::from_secs(1);
        let limits = ConnectionLimits { idle: s, head: s, without_log_in: s, unread_answer: s };
        let connection = Arc::new(ClientConnection::new(limits, false));
        let unread = answers.begin(&connection, address, bytes);
        advance(s).await;
        (connection, unread)
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_reads_nothing_loses_the_answer_that_waits_longest() {
        let answers = UnreadAnswers::new(100, 1_000, Arc::default());
        let first = wait(&answers, at(1), 60).await;
        let other = wait(&answers, at(2), 60).await;
        let second = wait(&answers, at(1), 60).await;
        assert!(first.0.is_aborted() && !second.0.is_aborted() && !other.0.is_aborted());
        second.1.left(10);
        let third = wait(&answers, at(1), 60).await;
        assert!(!second.0.is_aborted() && !third.0.is_aborted());
    }

    #[tokio::test(start_paused = true)]
    async fn one_answer_may_wait_whatever_its_size() {
        let answers = UnreadAnswers::new(100, 1_000, Arc::default());
        let large = wait(&answers, at(1), 5_000).await;
        assert!(!large.0.is_aborted());
        drop(large.1);
        let next = wait(&answers, at(1), 5_000).await;
        assert!(!next.0.is_aborted(), "what was read is counted no more");
    }

    #[tokio::test(start_paused = true)]
    async fn in_all_the_address_with_the_most_bytes_gives_way() {
        let answers = UnreadAnswers::new(1_000, 1_000, Arc::default());
        let honest = wait(&answers, at(1), 300).await;
        let greedy = [wait(&answers, at(2), 400).await, wait(&answers, at(2), 250).await];
        let new = wait(&answers, at(3), 100).await;
        assert!(greedy[0].0.is_aborted() && !greedy[1].0.is_aborted());
        assert!(!honest.0.is_aborted() && !new.0.is_aborted());
    }
}
