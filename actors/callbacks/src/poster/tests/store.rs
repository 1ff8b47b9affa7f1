//! A store in memory that answers the two questions of the callbacks.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor, Addr, Context, Handler};
use tokio::sync::mpsc;
use vumi_kit::{
    callback::{
        CallbackId, Callbacks, ChangeCallback, ClaimDeliveries, CreateCallback, DeleteCallback, Delivery,
        DeliveryAttempt, DeliveryThen, FindCallback, ListCallbacks, ListParked, RecordDeliveryAttempts, ReplayParked,
    },
    clock::{Clock, Timestamp},
    store::{Request, StoreError},
};

use super::listener::DEADLINE;

#[derive(Default)]
struct Rows {
    waiting: Vec<(Delivery, Timestamp)>,
    /// Under a lease: delivery, callback, until.
    held: Vec<(Delivery, Timestamp)>,
    claimed: usize,
    /// What the last claim said.
    prompt: Arc<HashSet<CallbackId>>,
    lease: Option<Duration>,
    refusals: u32,
}

/// The test's side of the store.
pub(super) struct Kept {
    pub(super) clock: Clock,
    rows: Arc<Mutex<Rows>>,
    address: Addr<Memory>,
    recorded: mpsc::UnboundedReceiver<DeliveryAttempt>,
    refused: mpsc::UnboundedReceiver<()>,
    claims: mpsc::UnboundedReceiver<()>,
}

struct Memory {
    clock: Clock,
    rows: Arc<Mutex<Rows>>,
    recorded: mpsc::UnboundedSender<DeliveryAttempt>,
    refused: mpsc::UnboundedSender<()>,
    claims: mpsc::UnboundedSender<()>,
}

impl Kept {
    pub(super) fn new(clock: Clock) -> Self {
        let rows = Arc::new(Mutex::new(Rows::default()));
        let (recorded_in, recorded) = mpsc::unbounded_channel();
        let (refused_in, refused) = mpsc::unbounded_channel();
        let (claims_in, claims) = mpsc::unbounded_channel();
        let memory = Memory {
            clock: clock.clone(),
            rows: Arc::clone(&rows),
            recorded: recorded_in,
            refused: refused_in,
            claims: claims_in,
        };
        Self { clock, rows, address: memory.start(), recorded, refused, claims }
    }

    pub(super) fn address(&self) -> Callbacks {
        Callbacks::of(&self.address)
    }

    pub(super) fn add(&self, delivery: Delivery) {
        let due = delivery.created_at;
        self.rows.lock().unwrap().waiting.push((delivery, due));
    }

    /// The next attempt that was recorded.
    pub(super) async fn recorded(&mut self) -> DeliveryAttempt {
        tokio::time::timeout(DEADLINE, self.recorded.recv()).await.expect("an attempt in time").unwrap()
    }

    /// Waits until a record was refused.
    pub(super) async fn refused(&mut self) {
        tokio::time::timeout(DEADLINE, self.refused.recv()).await.expect("a refusal in time").unwrap();
    }

    /// Waits for claims that are asked from now on.
    pub(super) async fn next_claims(&mut self, count: usize) {
        while self.claims.try_recv().is_ok() {}
        for _ in 0..count {
            tokio::time::timeout(DEADLINE, self.claims.recv()).await.expect("a claim in time").unwrap();
        }
    }

    pub(super) fn refuse_records(&self, times: u32) {
        self.rows.lock().unwrap().refusals = times;
    }

    pub(super) fn cut_leases(&self, to: Duration) {
        self.rows.lock().unwrap().lease = Some(to);
    }

    /// How many were claimed so far.
    pub(super) fn claimed(&self) -> usize {
        self.rows.lock().unwrap().claimed
    }

    /// Whether the last claim held a callback for one that answers promptly.
    pub(super) fn is_prompt(&self, callback: CallbackId) -> bool {
        self.rows.lock().unwrap().prompt.contains(&callback)
    }

    /// How many are neither done, nor parked, nor under a lease.
    pub(super) fn waiting(&self) -> usize {
        self.rows.lock().unwrap().waiting.len()
    }
}

impl Actor for Memory {
    type Context = Context<Self>;
}

impl Handler<Request<ClaimDeliveries>> for Memory {
    type Result = ();

    fn handle(&mut self, Request { operation: ask, reply }: Request<ClaimDeliveries>, _: &mut Context<Self>) {
        let now = self.clock.now();
        let rows = &mut *self.rows.lock().unwrap();
        rows.prompt = ask.prompt;
        let (over, held) = std::mem::take(&mut rows.held).into_iter().partition(|(_, until)| *until <= now);
        rows.held = held;
        rows.waiting.extend::<Vec<_>>(over);
        let until = now.plus(rows.lease.unwrap_or(Duration::from_secs(ask.lease_s)));
        let mut of_callback = HashMap::new();
        for (delivery, _) in &rows.held {
            *of_callback.entry(delivery.callback).or_insert(0) += 1;
        }
        let mut claimed = Vec::new();
        rows.waiting.retain(|(delivery, due)| {
            let count = of_callback.entry(delivery.callback).or_insert(0);
            if *due > now || *count >= ask.most_per_callback || claimed.len() >= ask.limit {
                return true;
            }
            *count += 1;
            claimed.push(Delivery { lease_until: until, ..delivery.clone() });
            false
        });
        rows.held.extend(claimed.iter().map(|delivery| (delivery.clone(), until)));
        rows.claimed += claimed.len();
        let _ended = reply.send(Ok(claimed));
        let _ended = self.claims.send(());
    }
}

impl Handler<Request<RecordDeliveryAttempts>> for Memory {
    type Result = ();

    fn handle(&mut self, Request { operation: ask, reply }: Request<RecordDeliveryAttempts>, _: &mut Context<Self>) {
        let rows = &mut *self.rows.lock().unwrap();
        if rows.refusals > 0 {
            rows.refusals -= 1;
            let _ended = reply.send(Err(StoreError::Busy));
            let _ended = self.refused.send(());
            return;
        }
        for attempt in ask.attempts {
            let at = rows.held.iter().position(|(delivery, _)| delivery.id == attempt.delivery).unwrap();
            let (mut delivery, _) = rows.held.remove(at);
            delivery.attempts += 1;
            if let DeliveryThen::Again(due) = attempt.then {
                rows.waiting.push((delivery, due));
            }
            let _ended = self.recorded.send(attempt);
        }
        let _ended = reply.send(Ok(()));
    }
}

macro_rules! never_asked {
    ($($Operation:ty),+) => {
        $(impl Handler<Request<$Operation>> for Memory {
            type Result = ();

            fn handle(&mut self, _: Request<$Operation>, _: &mut Context<Self>) {}
        })+
    };
}
never_asked!(CreateCallback, ListCallbacks, FindCallback, ChangeCallback, DeleteCallback, ListParked, ReplayParked);
