//! How much an account may send.

use std::{fmt, str::FromStr};

/// The quotas of an account; what is not set has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountQuotas {
    /// Recipients a minute, counted by each process.
    pub recipients_per_minute: Option<u32>,
    /// SMS that may wait to be sent.
    pub most_waiting: Option<u32>,
    /// How many of those that count for the quotas wait now.
    pub waiting: u32,
    /// What is left to spend.
    pub budget: Option<Budget>,
}

impl AccountQuotas {
    /// Whether the store counts what the account sends.
    #[must_use]
    pub const fn is_counted(&self) -> bool {
        self.most_waiting.is_some() || self.budget.is_some()
    }
}

/// What an account may still spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Whether segments or money are counted.
    pub unit: BudgetUnit,
    /// What is left of it, in this unit.
    pub balance: Micros,
    /// What was taken since the budget was set, less what was given back.
    pub spent: Micros,
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            BudgetUnit::Segments => write!(f, "{} segments", self.balance),
            BudgetUnit::Money => write!(f, "{} (money)", self.balance),
        }
    }
}

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetUnit {
    /// Segments, whatever they cost.
    Segments,
    /// Money, by the price table of the settings.
    Money,
}

impl BudgetUnit {
    /// Both units, in the order in which messages name them.
    pub const ALL: [Self; 2] = [Self::Segments, Self::Money];

    /// Its name, as operators write it and the store keeps it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Segments => "segments",
            Self::Money => "money",
        }
    }
}

impl FromStr for BudgetUnit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|unit| unit.as_str() == text);
        named.ok_or_else(|| format!("`{text}` is no unit of a budget: segments or money"))
    }
}

/// What a batch of SMS takes from its account's quotas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaCharge {
    /// The unit of the account's budget; none: it has no budget.
    pub unit: Option<BudgetUnit>,
    /// What each SMS takes from the budget, in order; empty without one.
    pub of_each: Vec<Micros>,
}

/// Which quota a batch goes beyond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverQuota {
    /// Too many would wait.
    Waiting {
        /// The quota: SMS of the account that may wait at once.
        most: u64,
        /// SMS of the account that wait now, without the batch.
        waiting: u64,
        /// SMS in the batch.
        asked: u64,
    },
    /// The budget has not enough.
    Budget {
        /// The budget's unit, which the amounts beside it are in.
        unit: BudgetUnit,
        /// What was left when the batch came.
        balance: Micros,
        /// What the batch takes.
        asked: Micros,
    },
    /// The quotas are others than those that the charge was made for.
    Changed,
}

/// An exact amount, counted in millionths: of a segment, or of whatever money the price table is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(i64);

impl Micros {
    const ONE: i64 = 1_000_000;

    /// The amount of so many millionths.
    #[must_use]
    pub const fn new(millionths: i64) -> Self {
        Self(millionths)
    }

    /// The amount of so many whole segments, or whole units of money.
    #[must_use]
    pub const fn whole(number: u32) -> Self {
        Self((number as i64).saturating_mul(Self::ONE))
    }

    /// How many millionths it is: what the store keeps.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// So many times this.
    #[must_use]
    pub const fn times(self, number: u32) -> Self {
        Self(self.0.saturating_mul(number as i64))
    }

    /// The sum; the largest or smallest amount there is where it would not fit.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl FromStr for Micros {
    type Err = String;

    /// Reads a decimal number with up to six places: `12`, `0.012`, `-3.5`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no amount: a decimal number with at most six places, such as 0.012");
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, places) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(places) || places.len() > 6 {
            return Err(wrong());
        }
        let whole: i64 = whole.parse().map_err(|_| wrong())?;
        let places: i64 = format!("{places:0<6}").parse().map_err(|_| wrong())?;
        let amount = whole.checked_mul(Self::ONE).and_then(|whole| whole.checked_add(places)).ok_or_else(wrong)?;
        Ok(Self(if negative { -amount } else { amount }))
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let amount = self.0.unsigned_abs();
        let (whole, places) = (amount / Self::ONE.unsigned_abs(), amount % Self::ONE.unsigned_abs());
        write!(f, "{sign}{whole}")?;
        let places = format!("{places:06}");
        match places.trim_end_matches('0') {
            "" => Ok(()),
            places => write!(f, ".{places}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Micros;

    #[test]
    fn an_amount_is_exact_and_written_shortly() {
        for (text, millionths, shown) in [
            ("12", 12_000_000, "12"),
            ("0.012", 12_000, "0.012"),
            ("-3.50", -3_500_000, "-3.5"),
            ("0.000001", 1, "0.000001"),
            ("007.1", 7_100_000, "7.1"),
        ] {
            let amount: Micros = text.parse().unwrap();
            assert_eq!((amount.get(), amount.to_string().as_str()), (millionths, shown), "{text}");
        }
        for bad in
            ["", "-", ".", "1.", ".5", "1,5", "1.0000001", "+1", "1e3", " 1", "9223372036855", "99999999999999999999"]
        {
            assert!(bad.parse::<Micros>().unwrap_err().contains("no amount"), "{bad}");
        }
        assert_eq!(Micros::whole(u32::MAX).times(u32::MAX).get(), i64::MAX, "no overflow");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(millionths in -9_000_000_000_000_000_000_i64..9_000_000_000_000_000_000) {
            let amount = Micros::new(millionths);
            prop_assert_eq!(amount.to_string().parse::<Micros>(), Ok(amount));
        }
    }
}
