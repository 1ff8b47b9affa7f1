//! Work for people, done in order for each person and for many people at once.

use std::{cell::RefCell, collections::VecDeque};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::Notify;
use vumi_kit::{
    address::Msisdn,
    keyed_queue::{Arrival, KeyedQueue},
};

/// A queue of work and the future that does it. The queue refuses nothing: the transport stops reading while
/// [`PersonWork::len`] is high, and what it pushes without reading is bounded by its open sessions.
pub(super) struct PersonWork<J> {
    waiting: RefCell<PendingWork<J>>,
    woken: Notify,
}

struct PendingWork<J> {
    /// To be begun.
    ready: VecDeque<(Msisdn, J)>,
    queue: KeyedQueue<Msisdn, J>,
}

impl<J> Default for PersonWork<J> {
    fn default() -> Self {
        let waiting = PendingWork { ready: VecDeque::new(), queue: KeyedQueue::new(usize::MAX, usize::MAX) };
        Self { waiting: RefCell::new(waiting), woken: Notify::new() }
    }
}

impl<J> PersonWork<J> {
    pub(super) fn push(&self, person: Msisdn, job: J) {
        let mut waiting = self.waiting.borrow_mut();
        // Never full: see the type.
        if let Arrival::Begin(job) | Arrival::Full(job) = waiting.queue.arrive(person.clone(), job) {
            waiting.ready.push_back((person, job));
            drop(waiting);
            self.woken.notify_one();
        }
    }

    /// How many jobs are not done.
    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().queue.len()
    }

    fn next(&self) -> Option<(Msisdn, J)> {
        self.waiting.borrow_mut().ready.pop_front()
    }

    fn done(&self, person: Msisdn) {
        let mut waiting = self.waiting.borrow_mut();
        if let Some(job) = waiting.queue.next(&person) {
            waiting.ready.push_back((person, job));
        }
    }

    /// Does the work, for at most `at_once` people at once.
    pub(super) async fn run<F: Future<Output = ()>>(
        &self,
        at_once: usize,
        work: impl Fn(Msisdn, J) -> F,
        after_each: impl Fn(),
    ) {
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < at_once
                && let Some((person, job)) = self.next()
            {
                let doing = work(person.clone(), job);
                under_way.push(async move {
                    doing.await;
                    person
                });
            }
            tokio::select! {
                Some(person) = under_way.next(), if !under_way.is_empty() => {
                    self.done(person);
                    after_each();
                }
                () = self.woken.notified() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc, time::Duration};

    use vumi_kit::address::Msisdn;

    use super::PersonWork;

    #[tokio::test(start_paused = true)]
    async fn one_persons_work_is_in_order_and_nobody_waits_for_another() {
        let work_queue = PersonWork::default();
        let (slow, quick) = (Msisdn::parse("27831").unwrap(), Msisdn::parse("27832").unwrap());
        for (person, job) in [(&slow, 10), (&slow, 1), (&quick, 2), (&slow, 3)] {
            work_queue.push(person.clone(), job);
        }
        let done = Rc::new(RefCell::new(Vec::new()));
        let work = |_, seconds: u64| {
            let done = done.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                done.borrow_mut().push(seconds);
            }
        };
        tokio::time::timeout(Duration::from_secs(20), work_queue.run(8, work, || {})).await.ok();
        assert_eq!(*done.borrow(), [2, 10, 1, 3]);
        assert_eq!(work_queue.len(), 0);
    }
}
