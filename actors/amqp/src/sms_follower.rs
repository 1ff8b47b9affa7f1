//! Follows SMS of campaigns elsewhere from the moment the ledger has them. The campaign gets an ack when a provider has
//! taken one, a nack when none will, and a delivery report for each later status.
//!
//! Until the first event the delivery stays unacknowledged, so that another process takes it over should this one die.
//! Two bounds keep a provider that does not answer from delaying other messages: such SMS hold at most half of
//! `prefetch` and hold it for at most `hold_for`. Events after that are remembered in this process only.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};
use vumi_kit::{
    account::AccountId,
    clock::Clock,
    component::CALL_LIMIT,
    ledger::{ListSms, Which},
    name::Name,
    sms::{Sms, SmsId},
    store::{Ask, Store},
};

use super::{
    deliveries::Deliveries,
    event_queue::{EventQueue, OutgoingEvent},
    settings::AmqpSettings,
    shutdown::Shutdown,
    sms_events::{events_since, sms_event},
    sms_tracker::{SmsTracker, TrackedSms},
    topology::Connector,
};

/// Follows SMS in the ledger.
pub(super) struct SmsFollower {
    tracker: RefCell<SmsTracker>,
    /// An SMS was added.
    added: Notify,
    hold_for: Duration,
    /// Deliveries of a connector that SMS may hold.
    share: usize,
    store: Store,
    clock: Clock,
    deliveries: Rc<Deliveries>,
    events: Rc<EventQueue>,
    shutdown: Rc<Shutdown>,
}

impl SmsFollower {
    pub(super) fn new(
        settings: &AmqpSettings,
        store: Store,
        clock: Clock,
        deliveries: Rc<Deliveries>,
        events: Rc<EventQueue>,
        shutdown: Rc<Shutdown>,
    ) -> Self {
        Self {
            tracker: RefCell::new(SmsTracker::new(settings.remember)),
            added: Notify::new(),
            hold_for: settings.hold_for,
            share: usize::from(settings.prefetch / 2),
            store,
            clock,
            deliveries,
            events,
            shutdown,
        }
    }

    /// The ledger has the SMS that a delivery asked for.
    pub(super) async fn follow(&self, connector: &Rc<Connector>, message_id: &str, sms: &Sms) {
        let ledger_key = (sms.account, sms.transport.clone());
        let tracked =
            TrackedSms::new(connector.clone(), message_id.to_owned(), ledger_key, self.hold_for, Instant::now());
        let key = tracked.key();
        if self.shutdown.is_begun() {
            // The ledger knows the message id: the next process follows the SMS from there.
            return self.deliveries.give_back(&key);
        }
        self.deliveries.hold_until_settled(&key);
        let (forgotten, released) = {
            let mut tracker = self.tracker.borrow_mut();
            let forgotten = tracker.begin(sms.id, tracked);
            (forgotten, tracker.release_beyond(connector.number, self.share))
        };
        self.added.notify_one();
        for key in released {
            self.deliveries.settle(&key).await;
        }
        if let Some(forgotten) = forgotten {
            self.forget(forgotten).await;
        }
    }

    /// Looks at the SMS that are due, until the front-end ends.
    pub(super) async fn run(self: Rc<Self>) {
        loop {
            let next = self.tracker.borrow().next_due();
            match next {
                None => self.added.notified().await,
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.added.notified() => continue,
                },
            }
            let groups = self.tracker.borrow_mut().take_due(Instant::now());
            for ((account, transport), ids) in groups {
                self.look_up(account, transport, ids).await;
            }
        }
    }

    /// The front-end stops: the broker gets back the deliveries without an event, for another process.
    pub(super) fn stop(&self) {
        let tracked = self.tracker.borrow_mut().end_all();
        let mut unreported = 0;
        for mut sms in tracked.filter(|sms| sms.reported.is_none()) {
            match sms.release() {
                Some(key) => self.deliveries.give_back(&key),
                None => unreported += 1,
            }
        }
        if unreported > 0 {
            tracing::warn!(
                count = unreported,
                "SMS wait in the ledger for long: their campaigns get no ack for them after the stop"
            );
        }
    }

    async fn look_up(&self, account: AccountId, transport: Name, ids: Vec<SmsId>) {
        let list =
            ListSms { account, transport: Some(transport), which: Which::Ids(ids.clone()), start: 0, limit: ids.len() };
        let found = match timeout(CALL_LIMIT, self.store.ledger.ask_waiting(list)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return tracing::debug!(%error, "SMS can't be looked up now: they are later"),
            Err(_) => return tracing::debug!("the store did not answer in time: SMS are looked up later"),
        };
        let found_ids: BTreeSet<SmsId> = found.iter().map(|sms| sms.id).collect();
        for id in ids.into_iter().filter(|id| !found_ids.contains(id)) {
            let ended = self.tracker.borrow_mut().end(id);
            if let Some(sms) = ended {
                self.forget(sms).await;
            }
        }
        for sms in found {
            self.report(&sms);
            let overdue = self.tracker.borrow_mut().release_if_overdue(sms.id, Instant::now());
            if let Some(key) = overdue {
                self.deliveries.settle(&key).await;
            }
        }
    }

    /// Queues the events about what is new of an SMS.
    fn report(&self, sms: &Sms) {
        let mut tracker = self.tracker.borrow_mut();
        let Some(tracked) = tracker.get_mut(sms.id) else { return };
        let news = events_since(tracked.reported, sms);
        // What does not fit now is still new at the next look.
        let connector = tracked.connector.clone();
        if !self.events.has_room_for(connector.number, news.len()) {
            return;
        }
        for what in news {
            let settles = tracked.release();
            tracked.report(sms.status);
            let (number, queue) = (connector.number, connector.queues.event.clone());
            let event = sms_event(&queue, &tracked.message_id, &tracked.transport, what, self.clock.now());
            let outgoing = OutgoingEvent { connector: number, queue, event, settles, acknowledges: vec![] };
            // There is room: it was asked above.
            let _kept = self.events.push(outgoing);
        }
        let over = sms.status.is_final() || tracked.has_expired(Instant::now());
        if over && tracked.held_until.is_none() {
            tracker.end(sms.id);
        }
    }

    async fn forget(&self, mut sms: TrackedSms) {
        if sms.reported.is_none() {
            self.events.count_lost();
            vumi_kit::warn_limited!(
                "forgotten",
                message = sms.message_id,
                "the campaign gets no event about an SMS: as many are followed as `amqp.remember` allows"
            );
        }
        if let Some(key) = sms.release() {
            self.deliveries.settle(&key).await;
        }
    }
}
