//! Accepts SMS of a campaign elsewhere: the ledger has them and sends them.

use sha2::{Digest, Sha256};
use tokio::time::timeout;
use vumi_kit::{
    account::{AccountId, FindAccount},
    address::Msisdn,
    component::CALL_LIMIT,
    ledger::{AcceptSms, Accepted, IdempotencyKey},
    message::UserMessage,
    name::Name,
    sms::{NewSms, Sms},
    store::{Ask, Store, StoreError},
};

use super::{received_sms::settle_with_answer, topology::Connector};

/// How long the ledger recognises a message id.
const KNOWN_FOR_S: u64 = 24 * 3600;

/// Why an SMS was not accepted.
pub(super) enum SmsNotAccepted {
    /// For good, and why.
    Never(String),
    /// The store failed or did not answer in time.
    Later(String),
}

/// Accepts SMS.
pub(super) struct OutboundSms {
    store: Store,
    /// All transports of the settings.
    transports: Vec<Name>,
}

impl OutboundSms {
    pub(super) fn new(store: Store, transports: Vec<Name>) -> Self {
        Self { store, transports }
    }

    /// Accepts an SMS. `None`: there is nothing to send, or the received SMS was answered before, perhaps by this
    /// message.
    pub(super) async fn accept(
        &self,
        connector: &Connector,
        message: &UserMessage,
    ) -> Result<Option<Sms>, SmsNotAccepted> {
        match &message.in_reply_to {
            Some(received) => self.accept_answer(received, message).await,
            None => self.accept_unprompted(connector, message).await,
        }
    }

    async fn accept_answer(&self, received: &str, message: &UserMessage) -> Result<Option<Sms>, SmsNotAccepted> {
        let settle = settle_with_answer(&self.store, received.to_owned(), message.content.clone());
        Ok(in_time(settle).await?.and_then(|settled| settled.reply))
    }

    /// Accepts an SMS that answers none. The ledger takes it once for each message id, in whichever process.
    async fn accept_unprompted(
        &self,
        connector: &Connector,
        message: &UserMessage,
    ) -> Result<Option<Sms>, SmsNotAccepted> {
        let Some(username) = &connector.account else {
            return Err(never("it answers no message, and the connector has no `account` for such SMS"));
        };
        if !self.transports.contains(&message.transport_name) {
            return Err(never(format!("there is no transport `{}`", message.transport_name)));
        }
        let (to, from) = (msisdn("to_addr", &message.to_addr)?, msisdn("from_addr", &message.from_addr)?);
        let text = message.content.clone().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| never("`content` is empty"))?;
        let account = self.account(username).await?;
        let sms = NewSms { account, transport: message.transport_name.clone(), to, from, message: text };
        let idempotency = IdempotencyKey {
            key: format!("{}/{}", connector.queues.outbound, message.message_id),
            request_digest: digest(message),
            keep_s: KNOWN_FOR_S,
        };
        let accept = AcceptSms { batch: vec![sms], idempotency: Some(idempotency) };
        match in_time(self.store.ledger.ask_waiting(accept)).await? {
            Accepted::Now(accepted) | Accepted::Before(accepted) => Ok(accepted.first().cloned()),
            Accepted::KeyReused => Err(never("its `message_id` was used for another SMS")),
        }
    }

    async fn account(&self, username: &str) -> Result<AccountId, SmsNotAccepted> {
        let find = FindAccount { username: username.to_owned() };
        match in_time(self.store.accounts.ask_waiting(find)).await? {
            Some(account) => Ok(account.id),
            None => Err(never(format!("there is no account `{username}`: vumi account add {username}"))),
        }
    }
}

fn never(reason: impl Into<String>) -> SmsNotAccepted {
    SmsNotAccepted::Never(reason.into())
}

fn msisdn(key: &str, text: &str) -> Result<Msisdn, SmsNotAccepted> {
    Msisdn::parse(text).map_err(|_| never(format!("`{key}` is not an MSISDN")))
}

async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, SmsNotAccepted> {
    match timeout(CALL_LIMIT, answer).await {
        Ok(answer) => answer.map_err(|error| SmsNotAccepted::Later(error.to_string())),
        Err(_) => Err(SmsNotAccepted::Later(format!("the store did not answer within {CALL_LIMIT:?}"))),
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
