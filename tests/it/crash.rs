//! `kill -9` under load, again and again: every SMS that was answered with 200 reaches the carrier.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::black_box::{Site, eventually};

const KILLS: usize = 10;
const CLIENTS: usize = 8;

#[test]
fn nothing_answered_with_200_is_lost_by_kill_9() {
    let site = Site::new();
    site.add_to("transports.clickatell", "outbox = { retry = { first = \"50ms\", most = \"500ms\" } }");
    let _carriers = site.start(&["sandbox"]);
    let alone = site.folder.path().join("router.toml");
    let text = std::fs::read_to_string(site.settings_file()).unwrap();
    std::fs::write(&alone, text.split("[sandbox]").next().unwrap()).unwrap();
    let run = ["--settings", alone.to_str().unwrap(), "run"];
    site.add_account(&alone);

    let seed = u64::from(std::process::id());
    let mut chance = StdRng::seed_from_u64(seed);
    let answered = Mutex::new(HashSet::new());
    let number = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let mut router = Some(site.start(&run));
    std::thread::scope(|threads| {
        for _ in 0..CLIENTS {
            threads.spawn(|| load(&site, &stop, &number, &answered));
        }
        for _ in 0..KILLS {
            let moment = Duration::from_millis(chance.random_range(50..600));
            let before = answered.lock().unwrap().len();
            std::thread::park_timeout(moment);
            eventually("some SMS are accepted in every life", || {
                (answered.lock().unwrap().len() > before).then_some(())
            });
            if let Some(router) = router.take() {
                router.kill();
            }
            router = Some(site.start(&run));
        }
        stop.store(true, Ordering::SeqCst);
    });
    let answered = answered.into_inner().unwrap();

    eventually("the outbox is empty", || {
        let parts: Value = site.get_open("/health/ready").ok()?.json().ok()?;
        let store = parts["parts"].as_array()?.iter().find(|part| part["name"] == "store")?.clone();
        let pending = answered.iter().filter(|id| site.status("clickatell", **id)["transport_status"] == 0).count();
        (pending == 0).then_some(store)
    });
    compare(&site, &answered, seed);
}

/// Sends until told to stop; keeps the numbers of those that were answered with 200.
fn load(site: &Site, stop: &AtomicBool, number: &AtomicU64, answered: &Mutex<HashSet<i64>>) {
    while !stop.load(Ordering::SeqCst) {
        let text = format!("number {}", number.fetch_add(1, Ordering::SeqCst));
        let form = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", text.as_str())];
        let answer = site.post("/api/v1/sms/clickatell/send.json", &form).send();
        let Ok(answer) = answer else {
            std::thread::park_timeout(Duration::from_millis(5));
            continue;
        };
        if answer.status() == 200
            && let Ok(list) = answer.json::<Value>()
        {
            answered.lock().unwrap().insert(list[0]["id"].as_i64().unwrap());
        }
    }
}

/// The answers, the ledger and the carrier: nothing lost; duplicates are counted.
#[expect(clippy::print_stdout, reason = "the figures of the run, for who asks with --nocapture")]
fn compare(site: &Site, answered: &HashSet<i64>, seed: u64) {
    let seen = site.seen("clickatell");
    let times: HashMap<i64, u64> = seen["ids"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, times)| (id.parse().unwrap(), times.as_u64().unwrap()))
        .collect();
    let lost: Vec<i64> = answered.iter().filter(|id| !times.contains_key(*id)).copied().collect();
    let twice: Vec<i64> = times.iter().filter(|(_, times)| **times > 1).map(|(id, _)| *id).collect();
    println!(
        "{} kills (seed {seed}): {} answered with 200, {} at the carrier, {} lost, {} submitted more than once",
        KILLS,
        answered.len(),
        times.len(),
        lost.len(),
        twice.len()
    );
    assert!(answered.len() > KILLS, "no load: {}", answered.len());
    assert!(lost.is_empty(), "lost: {lost:?}");
    // After a crash the transport asks Clickatell about every SMS whose answer it may have missed, so a second
    // submission is possible only where the first one was still on its way when the question was asked.
    assert!(twice.len() <= KILLS * 64, "more duplicates than submissions can have been under way: {}", twice.len());
}
