//! Look-ups: queries of one row by its key, one after the other on a thread and connection of their own. A log-in and a session
//! wait for no list, and for no batch that the writer is at.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::Connection;
use tokio::sync::mpsc;
use vumi_kit::{
    clock::Clock,
    store::{Request, StoreError},
};

use super::{Conn, Failed, Read, configure, is_lost};
use crate::settings::Connected;

/// Look-ups that may wait for the thread.
pub(super) const WAITING: usize = 4096;

/// A database that did not let us in is not tried again before this.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);

/// A look-up of any kind.
pub(super) trait Lookup: Send {
    fn answer(self: Box<Self>, lookups: &mut Lookups);
}

impl<M: Read> Lookup for Request<M> {
    fn answer(self: Box<Self>, lookups: &mut Lookups) {
        let Self { operation, reply, .. } = *self;
        // Whoever asked may have gone while it waited.
        if !reply.is_closed() {
            let _nobody_waits = reply.send(lookups.read(operation));
        }
    }
}

pub(super) struct Lookups {
    at: String,
    limit: Duration,
    clock: Clock,
    conn: Result<Conn, Away>,
}

/// When the database last did not let us in, and why.
#[derive(Clone)]
struct Away {
    since: Instant,
    why: Arc<str>,
}

impl Lookups {
    /// Connects, and answers what comes until nobody can ask any more.
    pub(super) fn start(at: &str, limit: Duration, clock: Clock) -> Result<mpsc::Sender<Box<dyn Lookup>>, String> {
        let (asked, mut asks) = mpsc::channel::<Box<dyn Lookup>>(WAITING);
        let conn = connect(at, limit).map_err(|away| away.why.to_string())?;
        let mut lookups = Self { at: at.to_owned(), limit, clock, conn: Ok(conn) };
        std::thread::Builder::new()
            .name("store-lookups".to_owned())
            .spawn(move || {
                while let Some(ask) = asks.blocking_recv() {
                    ask.answer(&mut lookups);
                }
            })
            .map_err(|error| format!("no thread for look-ups: {error}"))?;
        Ok(asked)
    }

    /// Reads; over a new connection if the one it had was lost.
    fn read<M: Read>(&mut self, ask: M) -> Result<M::Answer, StoreError> {
        let now = self.clock.now();
        if let Ok(conn) = &mut self.conn {
            match ask.clone().read(conn, now) {
                Err(Failed::Database(_)) if is_lost(conn) => {}
                done => return done.map_err(refused),
            }
        }
        ask.read(self.reconnected()?, now).map_err(refused)
    }

    fn reconnected(&mut self) -> Result<&mut Conn, StoreError> {
        match &self.conn {
            Err(away) if away.since.elapsed() < RECONNECT_AFTER => {}
            _ => self.conn = connect(&self.at, self.limit),
        }
        self.conn.as_mut().map_err(|away| StoreError::Unavailable(Arc::clone(&away.why)))
    }
}

fn connect(at: &str, limit: Duration) -> Result<Conn, Away> {
    let away = |error: String| Away { since: Instant::now(), why: error.into() };
    let mut conn = Conn::establish(at).map_err(|error| away(error.to_string()))?;
    configure(&mut conn, Connected::Reader { limit }).map_err(|error| away(error.to_string()))?;
    Ok(conn)
}

/// What a query is answered with that the database refused.
pub(super) fn refused(failed: Failed) -> StoreError {
    // A query has no part in what the database refuses.
    match failed {
        Failed::Database(error) => StoreError::Unavailable(error.to_string().into()),
        Failed::Exists(what) => StoreError::Exists(what),
    }
}
