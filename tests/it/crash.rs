//! `kill -9` under load, again and again: every SMS that was answered with 200 reaches the provider, or ends in a status
//! that says what is not known.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::black_box::{Harness, Process, eventually, waits};

const KILLS: usize = 10;
const CLIENTS: usize = 8;

/// The numbers of the SMS that were answered with 200, and their texts.
type AnsweredSms = HashMap<i64, String>;

#[test]
fn nothing_answered_with_200_is_lost_by_kill_9() {
    let harness = Harness::new();
    harness.add_to("transports.clickatell", "outbox = { retry = { first = \"50ms\", most = \"500ms\" } }");
    let survived = kill_under_load(&harness, "clickatell");
    let answered = &survived.answered;
    let times = times_seen(&harness, "clickatell");
    let lost: Vec<i64> = answered.keys().filter(|id| !times.contains_key(&id.to_string())).copied().collect();
    let twice = times.values().filter(|times| **times > 1).count();
    show(answered, &times, lost.len(), twice);
    assert!(lost.is_empty(), "lost: {lost:?}");
    // After a crash the transport asks Clickatell about every SMS whose answer it may have missed, so a second submission
    // is possible only where the first one was still on its way when the question was asked.
    assert!(twice <= KILLS, "asked first, and sent twice all the same: {twice}");
}

#[test]
fn a_provider_that_cannot_be_asked_gets_an_sms_no_oftener_than_the_bound_says() {
    /// In flight, waiting, or answered and not recorded yet: what a kill can leave open.
    const HELD: usize = 16;
    let harness = Harness::new();
    let bounds = "window = 8, queue = 8, max_resubmissions = 1";
    harness.add_to(
        "transports.e-scape",
        &format!("outbox = {{ {bounds}, retry = {{ first = \"50ms\", most = \"500ms\" }} }}"),
    );
    let survived = kill_under_load(&harness, "e-scape");
    let answered = &survived.answered;
    let times = times_seen(&harness, "e-scape");
    let sent = |text: &str| times.contains_key(&format!("+27123456789 {text}"));
    let mut unknown = 0;
    for (id, _) in answered.iter().filter(|(_, text)| !sent(text)) {
        // It was held at more than one kill, and so may have been sent for all that the ledger knows.
        let sms = harness.status("e-scape", *id);
        assert!(
            sms["provider_status"].as_str().is_some_and(|output| output.contains("outcome unknown")),
            "lost: {sms}"
        );
        unknown += 1;
    }
    let twice = times.values().filter(|times| **times > 1).count();
    show(answered, &times, unknown, twice);
    assert!(times.values().all(|times| *times <= 2), "{times:?}");
    assert!(twice <= KILLS * HELD, "more than can have been under way: {twice}");
}

/// What is there at the end, still running.
struct Survived {
    answered: AnsweredSms,
    _providers: Process,
    _router: Option<Process>,
}

/// Sends and kills, sends and kills; returns once nothing waits any more.
fn kill_under_load(harness: &Harness, transport: &str) -> Survived {
    let providers = harness.start(&["sandbox"]);
    let alone = harness.folder.path().join("router.toml");
    let text = std::fs::read_to_string(harness.settings_file()).unwrap();
    std::fs::write(&alone, text.split("[sandbox]").next().unwrap()).unwrap();
    let run = ["--settings", alone.to_str().unwrap(), "run"];
    harness.add_account(&alone);

    let mut chance = StdRng::seed_from_u64(u64::from(std::process::id()));
    let answered = Mutex::new(AnsweredSms::new());
    let number = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let mut router = Some(harness.start(&run));
    std::thread::scope(|threads| {
        for _ in 0..CLIENTS {
            threads.spawn(|| load(harness, transport, &stop, &number, &answered));
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
            router = Some(harness.start(&run));
        }
        stop.store(true, Ordering::SeqCst);
    });
    let answered = answered.into_inner().unwrap();
    eventually("the outbox is empty", || {
        answered.keys().all(|id| !waits(&harness.status(transport, *id))).then_some(())
    });
    assert!(answered.len() > KILLS, "no load: {}", answered.len());
    Survived { answered, _providers: providers, _router: router }
}

/// Sends until told to stop; keeps those that were answered with 200.
fn load(harness: &Harness, transport: &str, stop: &AtomicBool, number: &AtomicU64, answered: &Mutex<AnsweredSms>) {
    while !stop.load(Ordering::SeqCst) {
        let text = format!("number {}", number.fetch_add(1, Ordering::SeqCst));
        let form = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", text.as_str())];
        let answer = harness.post(&format!("/api/v1/sms/{transport}/send.json"), &form).send();
        let Ok(answer) = answer else {
            std::thread::park_timeout(Duration::from_millis(5));
            continue;
        };
        if answer.status() == 200
            && let Ok(list) = answer.json::<Value>()
        {
            answered.lock().unwrap().insert(list[0]["id"].as_i64().unwrap(), text);
        }
    }
}

/// How often each id came to the provider.
fn times_seen(harness: &Harness, provider: &str) -> HashMap<String, u64> {
    let seen = harness.seen(provider);
    let ids = seen["ids"].as_object().unwrap();
    ids.iter().map(|(id, times)| (id.clone(), times.as_u64().unwrap())).collect()
}

#[expect(clippy::print_stdout, reason = "the figures of the run, for who asks with --nocapture")]
fn show(answered: &AnsweredSms, times: &HashMap<String, u64>, missing: usize, twice: usize) {
    println!(
        "{KILLS} kills (seed {}): {} answered with 200, {} at the provider, {missing} missing there, {twice} submitted more \
         than once",
        std::process::id(),
        answered.len(),
        times.len(),
    );
}
