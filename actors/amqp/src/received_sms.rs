//! Settles received SMS in the ledger: with the campaign's answer, or without one.

use std::sync::Arc;

use vumi_kit::{
    ledger::{IdempotencyKey, SettleReceived, Settled},
    name::Name,
    sms_options::SmsOptions,
    store::{Ask, Store, StoreError},
};

/// Settles a received SMS with the campaign's answer; `text` is `None` where the campaign has none. An answer to an SMS
/// that was settled before is an SMS of its own where it has a key. Answers `None` if the received SMS is unknown.
pub(super) async fn settle_with_answer(
    store: &Store,
    message_id: String,
    text: Option<String>,
    answer_key: Option<IdempotencyKey>,
    options: Arc<SmsOptions>,
) -> Result<Option<Settled>, StoreError> {
    let settle = SettleReceived { options, ..SettleReceived::by_campaign(message_id, text, answer_key) };
    store.ledger.ask_waiting(settle).await
}

/// Settles a received SMS that was handed to a campaign which did not answer.
pub(super) async fn settle_unanswered(store: &Store, message_id: String, campaign: &Name) -> Result<(), StoreError> {
    let outcome = format!("handed to {campaign}, which did not answer");
    let settle = SettleReceived { outcome, ..SettleReceived::by_campaign(message_id, None, None) };
    store.ledger.ask_waiting(settle).await.map(drop)
}
