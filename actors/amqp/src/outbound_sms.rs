//! Accepts SMS of a campaign elsewhere: the ledger has them and sends them.

use std::{collections::BTreeMap, sync::Arc};

use sha2::{Digest, Sha256};
use tokio::time::timeout;
use vumi_kit::{
    account::{Account, AccountId, FindAccount},
    address::Address,
    carries::Carries,
    clock::Clock,
    component::CALL_LIMIT,
    ledger::{AcceptSms, Accepted, FindAccepted, IdempotencyKey},
    message::UserMessage,
    middleware::{ChainOutcome, MiddlewareChains, PassingSms, SmsDirection},
    name::Name,
    sms::{NewSms, Sms},
    sms_fields::{AskedOptions, SmsTimes},
    sms_options::SmsOptions,
    store::{Ask, Store, StoreError},
};

use super::{
    asked_options::{asked_of, asked_options},
    context::SmsTransport,
    received_sms::settle_with_answer,
    topology::{Connector, ConnectorRole},
};

/// How long the ledger recognises a message id.
const KNOWN_FOR_S: u64 = 24 * 3600;

/// Said of a message whose id is that of another one.
pub(super) const KEY_REUSED: &str = "its `message_id` was used for another message";

/// Said of an SMS without a text.
pub(super) const EMPTY: &str = "`content` is empty: there is nothing to send";

/// Said of an answer to an SMS from a name.
const NO_NUMBER: &str = "the SMS that it answers came from a name, which can't be answered";

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
    clock: Clock,
    /// All transports of the settings.
    transports: BTreeMap<Name, SmsTransport>,
    times: SmsTimes,
    chains: MiddlewareChains,
}

impl OutboundSms {
    pub(super) fn new(
        store: Store,
        clock: Clock,
        transports: BTreeMap<Name, SmsTransport>,
        times: SmsTimes,
        chains: MiddlewareChains,
    ) -> Self {
        Self { store, clock, transports, times: times.however_late(), chains }
    }

    /// Accepts an SMS, once for each message id.
    pub(super) async fn accept(&self, connector: &Connector, message: &UserMessage) -> Result<Sms, SmsNotAccepted> {
        match &message.in_reply_to {
            Some(received) => self.accept_answer(connector, received, message).await,
            None => self.accept_unprompted(connector, message).await,
        }
    }

    /// Accepts an answer to a received SMS. One to an SMS that is unknown here is like one that answers none.
    async fn accept_answer(
        &self,
        connector: &Connector,
        received: &str,
        message: &UserMessage,
    ) -> Result<Sms, SmsNotAccepted> {
        // Without a text the received SMS is settled, too, and not handed over again.
        let (AskedOptions { mut options, data }, key) = (self.asked(message)?, answer_key(connector, message));
        let mut text = data.or_else(|| text_of(message).map(str::to_owned));
        let ends = (Address::inbound(&message.from_addr), Address::inbound(&message.to_addr));
        if let (Some(text), (Ok(from), Ok(to))) = (&mut text, ends) {
            // The ledger knows whose answer it is, and keeps the addresses of what it answers.
            self.pass(connector, message, AskedSms { from, to, text, options: &mut options }).await?;
        }
        let has_text = text.is_some();
        let settle = settle_with_answer(&self.store, received.to_owned(), text, Some(key), Arc::new(options));
        match in_time(settle).await? {
            Some(settled) if settled.key_reused => Err(never(KEY_REUSED)),
            Some(settled) => settled.reply.ok_or_else(|| never(if has_text { NO_NUMBER } else { EMPTY })),
            None => self.accept_unprompted(connector, message).await,
        }
    }

    /// Accepts an SMS that answers none. The ledger takes it once for each message id, in whichever process.
    async fn accept_unprompted(&self, connector: &Connector, message: &UserMessage) -> Result<Sms, SmsNotAccepted> {
        let AskedOptions { mut options, data } = self.asked(message)?;
        let mut text = data.or_else(|| text_of(message).map(str::to_owned)).ok_or_else(|| never(EMPTY))?;
        let Some(username) = &connector.account else {
            return Err(never(
                "it answers no message that is known here, and the connector has no `account` for such SMS",
            ));
        };
        let Some(transport) = self.transports.get(&message.transport_name) else {
            return Err(never(format!("there is no transport `{}`", message.transport_name)));
        };
        let account = self.account(username).await?;
        let mut addresses = transport.addresses.clone();
        addresses.country_code = account.rights.country_code.clone().or(addresses.country_code);
        let to = addresses.recipient(&message.to_addr).map_err(|wrong| never(format!("`to_addr`: {wrong}")))?;
        let from = addresses.sender(&message.from_addr).map_err(|wrong| never(format!("`from_addr`: {wrong}")))?;
        let key = answer_key(connector, message);
        if self.chains.see(SmsDirection::Outbound)
            && let Some(earlier) = self.find_accepted(account.id, key.clone()).await?
        {
            return Ok(earlier);
        }
        let refused = account.sending_error(&message.transport_name);
        let refused =
            refused.or_else(|| account.rights.sender_error(&from)).or_else(|| account.rights.recipient_error(&to));
        if let Some(refused) = refused {
            return Err(never(refused));
        }
        let asked = AskedSms { from, to: to.into(), text: &mut text, options: &mut options };
        let (from, to) = self.pass(connector, message, asked).await?;
        let to = to.msisdn().ok_or_else(|| never("`to_addr`: as a middleware changed it, it is no MSISDN"))?;
        let account = account.id;
        let (transport, options) = (message.transport_name.clone(), Arc::new(options));
        let sms = NewSms { account, transport, to, from, message: text, route: None, options };
        let accept = AcceptSms { batch: vec![sms], idempotency: Some(key) };
        match in_time(self.store.ledger.ask_waiting(accept)).await? {
            Accepted::Now(accepted) | Accepted::Before(accepted) => {
                accepted.first().cloned().ok_or_else(|| never("the ledger does not have it any more"))
            }
            Accepted::KeyReused => Err(never(KEY_REUSED)),
        }
    }

    /// A message that comes again must not go through its chain again.
    async fn find_accepted(&self, account: AccountId, key: IdempotencyKey) -> Result<Option<Sms>, SmsNotAccepted> {
        match in_time(self.store.ledger.ask_waiting(FindAccepted { account, key })).await? {
            Some(Accepted::Before(earlier) | Accepted::Now(earlier)) => Ok(earlier.first().cloned()),
            Some(Accepted::KeyReused) => Err(never(KEY_REUSED)),
            None => Ok(None),
        }
    }

    /// Takes an SMS through its chain of middleware. Answers its addresses as they are then.
    async fn pass(
        &self,
        connector: &Connector,
        message: &UserMessage,
        asked: AskedSms<'_>,
    ) -> Result<(Address, Address), SmsNotAccepted> {
        let is_text = asked.options.content.is_text();
        let mut passing = PassingSms {
            direction: SmsDirection::Outbound,
            account: connector.account.clone(),
            transport: message.transport_name.clone(),
            campaign: (connector.role == ConnectorRole::FamilyCampaign).then(|| connector.name.clone()),
            from: asked.from,
            to: asked.to,
            message: std::mem::take(asked.text),
            is_text,
            tags: Vec::new(),
        };
        match self.chains.run(&mut passing).await {
            ChainOutcome::Passed => {}
            ChainOutcome::Held(why) => asked.options.held = Some(why),
            ChainOutcome::Refused(why) => return Err(never(why)),
            ChainOutcome::Later(why) => return Err(SmsNotAccepted::Later(why)),
        }
        *asked.text = passing.message;
        Ok((passing.from, passing.to))
    }

    /// What is asked of an SMS, where its transport can carry that.
    fn asked(&self, message: &UserMessage) -> Result<AskedOptions, SmsNotAccepted> {
        let has_text = text_of(message).is_some();
        let asked = asked_options(message, has_text, &self.times, self.clock.now()).map_err(never)?;
        let name = &message.transport_name;
        let carries = self.transports.get(name).map_or(Carries::TEXTS, |transport| transport.carries);
        match carries.refusal(name, &asked.options.content) {
            Some(refused) => Err(never(refused.detail)),
            None => Ok(asked),
        }
    }

    async fn account(&self, username: &str) -> Result<Account, SmsNotAccepted> {
        let find = FindAccount { username: username.to_owned() };
        match in_time(self.store.accounts.ask_waiting(find)).await? {
            Some(account) => Ok(account),
            None => Err(never(format!("there is no account `{username}`: vumi account add {username}"))),
        }
    }
}

/// An SMS before its chain.
struct AskedSms<'a> {
    from: Address,
    to: Address,
    text: &'a mut String,
    options: &'a mut SmsOptions,
}

/// By what the ledger knows a message when it comes again.
fn answer_key(connector: &Connector, message: &UserMessage) -> IdempotencyKey {
    IdempotencyKey {
        key: format!("{}/{}", connector.queues.outbound, message.message_id),
        request_digest: digest(message),
        keep_s: KNOWN_FOR_S,
    }
}

/// The text to send, where there is one.
pub(super) fn text_of(message: &UserMessage) -> Option<&str> {
    message.content.as_deref().filter(|text| !text.is_empty())
}

fn never(reason: impl Into<String>) -> SmsNotAccepted {
    SmsNotAccepted::Never(reason.into())
}

async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, SmsNotAccepted> {
    match timeout(CALL_LIMIT, answer).await {
        // It would be refused again.
        Ok(Err(error @ StoreError::Rejected(_))) => Err(never(error.to_string())),
        Ok(answer) => answer.map_err(|error| SmsNotAccepted::Later(error.to_string())),
        Err(_) => Err(SmsNotAccepted::Later(format!("the store did not answer within {CALL_LIMIT:?}"))),
    }
}

fn digest(message: &UserMessage) -> Vec<u8> {
    let mut digest = Sha256::new();
    let text = message.content.as_deref().unwrap_or_default();
    for part in [message.to_addr.as_str(), &message.from_addr, text] {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    if let Some(asked) = asked_of(message) {
        digest.update(asked.to_string());
    }
    digest.finalize().to_vec()
}
