//! The SMS of campaigns elsewhere whose end is not known: which are due to be looked at, and what is news of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    rc::Rc,
    time::Duration,
};

use serde_json::Map;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use vumi_kit::{
    account::AccountId,
    backoff::Backoff,
    message::{DeliveryStatus, Event, EventKind},
    name::Name,
    sms::{Sms, SmsId, TransportStatus},
};

use super::{connector::Connector, in_flight::DeliveryKey};

/// SMS that the ledger is asked about at once.
const AT_ONCE: usize = 500;
/// The waits between looks at an SMS that no provider has yet.
const UNSENT: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
/// The waits between looks at an SMS that a provider has, for its delivery report.
const SENT: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(60));
/// After this time nothing more is expected of an SMS.
pub(super) const WATCH_FOR: Duration = Duration::from_secs(48 * 3600);

/// An SMS whose end is not known.
pub(super) struct Watched {
    pub(super) connector: Rc<Connector>,
    pub(super) message_id: String,
    pub(super) account: AccountId,
    pub(super) transport: Name,
    /// Its status when the campaign was last told of it.
    pub(super) told: Option<TransportStatus>,
    /// Until when its delivery is held; `None`: it is acknowledged.
    pub(super) held_until: Option<Instant>,
    pub(super) looks: u32,
    pub(super) next_look: Instant,
    pub(super) until: Instant,
}

/// All of them.
pub(super) struct SmsWatch {
    pub(super) most: usize,
    /// The oldest first.
    pub(super) watched: BTreeMap<SmsId, Watched>,
    pub(super) due: BTreeSet<(Instant, SmsId)>,
    /// By the connector's number, the oldest first; also some that are held no more.
    held: HashMap<usize, VecDeque<SmsId>>,
}

impl Watched {
    pub(super) fn key(&self) -> DeliveryKey {
        (self.connector.number, self.message_id.clone())
    }

    pub(super) fn event(&self, what: EventKind, at: vumi_kit::clock::Timestamp) -> Event {
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
pub(super) fn news(told: Option<TransportStatus>, sms: &Sms) -> Vec<EventKind> {
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

    pub(super) fn begin(&mut self, id: SmsId, watched: Watched) {
        self.end(id);
        self.due.insert((watched.next_look, id));
        self.held.entry(watched.connector.number).or_default().push_back(id);
        self.watched.insert(id, watched);
    }

    pub(super) fn end(&mut self, id: SmsId) -> Option<Watched> {
        let ended = self.watched.remove(&id)?;
        self.due.remove(&(ended.next_look, id));
        Some(ended)
    }

    /// Those that are due, by what the ledger wants to know of them; each is due again later.
    pub(super) fn take_due(&mut self, now: Instant) -> BTreeMap<(AccountId, Name), Vec<SmsId>> {
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
    pub(super) fn beyond(&mut self, connector: usize, share: usize) -> Vec<DeliveryKey> {
        let Some(held) = self.held.get_mut(&connector) else { return vec![] };
        held.retain(|id| self.watched.get(id).is_some_and(|watched| watched.held_until.is_some()));
        let beyond: Vec<SmsId> = held.drain(..held.len().saturating_sub(share)).collect();
        beyond.iter().filter_map(|id| self.let_go(*id)).collect()
    }

    /// Its delivery is held no more.
    pub(super) fn let_go(&mut self, id: SmsId) -> Option<DeliveryKey> {
        let watched = self.watched.get_mut(&id)?;
        watched.held_until.take().map(|_| watched.key())
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
