//! Settles received SMS in the ledger: with the campaign's answer, or without one.

use vumi_kit::{
    ledger::{SettleReceived, Settled},
    name::Name,
    store::{Ask, Store, StoreError},
};

/// Settles a received SMS with the campaign's answer; `text` is `None` where the campaign has none. Answers `None` if
/// the SMS is unknown or was settled before.
pub(super) async fn settle_with_answer(
    store: &Store,
    message_id: String,
    text: Option<String>,
) -> Result<Option<Settled>, StoreError> {
    let outcome = if text.is_some() { "answered" } else { "no answer" }.to_owned();
    store.ledger.ask_waiting(SettleReceived { message_id, outcome, reply: text }).await
}

/// Settles a received SMS that was handed to a campaign which did not answer.
pub(super) async fn settle_unanswered(store: &Store, message_id: String, campaign: &Name) -> Result<(), StoreError> {
    let outcome = format!("handed to {campaign}, which did not answer");
    store.ledger.ask_waiting(SettleReceived { message_id, outcome, reply: None }).await.map(drop)
}
