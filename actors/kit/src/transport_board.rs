//! How the transports of this process are, told by each as soon as it changes: routes choose by it.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::Recipient;
use serde::{Deserialize, Serialize};

use crate::{name::Name, ussd_call::AnswerCall};

/// Whether a transport's provider takes SMS now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Sendability {
    /// It takes them, as far as anybody knows.
    #[default]
    Works,
    /// It takes them, and stopped reporting what becomes of them.
    NoReceipts,
    /// It asks for a slower pace.
    Throttled,
    /// It rejects one like the other.
    Rejects,
    /// It does not answer.
    Unavailable,
    /// It refuses our account or settings.
    Misconfigured,
    /// The transport does not run.
    Away,
}

impl Sendability {
    const ALL: [Self; 7] = [
        Self::Works,
        Self::NoReceipts,
        Self::Throttled,
        Self::Rejects,
        Self::Unavailable,
        Self::Misconfigured,
        Self::Away,
    ];

    /// From its number; a number that has no meaning is [`Self::Works`]: a newer process may know more.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        Self::ALL.into_iter().find(|one| one.number() == number).unwrap_or_default()
    }

    /// Its number, as processes tell each other.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// In words, behind the transport's name.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::NoReceipts => "its receipts are missing",
            Self::Throttled => "its provider asks for a slower pace",
            Self::Rejects => "its provider rejects one SMS like the other",
            Self::Unavailable => "its provider is unavailable",
            Self::Misconfigured => "its provider refuses our account or settings",
            Self::Away => "it does not run",
        }
    }
}

/// Nobody has told anything.
const NOT_TOLD: u8 = u8::MAX;

/// What a transport tells of itself, here and in other processes, and what it is told. Cheap to read and to write: nobody waits.
#[derive(Debug)]
pub struct TransportGauge {
    here: AtomicU8,
    elsewhere: AtomicU8,
    /// The pause is over, and nothing is there to try with.
    wants_probe: AtomicBool,
    wants_probe_elsewhere: AtomicBool,
    /// A route leads to it: what waits behind a provider that takes nothing is given back, so that it can go elsewhere.
    routed: AtomicBool,
    /// Live processes that run it: each takes its part of the rate.
    processes: AtomicU32,
    submitted: AtomicU64,
    receipts: AtomicU64,
    missing: Mutex<Option<MissingReceipts>>,
    calls: Mutex<Option<Recipient<AnswerCall>>>,
}

/// Too few receipts came for what a provider took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingReceipts {
    /// SMS that should have a receipt by now.
    pub expected: u64,
    /// Receipts that came since the first of these SMS was submitted.
    pub came: u64,
    /// Within which time they should have come.
    pub within: Duration,
}

impl fmt::Display for MissingReceipts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, came, within } = self;
        write!(f, "receipts are missing: {came} came for {expected} SMS that should have one within {within:?}")
    }
}

impl Default for TransportGauge {
    fn default() -> Self {
        Self {
            here: AtomicU8::new(NOT_TOLD),
            elsewhere: AtomicU8::new(NOT_TOLD),
            wants_probe: AtomicBool::default(),
            wants_probe_elsewhere: AtomicBool::default(),
            routed: AtomicBool::default(),
            processes: AtomicU32::new(1),
            submitted: AtomicU64::default(),
            receipts: AtomicU64::default(),
            missing: Mutex::default(),
            calls: Mutex::default(),
        }
    }
}

impl TransportGauge {
    /// Whether the provider takes SMS now: those of any process that runs the transport. While nobody has told, it does.
    #[must_use]
    pub fn sendability(&self) -> Sendability {
        let told = |number: &AtomicU8| Some(number.load(Ordering::Relaxed)).filter(|number| *number != NOT_TOLD);
        let best = told(&self.here).into_iter().chain(told(&self.elsewhere)).map(Sendability::from_number).min();
        match best.unwrap_or_default() {
            Sendability::Works if self.missing_receipts().is_some() => Sendability::NoReceipts,
            best => best,
        }
    }

    /// The outbox of this process tells how its provider is, and whether it wants an SMS to try with.
    pub fn tell(&self, sendability: Sendability, wants_probe: bool) {
        self.here.store(sendability.number(), Ordering::Relaxed);
        self.wants_probe.store(wants_probe, Ordering::Relaxed);
    }

    /// What [`Self::tell`] was told last, if anything.
    #[must_use]
    pub fn told_here(&self) -> Option<(Sendability, bool)> {
        let here = self.here.load(Ordering::Relaxed);
        (here != NOT_TOLD).then(|| (Sendability::from_number(here), self.wants_probe.load(Ordering::Relaxed)))
    }

    /// How it is in other processes; none: it runs in no other.
    pub fn tell_elsewhere(&self, sendability: Option<Sendability>, wants_probe: bool) {
        self.elsewhere.store(sendability.map_or(NOT_TOLD, Sendability::number), Ordering::Relaxed);
        self.wants_probe_elsewhere.store(wants_probe, Ordering::Relaxed);
    }

    /// Whether it wants an SMS to try with.
    #[must_use]
    pub fn wants_probe(&self) -> bool {
        self.wants_probe.load(Ordering::Relaxed) || self.wants_probe_elsewhere.load(Ordering::Relaxed)
    }

    /// Whether it wanted one: whoever is told so sends it.
    #[must_use]
    pub fn take_probe(&self) -> bool {
        let here = self.wants_probe.swap(false, Ordering::Relaxed);
        self.wants_probe_elsewhere.swap(false, Ordering::Relaxed) || here
    }

    /// Whether receipts are missing, and how many.
    #[must_use]
    pub fn missing_receipts(&self) -> Option<MissingReceipts> {
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many receipts are missing; none: they come.
    pub fn set_missing_receipts(&self, missing: Option<MissingReceipts>) {
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = missing;
    }

    /// Where the calls of its aggregator are answered; none: it does not run here, or takes no calls.
    #[must_use]
    pub fn calls(&self) -> Option<Recipient<AnswerCall>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The transport of this process answers its aggregator's calls there, from this start on.
    pub fn set_calls(&self, calls: Recipient<AnswerCall>) {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner) = Some(calls);
    }

    /// A route leads to it.
    pub fn set_routed(&self) {
        self.routed.store(true, Ordering::Relaxed);
    }

    /// Whether a route leads to it.
    #[must_use]
    pub fn is_routed(&self) -> bool {
        self.routed.load(Ordering::Relaxed)
    }

    /// How many live processes run it, this one included.
    #[must_use]
    pub fn processes(&self) -> u32 {
        self.processes.load(Ordering::Relaxed).max(1)
    }

    /// So many live processes run it.
    pub fn set_processes(&self, processes: u32) {
        self.processes.store(processes, Ordering::Relaxed);
    }

    /// The provider took so many SMS more.
    pub fn count_submitted(&self, count: u64) {
        self.submitted.fetch_add(count, Ordering::Relaxed);
    }

    /// So many SMS more have a receipt.
    pub fn count_receipts(&self, count: u64) {
        self.receipts.fetch_add(count, Ordering::Relaxed);
    }

    /// SMS that the provider took, and SMS that have a receipt, since the start of the process.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.submitted.load(Ordering::Relaxed), self.receipts.load(Ordering::Relaxed))
    }
}

/// The gauges of all transports.
#[derive(Clone, Debug, Default)]
pub struct TransportBoard(Arc<RwLock<HashMap<Name, Arc<TransportGauge>>>>);

impl TransportBoard {
    /// The gauge of a transport. One that has told nothing yet works.
    #[must_use]
    pub fn of(&self, transport: &Name) -> Arc<TransportGauge> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(transport).cloned();
        known.unwrap_or_else(|| {
            let mut gauges = self.0.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(gauges.entry(transport.clone()).or_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MissingReceipts, Sendability, TransportBoard, TransportGauge};
    use crate::name::Name;

    #[test]
    fn a_number_of_a_newer_process_is_no_fault() {
        for one in Sendability::ALL {
            assert_eq!(Sendability::from_number(one.number()), one);
        }
        assert_eq!(Sendability::from_number(200), Sendability::Works);
    }

    #[test]
    fn everybody_sees_one_gauge_and_a_probe_is_taken_once() {
        let board = TransportBoard::default();
        let opera = Name::parse("opera").unwrap();
        board.of(&opera).tell(Sendability::Unavailable, true);
        let gauge = board.clone().of(&opera);
        assert_eq!(gauge.sendability(), Sendability::Unavailable);
        assert_eq!([gauge.take_probe(), gauge.take_probe()], [true, false]);
        gauge.tell(Sendability::Works, false);
        gauge.set_missing_receipts(Some(MissingReceipts { expected: 20, came: 1, within: Duration::from_secs(600) }));
        assert_eq!(gauge.sendability(), Sendability::NoReceipts);
        assert_eq!(gauge.processes(), 1);
    }

    #[test]
    fn a_transport_works_while_it_works_in_one_process() {
        let gauge = TransportGauge::default();
        assert_eq!((gauge.sendability(), gauge.told_here()), (Sendability::Works, None), "nobody has told anything");
        gauge.tell_elsewhere(Some(Sendability::Throttled), true);
        assert_eq!(gauge.sendability(), Sendability::Throttled);
        assert_eq!([gauge.take_probe(), gauge.wants_probe()], [true, false]);
        gauge.tell(Sendability::Works, false);
        assert_eq!(gauge.sendability(), Sendability::Works);
        gauge.tell(Sendability::Away, false);
        assert_eq!(gauge.sendability(), Sendability::Throttled);
        gauge.tell_elsewhere(None, false);
        assert_eq!(gauge.sendability(), Sendability::Away);
    }
}
