//! The connections that a worker holds: when its places get short, the ones that have been idle longest are closed.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::life::ClientConnection;
use crate::tally::{ClientFault, Tally};

/// So many of a worker's places are kept free by closing idle connections: one in 16.
const FREE: usize = 16;
/// So many are closed at once, one in 64: finding the idle ones looks at all.
const AT_ONCE: usize = 64;

/// The connections of a worker.
#[derive(Debug)]
pub(crate) struct OpenConnections {
    max: usize,
    next_key: AtomicU64,
    by_key: Mutex<HashMap<u64, Arc<ClientConnection>>>,
    tally: Arc<Tally>,
}

/// A connection's place; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    of: Arc<OpenConnections>,
    key: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.lock().remove(&self.key);
    }
}

impl OpenConnections {
    pub(crate) fn new(max: usize, tally: Arc<Tally>) -> Arc<Self> {
        Arc::new(Self { max, next_key: AtomicU64::default(), by_key: Mutex::default(), tally })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<ClientConnection>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a new connection, and makes some where they are short.
    pub(crate) fn open(self: &Arc<Self>, connection: &Arc<ClientConnection>) -> Place {
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let mut open = self.lock();
        if open.len() + 1 > self.max - (self.max / FREE).max(1).min(self.max) {
            self.close_idle(&open);
        }
        open.insert(key, Arc::clone(connection));
        Place { of: Arc::clone(self), key }
    }

    fn close_idle(&self, open: &HashMap<u64, Arc<ClientConnection>>) {
        let mut idle: Vec<_> = open.values().filter_map(|one| Some((one.idle_since()?, one))).collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        for (_, connection) in idle.into_iter().take((self.max / AT_ONCE).max(1)) {
            connection.give_up_place();
            self.tally.count(ClientFault::IdleClosed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::time::advance;

    use super::OpenConnections;
    use crate::connection::life::{ClientConnection, ConnectionLimits};

    #[tokio::test(start_paused = true)]
    async fn the_one_that_is_idle_longest_makes_place_and_one_at_work_does_not() {
        let s = Duration::from_secs(1);
        let limits = ConnectionLimits { idle: s, head: s, without_log_in: s, unread_answer: s };
        let open = OpenConnections::new(4, Arc::default());
        let mut places = Vec::new();
        let mut all = Vec::new();
        for n in 0..5 {
            let connection = Arc::new(ClientConnection::new(limits, false));
            places.push(open.open(&connection));
            if n == 0 {
                connection.begin_request();
            }
            all.push(connection);
            advance(s).await;
        }
        let closed: Vec<bool> = all.iter().map(|one| one.gives_up_place()).collect();
        // With the fourth, a place in four is not free any more.
        assert_eq!(closed, [false, true, true, false, false]);
        drop(places);
        assert_eq!(open.lock().len(), 0);
    }
}
