//! Received SMS that wait for their campaign, in order for each person.
//!
//! A campaign refuses an SMS while it is busy. A person's first SMS is offered again until the campaign takes it. After
//! [`LONGEST_WAIT`] it goes back to the ledger with those that wait behind it. SMS that arrive from that person later would
//! overtake them: these go to the ledger too, until a claim has returned everything that is due.
//!
//! Each campaign has places of its own, and one timer: a campaign that takes nothing costs one offer a second, whoever
//! waits for it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem,
    time::Duration,
};

use tokio::time::Instant;
use vumi_kit::{
    keyed_queue::{Arrival, KeyedQueue},
    name::Name,
    sms::{Received, ReceivedId},
};

/// SMS that wait for one campaign; more stay in the ledger.
const CAPACITY: usize = 5_000;

/// How long an SMS may wait here: less than the ledger's lease, with time for the last offer.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// SMS that are offered to a campaign at once.
const MOST_OFFERS: usize = 256;
/// So many refusals in a row, and the campaign is offered nothing but by its timer.
const REFUSING: u32 = 8;
/// How soon a campaign is offered again what it refused; the wait doubles while it takes nothing.
const OFFER_AGAIN_AFTER: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

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

/// What a campaign's timer brings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// People whose first SMS is offered now.
    pub(crate) offers: Vec<QueueKey>,
    /// SMS that waited for too long: they go back to the ledger.
    pub(crate) returned: Vec<ReceivedId>,
}

/// An SMS, and when it arrived here.
type WaitingSms = (Received, Instant);

/// The people of one campaign.
#[derive(Debug)]
struct CampaignQueue {
    people: KeyedQueue<String, WaitingSms>,
    /// The first of each person.
    first: HashMap<String, WaitingSms>,
    /// People whose first SMS is not being offered now.
    waiting: VecDeque<String>,
    offered: usize,
    /// How many may be offered at once: halved while the campaign takes nothing.
    window: usize,
    pause: Duration,
    refusals_in_a_row: u32,
    /// It has taken something since the timer was last due.
    takes: bool,
    /// The timer runs.
    timed: bool,
}

impl CampaignQueue {
    fn new() -> Self {
        Self {
            people: KeyedQueue::new(CAPACITY, CAPACITY),
            first: HashMap::new(),
            waiting: VecDeque::new(),
            offered: 0,
            window: MOST_OFFERS,
            pause: OFFER_AGAIN_AFTER,
            refusals_in_a_row: 0,
            takes: false,
            timed: false,
        }
    }

    fn holds(&self, person: &str, id: ReceivedId) -> bool {
        let person = person.to_owned();
        let mut known = self.first.get(&person).into_iter().chain(self.people.behind(&person));
        known.any(|(waiting, _)| waiting.id == id)
    }

    fn arrive(&mut self, person: &str, sms: WaitingSms) -> Arrived {
        match self.people.arrive(person.to_owned(), sms) {
            Arrival::Begin(first) => {
                self.first.insert(person.to_owned(), first);
                self.offer_or_wait(person.to_owned())
            }
            Arrival::Waits => Arrived::Waits,
            Arrival::Full(_) => Arrived::Returned,
        }
    }

    fn offer_or_wait(&mut self, person: String) -> Arrived {
        if self.offered >= self.window || self.refusals_in_a_row >= REFUSING {
            self.waiting.push_back(person);
            return Arrived::Waits;
        }
        self.offered += 1;
        Arrived::First
    }

    /// The person's first was taken. Answers who is offered next: the same person's next one, and somebody who waits.
    fn taken(&mut self, person: &str) -> Vec<String> {
        self.offered = self.offered.saturating_sub(1);
        (self.refusals_in_a_row, self.takes) = (0, true);
        let mut next = Vec::new();
        match self.people.next(&person.to_owned()) {
            Some(sms) => {
                self.first.insert(person.to_owned(), sms);
                next.push(person.to_owned());
            }
            None => drop(self.first.remove(person)),
        }
        if self.offered + next.len() < self.window {
            next.extend(self.waiting.pop_front());
        }
        self.offered += next.len();
        next
    }

    fn refused(&mut self, person: String) {
        self.offered = self.offered.saturating_sub(1);
        self.refusals_in_a_row = self.refusals_in_a_row.saturating_add(1);
        self.waiting.push_back(person);
    }

    /// Whether the timer has to be started, and for how long.
    fn start_timer(&mut self) -> Option<Duration> {
        let starts = !self.timed && !self.waiting.is_empty();
        self.timed |= starts;
        starts.then_some(self.pause)
    }

    /// The timer is due: who is offered, and who has waited for too long.
    fn due(&mut self, now: Instant) -> (Vec<String>, Vec<String>) {
        self.timed = false;
        if mem::take(&mut self.takes) {
            self.window = (self.window * 2).min(MOST_OFFERS);
            self.pause = OFFER_AGAIN_AFTER;
        } else {
            self.window = (self.window / 2).max(1);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
        let is_over = |person: &String| {
            self.first.get(person).is_none_or(|(_, since)| now.duration_since(*since) >= LONGEST_WAIT)
        };
        let (over, mut waiting): (VecDeque<_>, VecDeque<_>) = self.waiting.drain(..).partition(is_over);
        let offers = self.window.saturating_sub(self.offered).min(waiting.len());
        let rest = waiting.split_off(offers);
        self.waiting = rest;
        self.offered += offers;
        (waiting.into(), over.into())
    }

    /// Removes all SMS of a person.
    fn clear(&mut self, person: &String) -> Vec<ReceivedId> {
        let all = self.first.remove(person).into_iter().chain(self.people.clear(person));
        all.map(|(received, _)| received.id).collect()
    }
}

#[derive(Debug, Default)]
pub(crate) struct ReceivedQueues {
    campaigns: HashMap<Name, CampaignQueue>,
    /// People some of whose SMS went back to the ledger.
    returned: HashSet<QueueKey>,
    /// Those whose SMS had gone back before the last claim.
    returned_before_claim: HashSet<QueueKey>,
}

impl ReceivedQueues {
    /// Queues an SMS that the ledger handed out by a claim (`claimed`), or that has just arrived.
    pub(crate) fn arrive(&mut self, key: &QueueKey, received: Received, claimed: bool, now: Instant) -> Arrived {
        let (campaign, person) = key;
        let queue = self.campaigns.entry(campaign.clone()).or_insert_with(CampaignQueue::new);
        if queue.holds(person, received.id) {
            return Arrived::Waits;
        }
        let overtakes = !claimed && (self.returned.contains(key) || self.returned_before_claim.contains(key));
        let arrived = if overtakes { Arrived::Returned } else { queue.arrive(person, (received, now)) };
        if arrived == Arrived::Returned {
            self.returned.insert(key.clone());
        }
        arrived
    }

    /// The first of a queue.
    pub(crate) fn first(&self, (campaign, person): &QueueKey) -> Option<&Received> {
        self.campaigns.get(campaign)?.first.get(person).map(|(received, _)| received)
    }

    /// The campaign has taken the first. Returns who is offered next.
    pub(crate) fn taken(&mut self, (campaign, person): &QueueKey) -> Vec<QueueKey> {
        let Some(queue) = self.campaigns.get_mut(campaign) else { return Vec::new() };
        queue.taken(person).into_iter().map(|person| (campaign.clone(), person)).collect()
    }

    /// The campaign has refused the first: it waits for the timer.
    pub(crate) fn refused(&mut self, (campaign, person): QueueKey) {
        if let Some(queue) = self.campaigns.get_mut(&campaign) {
            queue.refused(person);
        }
    }

    /// Whether the campaign's timer has to be started, and for how long.
    pub(crate) fn start_timer(&mut self, campaign: &Name) -> Option<Duration> {
        self.campaigns.get_mut(campaign)?.start_timer()
    }

    /// The campaign's timer is due.
    pub(crate) fn due(&mut self, campaign: &Name, now: Instant) -> Due {
        let Some(queue) = self.campaigns.get_mut(campaign) else { return Due::default() };
        let (offers, over) = queue.due(now);
        let returned = over.iter().flat_map(|person| queue.clear(person)).collect();
        self.returned.extend(over.into_iter().map(|person| (campaign.clone(), person)));
        Due { offers: offers.into_iter().map(|person| (campaign.clone(), person)).collect(), returned }
    }

    /// A claim begins. SMS that go back from now on may miss it.
    pub(crate) fn claim_begins(&mut self) {
        self.returned_before_claim.extend(self.returned.drain());
    }

    /// The claim has returned everything that was due when it began: an SMS that arrives now overtakes nothing of that.
    pub(crate) fn claim_was_complete(&mut self) {
        self.returned_before_claim.clear();
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

    use super::{Arrived, CAPACITY, Due, Instant, LONGEST_PAUSE, LONGEST_WAIT, MOST_OFFERS, QueueKey, ReceivedQueues};

    fn sms(id: i64) -> Received {
        let msisdn = |text| Msisdn::parse(text).unwrap();
        Received {
            id,
            account: Some(1),
            transport: Name::parse("opera").unwrap(),
            message_id: id.to_string(),
            sms: InboundSms::whole(msisdn("27831234567"), msisdn("38080"), ""),
            repeated: false,
            incomplete: false,
            tags: Vec::new(),
            consent: None,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        }
    }

    fn key() -> QueueKey {
        (Name::parse("quiz").unwrap(), "27831234567".to_owned())
    }

    /// Another person of the campaign `quiz`.
    fn person(number: usize) -> QueueKey {
        (key().0, number.to_string())
    }

    #[test]
    fn a_persons_sms_are_taken_one_after_the_other_and_none_is_queued_twice() {
        let (mut queues, now) = (ReceivedQueues::default(), Instant::now());
        assert_eq!(queues.arrive(&key(), sms(1), false, now), Arrived::First);
        assert_eq!(queues.arrive(&key(), sms(2), false, now), Arrived::Waits);
        assert_eq!(queues.arrive(&key(), sms(1), true, now), Arrived::Waits);
        assert_eq!(queues.first(&key()).unwrap().id, 1);
        assert_eq!(queues.taken(&key()), [key()]);
        assert_eq!(queues.first(&key()).unwrap().id, 2);
        assert_eq!(queues.taken(&key()), []);
        assert_eq!(queues.first(&key()), None);
    }

    #[test]
    fn an_sms_that_would_overtake_returned_ones_is_returned_until_a_claim_was_complete() {
        let (mut queues, now) = (ReceivedQueues::default(), Instant::now());
        queues.arrive(&key(), sms(1), false, now);
        queues.arrive(&key(), sms(2), false, now);
        queues.refused(key());
        assert_eq!(queues.due(&key().0, now), Due { offers: vec![key()], returned: vec![] });
        queues.refused(key());
        assert_eq!(queues.due(&key().0, now + LONGEST_WAIT), Due { offers: vec![], returned: vec![1, 2] });
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
        queues.refused(key());
        queues.due(&key().0, now + LONGEST_WAIT);
        queues.claim_was_complete();
        assert_eq!(queues.arrive(&key(), sms(2), false, now), Arrived::Returned, "the claim did not hand out 1");
    }

    #[test]
    fn sms_beyond_a_campaigns_places_are_returned_and_another_campaign_has_its_own() {
        let (mut queues, now) = (ReceivedQueues::default(), Instant::now());
        for id in 0..CAPACITY {
            queues.arrive(&key(), sms(i64::try_from(id).unwrap()), true, now);
        }
        assert_eq!(queues.arrive(&key(), sms(-1), true, now), Arrived::Returned);
        let other = (Name::parse("other").unwrap(), key().1);
        assert_eq!(queues.arrive(&other, sms(-2), true, now), Arrived::First);
    }

    #[test]
    fn a_campaign_that_takes_nothing_is_offered_one_sms_a_second_and_all_when_it_takes_again() {
        let (mut queues, begun) = (ReceivedQueues::default(), Instant::now());
        let mut offered: Vec<QueueKey> = (0..1_000)
            .filter(|number| {
                queues.arrive(&person(*number), sms(i64::try_from(*number).unwrap()), false, begun) == Arrived::First
            })
            .map(person)
            .collect();
        assert_eq!(offered.len(), MOST_OFFERS, "the others wait for these");
        let (mut now, mut offers, mut waits) = (begun, offered.len(), vec![]);
        while now < begun + LONGEST_WAIT / 2 {
            offered.into_iter().for_each(|key| queues.refused(key));
            let wait = queues.start_timer(&key().0).unwrap();
            assert_eq!(queues.start_timer(&key().0), None, "one timer");
            now += wait;
            waits.push(wait);
            offered = queues.due(&key().0, now).offers;
            offers += offered.len();
        }
        assert_eq!((offered.len(), *waits.last().unwrap()), (1, LONGEST_PAUSE));
        assert!(offers < 3 * MOST_OFFERS, "{offers} offers in 10 s");
        assert_eq!(queues.arrive(&person(2_000), sms(2_000), false, now), Arrived::Waits, "it is not offered at once");

        // Everybody is still there, and is offered once.
        let mut taken = 0;
        while let Some(key) = offered.pop() {
            taken += 1;
            offered.extend(queues.taken(&key));
            if offered.is_empty() {
                offered = queues.due(&key.0, now).offers;
            }
        }
        assert_eq!(taken, 1_001);
    }
}
