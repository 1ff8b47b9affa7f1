//! The future that forwards SMS from people and delivery reports to the ledger.

use std::time::Duration;

use tokio::time::sleep;
use vumi_kit::{
    account::{AccountId, FindAccount},
    backoff::Backoff,
    component::ComponentContext,
    ledger::{KeepReceived, ReceiptMatch, RecordReceipts, SmsOwner},
    sms::InboundSms,
    store::{Ask, StoreError},
};

use super::state::{SharedState, SsmiState};

/// SMS or receipts in one message to the ledger.
const BATCH: usize = RecordReceipts::MOST;
/// The waits while the store fails.
const STORE_RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

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
