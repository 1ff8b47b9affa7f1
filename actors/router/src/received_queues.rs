//! Received SMS that wait for their campaign, in order for each person.
//!
//! A campaign refuses an SMS while it is busy. A person's first SMS is offered again until the campaign takes it. After
//! [`LONGEST_WAIT`] it goes back to the ledger with those that wait behind it. SMS that arrive from that person later would
//! overtake them: these go to the ledger too, until a claim has returned everything that is due.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;
use vumi_kit::{
    keyed_queue::{Arrival, KeyedQueue},
    name::Name,
    sms::{Received, ReceivedId},
};

/// SMS in all queues, or in one; more stay in the ledger.
const CAPACITY: usize = 5_000;

/// How long an SMS may wait here: less than the ledger's lease, with time for the last offer.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// The campaign, and the number of the person who writes to it.
pub(crate) type QueueKey = (Name, String);

/// Where an arriving SMS is now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// The first of its queue: to be offered.
    First,
    /// Behind others, or there already.
    Waits,
    /// Nowhere: it goes back to the ledger.
    Returned,
}

/// What follows a refusal of a queue's first SMS.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AfterRefusal {
    /// It is offered again soon.
    OfferAgain,
    /// It waited for too long: these go back to the ledger.
    Return(Vec<ReceivedId>),
}

/// An SMS, and when it arrived here.
type WaitingSms = (Received, Instant);

/// All queues.
#[derive(Debug)]
pub(crate) struct ReceivedQueues {
    queue: KeyedQueue<QueueKey, WaitingSms>,
    /// The first of each queue: it is being offered to the campaign.
    first: HashMap<QueueKey, WaitingSms>,
    /// People some of whose SMS went back to the ledger.
    returned: HashSet<QueueKey>,
    /// Those whose SMS had gone back before the last claim.
    returned_before_claim: HashSet<QueueKey>,
}

impl Default for ReceivedQueues {
    fn default() -> Self {
        Self {
            queue: KeyedQueue::new(CAPACITY, CAPACITY),
            first: HashMap::new(),
            returned: HashSet::new(),
            returned_before_claim: HashSet::new(),
        }
    }
}

impl ReceivedQueues {
    /// Queues an SMS that the ledger handed out by a claim (`claimed`), or that has just arrived.
    pub(crate) fn arrive(&mut self, key: &QueueKey, received: Received, claimed: bool, now: Instant) -> Arrived {
        let known = self.first.get(key).into_iter().chain(self.queue.behind(key));
        if known.into_iter().any(|(waiting, _)| waiting.id == received.id) {
            return Arrived::Waits;
        }
        if !claimed && (self.returned.contains(key) || self.returned_before_claim.contains(key)) {
            self.returned.insert(key.clone());
            return Arrived::Returned;
        }
        match self.queue.arrive(key.clone(), (received, now)) {
            Arrival::Begin(first) => {
                self.first.insert(key.clone(), first);
                Arrived::First
            }
            Arrival::Waits => Arrived::Waits,
            Arrival::Full(_) => {
                self.returned.insert(key.clone());
                Arrived::Returned
            }
        }
    }

    /// The first of a queue.
    pub(crate) fn first(&self, key: &QueueKey) -> Option<&Received> {
        self.first.get(key).map(|(received, _)| received)
    }

    /// The campaign has taken the first. Returns whether another one waited behind it, which is the first from now on.
    pub(crate) fn taken(&mut self, key: &QueueKey) -> bool {
        let next = self.queue.next(key);
        match next {
            Some(next) => self.first.insert(key.clone(), next).is_some(),
            None => {
                self.first.remove(key);
                false
            }
        }
    }

    /// The campaign has refused the first.
    pub(crate) fn refused(&mut self, key: &QueueKey, now: Instant) -> AfterRefusal {
        if self.first.get(key).is_some_and(|(_, since)| now.duration_since(*since) < LONGEST_WAIT) {
            return AfterRefusal::OfferAgain;
        }
        let all = self.first.remove(key).into_iter().chain(self.queue.clear(key));
        self.returned.insert(key.clone());
        AfterRefusal::Return(all.map(|(received, _)| received.id).collect())
    }

    /// A claim begins. SMS that go back from now on may miss it.
    pub(crate) fn claim_begins(&mut self) {
        self.returned_before_claim.extend(self.returned.drain());
    }

    /// The claim has returned everything that was due when it began: an SMS that arrives now overtakes nothing of that.
    pub(crate) fn claim_was_complete(&mut self) {
        self.returned_before_claim.clear();
    }

    /// Whether the ledger may hand out more.
    pub(crate) const fn has_capacity(&self) -> bool {
        self.queue.len() < CAPACITY / 2
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::{
        address::Msisdn,
        clock::Timestamp,
        name::Name,
        sms::{InboundSms, Received},
    };

    use super::{AfterRefusal, Arrived, Instant, LONGEST_WAIT, QueueKey, ReceivedQueues};

    fn sms(id: i64) -> Received {
        let msisdn = |text| Msisdn::parse(text).unwrap();
        Received {
            id,
            account: Some(1),
            transport: Name::parse("opera").unwrap(),
            message_id: id.to_string(),
            sms: InboundSms {
                from: msisdn("27831234567"),
                to: msisdn("38080"),
                message: String::new(),
                charset: None,
                provider_id: None,
                at: None,
                part: None,
            },
            repeated: false,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        }
    }

    fn key() -> QueueKey {
        (Name::parse("quiz").unwrap(), "27831234567".to_owned())
    }

    #[test]
    fn a_persons_sms_are_taken_one_after_the_other_and_none_is_queued_twice() {
        let (mut queues, now) = (ReceivedQueues::default(), Instant::now());
        assert_eq!(queues.arrive(&key(), sms(1), false, now), Arrived::First);
        assert_eq!(queues.arrive(&key(), sms(2), false, now), Arrived::Waits);
        assert_eq!(queues.arrive(&key(), sms(1), true, now), Arrived::Waits);
        assert_eq!(queues.first(&key()).unwrap().id, 1);
        assert!(queues.taken(&key()));
        assert_eq!(queues.first(&key()).unwrap().id, 2);
        assert!(!queues.taken(&key()));
        assert_eq!((queues.first(&key()), queues.queue.len()), (None, 0));
    }

    #[test]
    fn an_sms_that_would_overtake_returned_ones_is_returned_until_a_claim_was_complete() {
        let (mut queues, now) = (ReceivedQueues::default(), Instant::now());
        queues.arrive(&key(), sms(1), false, now);
        queues.arrive(&key(), sms(2), false, now);
        assert_eq!(queues.refused(&key(), now), AfterRefusal::OfferAgain);
        assert_eq!(queues.refused(&key(), now + LONGEST_WAIT), AfterRefusal::Return(vec![1, 2]));
        assert_eq!(queues.arrive(&key(), sms(3), false, now), Arrived::Returned, "it would overtake them");
        queues.claim_begins();
        assert_eq!(queues.arrive(&key(), sms(3), false, now), Arrived::Returned, "the claim has not returned yet");
        assert_eq!(queues.arrive(&key(), sms(1), true, now), Arrived::First);
        queues.claim_begins();
        queues.claim_was_complete();
        assert_eq!(queues.arrive(&key(), sms(4), false, now), Arrived::Waits);
    }

    #[test]
    fn an_sms_that_went_back_during_a_claim_is_not_overtaken_when_the_claim_returns() {
        let (mut queues, now) = (ReceivedQueues::default(), Instant::now());
        queues.arrive(&key(), sms(1), false, now);
        queues.claim_begins();
        queues.refused(&key(), now + LONGEST_WAIT);
        queues.claim_was_complete();
        assert_eq!(queues.arrive(&key(), sms(2), false, now), Arrived::Returned, "the claim did not hand out 1");
    }

    #[test]
    fn sms_beyond_the_capacity_are_returned() {
        let (mut queues, now) = (ReceivedQueues::default(), Instant::now());
        for id in 0..super::CAPACITY {
            queues.arrive(&key(), sms(i64::try_from(id).unwrap()), true, now);
        }
        assert!(!queues.has_capacity());
        assert_eq!(queues.arrive(&key(), sms(-1), true, now), Arrived::Returned);
    }
}
