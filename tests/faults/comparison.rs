//! The three books, and what they say together.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    black_box::{Harness, waits},
    fixture::TRANSPORT,
    load::ClientsBook,
};

/// How long the router may take to send all that it accepted, once the load is over.
const DRAIN: Duration = Duration::from_secs(300);

/// An SMS of the ledger, as the API shows it.
pub(crate) struct BookRow {
    pub(crate) id: i64,
    text: String,
    status: i64,
    waits: bool,
    detail: String,
}

/// All SMS of the ledger.
pub(crate) fn ledger(harness: &Harness) -> Vec<BookRow> {
    let mut rows = Vec::new();
    let mut path = Some(format!("/api/v1/sms/{TRANSPORT}/status.json?since=2001-01-01&order=oldest"));
    while let Some(page) = path {
        let answer = harness.get(&page).send().unwrap();
        assert_eq!(answer.status(), 200);
        path = next_page(answer.headers().get("link").and_then(|link| link.to_str().ok()));
        let list: Value = answer.json().unwrap();
        rows.extend(list.as_array().unwrap().iter().map(|sms| BookRow {
            id: sms["id"].as_i64().unwrap(),
            text: sms["message"].as_str().unwrap().to_owned(),
            status: sms["transport_status"].as_i64().unwrap(),
            waits: waits(sms),
            detail: sms["provider_status"].as_str().unwrap_or_default().to_owned(),
        }));
    }
    rows
}

/// The path in `<http://host/path>; rel="next"`.
fn next_page(link: Option<&str>) -> Option<String> {
    let target = link?.split('>').next()?.trim_start_matches('<');
    let path = target.split_once("://").map_or(target, |(_, rest)| &rest[rest.find('/').unwrap_or(0)..]);
    Some(path.to_owned())
}

/// How often each text came to the provider.
fn provider(harness: &Harness) -> HashMap<String, u64> {
    let seen = harness.seen(TRANSPORT);
    let texts = seen["ids"].as_object().unwrap();
    let text = |id: &String| id.split_once(' ').unwrap().1.to_owned();
    texts.iter().map(|(id, times)| (text(id), times.as_u64().unwrap())).collect()
}

/// What the books say when nothing waits any more.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) answered: usize,
    pub(crate) refused: usize,
    in_ledger: usize,
    at_provider: usize,
    /// Answered with 200, and not in the ledger under that number.
    lost: Vec<String>,
    /// In the ledger more than once, though each was sent under a key.
    kept_twice: Vec<String>,
    /// Ended without having come to the provider, and nobody says that the outcome is unknown.
    pub(crate) unsent: Vec<String>,
    /// At the provider, and not in the ledger.
    from_nowhere: Vec<String>,
    /// Ended with an outcome that nobody knows, without having come to the provider.
    pub(crate) unknown: usize,
    /// Came to the provider more than once.
    pub(crate) sent_twice: usize,
}

/// Waits until nothing waits any more, and compares.
pub(crate) fn compare(harness: &Harness, clients: &ClientsBook) -> Comparison {
    let rows = drained(harness);
    let (answered, provider) = (clients.answered(), provider(harness));
    let mut of_text: BTreeMap<&str, Vec<&BookRow>> = BTreeMap::new();
    for row in &rows {
        of_text.entry(&row.text).or_default().push(row);
    }
    let ended = |row: &&BookRow| !provider.contains_key(&row.text);
    let (unknown, unsent): (Vec<_>, Vec<_>) =
        rows.iter().filter(ended).partition(|row| row.detail.contains("outcome unknown"));
    Comparison {
        answered: answered.len(),
        refused: clients.refused(),
        in_ledger: rows.len(),
        at_provider: provider.len(),
        lost: answered
            .iter()
            .filter(|(text, id)| !of_text.get(text.as_str()).is_some_and(|rows| rows.iter().any(|row| row.id == **id)))
            .map(|(text, id)| format!("{text} ({id})"))
            .collect(),
        kept_twice: of_text.iter().filter(|(_, rows)| rows.len() > 1).map(|(text, _)| (*text).to_owned()).collect(),
        unsent: unsent.iter().map(|row| format!("{}: {} {}", row.text, row.status, row.detail)).collect(),
        from_nowhere: provider.keys().filter(|text| !of_text.contains_key(text.as_str())).cloned().collect(),
        unknown: unknown.len(),
        sent_twice: provider.values().filter(|times| **times > 1).count(),
    }
}

/// The ledger once every SMS has ended.
fn drained(harness: &Harness) -> Vec<BookRow> {
    let started = Instant::now();
    loop {
        let rows = ledger(harness);
        let waiting = rows.iter().filter(|row| row.waits).count();
        if waiting == 0 {
            return rows;
        }
        assert!(started.elapsed() < DRAIN, "{waiting} of {} SMS wait after {DRAIN:?}", rows.len());
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

impl Comparison {
    /// Prints the figures of a run.
    pub(crate) fn show(&self, run: &str) {
        println!(
            "{run}: {} answered with 200, {} calls refused; {} in the ledger, {} at the provider; {} lost, {} kept twice, \
             {} unsent, {} from nowhere, {} of unknown outcome, {} sent more than once",
            self.answered,
            self.refused,
            self.in_ledger,
            self.at_provider,
            self.lost.len(),
            self.kept_twice.len(),
            self.unsent.len(),
            self.from_nowhere.len(),
            self.unknown,
            self.sent_twice,
        );
    }

    /// What holds whatever happens.
    #[track_caller]
    pub(crate) fn assert_kept(&self) {
        assert!(self.lost.is_empty(), "answered with 200, and lost: {:?}", self.lost);
        assert!(self.kept_twice.is_empty(), "kept twice: {:?}", self.kept_twice);
        assert!(self.unsent.is_empty(), "ended, and never sent: {:?}", self.unsent);
        assert!(self.from_nowhere.is_empty(), "sent, and not in the ledger: {:?}", self.from_nowhere);
    }
}
