//! A store with one account and the SMS that the front-end accepts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use actix::{Actor, Addr};
use vumi_kit::{
    account::{Account, AccountRoles, FindAccount, OverQuota, QuotaCharge},
    ledger::{
        AcceptSms, AcceptWithinQuota, Accepted, AcceptedWithinQuota, FindAccepted, IdempotencyKey, ListSms,
        SettleReceived, Which,
    },
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
    /// What SMS of an account with quotas were to take.
    charges: Vec<QuotaCharge>,
    /// What such SMS are answered with.
    over_quota: Option<OverQuota>,
}

impl SmsLedger {
    pub(super) fn start() -> Self {
        let sms: Arc<Mutex<AcceptedSms>> = Arc::default();
        let (accepting, counting, finding, listed) = (sms.clone(), sms.clone(), sms.clone(), sms.clone());
        let account = Account::unlimited(1, USERNAME.to_owned(), String::new(), AccountRoles::CLIENT);
        let account = Arc::new(Mutex::new(account));
        let known = account.clone();
        let store = FakeStore::default()
            .on(move |FindAccount { username }| Ok((username == USERNAME).then(|| known.lock().unwrap().clone())))
            .on(move |AcceptSms { batch, idempotency }| {
                Ok(accepting.lock().unwrap().accept(batch, idempotency.expect("a message id")))
            })
            .on(move |AcceptWithinQuota { accept, charge, .. }| {
                let mut counted = counting.lock().unwrap();
                counted.charges.push(charge);
                Ok(match counted.over_quota.clone() {
                    Some(over) => AcceptedWithinQuota::Over(over),
                    None => AcceptedWithinQuota::Accepted(
                        counted.accept(accept.batch, accept.idempotency.expect("a message id")),
                    ),
                })
            })
            .on(move |FindAccepted { key, .. }| Ok(finding.lock().unwrap().earlier(&key)))
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

    /// SMS of an account whose quotas are counted go beyond this one from now on; none: they do not.
    pub(super) fn set_over_quota(&self, over: Option<OverQuota>) {
        self.sms.lock().unwrap().over_quota = over;
    }

    /// What SMS of an account with quotas were to take.
    pub(super) fn charges(&self) -> Vec<QuotaCharge> {
        self.sms.lock().unwrap().charges.clone()
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
    fn earlier(&self, key: &IdempotencyKey) -> Option<Accepted> {
        let (digest, sms) = self.by_key.get(&key.key)?;
        let same = *digest == key.request_digest;
        Some(if same { Accepted::Before(vec![sms.clone()].into()) } else { Accepted::KeyReused })
    }

    fn accept(&mut self, batch: Vec<NewSms>, idempotency: IdempotencyKey) -> Accepted {
        let [new] = <[NewSms; 1]>::try_from(batch).expect("one SMS for each message");
        if let Some(earlier) = self.earlier(&idempotency) {
            return earlier;
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
