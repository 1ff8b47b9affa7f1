//! SMS of an account that has quotas come in: what they take is taken in the same transaction, all of it or nothing.
//!
//! What an SMS gives back when it ends is the trigger's part (`sms_quota` in the migrations), so that nothing that ends an SMS
//! can forget it.

use diesel::prelude::*;
use vumi_kit::{
    account::{BudgetUnit, Micros, OverQuota},
    ledger::{AcceptSms, AcceptWithinQuota, AcceptedWithinQuota},
};

use super::{Evidence, Failed, Fixed, Tx, Write, accept};
use crate::{schema::account_quotas, writer::queue::Lane};

impl Write for AcceptWithinQuota {
    const GROWS: bool = true;

    fn rows(&self) -> usize {
        self.accept.rows()
    }

    fn lane(&self) -> Lane {
        self.accept.lane()
    }

    fn lock_keys(&self) -> Vec<String> {
        self.accept.lock_keys()
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<AcceptedWithinQuota, Failed> {
        if let Some(earlier) = accept::earlier(tx, &self.accept)? {
            return Ok(AcceptedWithinQuota::Accepted(earlier));
        }
        let charged = match take(&self, tx)? {
            TakenQuota::Counted => Some(&*self.charge.of_each),
            // The operator has taken the quotas away a moment ago.
            TakenQuota::NotCounted => None,
            TakenQuota::Over(over) => return Ok(AcceptedWithinQuota::Over(over)),
        };
        accept::keep(tx, self.accept, charged).map(AcceptedWithinQuota::Accepted)
    }

    fn evidence(answer: &AcceptedWithinQuota) -> Option<Evidence> {
        match answer {
            AcceptedWithinQuota::Accepted(accepted) => <AcceptSms as Write>::evidence(accepted),
            AcceptedWithinQuota::Over(_) => None,
        }
    }
}

enum TakenQuota {
    Counted,
    NotCounted,
    Over(OverQuota),
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = account_quotas)]
struct QuotaState {
    most_waiting: Option<i64>,
    waiting: i64,
    budget_unit: Option<String>,
    balance: i64,
}

/// Takes what a batch asks for, by one statement where there is enough.
fn take(asked: &AcceptWithinQuota, tx: &mut Tx<'_>) -> QueryResult<TakenQuota> {
    let number = i64::try_from(asked.accept.batch.len()).unwrap_or(i64::MAX);
    let cost = asked.charge.of_each.iter().copied().fold(Micros::default(), Micros::plus).get();
    let unit = asked.charge.unit.map(BudgetUnit::as_str);
    let within = account_quotas::most_waiting
        .is_null()
        .or(account_quotas::most_waiting.ge((account_quotas::waiting + number).nullable()));
    let row = account_quotas::table.find(asked.account).filter(within);
    let more = (
        account_quotas::waiting.eq(account_quotas::waiting + number),
        account_quotas::balance.eq(account_quotas::balance - cost),
        account_quotas::spent.eq(account_quotas::spent + cost),
    );
    let taken = match unit {
        Some(unit) => {
            let row = row.filter(account_quotas::budget_unit.eq(unit)).filter(account_quotas::balance.ge(cost));
            Fixed(diesel::update(row).set(more).returning(account_quotas::account)).load::<i64>(tx.conn)?
        }
        None => {
            let row = row.filter(account_quotas::budget_unit.is_null());
            Fixed(diesel::update(row).set(more).returning(account_quotas::account)).load::<i64>(tx.conn)?
        }
    };
    if !taken.is_empty() {
        return Ok(TakenQuota::Counted);
    }
    let row = account_quotas::table.find(asked.account).select(QuotaState::as_select());
    let Some(state) = row.first::<QuotaState>(tx.conn).optional()? else { return Ok(TakenQuota::NotCounted) };
    Ok(TakenQuota::Over(state.refusal(unit, number, cost, asked.charge.unit)))
}

impl QuotaState {
    fn refusal(&self, unit: Option<&str>, number: i64, cost: i64, asked_in: Option<BudgetUnit>) -> OverQuota {
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        if let Some(most) = self.most_waiting.filter(|most| self.waiting.saturating_add(number) > *most) {
            return OverQuota::Waiting { most: count(most), waiting: count(self.waiting), asked: count(number) };
        }
        match asked_in {
            Some(unit_asked) if self.budget_unit.as_deref() == unit && self.balance < cost => {
                OverQuota::Budget { unit: unit_asked, balance: Micros::new(self.balance), asked: Micros::new(cost) }
            }
            _ => OverQuota::Changed,
        }
    }
}
