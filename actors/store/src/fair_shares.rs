//! Whose SMS a transport claims next: what the writer remembers of the accounts that wait, without asking the database.
//!
//! Within a lane (a priority) accounts share a transport by deficit round robin (Shreedhar and Varghese), counted in
//! segments: in each round an account may take its quantum and what it saved up, so that one with long SMS or with
//! 100,000 of them gets no more than another. Between lanes the higher one goes first; but of ten segments that go before
//! a lower lane, one is owed to it, so that it always gets on.
//!
//! All of it is a hint and not rolled back: an account without SMS costs one question, and one that is missing here is found
//! by the next look at the index.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use vumi_kit::{account::AccountId, clock::Timestamp, name::Name, sms_options::Priority};

/// Of so many segments that go before a lower lane, one is owed to it.
const ONE_OF: i64 = 10;

/// What a lane can be owed at the most, in tenths of a segment: an hour of waiting does not become an hour of precedence.
const MOST_OWED: i64 = 100 * ONE_OF;

/// The most segments that an SMS counts.
const MOST_SEGMENTS: i64 = 255;

/// The lanes, in the order in which they are served.
pub(crate) const LANES: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

/// The accounts that wait, by transport.
#[derive(Debug, Default)]
pub(crate) struct FairShares(HashMap<Name, TransportShares>);

impl FairShares {
    /// An SMS of this account waits.
    pub(crate) fn waits(&mut self, transport: &Name, lane: Priority, account: AccountId) {
        match self.0.get_mut(transport) {
            Some(shares) => shares.waits(lane, account),
            None => self.of(transport).waits(lane, account),
        }
    }

    /// SMS wait, and nobody said whose: the index is looked at with the next claim.
    pub(crate) fn look_again(&mut self, transport: &Name) {
        self.of(transport).look_at = None;
    }

    /// What is known of a transport.
    pub(crate) fn of(&mut self, transport: &Name) -> &mut TransportShares {
        self.0.entry(transport.clone()).or_default()
    }
}

/// The accounts that wait for one transport.
#[derive(Debug, Default)]
pub(crate) struct TransportShares {
    lanes: [LaneShares; 3],
    /// When to look for accounts that nobody told of; none: now.
    look_at: Option<Timestamp>,
}

impl TransportShares {
    pub(crate) fn waits(&mut self, lane: Priority, account: AccountId) {
        self.lane(lane).accounts.entry(account).or_default();
    }

    /// Whether it is time to look at the index: always, where nobody is known to wait.
    pub(crate) fn is_to_look(&self, now: Timestamp) -> bool {
        self.is_empty() || self.look_at.is_none_or(|at| at <= now)
    }

    /// These wait, and the next look is not before then.
    pub(crate) fn looked(&mut self, found: impl IntoIterator<Item = (Priority, AccountId)>, again_at: Timestamp) {
        for (lane, account) in found {
            self.waits(lane, account);
        }
        self.look_at = Some(again_at);
    }

    /// Whether nobody waits, as far as is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.accounts.is_empty())
    }

    /// How many of `places` are this lane's: all but what is owed to lower ones.
    pub(crate) fn places(&self, lane: Priority, places: usize) -> usize {
        let lower = LANES.into_iter().filter(|other| *other < lane).map(|other| self.lane_of(other));
        let owed: usize = lower.map(|lower| lower.owed_segments().min(places)).sum();
        places.saturating_sub(owed)
    }

    /// Who is asked in this round: as many accounts as there are places at the most, from the one whose turn it is; and how many
    /// segments each may take beside what it saved up.
    pub(crate) fn round(&self, lane: Priority, places: usize) -> Round {
        let LaneShares { accounts: all, last, .. } = self.lane_of(lane);
        let behind = all.range((Bound::Excluded(*last), Bound::Unbounded));
        let accounts: Vec<AccountId> =
            behind.chain(all.range(..=*last)).map(|(account, _)| *account).take(places).collect();
        let quantum = if all.len() == 1 { usize::MAX } else { places / accounts.len().max(1) };
        Round { accounts, quantum: i64::try_from(quantum.max(1)).unwrap_or(i64::MAX) }
    }

    /// What an account may take with this quantum; none: not yet enough for its next SMS, and it saves it.
    pub(crate) fn allowance(&mut self, lane: Priority, account: AccountId, quantum: i64) -> Option<Allowance> {
        let its = self.lane(lane).accounts.entry(account).or_default();
        let (segments, next) = (its.saved.saturating_add(quantum), its.next.max(1));
        if segments >= next {
            return Some(Allowance { segments, next });
        }
        its.saved = segments;
        self.lane(lane).last = account;
        None
    }

    /// An account had its turn and took so many segments.
    pub(crate) fn took(&mut self, lane: Priority, account: AccountId, segments: i64, rest: Rest) {
        let its = self.lane(lane);
        its.last = account;
        match rest {
            Rest::NothingDue => {
                its.accounts.remove(&account);
            }
            Rest::More { saved, next } => {
                its.accounts.insert(account, Share { saved: saved.min(MOST_SEGMENTS), next: next.min(MOST_SEGMENTS) });
            }
        }
        its.owed -= (segments * ONE_OF).min(MOST_OWED);
        its.owed = its.owed.max(-MOST_OWED);
        for lower in LANES.into_iter().filter(|other| *other < lane) {
            let lower = self.lane(lower);
            lower.owed = if lower.accounts.is_empty() { 0 } else { (lower.owed + segments).min(MOST_OWED) };
        }
    }

    fn lane(&mut self, lane: Priority) -> &mut LaneShares {
        let [high, normal, low] = &mut self.lanes;
        match lane {
            Priority::High => high,
            Priority::Normal => normal,
            Priority::Low => low,
        }
    }

    fn lane_of(&self, lane: Priority) -> &LaneShares {
        let [high, normal, low] = &self.lanes;
        match lane {
            Priority::High => high,
            Priority::Normal => normal,
            Priority::Low => low,
        }
    }
}

/// Who is asked in a round.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) accounts: Vec<AccountId>,
    pub(crate) quantum: i64,
}

/// What an account may take in its turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub(crate) segments: i64,
    /// Those of its next SMS, as far as is known; one at the least.
    pub(crate) next: i64,
}

/// What an account leaves behind after its turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rest {
    /// None of its SMS are due any more: nothing is saved.
    NothingDue,
    /// Some of its SMS are due still: it keeps what it may save up.
    More {
        /// Segments that it may take beside its next quantum.
        saved: i64,
        /// Those of its next SMS, as far as is known.
        next: i64,
    },
}

/// What an account has of a lane.
#[derive(Debug, Default)]
struct Share {
    /// What it saved up, in segments.
    saved: i64,
    /// The segments of its next SMS, as far as is known.
    next: i64,
}

/// The accounts of one lane.
#[derive(Debug, Default)]
struct LaneShares {
    accounts: BTreeMap<AccountId, Share>,
    /// Who had the last turn.
    last: AccountId,
    /// Tenths of a segment that are owed to this lane; below 0: it had more.
    owed: i64,
}

impl LaneShares {
    fn owed_segments(&self) -> usize {
        if self.accounts.is_empty() { 0 } else { usize::try_from(self.owed / ONE_OF).unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use vumi_kit::{account::AccountId, clock::Timestamp, sms_options::Priority};

    use super::{LANES, Rest, TransportShares};

    /// Accounts with SMS of so many segments each, in a lane; as many as one wants.
    type Backlogs = Vec<(Priority, AccountId, i64)>;

    /// Claims `places` SMS as the ledger does; answers the segments that each took.
    fn claim(
        shares: &mut TransportShares,
        backlogs: &Backlogs,
        mut places: usize,
        into: &mut BTreeMap<AccountId, i64>,
    ) {
        for lane in LANES {
            let mut mine = shares.places(lane, places);
            for _ in 0..16 {
                let round = shares.round(lane, mine);
                for account in round.accounts {
                    let segments = backlogs.iter().find(|(its, id, _)| (*its, *id) == (lane, account)).unwrap().2;
                    let Some(allowed) = shares.allowance(lane, account, round.quantum) else { continue };
                    let allowed = allowed.segments;
                    let taken = (allowed / segments).min(i64::try_from(mine).unwrap());
                    mine -= usize::try_from(taken).unwrap();
                    places -= usize::try_from(taken).unwrap();
                    *into.entry(account).or_default() += taken * segments;
                    let rest = Rest::More { saved: (allowed - taken * segments).min(segments), next: segments };
                    shares.took(lane, account, taken * segments, rest);
                }
            }
        }
    }

    fn shared(backlogs: &Backlogs, places: usize, claims: usize) -> BTreeMap<AccountId, i64> {
        let (mut shares, mut taken) = (TransportShares::default(), BTreeMap::new());
        for (lane, account, _) in backlogs {
            shares.waits(*lane, *account);
        }
        for _ in 0..claims {
            claim(&mut shares, backlogs, places, &mut taken);
        }
        taken
    }

    #[test]
    fn accounts_get_the_same_number_of_segments_however_long_their_sms_are() {
        for places in [1, 3, 12, 64] {
            let taken = shared(
                &vec![(Priority::Normal, 1, 1), (Priority::Normal, 2, 4), (Priority::Normal, 3, 9)],
                places,
                2000,
            );
            let (least, most) = (taken.values().min().unwrap(), taken.values().max().unwrap());
            assert!(*most - *least <= 2 * (9 + i64::try_from(places).unwrap()), "{places}: {taken:?}");
        }
    }

    #[test]
    fn with_more_accounts_than_places_each_has_its_turn() {
        let many: Backlogs = (1..=100).map(|account| (Priority::Normal, account, 1)).collect();
        let taken = shared(&many, 7, 100);
        assert!(taken.len() == 100 && taken.values().all(|taken| *taken == 7), "{taken:?}");
    }

    #[test]
    fn a_higher_lane_goes_first_and_of_ten_segments_one_is_a_lower_lanes() {
        for places in [1, 10, 50] {
            let all = vec![(Priority::High, 1, 1), (Priority::Normal, 2, 1), (Priority::Low, 3, 1)];
            let taken = shared(&all, places, 1000);
            let total: i64 = taken.values().sum();
            let share = |account: i64| taken[&account] * 100 / total;
            assert!((80..=84).contains(&share(1)), "{places}: {taken:?}");
            assert!((7..=10).contains(&share(2)) && (7..=10).contains(&share(3)), "{places}: {taken:?}");
        }
    }

    #[test]
    fn one_that_comes_late_has_its_turn_in_the_next_round() {
        let mut shares = TransportShares::default();
        shares.waits(Priority::Normal, 7);
        let mut taken = BTreeMap::new();
        let (first, both) = (vec![(Priority::Normal, 7, 1)], vec![(Priority::Normal, 7, 1), (Priority::Normal, 9, 1)]);
        for _ in 0..100 {
            claim(&mut shares, &first, 50, &mut taken);
        }
        shares.waits(Priority::Normal, 9);
        taken.clear();
        claim(&mut shares, &both, 10, &mut taken);
        assert_eq!(taken, BTreeMap::from([(7, 5), (9, 5)]));
    }

    #[test]
    fn who_has_nothing_due_is_asked_no_more_until_a_look_finds_it() {
        let (mut shares, now) = (TransportShares::default(), Timestamp::from_seconds(1));
        assert!(shares.is_to_look(now) && shares.is_empty());
        shares.looked([(Priority::Low, 5)], Timestamp::from_seconds(2));
        assert!(!shares.is_to_look(now) && shares.is_to_look(Timestamp::from_seconds(2)));
        assert_eq!(shares.round(Priority::Low, 9).accounts, [5]);
        shares.took(Priority::Low, 5, 0, Rest::NothingDue);
        assert!(shares.is_empty() && shares.round(Priority::Low, 9).accounts.is_empty());
    }
}
