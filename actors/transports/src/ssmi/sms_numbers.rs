//! The numbers (SEQ) that the server gives to sent SMS. It names only the person, so that the order tells which SMS it
//! means.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};
use vumi_kit::{address::Msisdn, sms::SmsId};

/// An SMS whose number has not come by then gets none.
const NUMBER_LIMIT: Duration = Duration::from_secs(60);
/// How long a late number is kept for the next attempt.
const LATE_KEPT: Duration = Duration::from_secs(3600);
/// How many late numbers are kept.
const MOST_LATE: usize = 10_000;

/// What became of a sent SMS; the channel is dropped if the connection was lost after its frame was written.
pub(super) enum SmsNumber {
    Assigned(String),
    NeverWritten,
}

struct Unnumbered {
    id: SmsId,
    sent: Instant,
    /// Where its frame ends in the stream.
    frame_end: u64,
    number: oneshot::Sender<SmsNumber>,
}

struct LateNumber {
    number: String,
    came: Instant,
}

/// See the module.
#[derive(Default)]
pub(super) struct SmsNumbers {
    /// SMS without a number, in the order they were sent.
    unnumbered: HashMap<Msisdn, VecDeque<Unnumbered>>,
    /// Numbers that came after the attempt had ended.
    late: HashMap<SmsId, LateNumber>,
}

impl SmsNumbers {
    /// An SMS was framed: its number will come here.
    pub(super) fn expect(&mut self, person: &Msisdn, id: SmsId, frame_end: u64) -> oneshot::Receiver<SmsNumber> {
        let (number, numbered) = oneshot::channel();
        let waiting = Unnumbered { id, sent: Instant::now(), frame_end, number };
        self.unnumbered.entry(person.clone()).or_default().push_back(waiting);
        numbered
    }

    /// The connection is lost, written so far.
    pub(super) fn link_lost(&mut self, written: u64) {
        for waiting in self.unnumbered.drain().flat_map(|(_, queue)| queue) {
            if waiting.frame_end > written {
                // The attempt may have ended.
                let _heard = waiting.number.send(SmsNumber::NeverWritten);
            }
        }
    }

    /// Gives the person's oldest SMS its number; false where there is none. An SMS whose attempt has ended takes its
    /// number all the same: it belongs to no later SMS, and the next attempt looks it up.
    pub(super) fn assign(&mut self, person: &Msisdn, number: String) -> bool {
        let Some(queue) = self.unnumbered.get_mut(person) else { return false };
        while queue.front().is_some_and(Unnumbered::is_over) {
            queue.pop_front();
        }
        let first = queue.pop_front();
        if queue.is_empty() {
            self.unnumbered.remove(person);
        }
        let Some(first) = first else { return false };
        if let Err(SmsNumber::Assigned(number)) = first.number.send(SmsNumber::Assigned(number)) {
            if self.late.len() >= MOST_LATE {
                return false;
            }
            self.late.insert(first.id, LateNumber { number, came: Instant::now() });
        }
        true
    }

    /// Takes a number that came late.
    pub(super) fn take_late(&mut self, id: SmsId) -> Option<String> {
        self.late.remove(&id).map(|late| late.number)
    }

    /// Forgets SMS that will get no number, and late numbers that no attempt took.
    pub(super) fn sweep(&mut self) {
        self.late.retain(|_, late| late.came.elapsed() < LATE_KEPT);
        self.unnumbered.retain(|_, queue| {
            queue.retain(|one| !one.is_over());
            !queue.is_empty()
        });
    }
}

impl Unnumbered {
    fn is_over(&self) -> bool {
        self.number.is_closed() && self.sent.elapsed() > NUMBER_LIMIT
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::address::Msisdn;

    use super::{SmsNumber, SmsNumbers};

    #[tokio::test]
    async fn what_was_never_written_whole_when_the_connection_was_lost_did_not_arrive() {
        let mut awaited = SmsNumbers::default();
        let person = Msisdn::parse("27831234567").unwrap();
        let mut numbers = Vec::new();
        for (id, frame_end) in [(1, 100), (2, 200)] {
            numbers.push(awaited.expect(&person, id, frame_end));
        }
        awaited.link_lost(199);
        assert!(matches!(numbers.pop().unwrap().await, Ok(SmsNumber::NeverWritten)));
        assert!(numbers.pop().unwrap().await.is_err(), "nobody knows whether the first arrived");
    }
}
