//! SMS of campaigns elsewhere whose end is not known: when each is looked at, and which delivery each holds.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    rc::Rc,
    time::Duration,
};

use tokio::time::Instant;
use vumi_kit::{
    account::AccountId,
    backoff::Backoff,
    name::Name,
    sms::{SmsId, TransportStatus},
};

use super::{in_flight::DeliveryKey, topology::Connector};

/// SMS that are looked up in the ledger at once.
const LOOKUP_LIMIT: usize = 500;
/// The waits between looks at an SMS that no provider has yet.
const UNSENT: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
/// The waits between looks at an SMS that a provider has, for its delivery report.
const SENT: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(60));
/// After this time nothing more is expected of an SMS.
const TRACK_FOR: Duration = Duration::from_secs(48 * 3600);

/// An SMS whose end is not known.
pub(super) struct TrackedSms {
    pub(super) connector: Rc<Connector>,
    /// The campaign's id for it.
    pub(super) message_id: String,
    account: AccountId,
    pub(super) transport: Name,
    /// Its status at the last event.
    pub(super) reported: Option<TransportStatus>,
    /// Until when its delivery is held. `None`: it is acknowledged.
    pub(super) held_until: Option<Instant>,
    looks: u32,
    next_look: Instant,
    until: Instant,
}

/// The tracked SMS.
pub(super) struct SmsTracker {
    capacity: usize,
    /// The oldest first.
    tracked: BTreeMap<SmsId, TrackedSms>,
    due: BTreeSet<(Instant, SmsId)>,
    /// SMS whose delivery is held, by the connector's number, the oldest first. Some are held no more.
    held: HashMap<usize, VecDeque<SmsId>>,
}

impl TrackedSms {
    pub(super) fn new(
        connector: Rc<Connector>,
        message_id: String,
        sms: (AccountId, Name),
        hold_for: Duration,
        now: Instant,
    ) -> Self {
        let (account, transport) = sms;
        Self {
            connector,
            message_id,
            account,
            transport,
            reported: None,
            held_until: Some(now + hold_for),
            looks: 0,
            next_look: now,
            until: now + TRACK_FOR,
        }
    }

    pub(super) fn key(&self) -> DeliveryKey {
        DeliveryKey { connector: self.connector.number, message_id: self.message_id.clone() }
    }

    /// Takes the delivery that it holds.
    pub(super) fn release(&mut self) -> Option<DeliveryKey> {
        self.held_until.take().map(|_| self.key())
    }

    /// An event tells the campaign of a status: the next look is soon.
    pub(super) fn report(&mut self, status: TransportStatus) {
        self.reported = Some(status);
        self.looks = 0;
    }

    pub(super) fn has_expired(&self, now: Instant) -> bool {
        self.until <= now
    }
}

impl SmsTracker {
    /// Tracks at most `capacity` SMS.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, tracked: BTreeMap::new(), due: BTreeSet::new(), held: HashMap::new() }
    }

    /// Tracks an SMS. Answers the oldest if there is one too many; it is not tracked any more.
    pub(super) fn begin(&mut self, id: SmsId, sms: TrackedSms) -> Option<TrackedSms> {
        self.end(id);
        self.due.insert((sms.next_look, id));
        self.held.entry(sms.connector.number).or_default().push_back(id);
        self.tracked.insert(id, sms);
        let oldest = self.tracked.keys().next().copied().filter(|_| self.tracked.len() > self.capacity);
        oldest.and_then(|id| self.end(id))
    }

    pub(super) fn end(&mut self, id: SmsId) -> Option<TrackedSms> {
        let ended = self.tracked.remove(&id)?;
        self.due.remove(&(ended.next_look, id));
        Some(ended)
    }

    /// Ends all.
    pub(super) fn end_all(&mut self) -> impl Iterator<Item = TrackedSms> + use<> {
        self.due.clear();
        self.held.clear();
        std::mem::take(&mut self.tracked).into_values()
    }

    pub(super) fn get_mut(&mut self, id: SmsId) -> Option<&mut TrackedSms> {
        self.tracked.get_mut(&id)
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The SMS that are due, grouped as the ledger is asked for them. Their next look is set.
    pub(super) fn take_due(&mut self, now: Instant) -> BTreeMap<(AccountId, Name), Vec<SmsId>> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now);
        let ids: Vec<SmsId> = due.map(|(_, id)| *id).take(LOOKUP_LIMIT).collect();
        let mut groups: BTreeMap<_, Vec<SmsId>> = BTreeMap::new();
        for id in ids {
            let Some(sms) = self.tracked.get_mut(&id) else { continue };
            self.due.remove(&(sms.next_look, id));
            sms.looks += 1;
            let waits = if sms.reported.is_none() { UNSENT } else { SENT };
            sms.next_look = now + waits.wait(sms.looks);
            self.due.insert((sms.next_look, id));
            groups.entry((sms.account, sms.transport.clone())).or_default().push(id);
        }
        groups
    }

    /// Releases the oldest deliveries of a connector that are held beyond its share.
    pub(super) fn release_beyond(&mut self, connector: usize, share: usize) -> Vec<DeliveryKey> {
        let Some(held) = self.held.get_mut(&connector) else { return vec![] };
        held.retain(|id| self.tracked.get(id).is_some_and(|sms| sms.held_until.is_some()));
        let beyond: Vec<SmsId> = held.drain(..held.len().saturating_sub(share)).collect();
        beyond.iter().filter_map(|id| self.tracked.get_mut(id)?.release()).collect()
    }

    /// Releases an SMS's delivery if it has been held for too long.
    pub(super) fn release_if_overdue(&mut self, id: SmsId, now: Instant) -> Option<DeliveryKey> {
        let sms = self.tracked.get_mut(&id)?;
        if sms.held_until.is_some_and(|until| until <= now) { sms.release() } else { None }
    }
}
