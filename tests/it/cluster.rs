//! One settings file, five processes, a RabbitMQ and a PostgreSQL: each kind of process is killed at random while SMS
//! and dialogues go through, then broker and database are stopped and started. `VUMI_TEST_SMS` and
//! `VUMI_TEST_SESSIONS` make it larger: 10000 and 1000 take minutes.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::black_box::{Harness, Process, broker::Broker, database::TestDatabase, eventually};

/// Clients that send SMS, and people who dial, at once.
const AT_ONCE: u64 = 4;
/// In this time the network shows something to a person, whatever happens behind it: its own limit, and a margin.
const LONGEST_TURN: Duration = Duration::from_secs(12);
/// Between two requests of a client: the machine has other tests to run.
const PACE: Duration = Duration::from_millis(20);
/// How long the outbox may take to empty itself, by SMS: a crash leaves some that the provider is asked about first.
const EMPTY_WITHIN: Duration = Duration::from_secs(60);

/// The processes; the number tells two of a kind apart.
const PROCESSES: [(&str, &str); 5] = [
    ("http-1", "http,callbacks"),
    ("clickatell-1", "transport:clickatell"),
    ("truteq-1", "transport:truteq"),
    ("quiz-1", "campaign:quiz"),
    ("quiz-2", "campaign:quiz"),
];

fn size(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |size| size.parse().unwrap())
}

/// What happens when: kills, and between them these two.
const BROKER_AT: usize = 6;
const DATABASE_AT: usize = 9;
/// So much happens at the least, and more while the load is not through.
const STEPS: usize = 12;

/// What was asked for, and what came of it.
struct Load {
    sms: u64,
    sessions: u64,
    next_sms: AtomicU64,
    next_session: AtomicU64,
    accepted: Mutex<HashSet<i64>>,
    finished: AtomicU64,
    /// Dialogues that were refused or cut off half way, and begun again.
    begun_again: AtomicU64,
    longest_turn: Mutex<Duration>,
    /// Everything that was to happen has happened: no more than was asked for needs to follow.
    over: AtomicBool,
    failed: AtomicBool,
}

impl Load {
    /// Whether so many were asked for, and nothing is to happen any more.
    fn is_enough(&self, number: u64, asked_for: u64) -> bool {
        self.failed.load(Ordering::SeqCst) || number >= asked_for && self.over.load(Ordering::SeqCst)
    }

    fn send(&self, harness: &Harness) {
        loop {
            let number = self.next_sms.fetch_add(1, Ordering::SeqCst);
            if self.is_enough(number, self.sms) {
                return;
            }
            let text = format!("number {number}");
            let form = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", text.as_str())];
            // A request without an answer is repeated under its key: whether it was accepted, nobody knows.
            while !self.failed.load(Ordering::SeqCst) {
                let request = harness.post("/api/v1/sms/clickatell/send.json", &form).header("Idempotency-Key", &text);
                if let Ok(answer) = request.send()
                    && answer.status() == 200
                    && let Ok(list) = answer.json::<Value>()
                {
                    self.accepted.lock().unwrap().insert(list[0]["id"].as_i64().unwrap());
                    std::thread::park_timeout(PACE);
                    break;
                }
                std::thread::park_timeout(PACE);
            }
        }
    }

    fn dial(&self, harness: &Harness) {
        loop {
            let number = self.next_session.fetch_add(1, Ordering::SeqCst);
            if self.is_enough(number, self.sessions) {
                return;
            }
            let person = format!("2783{number:07}");
            while !self.failed.load(Ordering::SeqCst) && !self.plays(harness, &person) {
                self.begun_again.fetch_add(1, Ordering::SeqCst);
                harness.handset("hang_up", &json!({ "msisdn": person }));
                std::thread::park_timeout(Duration::from_millis(50));
            }
            self.finished.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Whether a person got through the quiz, or was told that they had.
    fn plays(&self, harness: &Harness, person: &str) -> bool {
        let mut shown = self.turn(harness, "dial", &json!({ "msisdn": person, "code": "*120*663*79#" }));
        for _ in 0..8 {
            let Some(screen) = shown else { return false };
            if screen["session"] == "closed" {
                return !screen["screen"].as_str().unwrap_or_default().contains("unavailable");
            }
            shown = self.turn(harness, "answer", &json!({ "msisdn": person, "text": "1" }));
        }
        false
    }

    fn turn(&self, harness: &Harness, key: &str, body: &Value) -> Option<Value> {
        let begun = Instant::now();
        let shown = harness.handset(key, body);
        let mut longest = self.longest_turn.lock().unwrap();
        *longest = begun.elapsed().max(*longest);
        if shown.status() == 200 { shown.json().ok() } else { None }
    }
}

/// Ends the load when the test fails.
struct ClusterEnding<'a>(&'a Load);

impl Drop for ClusterEnding<'_> {
    fn drop(&mut self) {
        self.0.failed.store(std::thread::panicking(), Ordering::SeqCst);
    }
}

fn start(harness: &Harness, name: &str, only: &str) -> Process {
    let mut command = harness.command(&["run", "--only", only]);
    command.env("VUMI__STORE__NODE", name);
    Process::spawn(command)
}

#[test]
fn five_processes_lose_nothing_to_kill_9_nor_with_the_broker_nor_with_the_database() {
    let (Some(broker), Some(mut database)) = (Broker::shared(), TestDatabase::start()) else { return };
    let _turn = broker.turn();
    broker.ctl(&["eval", "catch rabbit_vhost:delete(<<\"/cluster\">>, <<\"test\">>)."]);
    broker.ctl(&["add_vhost", "/cluster"]);
    broker.ctl(&["set_permissions", "-p", "/cluster", "guest", ".*", ".*", ".*"]);
    let harness = Harness::new();
    harness.edit(|text| {
        let amqp = format!(
            "[amqp]\nurl = \"{}\"\nreconnect = {{ first = \"50ms\", most = \"500ms\" }}\n",
            broker.url("guest", "guest", "/cluster")
        );
        format!("{}\n{amqp}", text.replace("sqlite://vumi.db", &database.url()))
    });
    harness.add_to("transports.clickatell", "outbox = { retry = { first = \"50ms\", most = \"500ms\" } }");
    let _providers = harness.start(&["run", "--only", "sandbox"]);
    // So that some are under way whenever something is killed.
    harness.misbehave("clickatell", &json!({ "delay": "150ms" }));
    let mut processes: HashMap<&str, Process> = HashMap::new();
    for (name, only) in PROCESSES {
        let process = start(&harness, name, only);
        process.wait_for_line("ready; stop with");
        processes.insert(name, process);
    }

    let load = Load {
        sms: size("VUMI_TEST_SMS", 1_000),
        sessions: size("VUMI_TEST_SESSIONS", 100),
        next_sms: AtomicU64::new(0),
        next_session: AtomicU64::new(0),
        accepted: Mutex::default(),
        finished: AtomicU64::new(0),
        begun_again: AtomicU64::new(0),
        longest_turn: Mutex::default(),
        over: AtomicBool::new(false),
        failed: AtomicBool::new(false),
    };
    let seed = u64::from(std::process::id());
    let mut chance = StdRng::seed_from_u64(seed);
    let mut kills = 0;
    std::thread::scope(|threads| {
        let _ends_with_the_test = ClusterEnding(&load);
        for _ in 0..AT_ONCE {
            threads.spawn(|| load.send(&harness));
            threads.spawn(|| load.dial(&harness));
        }
        for step in 0.. {
            std::thread::park_timeout(Duration::from_millis(chance.random_range(100..1500)));
            match step {
                BROKER_AT => {
                    broker.ctl(&["stop_app"]);
                    broker.ctl(&["start_app"]);
                }
                DATABASE_AT => {
                    database.stop();
                    database.start_again();
                }
                _ => {
                    // Each process once, then by chance.
                    let which = if step < PROCESSES.len() { step } else { chance.random_range(0..PROCESSES.len()) };
                    let (name, only) = PROCESSES[which];
                    processes.remove(name).unwrap().kill();
                    let process = start(&harness, name, only);
                    process.wait_for_line("ready; stop with");
                    processes.insert(name, process);
                    kills += 1;
                }
            }
            let enough = load.next_sms.load(Ordering::SeqCst) >= load.sms
                && load.next_session.load(Ordering::SeqCst) >= load.sessions;
            if step >= STEPS && enough {
                break;
            }
        }
        load.over.store(true, Ordering::SeqCst);
    });

    let accepted = load.accepted.into_inner().unwrap();
    let deadline = Instant::now() + EMPTY_WITHIN;
    let times = loop {
        let times = times_seen(&harness);
        let missing = accepted.iter().filter(|id| !times.contains_key(id)).count();
        if missing == 0 {
            break times;
        }
        assert!(Instant::now() < deadline, "{missing} of {} SMS did not reach the provider", accepted.len());
        std::thread::park_timeout(Duration::from_millis(200));
    };
    let twice = times.values().filter(|times| **times > 1).count();
    let longest = load.longest_turn.into_inner().unwrap();
    println!(
        "{kills} kills (seed {seed}), broker and database stopped once: {} SMS accepted, {} at the provider, {twice} \
         submitted more than once; {} dialogues finished, {} refused or cut off and begun again, the longest turn {longest:?}",
        accepted.len(),
        times.len(),
        load.finished.into_inner(),
        load.begun_again.into_inner(),
    );
    // After a crash Clickatell is asked first: twice only where the submission was still on its way to it.
    assert!(twice <= kills + 1, "{twice} SMS were submitted more than once");
    assert!(longest < LONGEST_TURN, "a person waited for {longest:?}");
    eventually("no process is left in trouble", || {
        let ready: Value = harness.get_open("/health/ready").ok()?.json().ok()?;
        (ready["ready"] == true).then_some(())
    });
}

/// How often each SMS came to the provider.
fn times_seen(harness: &Harness) -> HashMap<i64, u64> {
    let seen = harness.seen("clickatell");
    let ids = seen["ids"].as_object().unwrap();
    ids.iter().map(|(id, times)| (id.parse().unwrap(), times.as_u64().unwrap())).collect()
}
