//! For tests of components: a store in memory that can be told to misbehave.

#![expect(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "for tests only")]

use std::{collections::HashMap, time::Duration};

use actix::{Actor, Addr, Context, Handler, Message, MessageResult};

use crate::{
    account::{Account, Accounts, CreateAccount, FindAccount, ListAccounts, RemoveAccount, SetPassword},
    callback::{
        Callback, Callbacks, ChangeCallback, ClaimDeliveries, CreateCallback, DeleteCallback, FindCallback,
        ListCallbacks, ListParked, RecordDeliveryAttempts, ReplayParked,
    },
    clock::Timestamp,
    health::{AskParts, Part},
    ledger::{
        AcceptSms, Accepted, ClaimReceived, ClaimSms, CloseOutbox, CountWaiting, FindSms, KeepReceived, Ledger,
        ListSms, ListUnmatchedReceipts, OpenOutbox, Order, OutboxState, ReceiptMatch, RecordOutcomes, RecordReceipts,
        ReleaseReceived, ReleaseSms, SettleReceived, SmsTimeline, StatusCursor, TimelineEvent, Which,
    },
    name::Name,
    session::{CloseSession, CountAnswers, FindAnswers, FindSession, OpenSessions, SaveSession, Sessions},
    sms::{InboundSms, Receipt, Received, Sms, TransportStatus},
    store::{Operation, Request, Store, StoreError},
};

/// The moment at which everything in a test happens.
pub fn moment() -> Timestamp {
    Timestamp::parse("2010-05-13 11:34:34").unwrap()
}

/// A store in memory.
#[derive(Default)]
pub struct MemoryStore {
    pub accounts: Vec<Account>,
    pub sms: Vec<Sms>,
    pub callbacks: Vec<Callback>,
    pub parts: Vec<Part>,
    /// What carriers' webhooks told.
    pub receipts: Vec<Receipt>,
    pub inbound: Vec<InboundSms>,
    /// How often an account was looked up.
    pub lookups: usize,
    /// What everything fails with.
    pub failure: Option<StoreError>,
    /// Where questions to accept wait for as long as there is a list.
    pub held: Option<Vec<Request<AcceptSms>>>,
    pub keys: HashMap<String, (Vec<u8>, Vec<i64>)>,
}

impl Actor for MemoryStore {
    type Context = Context<Self>;

    // A store's mailbox holds more than actix's 16: twenty requests at once must not be refused.
    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1_000);
    }
}

/// Does something with the memory.
#[derive(Message)]
#[rtype(result = "()")]
pub struct With(pub Box<dyn FnOnce(&mut MemoryStore) + Send>);

impl Handler<With> for MemoryStore {
    type Result = ();
    fn handle(&mut self, with: With, _: &mut Self::Context) {
        with.0(self);
    }
}

impl Handler<AskParts> for MemoryStore {
    type Result = MessageResult<AskParts>;
    fn handle(&mut self, _: AskParts, _: &mut Self::Context) -> MessageResult<AskParts> {
        MessageResult(self.parts.clone())
    }
}

macro_rules! answers {
    ($($Request:ty => |$memory:ident, $ask:pat_param| $answer:expr;)+) => {$(
        impl Handler<Request<$Request>> for MemoryStore {
            type Result = ();
            fn handle(&mut self, Request { operation: $ask, reply }: Request<$Request>, _: &mut Self::Context) {
                let $memory = self;
                let answer = if let Some(failure) = &$memory.failure { Err(failure.clone()) } else { Ok($answer) };
                let _nobody_waits = reply.send(answer);
            }
        }
    )+};
}

answers! {
    FindAccount => |memory, ask| {
        memory.lookups += 1;
        memory.accounts.iter().find(|account| account.username == ask.username).cloned()
    };
    FindSms => |memory, ask| memory.of(ask.account, &ask.transport).find(|sms| sms.id == ask.id).cloned();
    ListSms => |memory, ask| {
        let wanted = |sms: &&Sms| match &ask.which {
            Which::Since { at, order: Order::NewestFirst, after } => {
                sms.updated_at >= *at && after.is_none_or(|after| StatusCursor::of(sms) < after)
            }
            Which::Since { at, order: Order::OldestFirst, after } => {
                sms.updated_at >= *at && after.is_none_or(|after| StatusCursor::of(sms) > after)
            }
            Which::Ids(ids) => ids.contains(&sms.id),
        };
        let mut found: Vec<Sms> = memory.of(ask.account, &ask.transport).filter(wanted).cloned().collect();
        found.sort_by_key(StatusCursor::of);
        if !matches!(ask.which, Which::Since { order: Order::OldestFirst, .. }) {
            found.reverse();
        }
        found.into_iter().skip(ask.start).take(ask.limit).collect()
    };
    SmsTimeline => |memory, ask| memory
        .of(ask.account, &ask.transport)
        .find(|sms| sms.id == ask.id)
        .map(|sms| vec![TimelineEvent { at: sms.created_at, what: "accepted", detail: "kept".to_owned() }]);
    RecordReceipts => |memory, ask| {
        let matched = |receipt: &Receipt| {
            let sms = memory.of(ask.account, &ask.transport).find(|sms| Some(sms.id) == receipt.sms);
            sms.map_or(ReceiptMatch::Unmatched, |sms| ReceiptMatch::Matched(Box::new(sms.clone())))
        };
        let matches = ask.receipts.iter().map(matched).collect();
        memory.receipts.extend(ask.receipts);
        matches
    };
    KeepReceived => |memory, ask| {
        memory.inbound.extend(ask.inbound.clone());
        let kept = |sms| Received {
            id: 7,
            account: ask.account,
            transport: ask.transport.clone(),
            message_id: "m7".to_owned(),
            sms,
            repeated: false,
            created_at: moment(),
            updated_at: moment(),
        };
        ask.inbound.into_iter().map(kept).collect()
    };
    CreateCallback => |memory, ask| {
        let CreateCallback { account, name, url, secret } = ask;
        let id = i64::try_from(memory.callbacks.len()).unwrap() + 3;
        let callback = Callback { id, account, name, url, secret, created_at: moment(), updated_at: moment() };
        memory.callbacks.push(callback.clone());
        callback
    };
    ListCallbacks => |memory, ask| memory.callbacks.iter().filter(|c| c.account == ask.account).cloned().collect();
    FindCallback => |memory, ask| memory.callback(ask.account, ask.id).cloned();
    ChangeCallback => |memory, ask| memory.callback(ask.account, ask.id).map(|callback| {
        callback.name = ask.name.unwrap_or(callback.name);
        callback.url = ask.url.unwrap_or_else(|| callback.url.clone());
        callback.clone()
    });
    DeleteCallback => |memory, ask| {
        let before = memory.callbacks.len();
        memory.callbacks.retain(|c| (c.account, c.id) != (ask.account, ask.id));
        memory.callbacks.len() < before
    };
    // What the front-end never asks.
    CreateAccount => |_memory, ask| {
        Account { id: 0, username: ask.username, password_hash: ask.password_hash, sandbox: false }
    };
    ListAccounts => |memory, _| memory.accounts.clone();
    RemoveAccount => |_memory, _| false;
    SetPassword => |_memory, _| false;
    OpenOutbox => |_memory, _| Duration::from_secs(120);
    CloseOutbox => |_memory, _| ();
    ClaimSms => |_memory, _| vec![];
    RecordOutcomes => |_memory, _| OutboxState::Empty;
    ReleaseSms => |_memory, _| ();
    ClaimReceived => |_memory, _| vec![];
    ReleaseReceived => |_memory, _| ();
    SettleReceived => |_memory, _| None;
    CountWaiting => |_memory, _| vec![];
    ListUnmatchedReceipts => |_memory, _| vec![];
    ClaimDeliveries => |_memory, _| vec![];
    RecordDeliveryAttempts => |_memory, _| ();
    ListParked => |_memory, _| vec![];
    ReplayParked => |_memory, _| 0;
    FindSession => |_memory, _| None;
    OpenSessions => |_memory, _| vec![];
    SaveSession => |_memory, _| true;
    CloseSession => |_memory, _| true;
    CountAnswers => |_memory, _| vec![];
    FindAnswers => |_memory, _| vec![];
}

impl Handler<Request<AcceptSms>> for MemoryStore {
    type Result = ();
    fn handle(&mut self, question: Request<AcceptSms>, _: &mut Self::Context) {
        if let Some(held) = &mut self.held {
            held.push(question);
            return;
        }
        let Request { operation: ask, reply } = question;
        let _nobody_waits = reply.send(self.accept(ask));
    }
}

impl MemoryStore {
    fn of<'a>(&'a self, account: i64, transport: &'a Name) -> impl Iterator<Item = &'a Sms> {
        self.sms.iter().filter(move |sms| sms.account == account && sms.transport == *transport)
    }

    fn callback(&mut self, account: i64, id: i64) -> Option<&mut Callback> {
        self.callbacks.iter_mut().find(|c| c.account == account && c.id == id)
    }

    pub fn accept(&mut self, ask: AcceptSms) -> Result<<AcceptSms as Operation>::Answer, StoreError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if let Some(key) = &ask.idempotency
            && let Some((digest, ids)) = self.keys.get(&key.key)
        {
            let before: Vec<Sms> = self.sms.iter().filter(|sms| ids.contains(&sms.id)).cloned().collect();
            let same = *digest == key.request_digest;
            return Ok(if same { Accepted::Before(before.into()) } else { Accepted::KeyReused });
        }
        let first = self.sms.len();
        for new in ask.batch {
            self.sms.push(Sms {
                id: i64::try_from(self.sms.len()).unwrap() + 1,
                account: new.account,
                transport: new.transport,
                to: new.to,
                from: new.from,
                message: new.message,
                status: TransportStatus::Pending,
                provider_said: None,
                provider_id: None,
                attempts: 0,
                delivered_at: None,
                created_at: moment(),
                updated_at: moment(),
            });
        }
        let kept = &self.sms[first..];
        if let Some(key) = ask.idempotency {
            self.keys.insert(key.key, (key.request_digest, kept.iter().map(|sms| sms.id).collect()));
        }
        Ok(Accepted::Now(kept.into()))
    }
}

pub fn store(memory: &Addr<MemoryStore>) -> Store {
    Store {
        ledger: Ledger::of(memory),
        callbacks: Callbacks::of(memory),
        sessions: Sessions::of(memory),
        accounts: Accounts::of(memory),
    }
}
