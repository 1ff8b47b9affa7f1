//! Brings SMS from people and receipts to the ledger, and has them answered: with success when they are committed.

use std::time::Duration;

use tokio::time::sleep;
use vumi_kit::{
    backoff::Backoff,
    component::ComponentContext,
    ledger::{KeepReceived, ReceiptMatch, RecordReceipts},
    sms::{InboundSms, Receipt},
    store::{Ask, StoreError},
};
use vumi_smpp_codec::status;

use super::{
    inbox::{Item, ReplyTo},
    state::SharedSmpp,
};

/// SMS or receipts in one message to the ledger.
const BATCH: usize = RecordReceipts::MOST;
/// The waits while the store fails.
const STORE_RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// Forwards them, in the order in which they came.
pub(super) async fn forward(shared: SharedSmpp, context: ComponentContext) {
    let arrived = shared.borrow().inbox.arrived.clone();
    let mut failures = 0;
    loop {
        let batch = shared.borrow_mut().inbox.take(BATCH);
        if batch.is_empty() {
            arrived.notified().await;
            continue;
        }
        let count = batch.len();
        let (places, items): (Vec<ReplyTo>, Vec<Item>) = batch.into_iter().unzip();
        let mut kept = 0;
        let recorded = record(&shared, &context, items, &mut kept).await;
        let refusal = match &recorded {
            Err(StoreError::Stopped) => status::ESME_RSYSERR,
            _ => status::ESME_RX_T_APPN,
        };
        {
            let mut state = shared.borrow_mut();
            state.inbox.done(count);
            for (number, place) in places.into_iter().enumerate() {
                state.settle(place, if number < kept { status::ESME_ROK } else { refusal });
            }
            if let Err(error) = &recorded {
                state.faults.record("SMS and receipts put off: the ledger did not take them", error);
            }
        }
        failures = if recorded.is_ok() { 0 } else { failures + 1 };
        if failures > 0 {
            sleep(STORE_RETRY.wait(failures)).await;
        }
    }
}

/// `kept`: how many of them, the first ones, the ledger has.
async fn record(
    shared: &SharedSmpp,
    context: &ComponentContext,
    items: Vec<Item>,
    kept: &mut usize,
) -> Result<(), StoreError> {
    let (mut receipts, mut inbound): (Vec<Receipt>, Vec<InboundSms>) = Default::default();
    for item in items {
        match item {
            Item::Receipt(receipt) => receipts.push(*receipt),
            Item::Sms(sms) => inbound.push(*sms),
        }
    }
    let (ledger, transport) = (&context.store.ledger, &context.name);
    if !receipts.is_empty() {
        let count = receipts.len();
        let matches = ledger.ask_waiting(RecordReceipts { transport: transport.clone(), receipts }).await?;
        context.board.of(transport).count_receipts(ReceiptMatch::new_reports(&matches));
        let unmatched = matches.iter().filter(|matched| **matched == ReceiptMatch::Unmatched).count();
        shared.borrow_mut().unmatched += u64::try_from(unmatched).unwrap_or_default();
        *kept += count;
    }
    let owner = |sms: &InboundSms| context.owners.of(transport, sms);
    for piece in inbound.chunk_by(|one, next| owner(one) == owner(next)) {
        let Some(first) = piece.first() else { continue };
        let keep = KeepReceived { owner: owner(first), transport: transport.clone(), inbound: piece.to_vec() };
        ledger.ask_waiting(keep).await?;
        *kept += piece.len();
    }
    Ok(())
}
