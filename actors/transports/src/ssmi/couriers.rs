//! The futures that carry what the transport knows to the router, the store and the ledger.

use std::{rc::Rc, time::Duration};

use actix::dev::SendError;
use tokio::time::{sleep, timeout};
use vumi_kit::{
    account::{AccountId, FindAccount},
    address::Msisdn,
    backoff::Backoff,
    component::{CALL_LIMIT, ComponentContext},
    ledger::{KeepReceived, RecordReceipts},
    router::{Happened, Inbound, Refused},
    session::{After, CloseSession, OpenSessions, SaveSession},
    store::{Ask, StoreError},
};

use super::{
    core::{Core, Keep, LinkState, Shared, ToRouter},
    outbound::Undelivered,
};

/// Sessions that are written to the store at once; it commits them together.
const WRITES_AT_ONCE: usize = 256;
/// How often a write of a session is tried before it is left undone.
const WRITE_TRIES: u32 = 4;
/// SMS or receipts in one message to the ledger.
const BATCH: usize = 500;
/// The waits while the store is away.
const STORE_RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// Reads the open sessions back, however long the store takes. Answers false once the store has stopped.
pub(super) async fn restore_sessions(shared: &Shared, context: &ComponentContext) -> bool {
    let mut failures = 0;
    loop {
        match context.store.sessions.ask_waiting(OpenSessions { owner: context.name.clone() }).await {
            Ok(records) => {
                let mut core = shared.borrow_mut();
                let restored =
                    records.into_iter().filter_map(|record| core.table.restore(record).then_some(())).count();
                tracing::info!(transport = %context.name, sessions = restored, "open sessions read from the store");
                let since = core.clock.now();
                core.link = LinkState::Down { since, why: "connecting".to_owned() };
                return true;
            }
            Err(StoreError::Stopped) => return false,
            Err(error) => {
                failures += 1;
                shared.borrow_mut().complaints.add("the open sessions could not be read", error);
                sleep(STORE_RETRY.wait(failures)).await;
            }
        }
    }
}

/// Hands people's messages to the router, and waits with each until it is taken.
pub(super) async fn carry_to_router(shared: Shared, context: ComponentContext) {
    let (lanes, window, signals) = {
        let core = shared.borrow();
        (core.to_router.clone(), core.settings.window, core.signals.clone())
    };
    let work = |person: Msisdn, job: ToRouter| {
        let (shared, router) = (shared.clone(), context.router.inbound.clone());
        async move {
            let undelivered = Undelivered::of(&job);
            let (why, later) = match timeout(CALL_LIMIT, router.send(Inbound(job.message))).await {
                Ok(Ok(Ok(()))) => return,
                Ok(Ok(Err(refused))) => (refused.to_string(), matches!(refused, Refused::Busy(_) | Refused::Away(_))),
                Ok(Err(_)) => ("the router is gone".to_owned(), true),
                Err(_) => (format!("the router did not take it within {CALL_LIMIT:?}"), true),
            };
            shared.borrow_mut().not_routed(&person, &undelivered, why, later);
        }
    };
    lanes.run(window, work, || signals.progress()).await;
}

/// Has the store follow the sessions.
pub(super) async fn carry_to_store(shared: Shared, context: ComponentContext) {
    let (lanes, signals) = {
        let core = shared.borrow();
        (core.to_store.clone(), core.signals.clone())
    };
    let work = |person, keep| keep_session(shared.clone(), context.clone(), person, keep);
    lanes.run(WRITES_AT_ONCE, work, || signals.progress()).await;
}

async fn keep_session(shared: Shared, context: ComponentContext, person: Msisdn, keep: Keep) {
    let sessions = &context.store.sessions;
    for failures in 1..=WRITE_TRIES {
        // One process has the connection, and with it these sessions: nobody else writes them.
        let kept = match &keep {
            Keep::Save(record) => {
                let (session, after) = ((**record).clone(), After::Anything);
                sessions.ask_waiting(SaveSession { session, after, answers: Vec::new() }).await
            }
            Keep::Close => {
                let (owner, person) = (context.name.clone(), person.as_str().to_owned());
                sessions.ask_waiting(CloseSession { owner, person, after: None, answers: Vec::new() }).await
            }
        };
        let Err(error) = kept else { return };
        shared.borrow_mut().complaints.add("writes of sessions that failed", &error);
        if matches!(error, StoreError::Stopped) {
            return;
        }
        if failures < WRITE_TRIES {
            sleep(STORE_RETRY.wait(failures)).await;
        }
    }
}

/// Tells the router what became of replies, in order.
pub(super) async fn carry_events(shared: Shared, context: ComponentContext) {
    let signals = shared.borrow().signals.clone();
    let next = || shared.borrow_mut().happened.pop_front();
    loop {
        let Some(happened) = next() else {
            signals.finished.notify_one();
            signals.happened.notified().await;
            continue;
        };
        if let Err(SendError::Full(happened)) = context.router.happened.try_send(happened) {
            wait_to_tell(&shared, &context, happened).await;
        }
    }
}

async fn wait_to_tell(shared: &Shared, context: &ComponentContext, happened: Happened) {
    if context.router.happened.send(happened).await.is_err() {
        shared.borrow_mut().complaints.add("acks and nacks lost", "the router is gone");
    }
}

/// Hands SMS from people and delivery reports to the ledger, in batches. The account is looked up for each: it may be
/// made, or removed, while the router runs.
pub(super) async fn carry_to_ledger(shared: Shared, context: ComponentContext, username: String) {
    let signals = shared.borrow().signals.clone();
    let mut failures = 0;
    loop {
        match context.store.accounts.ask_waiting(FindAccount { username: username.clone() }).await {
            Ok(Some(account)) => {
                failures = 0;
                shared.borrow_mut().sms.no_account_since = None;
                hand_to_ledger(&shared, &context, account.id).await;
                signals.progress();
                if shared.borrow().sms.for_ledger() == 0 {
                    signals.ledger.notified().await;
                }
                continue;
            }
            Ok(None) => no_account(&mut shared.borrow_mut(), &username),
            Err(StoreError::Stopped) => return,
            Err(error) => shared.borrow_mut().complaints.add("the account could not be looked up", error),
        }
        failures += 1;
        signals.progress();
        sleep(STORE_RETRY.wait(failures)).await;
    }
}

fn no_account(core: &mut Core, username: &str) {
    if core.sms.no_account_since.is_none() {
        tracing::warn!(transport = %core.name, account = %username,
            "no such account: SMS from people wait for it; make it with `vumi account add`");
    }
    let now = core.clock.now();
    core.sms.no_account_since.get_or_insert(now);
}

/// Hands over one batch of each sort; what the store does not take stays first in its queue.
async fn hand_to_ledger(shared: &Shared, context: &ComponentContext, account: AccountId) {
    let (inbound, receipts) = {
        let core = shared.borrow();
        let inbound: Vec<_> = core.sms.received.iter().take(BATCH).cloned().collect();
        let receipts: Vec<_> = core.sms.receipts.iter().take(BATCH).cloned().collect();
        (inbound, receipts)
    };
    let ledger = &context.store.ledger;
    let (messages, reports) = (inbound.len(), receipts.len());
    let transport = context.name.clone();
    let mut failed = None;
    if messages > 0 {
        match ledger.ask_waiting(KeepReceived { account, transport: transport.clone(), inbound }).await {
            Ok(_) => drop(shared.borrow_mut().sms.received.drain(..messages)),
            Err(error) => failed = Some(error),
        }
    }
    if reports > 0 {
        match ledger.ask_waiting(RecordReceipts { account, transport, receipts }).await {
            Ok(_) => drop(shared.borrow_mut().sms.receipts.drain(..reports)),
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        shared.borrow_mut().complaints.add("the ledger did not take SMS or receipts yet", error);
        sleep(STORE_RETRY.most).await;
    }
}

/// Ends what has lived its life.
pub(super) async fn sweep(shared: Shared) {
    let every = {
        let lifetime: Duration = shared.borrow().settings.lifetime;
        (lifetime / 20).clamp(Duration::from_millis(10), Duration::from_secs(1))
    };
    loop {
        sleep(every).await;
        let mut core = shared.borrow_mut();
        core.sweep();
        core.sms.sweep();
    }
}

/// Waits until what is under way is done: people have their answers, they are on the wire, router and store know.
pub(super) async fn settle(shared: &Shared, limit: Duration) {
    let signals = Rc::clone(&shared.borrow().signals);
    let settled = async {
        while !settled(&shared.borrow()) {
            signals.finished.notified().await;
        }
    };
    if timeout(limit, settled).await.is_err() {
        tracing::warn!(?limit, "not everything under way was finished in time");
    }
}

fn settled(core: &Core) -> bool {
    let answered = !core.wire.up || (core.table.waiting() == 0 && core.wire.idle());
    answered
        && core.to_router.len() == 0
        && core.to_store.len() == 0
        && core.happened.is_empty()
        && (core.sms.no_account_since.is_some() || core.sms.for_ledger() == 0)
}
