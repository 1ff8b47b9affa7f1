//! What happened on the handsets that somebody looks at: who said what, when, and how long the answer took.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde::Serialize;
use tokio::{sync::watch, time::Instant};
use vumi_kit::clock::Clock;

/// How many handsets are remembered at once; the one that nobody has looked at for the longest is forgotten first.
pub(super) const MAX_HANDSETS: usize = 32;
/// How many events of a handset are remembered; the oldest are forgotten first.
pub(super) const MAX_EVENTS: usize = 100;
/// How many characters of a text are remembered: an SMS of ten parts.
const MAX_TEXT: usize = 1_600;

/// Something that happened on a handset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum HandsetEvent {
    /// The person dialled this code.
    Dialled { text: String },
    /// The person answered in the session.
    Answered { text: String },
    /// The person ended the session.
    HungUp,
    /// The router sent a screen; it closes the session unless it is `open`. Nobody asked for one without `asked`.
    Screen { text: String, open: bool, asked: bool },
    /// The network ended the session, because no message came.
    TimedOut,
    /// What the person did led to no screen, or their SMS to no router; the text is for people.
    Failed { text: String },
    /// An SMS from the router.
    SmsReceived { provider: &'static str, other: String, text: String },
    /// The person sent an SMS, and the router took it.
    SmsSent { provider: &'static str, other: String, text: String },
}

impl HandsetEvent {
    fn shortened(mut self) -> Self {
        match &mut self {
            Self::Dialled { text }
            | Self::Answered { text }
            | Self::Screen { text, .. }
            | Self::Failed { text }
            | Self::SmsReceived { text, .. }
            | Self::SmsSent { text, .. } => {
                if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
                    text.truncate(end);
                    text.push('…');
                }
            }
            Self::HungUp | Self::TimedOut => {}
        }
        self
    }
}

/// An event as the page reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct JournalEntry {
    /// Grows from event to event, also from one sandbox to the next on the same machine. Below 2^53, as JavaScript needs it.
    pub(crate) n: i64,
    /// Milliseconds since 1970, by the machine's clock.
    pub(crate) at: i64,
    pub(crate) msisdn: String,
    #[serde(flatten)]
    pub(crate) event: HandsetEvent,
    /// How long the person waited for it, in milliseconds; none of what nobody waited for.
    pub(crate) waited_ms: Option<u64>,
}

#[derive(Debug)]
struct HandsetLog {
    events: VecDeque<Arc<JournalEntry>>,
    /// When the person did what has had no answer yet.
    asked: Option<Instant>,
    watched: Instant,
}

#[derive(Debug)]
struct JournalState {
    last: i64,
    logs: HashMap<String, HandsetLog>,
}

/// The events of the handsets that a page has asked for. What happens on any other costs a look at a counter.
#[derive(Debug)]
pub(crate) struct HandsetJournal {
    clock: Clock,
    handsets: AtomicUsize,
    state: Mutex<JournalState>,
    changed: watch::Sender<i64>,
}

impl HandsetJournal {
    pub(crate) fn new(clock: Clock) -> Self {
        let last = clock.wall().micros();
        let state = Mutex::new(JournalState { last, logs: HashMap::new() });
        Self { clock, handsets: AtomicUsize::new(0), state, changed: watch::Sender::new(last) }
    }

    fn state(&self) -> MutexGuard<'_, JournalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an event of a handset, if its number, with or without a `+`, is one that a page has asked for.
    pub(crate) fn record(&self, msisdn: &str, event: impl FnOnce() -> HandsetEvent) {
        if self.handsets.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut state = self.state();
        let n = state.last + 1;
        let at = self.clock.wall().micros() / 1_000;
        let msisdn = msisdn.strip_prefix('+').unwrap_or(msisdn);
        let Some(log) = state.logs.get_mut(msisdn) else { return };
        let event = event().shortened();
        let asks = matches!(event, HandsetEvent::Dialled { .. } | HandsetEvent::Answered { .. });
        let answers = matches!(event, HandsetEvent::Screen { .. } | HandsetEvent::Failed { .. });
        let waited = if answers { log.asked.take() } else { None };
        if asks {
            log.asked = Some(Instant::now());
        }
        let waited_ms = waited.map(|since| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX));
        if log.events.len() >= MAX_EVENTS {
            log.events.pop_front();
        }
        log.events.push_back(Arc::new(JournalEntry { n, at, msisdn: msisdn.to_owned(), event, waited_ms }));
        state.last = n;
        drop(state);
        self.changed.send_replace(n);
    }

    /// Wakes the pages that wait: something changed that is no event of a handset.
    pub(crate) fn wake(&self) {
        self.changed.send_modify(|_| {});
    }

    /// Remembers from here on what happens on these handsets.
    pub(super) fn watch(&self, msisdns: &[String]) {
        let mut state = self.state();
        let now = Instant::now();
        for msisdn in msisdns {
            if let Some(log) = state.logs.get_mut(msisdn) {
                log.watched = now;
                continue;
            }
            if state.logs.len() >= MAX_HANDSETS {
                let oldest = state.logs.iter().min_by_key(|(_, log)| log.watched).map(|(msisdn, _)| msisdn.clone());
                oldest.and_then(|oldest| state.logs.remove(&oldest));
            }
            state.logs.insert(msisdn.clone(), HandsetLog { events: VecDeque::new(), asked: None, watched: now });
        }
        self.handsets.store(state.logs.len(), Ordering::Relaxed);
    }

    /// The events of these handsets behind the number `after`, in their order, and the number of the last event there is.
    pub(super) fn since(&self, msisdns: &[String], after: i64) -> (Vec<Arc<JournalEntry>>, i64) {
        let state = self.state();
        let logs = msisdns.iter().filter_map(|msisdn| state.logs.get(msisdn));
        let mut events: Vec<_> =
            logs.flat_map(|log| log.events.iter().filter(|entry| entry.n > after).cloned()).collect();
        events.sort_by_key(|entry| entry.n);
        (events, state.last)
    }

    /// The number of the last event, as it changes.
    pub(super) fn changes(&self) -> watch::Receiver<i64> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::clock::Clock;

    use super::{HandsetEvent, HandsetJournal, MAX_EVENTS, MAX_HANDSETS, MAX_TEXT};

    fn journal_of(numbers: &[&str]) -> (HandsetJournal, Vec<String>) {
        let journal = HandsetJournal::new(Clock::system());
        let numbers: Vec<String> = numbers.iter().map(|&number| number.to_owned()).collect();
        journal.watch(&numbers);
        (journal, numbers)
    }

    fn answered(text: &str) -> impl FnOnce() -> HandsetEvent {
        || HandsetEvent::Answered { text: text.to_owned() }
    }

    #[tokio::test]
    async fn only_what_happens_on_a_watched_handset_is_remembered_and_an_answer_says_how_long_it_took() {
        let (journal, numbers) = journal_of(&["27831234567"]);
        journal.record("27830000001", answered("nobody looks"));
        journal.record("+27831234567", answered("1"));
        let screen = |asked| move || HandsetEvent::Screen { text: "Thanks".to_owned(), open: false, asked };
        journal.record("27831234567", screen(true));
        journal.record("27831234567", screen(false));
        let (events, last) = journal.since(&numbers, 0);
        assert_eq!(events.iter().map(|entry| entry.waited_ms.is_some()).collect::<Vec<_>>(), [false, true, false]);
        assert!(events.is_sorted_by(|a, b| a.n < b.n) && events[2].n == last);
        assert_eq!(journal.since(&numbers, events[1].n).0, events[2..]);
    }

    #[tokio::test]
    async fn handsets_events_and_texts_are_bounded() {
        let (journal, first) = journal_of(&["27831234567"]);
        for _ in 0..MAX_EVENTS + 5 {
            journal.record("27831234567", answered(&"😀".repeat(MAX_TEXT + 1)));
        }
        let (events, _) = journal.since(&first, 0);
        assert_eq!(events.len(), MAX_EVENTS);
        let HandsetEvent::Answered { text } = &events[0].event else { panic!("{events:?}") };
        assert_eq!(text.chars().count(), MAX_TEXT + 1, "and the mark that it is cut");
        let others: Vec<String> = (0..MAX_HANDSETS).map(|n| format!("2783000{n:04}")).collect();
        journal.watch(&others);
        assert_eq!(journal.since(&first, 0).0, [], "the handset that nobody looks at is forgotten");
    }
}
