//! SMS of a campaign elsewhere: kept in the ledger, and sent from there.

use sha2::{Digest, Sha256};
use tokio::time::timeout;
use vumi_kit::{
    account::FindAccount,
    address::Msisdn,
    component::CALL_LIMIT,
    ledger::{AcceptSms, Accepted, IdempotencyKey, SettleReceived},
    message::UserMessage,
    sms::{NewSms, Sms},
    store::{Ask, StoreError},
};

use super::{connector::Connector, core::AmqpCore};

/// How long the ledger knows a message id again.
const KNOWN_FOR_S: u64 = 24 * 3600;

/// Why an SMS was not kept.
pub(super) enum OutboundFailure {
    /// For good, and why.
    Never(String),
    /// The store failed, or has no time.
    Later(String),
}

/// Keeps the answer to a received SMS. `None`: there is nothing to send, or the SMS was answered before, perhaps by
/// this very message.
pub(super) async fn answer(
    core: &AmqpCore,
    message_id: &str,
    text: Option<String>,
) -> Result<Option<Sms>, OutboundFailure> {
    let outcome = if text.is_some() { "answered" } else { "no answer" }.to_owned();
    let settle = SettleReceived { message_id: message_id.to_owned(), outcome, reply: text };
    let settled = within(core.store.ledger.ask_waiting(settle)).await?;
    Ok(settled.and_then(|settled| settled.reply))
}

/// Keeps an SMS that answers none: in the ledger once for each message id, whichever process it is delivered to.
pub(super) async fn push(
    core: &AmqpCore,
    connector: &Connector,
    message: &UserMessage,
) -> Result<Option<Sms>, OutboundFailure> {
    let never = |reason: String| OutboundFailure::Never(reason);
    let Some(username) = connector.account.clone() else {
        return Err(never("it answers no message, and the connector has no `account` for such SMS".to_owned()));
    };
    if !core.transports.contains(&message.transport_name) {
        return Err(never(format!("there is no transport `{}`", message.transport_name)));
    }
    let number = |key: &str, text: &str| Msisdn::parse(text).map_err(|_| never(format!("`{key}` is not an MSISDN")));
    let (to, from) = (number("to_addr", &message.to_addr)?, number("from_addr", &message.from_addr)?);
    let text = message.content.clone().filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| never("`content` is empty".to_owned()))?;

    let account = within(core.store.accounts.ask_waiting(FindAccount { username: username.clone() })).await?;
    let account =
        account.ok_or_else(|| never(format!("there is no account `{username}`: vumi account add {username}")))?;
    let idempotency = IdempotencyKey {
        key: format!("{}/{}", connector.queues.outbound, message.message_id),
        request_digest: digest(message),
        keep_s: KNOWN_FOR_S,
    };
    let transport = message.transport_name.clone();
    let batch = vec![NewSms { account: account.id, transport, to, from, message: text }];
    match within(core.store.ledger.ask_waiting(AcceptSms { batch, idempotency: Some(idempotency) })).await? {
        Accepted::Now(kept) | Accepted::Before(kept) => Ok(kept.first().cloned()),
        Accepted::KeyReused => Err(never("its `message_id` was used for another SMS".to_owned())),
    }
}

async fn within<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, OutboundFailure> {
    match timeout(CALL_LIMIT, answer).await {
        Ok(answer) => answer.map_err(|error| OutboundFailure::Later(error.to_string())),
        Err(_) => Err(OutboundFailure::Later(format!("the store did not answer within {CALL_LIMIT:?}"))),
    }
}

fn digest(message: &UserMessage) -> Vec<u8> {
    let mut digest = Sha256::new();
    let text = message.content.as_deref().unwrap_or_default();
    for part in [message.transport_name.as_str(), &message.to_addr, &message.from_addr, text] {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest.finalize().to_vec()
}
