//! A store with one account and the SMS that the front-end accepts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use actix::{Actor, Addr};
use vumi_kit::{
    account::{Account, AccountRoles, FindAccount},
    ledger::{AcceptSms, Accepted, IdempotencyKey, ListSms, SettleReceived, Which},
    sms::{NewSms, Sms, SmsId, TransportStatus},
    store::Store,
    testing::{FakeStore, moment, store_of},
};

/// The account's user name.
pub(super) const USERNAME: &str = "client";

/// A ledger of SMS in memory, behind a [`FakeStore`]. It knows no received SMS.
pub(super) struct SmsLedger {
    sms: Arc<Mutex<AcceptedSms>>,
    account: Arc<Mutex<Account>>,
    store: Addr<FakeStore>,
}

#[derive(Default)]
struct AcceptedSms {
    sms: Vec<Sms>,
    /// By idempotency key: the digest of the request, and the SMS.
    by_key: HashMap<String, (Vec<u8>, Sms)>,
}

impl SmsLedger {
    pub(super) fn start() -> Self {
        let sms: Arc<Mutex<AcceptedSms>> = Arc::default();
        let (accepting, listed) = (sms.clone(), sms.clone());
        let account = Account::unlimited(1, USERNAME.to_owned(), String::new(), AccountRoles::CLIENT);
        let account = Arc::new(Mutex::new(account));
        let known = account.clone();
        let store = FakeStore::default()
            .on(move |FindAccount { username }| Ok((username == USERNAME).then(|| known.lock().unwrap().clone())))
            .on(move |AcceptSms { batch, idempotency }| {
                Ok(accepting.lock().unwrap().accept(batch, idempotency.expect("a message id")))
            })
            .on(move |list: ListSms| Ok(listed.lock().unwrap().list(&list)))
            .on(|_: SettleReceived| Ok(None))
            .start();
        Self { sms, account, store }
    }

    /// As the front-end knows it.
    pub(super) fn store(&self) -> Store {
        store_of(&self.store)
    }

    /// Changes the one account there is, as an operator would while the front-end runs.
    pub(super) fn change_account(&self, change: impl FnOnce(&mut Account)) {
        change(&mut self.account.lock().unwrap());
    }

    /// All SMS that it accepted.
    pub(super) fn accepted(&self) -> Vec<Sms> {
        self.sms.lock().unwrap().sms.clone()
    }

    /// Records a provider's response.
    pub(super) fn record(&self, id: SmsId, status: TransportStatus, provider_id: Option<&str>) {
        let mut accepted = self.sms.lock().unwrap();
        let sms = accepted.sms.iter_mut().find(|sms| sms.id == id).expect("an accepted SMS");
        sms.status = status;
        sms.provider_response = Some("as the provider says".to_owned());
        sms.provider_id = provider_id.map(str::to_owned);
    }
}

impl AcceptedSms {
    fn accept(&mut self, batch: Vec<NewSms>, idempotency: IdempotencyKey) -> Accepted {
        let [new] = <[NewSms; 1]>::try_from(batch).expect("one SMS for each message");
        if let Some((digest, sms)) = self.by_key.get(&idempotency.key) {
            let same = *digest == idempotency.request_digest;
            return if same { Accepted::Before(vec![sms.clone()].into()) } else { Accepted::KeyReused };
        }
        let (id, segments) = (SmsId::try_from(self.sms.len()).unwrap() + 1, new.segments());
        let sms = Sms::accepted(id, new, segments, moment(), moment());
        self.sms.push(sms.clone());
        self.by_key.insert(idempotency.key, (idempotency.request_digest, sms.clone()));
        Accepted::Now(vec![sms].into())
    }

    fn list(&self, list: &ListSms) -> Vec<Sms> {
        let Which::Ids(ids) = &list.which else { panic!("SMS are looked up by their ids") };
        let of_account = self
            .sms
            .iter()
            .filter(|sms| sms.account == list.account && Some(&sms.transport) == list.transport.as_ref());
        of_account.filter(|sms| ids.contains(&sms.id)).take(list.limit).cloned().collect()
    }
}
