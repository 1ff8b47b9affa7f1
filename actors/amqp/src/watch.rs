//! SMS of campaigns elsewhere, from the moment the ledger has them: the campaign is told when the provider has
//! taken one, or never will, and afterwards what the network reports of it.
//!
//! Until then the delivery stays unacknowledged, so that another process takes it over should this one die; but for
//! half of what a queue may have in work at the most, and for `hold_for`: a carrier that stands still holds up nobody
//! else. What is told later than that is remembered in this process only.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    rc::Rc,
    time::Duration,
};

use serde_json::Map;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep_until, timeout};
use vumi_kit::{
    account::AccountId,
    backoff::Backoff,
    component::CALL_LIMIT,
    ledger::{ListSms, Which},
    message::{DeliveryStatus, Event, EventKind},
    name::Name,
    sms::{Sms, SmsId, TransportStatus},
    store::Ask,
};

use super::{
    core::{AmqpCore, Connector, Telling, add},
    in_flight::DeliveryKey,
};

/// SMS that the ledger is asked about at once.
const AT_ONCE: usize = 500;
/// The waits between looks at an SMS that no provider has yet.
const UNSENT: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
/// The waits between looks at an SMS that a provider has, for its delivery report.
const SENT: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(60));
/// After this time nothing more is expected of an SMS.
const WATCH_FOR: Duration = Duration::from_secs(48 * 3600);

/// An SMS whose end is not known.
struct Watched {
    connector: Rc<Connector>,
    message_id: String,
    account: AccountId,
    transport: Name,
    /// Its status when the campaign was last told of it.
    told: Option<TransportStatus>,
    /// Until when its delivery is held; `None`: it is acknowledged.
    held_until: Option<Instant>,
    looks: u32,
    next_look: Instant,
    until: Instant,
}

/// All of them.
pub(super) struct SmsWatch {
    most: usize,
    /// The oldest first.
    watched: BTreeMap<SmsId, Watched>,
    due: BTreeSet<(Instant, SmsId)>,
    /// By the connector's number, the oldest first; also some that are held no more.
    held: HashMap<usize, VecDeque<SmsId>>,
}

impl Watched {
    fn key(&self) -> DeliveryKey {
        (self.connector.number, self.message_id.clone())
    }

    fn event(&self, what: EventKind, at: vumi_kit::clock::Timestamp) -> Event {
        Event {
            event_id: event_id(&self.connector.queues.event, &self.message_id, &what),
            timestamp: at,
            user_message_id: self.message_id.clone(),
            transport_name: self.transport.clone(),
            what,
            transport_metadata: Map::new(),
            helper_metadata: Map::new(),
            routing_metadata: Map::new(),
            other: Map::new(),
        }
    }
}

/// The same for the same news, whoever tells it: a campaign can know a repeated one.
fn event_id(queue: &str, message_id: &str, what: &EventKind) -> String {
    let kind = match what {
        EventKind::Ack { .. } | EventKind::Nack { .. } => "sent or not",
        EventKind::DeliveryReport { status: DeliveryStatus::Pending } => "pending",
        EventKind::DeliveryReport { .. } => "end",
    };
    let mut digest = Sha256::new();
    for part in [queue, message_id, kind] {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What the campaign does not know of an SMS yet.
fn news(told: Option<TransportStatus>, sms: &Sms) -> Vec<EventKind> {
    let status = sms.status;
    // Waiting, or unknown to the provider: it will be tried again, or fail.
    if status == TransportStatus::Pending || status == TransportStatus::UnknownMessage {
        return vec![];
    }
    let report = EventKind::DeliveryReport {
        status: match status {
            TransportStatus::Delivered => DeliveryStatus::Delivered,
            failed if failed.is_final() => DeliveryStatus::Failed,
            _ => DeliveryStatus::Pending,
        },
    };
    match told {
        Some(before) if before == status => vec![],
        Some(_) => vec![report],
        None if status.is_final() && status != TransportStatus::Delivered && sms.provider_id.is_none() => {
            let said = sms.provider_said.clone().filter(|said| !said.is_empty());
            vec![EventKind::Nack { reason: said.unwrap_or_else(|| status.display().to_owned()) }]
        }
        None => {
            let ack = EventKind::Ack { sent_message_id: sms.provider_id.clone().unwrap_or_else(|| sms.id.to_string()) };
            if status.is_final() { vec![ack, report] } else { vec![ack] }
        }
    }
}

impl SmsWatch {
    pub(super) fn new(most: usize) -> Self {
        Self { most, watched: BTreeMap::new(), due: BTreeSet::new(), held: HashMap::new() }
    }

    fn begin(&mut self, id: SmsId, watched: Watched) {
        self.end(id);
        self.due.insert((watched.next_look, id));
        self.held.entry(watched.connector.number).or_default().push_back(id);
        self.watched.insert(id, watched);
    }

    fn end(&mut self, id: SmsId) -> Option<Watched> {
        let ended = self.watched.remove(&id)?;
        self.due.remove(&(ended.next_look, id));
        Some(ended)
    }

    /// Those that are due, by what the ledger wants to know of them; each is due again later.
    fn take_due(&mut self, now: Instant) -> BTreeMap<(AccountId, Name), Vec<SmsId>> {
        let ids: Vec<SmsId> =
            self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).take(AT_ONCE).collect();
        let mut groups: BTreeMap<_, Vec<SmsId>> = BTreeMap::new();
        for id in ids {
            let Some(watched) = self.watched.get_mut(&id) else { continue };
            self.due.remove(&(watched.next_look, id));
            watched.looks += 1;
            let waits = if watched.told.is_none() { UNSENT } else { SENT };
            watched.next_look = now + waits.wait(watched.looks);
            self.due.insert((watched.next_look, id));
            groups.entry((watched.account, watched.transport.clone())).or_default().push(id);
        }
        groups
    }

    /// Deliveries of a connector that are held beyond its share: the oldest.
    fn beyond(&mut self, connector: usize, share: usize) -> Vec<DeliveryKey> {
        let Some(held) = self.held.get_mut(&connector) else { return vec![] };
        held.retain(|id| self.watched.get(id).is_some_and(|watched| watched.held_until.is_some()));
        let beyond: Vec<SmsId> = held.drain(..held.len().saturating_sub(share)).collect();
        beyond.iter().filter_map(|id| self.let_go(*id)).collect()
    }

    /// Its delivery is held no more.
    fn let_go(&mut self, id: SmsId) -> Option<DeliveryKey> {
        let watched = self.watched.get_mut(&id)?;
        watched.held_until.take().map(|_| watched.key())
    }
}

impl AmqpCore {
    /// The ledger has an SMS that a delivery asked for.
    pub(super) async fn watch(self: &Rc<Self>, connector: &Rc<Connector>, message_id: &str, sms: &Sms) {
        let now = Instant::now();
        let watched = Watched {
            connector: connector.clone(),
            message_id: message_id.to_owned(),
            account: sms.account,
            transport: sms.transport.clone(),
            told: None,
            held_until: Some(now + self.settings.hold_for),
            looks: 0,
            next_look: now,
            until: now + WATCH_FOR,
        };
        let key = watched.key();
        if self.is_stopping() {
            // Another process is told by the ledger that it has it, and goes on from there.
            return self.give_back(&key);
        }
        self.in_flight.borrow_mut().hold_on(&key);
        let share = usize::from(self.settings.prefetch / 2);
        let (beyond, forgotten) = {
            let mut watch = self.watch.borrow_mut();
            watch.begin(sms.id, watched);
            let forgotten = if watch.watched.len() > watch.most { watch.watched.keys().next().copied() } else { None };
            (watch.beyond(connector.number, share), forgotten.and_then(|id| watch.end(id)))
        };
        self.watch_begun.notify_one();
        for key in beyond {
            self.settle(&key).await;
        }
        if let Some(forgotten) = forgotten {
            self.forget(&forgotten).await;
        }
    }

    async fn forget(&self, watched: &Watched) {
        if watched.told.is_none() {
            add(&self.counts.events_lost, 1);
            tracing::warn!(
                message = watched.message_id,
                "what became of an SMS will not be told: as many are remembered as `amqp.remember` allows"
            );
        }
        if watched.held_until.is_some() {
            self.settle(&watched.key()).await;
        }
    }

    /// The front-end stops: the broker has back what is not told of yet, for another process to tell.
    pub(super) fn leave_watch(self: &Rc<Self>) {
        let (mut untold, watched) = (0, std::mem::take(&mut self.watch.borrow_mut().watched));
        self.watch.borrow_mut().due.clear();
        for watched in watched.into_values().filter(|watched| watched.told.is_none()) {
            match watched.held_until {
                Some(_) => self.give_back(&watched.key()),
                None => untold += 1,
            }
        }
        if untold > 0 {
            tracing::warn!(
                count = untold,
                "SMS wait in the ledger for long: their acks will not be told after the stop"
            );
        }
    }
}

/// Looks at what is due, until the front-end ends.
pub(super) async fn keep_watch(core: Rc<AmqpCore>) {
    loop {
        let next = core.watch.borrow().due.first().map(|(at, _)| *at);
        match next {
            None => core.watch_begun.notified().await,
            Some(at) => tokio::select! {
                () = sleep_until(at) => {}
                () = core.watch_begun.notified() => continue,
            },
        }
        let groups = core.watch.borrow_mut().take_due(Instant::now());
        for ((account, transport), ids) in groups {
            look(&core, account, transport, ids).await;
        }
    }
}

async fn look(core: &Rc<AmqpCore>, account: AccountId, transport: Name, ids: Vec<SmsId>) {
    let which = Which::Ids(ids.clone());
    let list = ListSms { account, transport, which, start: 0, limit: ids.len() };
    let found = match timeout(CALL_LIMIT, core.store.ledger.ask_waiting(list)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return tracing::debug!(%error, "SMS can't be looked at now: later"),
        Err(_) => return tracing::debug!("the store did not answer in time: SMS are looked at later"),
    };
    let gone: BTreeSet<SmsId> = found.iter().map(|sms| sms.id).collect();
    for id in ids.into_iter().filter(|id| !gone.contains(id)) {
        let ended = core.watch.borrow_mut().end(id);
        if let Some(watched) = ended {
            core.forget(&watched).await;
        }
    }
    for sms in found {
        follow(core, &sms);
        let now = Instant::now();
        let overdue = {
            let mut watch = core.watch.borrow_mut();
            let late = watch.watched.get(&sms.id).is_some_and(|w| w.held_until.is_some_and(|until| until <= now));
            if late { watch.let_go(sms.id) } else { None }
        };
        if let Some(key) = overdue {
            core.settle(&key).await;
        }
    }
}

/// Has the campaign told what is new of an SMS.
fn follow(core: &AmqpCore, sms: &Sms) {
    let mut watch = core.watch.borrow_mut();
    let Some(watched) = watch.watched.get_mut(&sms.id) else { return };
    let news = news(watched.told, sms);
    // Without room for them, they are still news at the next look.
    if core.events.borrow().len() + news.len() > core.settings.events_waiting {
        return;
    }
    for what in news {
        let settles = watched.held_until.take().map(|_| watched.key());
        watched.told = Some(sms.status);
        watched.looks = 0;
        let event = watched.event(what, core.clock.now());
        core.tell(Telling { queue: watched.connector.queues.event.clone(), event, settles });
    }
    let over = sms.status.is_final() || watched.until <= Instant::now();
    if over && watched.held_until.is_none() {
        watch.end(sms.id);
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::{
        address::Msisdn,
        message::{DeliveryStatus, EventKind},
        name::Name,
        sms::{Sms, TransportStatus},
    };

    use super::{event_id, news};
    use vumi_kit::testing::moment;

    fn sms(status: i16, provider_id: Option<&str>) -> Sms {
        let number = Msisdn::parse("27831234567").unwrap();
        Sms {
            id: 7,
            account: 1,
            transport: Name::parse("clickatell").unwrap(),
            to: number.clone(),
            from: number,
            message: "hello".to_owned(),
            status: status.into(),
            provider_said: Some("ERR: 114".to_owned()),
            provider_id: provider_id.map(str::to_owned),
            attempts: 1,
            delivered_at: None,
            created_at: moment(),
            updated_at: moment(),
        }
    }

    #[test]
    fn every_sms_gets_one_ack_or_nack_and_reports_only_after_an_ack() {
        let ack = |id: &str| EventKind::Ack { sent_message_id: id.to_owned() };
        let report = |status| EventKind::DeliveryReport { status };
        let nack = EventKind::Nack { reason: "ERR: 114".to_owned() };
        for (told, status, provider_id, expected) in [
            (None, 0, None, vec![]),
            (None, 1, Some("p"), vec![]),
            (None, 2, Some("p"), vec![ack("p")]),
            (None, 3, None, vec![ack("7")]),
            (None, 4, Some("p"), vec![ack("p"), report(DeliveryStatus::Delivered)]),
            (None, 7, Some("p"), vec![ack("p"), report(DeliveryStatus::Failed)]),
            (None, 5, None, vec![nack.clone()]),
            (None, 10, None, vec![nack]),
            (Some(2), 2, Some("p"), vec![]),
            (Some(2), 3, Some("p"), vec![report(DeliveryStatus::Pending)]),
            (Some(3), 4, Some("p"), vec![report(DeliveryStatus::Delivered)]),
            (Some(3), 10, None, vec![report(DeliveryStatus::Failed)]),
        ] {
            assert_eq!(news(told.map(TransportStatus::from), &sms(status, provider_id)), expected, "{told:?} {status}");
        }
    }

    #[test]
    fn the_same_news_has_the_same_id_wherever_it_is_told() {
        let ack = |id: &str| EventKind::Ack { sent_message_id: id.to_owned() };
        let id = event_id("quiz.event", "m1", &ack("p"));
        assert_eq!((id.len(), &id), (32, &event_id("quiz.event", "m1", &ack("7"))));
        assert_ne!(id, event_id("quiz.event", "m2", &ack("p")));
        let delivered = EventKind::DeliveryReport { status: DeliveryStatus::Delivered };
        assert_ne!(id, event_id("quiz.event", "m1", &delivered));
    }
}
