//! What the fake store of the harness keeps, and how it answers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use vumi_kit::{
    account::{
        Account, AccountToken, CountAccountChanges, FindAccount, FindToken, OverQuota, QuotaCharge, TokenDigest,
        TokenLogIn,
    },
    audit::RecordAudit,
    callback::{
        Callback, ChangeCallback, ChangedCallback, CreateCallback, CreatedCallback, DeleteCallback, FindCallback,
        ListCallbacks,
    },
    clock::Timestamp,
    ledger::{
        AcceptSms, AcceptWithinQuota, Accepted, AcceptedWithinQuota, FindAccepted, FindSms, IdempotencyKey,
        KeepReceived, ListSms, Order, ReceiptMatch, RecordReceipts, SmsOwner, SmsTimeline, StatusCursor, TimelineEvent,
        Which,
    },
    levers::{CancelResult, CancelSms},
    life::SmsState,
    name::Name,
    sent_parts::ListSentParts,
    sms::{InboundSms, Receipt, Received, Sms, TransportStatus},
    store::{Operation, Request, Store, StoreError},
    testing::FakeStore,
};

/// The time at which everything in a test happens.
pub(super) fn test_time() -> Timestamp {
    Timestamp::parse("2010-05-13 11:34:34").unwrap()
}

/// What the store keeps, for tests to look at and change.
#[derive(Default)]
pub(super) struct StoredData {
    pub(super) accounts: Vec<Account>,
    pub(super) sms: Vec<Sms>,
    pub(super) callbacks: Vec<Callback>,
    pub(super) receipts: Vec<Receipt>,
    /// How many receipts came with each command.
    pub(super) receipts_at_once: Vec<usize>,
    pub(super) inbound: Vec<InboundSms>,
    /// Whose these are, for each command.
    pub(super) owners: Vec<SmsOwner>,
    /// Tokens, and the names of the accounts that they log in.
    pub(super) tokens: Vec<(TokenDigest, AccountToken, String)>,
    /// How often an account or token was looked up.
    pub(super) lookups: usize,
    /// What was noted in the audit trail.
    pub(super) audit: Vec<RecordAudit>,
    /// How often accounts were changed.
    pub(super) account_changes: i64,
    /// What every request fails with.
    pub(super) failure: Option<StoreError>,
    /// What batches of accounts with quotas were to take.
    pub(super) charges: Vec<QuotaCharge>,
    /// What they are refused with.
    pub(super) over_quota: Option<OverQuota>,
    /// While there is a list, requests to accept wait in it.
    pub(super) waiting: Option<Vec<Request<AcceptSms>>>,
    keys: HashMap<String, (Vec<u8>, Vec<i64>)>,
}

/// The store's data, shared with the store.
#[derive(Clone, Default)]
pub(super) struct Stored(Arc<Mutex<StoredData>>);

impl Stored {
    pub(super) fn lock(&self) -> MutexGuard<'_, StoredData> {
        self.0.lock().unwrap()
    }

    /// Starts a store that answers the front-end's requests from this data.
    pub(super) fn start_store(&self) -> Store {
        let stored = self.clone();
        let accept = move |request: Request<AcceptSms>| {
            let mut data = stored.lock();
            match &mut data.waiting {
                Some(waiting) => waiting.push(request),
                None => data.accept(request),
            }
        };
        let store = FakeStore::default().on_request(accept);
        let store = self.answer(store, |data, ask: FindAccount| {
            data.lookups += 1;
            data.accounts.iter().find(|account| account.username == ask.username).cloned()
        });
        let store = self.answer(store, |data, ask: FindToken| {
            data.lookups += 1;
            let (_, token, username) = data.tokens.iter().find(|(digest, ..)| *digest == ask.digest)?;
            let account = data.accounts.iter().find(|account| account.username == *username)?;
            Some(TokenLogIn { account: Arc::new(account.clone()), token: token.clone() })
        });
        let store = self.answer(store, |data, _: CountAccountChanges| data.account_changes);
        let store = self.answer(store, |data, entry: RecordAudit| data.audit.push(entry));
        self.with_callbacks(self.with_ledger(store)).start_store()
    }

    fn answer<O: Operation>(
        &self,
        store: FakeStore,
        answer: impl Fn(&mut StoredData, O) -> O::Answer + Send + 'static,
    ) -> FakeStore {
        let stored = self.clone();
        store.on(move |ask: O| {
            let mut data = stored.lock();
            match &data.failure {
                Some(failure) => Err(failure.clone()),
                None => Ok(answer(&mut data, ask)),
            }
        })
    }

    fn with_ledger(&self, store: FakeStore) -> FakeStore {
        let store =
            self.answer(store, |data, FindSms { account, transport, id }| data.sms(account, transport.as_ref(), id));
        let store = self.answer(store, |_, _: ListSentParts| Vec::new());
        let store = self.answer(store, StoredData::cancel);
        let store = self.answer(store, |data, ask: FindAccepted| data.earlier(&ask.key));
        let store = self.answer(store, |data, AcceptWithinQuota { accept, account, charge }| {
            assert!(accept.batch.iter().all(|sms| sms.account == account));
            data.charges.push(charge);
            let accepted = data.over_quota.clone().map_or_else(|| Ok(data.accepted(accept)), Err);
            accepted.map_or_else(AcceptedWithinQuota::Over, AcceptedWithinQuota::Accepted)
        });
        let store = self.answer(store, |data, ask: ListSms| data.list(&ask));
        let store = self.answer(store, |data, SmsTimeline { account, transport, id }| {
            let sms = data.sms(account, transport.as_ref(), id)?;
            Some(vec![TimelineEvent {
                at: sms.created_at,
                what: "accepted".into(),
                detail: "kept".to_owned(),
                provider_id: None,
            }])
        });
        let store = self.answer(store, |data, RecordReceipts { transport, receipts }| {
            let sms = |receipt: &Receipt| {
                data.sms.iter().find(|sms| sms.transport == transport && Some(sms.id) == receipt.sms).cloned()
            };
            let matched = |sms| ReceiptMatch::Matched(Box::new(sms));
            let matches = receipts.iter().map(|r| sms(r).map_or(ReceiptMatch::Unmatched, matched)).collect();
            data.receipts_at_once.push(receipts.len());
            data.receipts.extend(receipts);
            matches
        });
        self.answer(store, |data, KeepReceived { owner, transport, inbound }| {
            data.inbound.extend(inbound.clone());
            data.owners.push(owner.clone());
            let account = match owner {
                SmsOwner::Account(account) => Some(account),
                SmsOwner::Named(_) | SmsOwner::Nobody => None,
            };
            inbound.into_iter().map(|sms| received(account, &transport, sms)).collect()
        })
    }

    fn with_callbacks(&self, store: FakeStore) -> FakeStore {
        let store = self.answer(store, |data, CreateCallback { account, name, url, format, secret }| {
            let id = i64::try_from(data.callbacks.len()).unwrap() + 3;
            let (created_at, updated_at) = (test_time(), test_time());
            let new = Callback { id, account, name, url, secret, format, disabled: None, created_at, updated_at };
            data.callbacks.push(new.clone());
            CreatedCallback::New(new)
        });
        let store = self.answer(store, |data, ListCallbacks { account }| {
            data.callbacks.iter().filter(|callback| callback.account == account).cloned().collect()
        });
        let store = self
            .answer(store, |data, FindCallback { account, id }| data.callback(account, id).map(|found| found.clone()));
        let store = self.answer(store, |data, ChangeCallback { account, id, name, url, format }| {
            let Some(callback) = data.callback(account, id) else { return ChangedCallback::NotFound };
            callback.name = name.unwrap_or(callback.name);
            callback.url = url.unwrap_or_else(|| callback.url.clone());
            callback.format = format.unwrap_or(callback.format);
            ChangedCallback::Changed(callback.clone())
        });
        self.answer(store, |data, DeleteCallback { account, id }| {
            let before = data.callbacks.len();
            data.callbacks.retain(|callback| (callback.account, callback.id) != (account, id));
            data.callbacks.len() < before
        })
    }
}

impl StoredData {
    /// Without a transport: one that a route sent.
    fn sms(&self, account: i64, transport: Option<&Name>, id: i64) -> Option<Sms> {
        let asked_for = |sms: &&Sms| transport.map_or(sms.route.is_some(), |transport| sms.transport == *transport);
        self.sms.iter().filter(asked_for).find(|sms| (sms.account, sms.id) == (account, id)).cloned()
    }

    fn cancel(&mut self, ask: CancelSms) -> Option<CancelResult> {
        let its = |sms: &&mut Sms| {
            let asked_for = ask.transport.as_ref().map_or(sms.route.is_some(), |name| sms.transport == *name);
            sms.account == ask.account && asked_for
        };
        let sms = self.sms.iter_mut().filter(its).find(|sms| sms.id == ask.id)?;
        match sms.state {
            SmsState::Accepted | SmsState::Cancelled => {
                (sms.state, sms.status) = (SmsState::Cancelled, TransportStatus::Cancelled);
                Some(CancelResult::Cancelled(Box::new(sms.clone())))
            }
            SmsState::Claimed => Some(CancelResult::Begun),
            state => Some(CancelResult::TooLate(state)),
        }
    }

    fn list(&self, ask: &ListSms) -> Vec<Sms> {
        let oldest_first = matches!(ask.which, Which::Since { order: Order::OldestFirst, .. });
        let wanted = |sms: &&Sms| match &ask.which {
            Which::Since { at, after, .. } => {
                let beyond =
                    |after| if oldest_first { StatusCursor::of(sms) > after } else { StatusCursor::of(sms) < after };
                sms.updated_at >= *at && after.is_none_or(beyond)
            }
            Which::Ids(ids) => ids.contains(&sms.id),
            Which::Reference(reference) => sms.reference.as_ref() == Some(reference),
        };
        let asked_for = |sms: &&Sms| ask.transport.as_ref().map_or(sms.route.is_some(), |name| sms.transport == *name);
        let own = self.sms.iter().filter(|sms| sms.account == ask.account).filter(asked_for);
        let mut found: Vec<Sms> = own.filter(wanted).cloned().collect();
        found.sort_by_key(StatusCursor::of);
        if !oldest_first {
            found.reverse();
        }
        found.into_iter().skip(ask.start).take(ask.limit).collect()
    }

    fn callback(&mut self, account: i64, id: i64) -> Option<&mut Callback> {
        self.callbacks.iter_mut().find(|callback| (callback.account, callback.id) == (account, id))
    }

    /// Answers the requests to accept that wait, and all later ones.
    pub(super) fn accept_waiting(&mut self) {
        for request in self.waiting.take().unwrap() {
            self.accept(request);
        }
    }

    fn accept(&mut self, Request { operation: ask, reply, .. }: Request<AcceptSms>) {
        let answer = match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(self.accepted(ask)),
        };
        let _nobody_waits = reply.send(answer);
    }

    fn earlier(&self, key: &IdempotencyKey) -> Option<Accepted> {
        let (digest, ids) = self.keys.get(&key.key)?;
        let before: Vec<Sms> = self.sms.iter().filter(|sms| ids.contains(&sms.id)).cloned().collect();
        let same = *digest == key.request_digest;
        Some(if same { Accepted::Before(before.into()) } else { Accepted::KeyReused })
    }

    fn accepted(&mut self, ask: AcceptSms) -> Accepted {
        if let Some(earlier) = ask.idempotency.as_ref().and_then(|key| self.earlier(key)) {
            return earlier;
        }
        let first = self.sms.len();
        for (id, new) in (1..).skip(first).zip(ask.batch) {
            let segments = new.segments();
            self.sms.push(Sms::accepted(id, new, segments, test_time(), test_time()));
        }
        let kept = &self.sms[first..];
        if let Some(key) = ask.idempotency {
            self.keys.insert(key.key, (key.request_digest, kept.iter().map(|sms| sms.id).collect()));
        }
        Accepted::Now(kept.into())
    }
}

fn received(account: Option<i64>, transport: &Name, sms: InboundSms) -> Received {
    Received {
        id: 7,
        account,
        transport: transport.clone(),
        message_id: "m7".to_owned(),
        sms,
        repeated: false,
        incomplete: false,
        tags: Vec::new(),
        consent: None,
        created_at: test_time(),
        updated_at: test_time(),
    }
}
