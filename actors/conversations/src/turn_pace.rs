//! How many turns an account's conversations take in a second.

use std::{cell::RefCell, collections::HashMap};

use vumi_kit::{account::AccountId, clock::Timestamp};

/// Turns of one account in a second, in each process.
const TURNS_PER_SECOND: u32 = 200;

/// Counts turns. Bounded by the number of accounts with conversations.
#[derive(Default)]
pub(crate) struct TurnPace(RefCell<HashMap<AccountId, (i64, u32)>>);

impl TurnPace {
    /// Counts a turn; whether it may be taken.
    pub(crate) fn allows(&self, account: AccountId, now: Timestamp) -> bool {
        let second = now.micros().div_euclid(1_000_000);
        let mut counts = self.0.borrow_mut();
        let count = counts.entry(account).or_default();
        if count.0 != second {
            *count = (second, 0);
        }
        count.1 = count.1.saturating_add(1);
        count.1 <= TURNS_PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::clock::Timestamp;

    use super::{TURNS_PER_SECOND, TurnPace};

    #[test]
    fn one_account_beyond_its_pace_slows_no_other() {
        let (pace, now) = (TurnPace::default(), Timestamp::from_seconds(1));
        assert!((0..TURNS_PER_SECOND).all(|_| pace.allows(1, now)));
        assert!(!pace.allows(1, now) && pace.allows(2, now));
        assert!(pace.allows(1, Timestamp::from_seconds(2)));
    }
}
