//! Whether receipts stay away, by counts alone.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;
use vumi_kit::transport_board::MissingReceipts;

/// Fewer SMS say nothing.
const LEAST: u64 = 20;

/// So many points in the time within which receipts come.
const POINTS: u32 = 20;

/// Counts at some moment.
#[derive(Clone, Copy, Debug)]
struct CountsAt {
    at: Instant,
    submitted: u64,
    receipts: u64,
}

/// The counts of the last two times within which receipts come. Of the SMS that were submitted in the first of them, half at
/// least should have a receipt by the end of the second.
#[derive(Debug)]
pub(super) struct ReceiptWindow {
    within: Duration,
    /// The oldest first; about twice [`POINTS`] of them.
    points: VecDeque<CountsAt>,
}

impl ReceiptWindow {
    pub(super) const fn new(within: Duration) -> Self {
        Self { within, points: VecDeque::new() }
    }

    /// Takes the counts since the start into account, and answers what is missing now.
    pub(super) fn look(&mut self, submitted: u64, receipts: u64, now: Instant) -> Option<MissingReceipts> {
        let apart = self.within / POINTS;
        if self.points.back().is_none_or(|last| now.duration_since(last.at) >= apart) {
            self.points.push_back(CountsAt { at: now, submitted, receipts });
        }
        // The first one is that of two such times ago, or the start.
        while self.points.get(1).is_some_and(|second| now.duration_since(second.at) >= self.within * 2) {
            self.points.pop_front();
        }
        let first = self.points.front()?;
        let due = self.points.iter().rev().find(|point| now.duration_since(point.at) >= self.within)?;
        let expected = due.submitted.saturating_sub(first.submitted);
        let came = receipts.saturating_sub(first.receipts);
        (expected >= LEAST && came < expected / 2).then_some(MissingReceipts { expected, came, within: self.within })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{MissingReceipts, ReceiptWindow};

    const WITHIN: Duration = Duration::from_secs(600);

    /// Ten SMS a minute, each with its receipt a minute later as far as the provider reports; answers the minutes of alarm.
    fn alarms(reports: impl Fn(u64) -> bool, sends: impl Fn(u64) -> bool, minutes: u64) -> Vec<u64> {
        let (mut window, start) = (ReceiptWindow::new(WITHIN), Instant::now());
        let (mut submitted, mut receipts, mut alarms) = (0, 0, Vec::new());
        for minute in 0..minutes {
            submitted += if sends(minute) { 10 } else { 0 };
            receipts += if minute > 0 && sends(minute - 1) && reports(minute) { 10 } else { 0 };
            if window.look(submitted, receipts, start + Duration::from_secs(60 * minute)).is_some() {
                alarms.push(minute);
            }
        }
        alarms
    }

    #[test]
    fn receipts_that_stop_are_missed_within_twice_their_time_and_no_longer_once_they_come_again() {
        assert!(alarms(|_| true, |_| true, 100).is_empty());
        let missed = alarms(|minute| !(40..80).contains(&minute), |_| true, 130);
        let (first, last) = (missed[0], *missed.last().unwrap());
        assert!((50..=60).contains(&first), "{missed:?}");
        assert!((80..=100).contains(&last), "{missed:?}");
        assert_eq!(usize::try_from(last - first + 1).unwrap(), missed.len(), "without a break");
    }

    #[test]
    fn neither_a_pause_in_sending_nor_a_few_sms_raise_an_alarm() {
        assert!(alarms(|_| true, |minute| !(30..60).contains(&minute), 100).is_empty());
        let mut window = ReceiptWindow::new(WITHIN);
        let start = Instant::now();
        assert_eq!(window.look(0, 0, start), None);
        assert_eq!(window.look(19, 0, start + WITHIN), None);
        assert_eq!(window.look(19, 0, start + WITHIN * 2), None);
        assert_eq!(window.look(20, 0, start + WITHIN * 2), None, "the last one has time yet");
    }

    #[test]
    fn what_is_missing_is_said_in_numbers() {
        let (mut window, start) = (ReceiptWindow::new(WITHIN), Instant::now());
        window.look(0, 0, start);
        window.look(50, 3, start + WITHIN / 2);
        let missing = window.look(60, 5, start + WITHIN + WITHIN / 2).unwrap();
        assert_eq!(missing, MissingReceipts { expected: 50, came: 5, within: WITHIN });
        assert_eq!(missing.to_string(), "receipts are missing: 5 came for 50 SMS that should have one within 600s");
    }
}
