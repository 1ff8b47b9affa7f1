//! What is done beside choosing: SMS are moved, processes tell each other, receipts are missed.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;
use vumi_kit::{
    rerouting::{BeatTransports, RerouteSms, TransportBeat},
    testing::FakeStore,
    transport_board::{Sendability, TransportBoard},
};

use super::{
    super::{OutboundRouter, TransportWatch, WatchedTransport},
    LINES, RECOVERY, name, table,
};

/// A store that takes what watches ask of it, and answers this.
fn store_that(
    reroutes: &Arc<Mutex<Vec<RerouteSms>>>,
    waiting: usize,
    others: Vec<(String, TransportBeat)>,
) -> vumi_kit::store::Store {
    let (reroutes, left) = (reroutes.clone(), Mutex::new(waiting));
    FakeStore::default()
        .on(move |ask: RerouteSms| {
            reroutes.lock().unwrap().push(ask);
            let mut left = left.lock().unwrap();
            let moved = (*left).min(RerouteSms::STEP);
            *left -= moved;
            Ok(moved)
        })
        .on(move |_: BeatTransports| Ok(others.clone()))
        .start_store()
}

fn watched(names: &[&str]) -> Vec<WatchedTransport> {
    names.iter().map(|text| WatchedTransport { name: name(text), receipts_within: None }).collect()
}

#[actix_rt::test]
async fn what_waits_is_moved_in_steps_once_its_transport_has_failed_for_a_while() {
    let board = TransportBoard::default();
    let router = Arc::new(OutboundRouter::new(table(LINES), board.clone(), RECOVERY));
    let mut watch = TransportWatch::new(board.clone(), watched(&["opera", "clickatell"]), Some(router), false);
    let reroutes = Arc::new(Mutex::new(Vec::new()));
    let store = store_that(&reroutes, RerouteSms::STEP + 7, Vec::new());
    let start = Instant::now();
    board.of(&name("opera")).tell(Sendability::Throttled, false);
    watch.look(&store, start).await;
    watch.look(&store, start + Duration::from_secs(1)).await;
    assert!(reroutes.lock().unwrap().is_empty(), "a hiccup moves nothing");
    watch.look(&store, start + Duration::from_secs(2)).await;
    let asked = std::mem::take(&mut *reroutes.lock().unwrap());
    assert_eq!(asked.len(), 2, "a whole step, and then what was left");
    assert_eq!((asked[0].from.as_str(), asked[0].ways.len()), ("opera", 4));
    assert_eq!(asked[0].because, Sendability::Throttled.in_words());
    board.of(&name("opera")).tell(Sendability::Works, false);
    watch.look(&store, start + Duration::from_secs(3)).await;
    assert!(reroutes.lock().unwrap().is_empty());
}

#[actix_rt::test]
async fn a_transport_of_another_process_is_as_that_one_tells_and_shares_its_rate() {
    let board = TransportBoard::default();
    let beat = |transport: &str, sendability| TransportBeat {
        transport: name(transport),
        sendability,
        wants_probe: false,
        submitted: 0,
        receipts: 0,
    };
    let others = vec![
        ("a".to_owned(), beat("opera", Some(Sendability::Unavailable))),
        ("b".to_owned(), beat("opera", None)),
        ("b".to_owned(), beat("clickatell", Some(Sendability::Works))),
    ];
    let store = store_that(&Arc::default(), 0, others);
    let names = ["opera", "clickatell", "e-scape"];
    let mut watch = TransportWatch::new(board.clone(), watched(&names), None, true);
    board.of(&name("clickatell")).tell(Sendability::Throttled, false);
    let start = Instant::now();
    watch.look(&store, start).await;
    let seen = || names.map(|text| board.of(&name(text)).sendability());
    assert_eq!(seen(), [Sendability::Unavailable, Sendability::Works, Sendability::Works], "e-scape may start yet");
    assert_eq!(names.map(|text| board.of(&name(text)).processes()), [1, 2, 1]);
    watch.look(&store, start + Duration::from_secs(5)).await;
    assert_eq!(seen(), [Sendability::Unavailable, Sendability::Works, Sendability::Away]);
}

#[actix_rt::test]
async fn receipts_that_stay_away_pass_a_transport_over_wherever_they_would_have_come() {
    let board = TransportBoard::default();
    let within = Duration::from_secs(100);
    let transports = vec![WatchedTransport { name: name("opera"), receipts_within: Some(within) }];
    let mut watch = TransportWatch::new(board.clone(), transports, None, false);
    let (store, opera, start) = (store_that(&Arc::default(), 0, Vec::new()), board.of(&name("opera")), Instant::now());
    for second in 0..300 {
        opera.count_submitted(1);
        opera.count_receipts(u64::from(second < 100));
        watch.look(&store, start + Duration::from_secs(second)).await;
        let alarm = opera.sendability() == Sendability::NoReceipts;
        let expected = match second {
            0..200 => Some(false),
            260.. => Some(true),
            _ => None,
        };
        assert!(expected.is_none_or(|expected| expected == alarm), "{second}: {:?}", opera.missing_receipts());
    }
}
