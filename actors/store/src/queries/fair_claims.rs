//! Which SMS a transport claims: first those whose lease ended, then of the accounts that wait each its fair share
//! (`crate::fair_shares`). The cost is that of what is taken, and of the accounts that wait, whatever the backlog.

use std::{sync::Arc, time::Duration};

use diesel::QueryResult;
use vumi_kit::{account::AccountId, name::Name, sms::Submission, sms_options::Priority};

use super::{
    Tx,
    claims::{DueSms, claim},
    life::moves,
    waiting,
};
use crate::fair_shares::{Allowance, LANES, Rest};

/// A claim looks at so many times the SMS that it is to give: past those that turn out to have expired, or to be longer than what
/// their accounts have saved up.
const LOOKS: usize = 8;

/// SMS of stopped accounts, and to people who are out, that one claim ends: they cost more than others, and nobody waits for
/// them.
const ENDED_AT_ONCE: usize = 50;

/// How often the index is looked at for accounts that this process was not told of; less often where there are very many.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_AT_ONE: Duration = Duration::from_millis(1);

/// A claim under way.
pub(super) struct FairClaim<'a> {
    pub(super) transport: &'a Name,
    pub(super) claim_token: &'a Arc<str>,
    pub(super) limit: usize,
    claimed: Vec<Submission>,
    /// How many more SMS may be looked at.
    looks: usize,
    /// How many more of stopped accounts, or to people who are out, may be ended.
    endings: usize,
}

impl<'a> FairClaim<'a> {
    pub(super) const fn new(transport: &'a Name, claim_token: &'a Arc<str>, limit: usize) -> Self {
        let looks = limit.saturating_mul(LOOKS);
        Self { transport, claim_token, limit, claimed: Vec::new(), looks, endings: ENDED_AT_ONCE }
    }

    /// Claims what may be claimed.
    pub(super) fn run(mut self, tx: &mut Tx<'_>) -> QueryResult<Vec<Submission>> {
        self.claim_again(tx)?;
        self.look(tx)?;
        for lane in LANES {
            let mut goes_on = true;
            while goes_on {
                let places = tx.state.fair_shares.of(self.transport).places(lane, self.places());
                goes_on = self.claim_round(tx, lane, places)?;
            }
        }
        // What is owed to lower lanes and they did not want.
        for lane in LANES {
            while self.claim_round(tx, lane, self.places())? {}
        }
        if tx.state.fair_shares.of(self.transport).is_empty() {
            tx.state.outboxes.set_waiting(self.transport, false);
        }
        Ok(self.claimed)
    }

    fn places(&self) -> usize {
        self.limit.saturating_sub(self.claimed.len())
    }

    /// Those whose lease ended: their holder is gone, or has forgotten them.
    fn claim_again(&mut self, tx: &mut Tx<'_>) -> QueryResult<()> {
        while self.places() > 0 && self.looks > 0 {
            let wanted = self.places();
            let ended = waiting::ended_leases(tx, self.transport.as_str(), tx.now, wanted)?;
            let all = ended.len() < wanted;
            self.looks = self.looks.saturating_sub(ended.len().max(1));
            self.take(tx, ended)?;
            if all {
                break;
            }
        }
        Ok(())
    }

    /// Looks for accounts that nobody told of: those of other processes, and those whose SMS have come due.
    fn look(&self, tx: &mut Tx<'_>) -> QueryResult<()> {
        if !tx.state.fair_shares.of(self.transport).is_to_look(tx.now) {
            return Ok(());
        }
        let found = waiting::accounts(tx.conn, self.transport.as_str(), tx.now, waiting::MOST_ACCOUNTS)?;
        let many = LOOK_AT_ONE * u32::try_from(found.len()).unwrap_or(u32::MAX);
        let again_at = tx.now.plus(LOOK_EVERY.max(many));
        let found = found.into_iter().map(|account| (account.lane, account.account));
        tx.state.fair_shares.of(self.transport).looked(found, again_at);
        Ok(())
    }

    /// Each account of the lane has its turn, as far as there are places. Answers whether a further round may find something.
    fn claim_round(&mut self, tx: &mut Tx<'_>, lane: Priority, places: usize) -> QueryResult<bool> {
        let round = tx.state.fair_shares.of(self.transport).round(lane, places);
        let (mut left, mut goes_on) = (places, false);
        for account in round.accounts {
            if left == 0 || self.looks == 0 {
                return Ok(false);
            }
            let before = self.claimed.len();
            goes_on |= self.claim_turn(tx, (lane, account), round.quantum, left)?;
            left = left.saturating_sub(self.claimed.len() - before);
        }
        Ok(goes_on && left > 0)
    }

    /// Answers whether the account may have more.
    fn claim_turn(
        &mut self,
        tx: &mut Tx<'_>,
        (lane, account): (Priority, AccountId),
        quantum: i64,
        places: usize,
    ) -> QueryResult<bool> {
        if tx.is_stopped(account)? {
            self.end_some(tx, lane, account)?;
            return Ok(false);
        }
        let Some(Allowance { segments: allowance, next }) =
            tx.state.fair_shares.of(self.transport).allowance(lane, account, quantum)
        else {
            return Ok(true);
        };
        let wanted = usize::try_from(allowance / next).unwrap_or(usize::MAX).min(places);
        let found = waiting::due(tx, self.transport.as_str(), (lane, account), tx.now, wanted)?;
        let all_found = found.len() < wanted;
        self.looks = self.looks.saturating_sub(found.len().max(1));
        let (count, mut saved, mut next, mut turn) = (found.len(), allowance, next, Vec::with_capacity(found.len()));
        for (row, may_go_out) in found {
            // Its person is out: to end it costs more than to give it up.
            if !may_go_out && !row.is_over(tx.now) {
                if self.endings == 0 {
                    self.looks = 0;
                    break;
                }
                self.endings -= 1;
            }
            next = row.segments();
            let costs = if may_go_out { next } else { 0 };
            if costs > saved {
                break;
            }
            saved -= costs;
            turn.push((row, may_go_out));
        }
        let goes_on = !all_found || turn.len() < count;
        self.take(tx, turn)?;
        // Alone it has all places, and nothing to save.
        let kept = if quantum == i64::MAX { 0 } else { saved };
        let rest = if goes_on { Rest::More { saved: kept, next } } else { Rest::NothingDue };
        tx.state.fair_shares.of(self.transport).took(lane, account, allowance - saved, rest);
        Ok(goes_on)
    }

    /// Ends some of the SMS of a stopped account. The next claim goes on.
    fn end_some(&mut self, tx: &mut Tx<'_>, lane: Priority, account: AccountId) -> QueryResult<()> {
        let found = waiting::due(tx, self.transport.as_str(), (lane, account), tx.now, self.endings)?;
        let all_found = found.len() < self.endings;
        self.endings -= found.len();
        self.take(tx, found)?;
        let rest = if all_found { Rest::NothingDue } else { Rest::More { saved: 0, next: 1 } };
        tx.state.fair_shares.of(self.transport).took(lane, account, 0, rest);
        Ok(())
    }

    fn take(&mut self, tx: &mut Tx<'_>, found: Vec<(DueSms, bool)>) -> QueryResult<()> {
        let mut taken = Vec::with_capacity(found.len());
        for (row, may_go_out) in found {
            taken.extend(claim(tx, self.transport, self.claim_token, row, may_go_out)?);
        }
        moves::claim(tx, &taken, self.claim_token)?;
        self.claimed.append(&mut taken);
        Ok(())
    }
}
