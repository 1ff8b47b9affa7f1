//! The futures that forward to the router, the store and the ledger what the transport collects for them.

use std::{rc::Rc, time::Duration};

use actix::dev::SendError;
use tokio::time::{sleep, timeout};
use vumi_kit::{
    account::{AccountId, FindAccount},
    address::Msisdn,
    backoff::Backoff,
    component::{CALL_LIMIT, ComponentContext},
    ledger::{KeepReceived, ReceiptMatch, RecordReceipts, SmsOwner},
    router::{Happened, Inbound, Refused},
    session::{After, CloseSession, OpenSessions, SaveSession},
    sms::InboundSms,
    store::{Ask, StoreError},
};

use super::{
    server_link::LinkState,
    state::{SharedState, SsmiState},
    ussd_handler::UndeliveredMessage,
    ussd_sessions::{SessionChange, ToRouter},
};

/// Sessions that are written to the store at once; it commits them together.
const WRITES_AT_ONCE: usize = 256;
/// Attempts at a write of a session; then it is left undone.
const WRITE_ATTEMPTS: u32 = 4;
/// SMS or receipts in one message to the ledger.
const BATCH: usize = RecordReceipts::MOST;
/// The waits while the store fails.
const STORE_RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// Reads the open sessions back, however long the store takes. Answers false once the store has stopped.
pub(super) async fn restore_sessions(shared: &SharedState, context: &ComponentContext) -> bool {
    let mut failures = 0;
    loop {
        match context.store.sessions.ask_waiting(OpenSessions { owner: context.name.clone() }).await {
            Ok(records) => {
                let mut state = shared.borrow_mut();
                let restored =
                    records.into_iter().filter(|record| state.sessions.table.restore(record.clone())).count();
                tracing::info!(transport = %context.name, sessions = restored, "open sessions read from the store");
                let since = state.clock.now();
                state.link.state = LinkState::Down { since, why: "connecting".to_owned() };
                return true;
            }
            Err(StoreError::Stopped) => return false,
            Err(error) => {
                failures += 1;
                shared.borrow_mut().link.faults.record("the open sessions could not be read", error);
                sleep(STORE_RETRY.wait(failures)).await;
            }
        }
    }
}

/// Forwards people's messages to the router; one is under way until the router has taken it.
pub(super) async fn forward_messages(shared: SharedState, context: ComponentContext) {
    let (work_queue, window, signals) = {
        let state = shared.borrow();
        (state.sessions.to_router.clone(), state.settings.window, state.link.signals.clone())
    };
    let work = |person: Msisdn, job: ToRouter| {
        let (shared, router) = (shared.clone(), context.router.inbound.clone());
        async move {
            let undelivered = UndeliveredMessage::of(&job);
            let (why, later) = match timeout(CALL_LIMIT, router.send(Inbound(job.message))).await {
                Ok(Ok(Ok(()))) => return,
                Ok(Ok(Err(refused))) => (refused.to_string(), matches!(refused, Refused::Busy(_) | Refused::Away(_))),
                Ok(Err(_)) => ("the router is gone".to_owned(), true),
                Err(_) => (format!("the router did not take it within {CALL_LIMIT:?}"), true),
            };
            shared.borrow_mut().not_routed(&person, &undelivered, why, later);
        }
    };
    work_queue.run(window, work, || signals.progress()).await;
}

/// Forwards changes of sessions to the store.
pub(super) async fn forward_sessions(shared: SharedState, context: ComponentContext) {
    let (work_queue, signals) = {
        let state = shared.borrow();
        (state.sessions.to_store.clone(), state.link.signals.clone())
    };
    let work = |person, change| write_session(shared.clone(), context.clone(), person, change);
    work_queue.run(WRITES_AT_ONCE, work, || signals.progress()).await;
}

async fn write_session(shared: SharedState, context: ComponentContext, person: Msisdn, change: SessionChange) {
    let sessions = &context.store.sessions;
    for failures in 1..=WRITE_ATTEMPTS {
        // The process that has the connection is the only one to write these sessions.
        let written = match &change {
            SessionChange::Save(record) => {
                let (session, after) = ((**record).clone(), After::Anything);
                sessions.ask_waiting(SaveSession { session, after, answers: Vec::new(), sms: Vec::new() }).await
            }
            SessionChange::Close => {
                let (owner, person) = (context.name.clone(), person.as_str().to_owned());
                sessions
                    .ask_waiting(CloseSession { owner, person, after: None, answers: Vec::new(), sms: Vec::new() })
                    .await
            }
        };
        let Err(error) = written else { return };
        shared.borrow_mut().link.faults.record("writes of sessions that failed", &error);
        if matches!(error, StoreError::Stopped) {
            return;
        }
        if failures < WRITE_ATTEMPTS {
            sleep(STORE_RETRY.wait(failures)).await;
        }
    }
}

/// Forwards acks and nacks to the router, in order.
pub(super) async fn forward_events(shared: SharedState, context: ComponentContext) {
    let signals = shared.borrow().link.signals.clone();
    let next = || shared.borrow_mut().replies.events.pop_front();
    loop {
        let Some(event) = next() else {
            signals.finished.notify_one();
            signals.events.notified().await;
            continue;
        };
        if let Err(SendError::Full(event)) = context.router.happened.try_send(event) {
            send_event(&shared, &context, event).await;
        }
    }
}

async fn send_event(shared: &SharedState, context: &ComponentContext, event: Happened) {
    if context.router.happened.send(event).await.is_err() {
        shared.borrow_mut().link.faults.record("acks and nacks lost", "the router is gone");
    }
}

/// Forwards SMS from people and delivery reports to the ledger, in batches. The account is looked up for each batch: it
/// may be made, or removed, while the router runs.
pub(super) async fn forward_to_ledger(shared: SharedState, context: ComponentContext, username: String) {
    let signals = shared.borrow().link.signals.clone();
    let mut failures = 0;
    loop {
        match context.store.accounts.ask_waiting(FindAccount { username: username.clone() }).await {
            Ok(Some(account)) => {
                failures = 0;
                shared.borrow_mut().inbox.no_account_since = None;
                record_batch(&shared, &context, account.id).await;
                signals.progress();
                if shared.borrow().inbox.len() == 0 {
                    signals.ledger.notified().await;
                }
                continue;
            }
            Ok(None) => no_account(&mut shared.borrow_mut(), &username),
            Err(StoreError::Stopped) => return,
            Err(error) => shared.borrow_mut().link.faults.record("the account could not be looked up", error),
        }
        failures += 1;
        signals.progress();
        sleep(STORE_RETRY.wait(failures)).await;
    }
}

fn no_account(state: &mut SsmiState, username: &str) {
    if state.inbox.no_account_since.is_none() {
        tracing::warn!(transport = %state.name, account = %username,
            "no such account: SMS from people wait for it; make it with `vumi account add`");
    }
    let now = state.clock.now();
    state.inbox.no_account_since.get_or_insert(now);
}

/// Sends one batch of each sort; what the store does not take stays first in its queue.
async fn record_batch(shared: &SharedState, context: &ComponentContext, account: AccountId) {
    let (inbound, receipts) = {
        let state = shared.borrow();
        let inbound: Vec<_> = state.inbox.received.iter().take(BATCH).cloned().collect();
        let receipts: Vec<_> = state.inbox.receipts.iter().take(BATCH).cloned().collect();
        (inbound, receipts)
    };
    let ledger = &context.store.ledger;
    let reports = receipts.len();
    let transport = context.name.clone();
    let mut failed = None;
    let owner = |sms: &InboundSms| match context.owners.of(&transport, sms) {
        SmsOwner::Nobody => SmsOwner::Account(account),
        named => named,
    };
    for piece in inbound.chunk_by(|one, next| owner(one) == owner(next)) {
        let Some(first) = piece.first() else { continue };
        let keep = KeepReceived { owner: owner(first), transport: transport.clone(), inbound: piece.to_vec() };
        match ledger.ask_waiting(keep).await {
            Ok(_) => drop(shared.borrow_mut().inbox.received.drain(..piece.len())),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    if reports > 0 {
        match ledger.ask_waiting(RecordReceipts { transport, receipts }).await {
            Ok(matches) => {
                context.board.of(&context.name).count_receipts(ReceiptMatch::new_reports(&matches));
                drop(shared.borrow_mut().inbox.receipts.drain(..reports));
            }
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        shared.borrow_mut().link.faults.record("the ledger did not take SMS or receipts yet", error);
        sleep(STORE_RETRY.most).await;
    }
}

/// Ends what is too old, about once a second.
pub(super) async fn sweep(shared: SharedState) {
    let every = {
        let lifetime: Duration = shared.borrow().settings.lifetime;
        (lifetime / 20).clamp(Duration::from_millis(10), Duration::from_secs(1))
    };
    loop {
        sleep(every).await;
        let mut state = shared.borrow_mut();
        state.sweep();
    }
}

/// Waits until nothing is under way, within a limit.
pub(super) async fn settle(shared: &SharedState, limit: Duration) {
    let signals = Rc::clone(&shared.borrow().link.signals);
    let settled = async {
        while !shared.borrow().is_settled() {
            signals.finished.notified().await;
        }
    };
    if timeout(limit, settled).await.is_err() {
        tracing::warn!(?limit, "not everything under way was finished in time");
    }
}
