//! Reads: on threads of their own, over a small pool, as many at once as it has connections.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use diesel::r2d2::{ConnectionManager, CustomizeConnection, NopErrorHandler, Pool, PooledConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vumi_kit::{
    clock::Clock,
    store::{Request, StoreError},
};

use super::{Conn, Failed, Read, TEST_ON_CHECK_OUT, configure};
use crate::settings::Connected;

/// How long a read waits for its connection, which only a connection that failed makes it do.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// For so long after a read that got no connection others are refused at once, rather than wait each for its own.
const AWAY: Duration = Duration::from_secs(1);

/// Reads that may wait for a connection, for each connection. More wait in the mailboxes.
const WAITING: usize = 128;

#[derive(Debug)]
struct Setup;

impl CustomizeConnection<Conn, diesel::r2d2::Error> for Setup {
    fn on_acquire(&self, conn: &mut Conn) -> Result<(), diesel::r2d2::Error> {
        configure(conn, Connected::Reader).map_err(diesel::r2d2::Error::QueryError)
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Readers {
    pool: Pool<Manager>,
    /// Permits to read.
    running: Arc<Semaphore>,
    /// Permits to wait for one.
    waiting: Arc<Semaphore>,
    /// When a read last got no connection, and why.
    away: Arc<Mutex<Option<(Instant, String)>>>,
    clock: Clock,
}

impl Readers {
    pub(crate) fn open(at: &str, count: u32, clock: Clock) -> Result<Self, String> {
        let pool = Pool::builder()
            .max_size(count)
            .connection_timeout(CONNECT_LIMIT)
            .test_on_check_out(TEST_ON_CHECK_OUT)
            // Whoever asks is told; the writer says once that the database is away.
            .error_handler(Box::new(NopErrorHandler))
            .connection_customizer(Box::new(Setup))
            .build(ConnectionManager::new(at))
            .map_err(|error| error.to_string())?;
        let count = usize::try_from(count).unwrap_or(1);
        let (running, waiting) = (Arc::new(Semaphore::new(count)), Arc::new(Semaphore::new(count * WAITING)));
        Ok(Self { pool, running, waiting, away: Arc::default(), clock })
    }

    /// A permit for one more read, if one is free now.
    pub(crate) fn try_admit(&self) -> Option<OwnedSemaphorePermit> {
        self.waiting.clone().try_acquire_owned().ok()
    }

    /// A permit for one more read, as soon as one is free.
    pub(crate) async fn admit(self) -> Option<OwnedSemaphorePermit> {
        self.waiting.acquire_owned().await.ok()
    }

    /// Answers a request that has its permit.
    pub(crate) async fn answer<M: Read>(self, request: Request<M>, permit: OwnedSemaphorePermit) {
        let Ok(running) = self.running.acquire_owned().await else { return };
        let (pool, away, clock) = (self.pool, self.away, self.clock);
        let reading = tokio::task::spawn_blocking(move || {
            let _until_done = (running, permit);
            let Request { operation: ask, reply } = request;
            // Whoever asked may have gone while it waited; then there is nobody to read for.
            if !reply.is_closed() {
                let answer = match connection(&pool, &away) {
                    Ok(mut conn) => read(&mut conn, &clock, ask),
                    Err(why) => Err(StoreError::Unavailable(why.into())),
                };
                let _nobody_waits = reply.send(answer);
            }
        });
        if reading.await.is_err() {
            tracing::error!("a read panicked; who asked for it is told that the store has stopped");
        }
    }
}

type Manager = ConnectionManager<Conn>;

fn connection(
    pool: &Pool<Manager>,
    away: &Mutex<Option<(Instant, String)>>,
) -> Result<PooledConnection<Manager>, String> {
    let held = || away.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((since, why)) = &*held()
        && since.elapsed() < AWAY
    {
        return Err(why.clone());
    }
    pool.get().map_err(|error| {
        let why = error.to_string();
        *held() = Some((Instant::now(), why.clone()));
        why
    })
}

fn read<M: Read>(conn: &mut Conn, clock: &Clock, ask: M) -> Result<M::Answer, StoreError> {
    // A question that only reads has no part in what the database refuses.
    ask.read(conn, clock.now()).map_err(|failed| match failed {
        Failed::Database(error) => StoreError::Unavailable(error.to_string().into()),
        Failed::Exists(what) => StoreError::Exists(what),
    })
}
