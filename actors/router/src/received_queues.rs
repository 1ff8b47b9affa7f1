//! Received SMS that wait for their campaign: a queue for each person, so that nobody is answered out of order.
//!
//! A campaign takes so many messages of one person and refuses more for now. The first of a queue is offered again until
//! it is taken. One that has waited for too long goes back to the ledger with all behind it, and what comes from that
//! person meanwhile goes there too, until the ledger has been asked for everything that is due.

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

/// SMS in all queues; more stay in the ledger.
const MOST: usize = 5_000;

/// How long an SMS may wait here: less than the ledger's lease, with time for the last offer.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// The campaign, and who writes to it.
pub(crate) type QueueKey = (Name, String);

/// What becomes of an SMS that arrives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It is the first in its queue: to be offered.
    First,
    /// It waits behind others, or was there already.
    Waits,
    /// There is no place for it: back to the ledger.
    GoesBack,
}

/// What becomes of a queue whose first was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// To be offered again soon.
    Again,
    /// It waited for too long: these go back to the ledger, in this order.
    GoBack(Vec<ReceivedId>),
}

/// An SMS, and since when it waits here.
type WaitingSms = (Received, Instant);

/// All queues.
#[derive(Debug)]
pub(crate) struct ReceivedQueues {
    queue: KeyedQueue<QueueKey, WaitingSms>,
    /// The first of each queue: it is offered to its campaign.
    first: HashMap<QueueKey, WaitingSms>,
    /// Those some of whose SMS are in the ledger, due before any that comes now.
    behind: HashSet<QueueKey>,
    /// Those of them that were so before the ledger was last asked.
    asked: HashSet<QueueKey>,
}

impl Default for ReceivedQueues {
    fn default() -> Self {
        Self {
            queue: KeyedQueue::new(MOST, MOST),
            first: HashMap::new(),
            behind: HashSet::new(),
            asked: HashSet::new(),
        }
    }
}

impl ReceivedQueues {
    /// Takes an SMS: one that the ledger handed out (`claimed`), or one that has just come.
    pub(crate) fn arrive(&mut self, key: &QueueKey, received: Received, claimed: bool, now: Instant) -> Placed {
        let known = self.first.get(key).into_iter().chain(self.queue.behind(key));
        if known.into_iter().any(|(waiting, _)| waiting.id == received.id) {
            return Placed::Waits;
        }
        if !claimed && (self.behind.contains(key) || self.asked.contains(key)) {
            self.behind.insert(key.clone());
            return Placed::GoesBack;
        }
        match self.queue.arrive(key.clone(), (received, now)) {
            Arrival::Begin(first) => {
                self.first.insert(key.clone(), first);
                Placed::First
            }
            Arrival::Waits => Placed::Waits,
            Arrival::Full(_) => {
                self.behind.insert(key.clone());
                Placed::GoesBack
            }
        }
    }

    /// The first of a queue.
    pub(crate) fn first(&self, key: &QueueKey) -> Option<&Received> {
        self.first.get(key).map(|(received, _)| received)
    }

    /// The first was taken. Says whether there is another one behind it, which is the first from now on.
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

    /// The first was refused.
    pub(crate) fn refused(&mut self, key: &QueueKey, now: Instant) -> Refusal {
        if self.first.get(key).is_some_and(|(_, since)| now.duration_since(*since) < LONGEST_WAIT) {
            return Refusal::Again;
        }
        let all = self.first.remove(key).into_iter().chain(self.queue.clear(key));
        self.behind.insert(key.clone());
        Refusal::GoBack(all.map(|(received, _)| received.id).collect())
    }

    /// The ledger is asked for what is due. What goes back from now on may come too late to be among its answer.
    pub(crate) fn asks(&mut self) {
        self.asked.extend(self.behind.drain());
    }

    /// Everything that was due when the ledger was asked has been handed out: what comes now is not behind it.
    pub(crate) fn caught_up(&mut self) {
        self.asked.clear();
    }

    /// Whether the ledger may hand out more.
    pub(crate) const fn has_room(&self) -> bool {
        self.queue.len() < MOST / 2
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

    use super::{Instant, LONGEST_WAIT, Placed, QueueKey, ReceivedQueues, Refusal};

    fn sms(id: i64) -> Received {
        let msisdn = |text| Msisdn::parse(text).unwrap();
        Received {
            id,
            account: 1,
            transport: Name::parse("opera").unwrap(),
            message_id: id.to_string(),
            sms: InboundSms {
                from: msisdn("27831234567"),
                to: msisdn("38080"),
                message: String::new(),
                charset: None,
                provider_id: None,
                at: None,
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
    fn a_line_is_taken_from_the_front_and_nobody_stands_twice() {
        let (mut queues, now) = (ReceivedQueues::default(), Instant::now());
        assert_eq!(queues.arrive(&key(), sms(1), false, now), Placed::First);
        assert_eq!(queues.arrive(&key(), sms(2), false, now), Placed::Waits);
        assert_eq!(queues.arrive(&key(), sms(1), true, now), Placed::Waits);
        assert_eq!(queues.first(&key()).unwrap().id, 1);
        assert!(queues.taken(&key()));
        assert_eq!(queues.first(&key()).unwrap().id, 2);
        assert!(!queues.taken(&key()));
        assert_eq!((queues.first(&key()), queues.queue.len()), (None, 0));
    }

    #[test]
    fn whoever_comes_after_a_line_that_went_back_goes_back_too_until_the_ledger_has_been_asked() {
        let (mut queues, now) = (ReceivedQueues::default(), Instant::now());
        queues.arrive(&key(), sms(1), false, now);
        queues.arrive(&key(), sms(2), false, now);
        assert_eq!(queues.refused(&key(), now), Refusal::Again);
        assert_eq!(queues.refused(&key(), now + LONGEST_WAIT), Refusal::GoBack(vec![1, 2]));
        assert_eq!(queues.arrive(&key(), sms(3), false, now), Placed::GoesBack, "it would overtake them");
        queues.asks();
        assert_eq!(queues.arrive(&key(), sms(3), false, now), Placed::GoesBack, "the answer is still to come");
        assert_eq!(queues.arrive(&key(), sms(1), true, now), Placed::First);
        queues.asks();
        queues.caught_up();
        assert_eq!(queues.arrive(&key(), sms(4), false, now), Placed::Waits);
    }

    #[test]
    fn what_went_back_while_the_ledger_was_asked_is_not_overtaken_when_it_answers() {
        let (mut queues, now) = (ReceivedQueues::default(), Instant::now());
        queues.arrive(&key(), sms(1), false, now);
        queues.asks();
        queues.refused(&key(), now + LONGEST_WAIT);
        queues.caught_up();
        assert_eq!(
            queues.arrive(&key(), sms(2), false, now),
            Placed::GoesBack,
            "1 is in the ledger, and was not handed out"
        );
    }

    #[test]
    fn there_is_a_bound() {
        let (mut queues, now) = (ReceivedQueues::default(), Instant::now());
        for id in 0..super::MOST {
            queues.arrive(&key(), sms(i64::try_from(id).unwrap()), true, now);
        }
        assert!(!queues.has_room());
        assert_eq!(queues.arrive(&key(), sms(-1), true, now), Placed::GoesBack);
    }
}
