//! Reads: on threads of their own, over a small pool, as many at once as it has connections; and look-ups beside them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use diesel::r2d2::{ConnectionManager, CustomizeConnection, NopErrorHandler, Pool, PooledConnection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{timeout, timeout_at},
};
use vumi_kit::{
    clock::Clock,
    store::{Request, StoreError},
};

use super::{
    Conn, Failed, Read, TEST_ON_CHECK_OUT, configure,
    lookups::{Lookup, Lookups, refused},
    within,
};
use crate::settings::Connected;

/// How long a read waits for its connection, which only a connection that failed makes it do.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// For so long after a read that got no connection others are refused at once, rather than wait each for its own.
const AWAY: Duration = Duration::from_secs(1);

/// Reads that may wait for a connection, for each connection. More are refused, or wait with those who ask.
const WAITING: usize = 128;

#[derive(Debug)]
struct Setup(Duration);

impl CustomizeConnection<Conn, diesel::r2d2::Error> for Setup {
    fn on_acquire(&self, conn: &mut Conn) -> Result<(), diesel::r2d2::Error> {
        configure(conn, Connected::Reader { limit: self.0 }).map_err(diesel::r2d2::Error::QueryError)
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
    lookups: mpsc::Sender<Box<dyn Lookup>>,
    limit: Duration,
    clock: Clock,
}

impl Readers {
    pub(crate) fn open(at: &str, count: u32, limit: Duration, clock: Clock) -> Result<Self, String> {
        let lookups = Lookups::start(at, limit, clock.clone())?;
        let pool = Pool::builder()
            .max_size(count)
            .connection_timeout(CONNECT_LIMIT)
            .test_on_check_out(TEST_ON_CHECK_OUT)
            // Whoever asks is told; the writer says once that the database is away.
            .error_handler(Box::new(NopErrorHandler))
            .connection_customizer(Box::new(Setup(limit)))
            .build(ConnectionManager::new(at))
            .map_err(|error| error.to_string())?;
        let count = usize::try_from(count).unwrap_or(1);
        let (running, waiting) = (Arc::new(Semaphore::new(count)), Arc::new(Semaphore::new(count * WAITING)));
        Ok(Self { pool, running, waiting, away: Arc::default(), lookups, limit, clock })
    }

    /// Sees to a request, and never keeps what comes behind it waiting: where there is no room, who can be refused is.
    pub(crate) fn dispatch<M: Read>(&self, request: Request<M>) {
        if M::LOOKUP {
            match self.lookups.try_reserve() {
                Ok(place) => place.send(Box::new(request)),
                Err(_) if request.patient => {
                    let lookups = self.lookups.clone();
                    actix::spawn(async move {
                        let _the_store_has_stopped = lookups.send(Box::new(request)).await;
                    });
                }
                Err(_) => refuse(request),
            }
            return;
        }
        match Arc::clone(&self.waiting).try_acquire_owned() {
            Ok(permit) => drop(actix::spawn(self.clone().answer(request, permit))),
            Err(_) if request.patient => {
                let readers = self.clone();
                actix::spawn(async move {
                    if let Ok(permit) = Arc::clone(&readers.waiting).acquire_owned().await {
                        readers.answer(request, permit).await;
                    }
                });
            }
            Err(_) => refuse(request),
        }
    }

    /// Answers a request that has its permit, within the limit.
    async fn answer<M: Read>(self, request: Request<M>, permit: OwnedSemaphorePermit) {
        let (started, limit) = (tokio::time::Instant::now(), self.limit);
        let Ok(Ok(running)) = timeout(limit, self.running.acquire_owned()).await else { return refuse(request) };
        let Request { operation: ask, reply, .. } = request;
        // Whoever asked may have gone while it waited; then there is nobody to read for.
        if reply.is_closed() {
            return;
        }
        let (pool, away, clock) = (self.pool, self.away, self.clock);
        let reading = tokio::task::spawn_blocking(move || {
            let _until_done = (running, permit);
            match connection(&pool, &away) {
                Ok(mut conn) => read(&mut conn, &clock, limit, ask),
                Err(why) => Err(StoreError::Unavailable(why.into())),
            }
        });
        let answer = match timeout_at(started + limit + SOON, reading).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                tracing::error!("a read panicked; who asked for it is told that the store has stopped");
                return;
            }
            Err(_) => Err(StoreError::TooSlow),
        };
        let _nobody_waits = reply.send(answer);
    }
}

fn read<M: Read>(conn: &mut Conn, clock: &Clock, limit: Duration, ask: M) -> Result<M::Answer, StoreError> {
    let started = Instant::now();
    within(limit, || ask.read(conn, clock.now())).map_err(|failed| match failed {
        // Why it failed is in words only; that its time was over is known.
        Failed::Database(_) if started.elapsed() >= limit => StoreError::TooSlow,
        failed => refused(failed),
    })
}

/// What a database that ends a query by itself at the limit is given to say so.
const SOON: Duration = Duration::from_millis(500);

fn refuse<M: Read>(request: Request<M>) {
    let _nobody_waits = request.reply.send(Err(StoreError::Busy));
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

#[cfg(test)]
impl Read for crate::readers::HoldReader {
    fn read(self, _: &mut Conn, _: vumi_kit::clock::Timestamp) -> Result<(), super::Failed> {
        let _or_dropped = self.0.lock().unwrap().recv();
        Ok(())
    }
}
