//! The same work by one process on SQLite, by one on PostgreSQL, and by several over PostgreSQL and RabbitMQ.
//!
//! Needs both servers: `VUMI_BENCH_POSTGRES` and `VUMI_BENCH_AMQP` say where they are.

use std::time::Instant;

use crate::{
    database::BenchDatabase,
    deliver::{self, CONNECTIONS},
    harness::{BenchHarness, BenchProcess, free_port},
    status, ussd,
};

const SMS: usize = 12_800;
const SESSIONS: usize = 100;

/// What each process runs; none: all of it, in one.
const LAYOUTS: [(&str, bool, &[&str]); 5] = [
    ("1 process, SQLite", false, &[]),
    ("1 process, PostgreSQL", true, &[]),
    ("2: transports and http; campaigns", true, &["http,callbacks,transports", "campaigns"]),
    ("3: http; transports; campaigns", true, &["http,callbacks", "transports", "campaigns"]),
    ("4: http; transports; campaigns twice", true, &["http,callbacks", "transports", "campaigns", "campaigns"]),
];

pub(crate) fn run() {
    println!(
        "\nSMS/s from the API through the ledger to the provider and back ({SMS} SMS, {CONNECTIONS} connections);"
    );
    println!("USSD round trips/s ({SESSIONS} people who answer at once; between processes over RabbitMQ)");
    println!("{:<40}  {:>8}  {:>9}  {:>8}  {:>8}", "processes", "SMS/s", "USSD/s", "p50 ms", "p99 ms");
    let mut first = None;
    for (name, postgres, layout) in LAYOUTS {
        let database = postgres.then(BenchDatabase::new);
        let sms = sms(database.as_ref(), layout);
        let database = postgres.then(BenchDatabase::new);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let broker = Names::new();
        let settings = broker.settings(database.as_ref());
        let (figures, _running) =
            runtime.block_on(ussd::with(SESSIONS, None, move |port| start(&settings(port), layout)));
        let (base_sms, base_ussd) = *first.get_or_insert((sms, figures.per_second));
        println!(
            "{name:<40}  {sms:>8.0}  {:>9.0}  {:>8.2}  {:>8.2}   ratios {:.2}, {:.2}",
            figures.per_second,
            figures.p50_ms,
            figures.p99_ms,
            sms / base_sms,
            figures.per_second / base_ussd
        );
    }
    status::run_on(&BenchDatabase::new());
}

/// One process for each part of the layout, or one with all.
fn start(settings: &str, layout: &[&str]) -> Vec<(BenchHarness, BenchProcess)> {
    let whole: &[&str] = &[""];
    let parts = if layout.is_empty() { whole } else { layout };
    parts
        .iter()
        .map(|part| {
            let harness = BenchHarness::new(settings);
            let running = match (*part, settings.contains("[amqp]")) {
                ("", _) => harness.start(&["run"]),
                (part, false) => harness.start(&["run", "--only", part]),
                (part, true) => harness.start_connected(&["run", "--only", part]),
            };
            (harness, running)
        })
        .collect()
}

fn sms(database: Option<&BenchDatabase>, layout: &[&str]) -> f64 {
    let (http, providers, truteq) = (free_port(), free_port(), free_port());
    let provider_harness = deliver::provider_harness(providers, truteq);
    let _provider = provider_harness.start(&["sandbox"]);
    let mut settings = deliver::settings(http, providers);
    settings.push_str("\n[transports.clickatell.outbox]\npoll = \"100ms\"\n");
    if let Some(database) = database {
        settings.push_str(&database.settings());
    }
    // There is no campaign in this: the process that would run them has none to run.
    let layout: Vec<&str> = layout.iter().filter(|part| **part != "campaigns").copied().collect();
    let account = BenchHarness::new(&settings);
    let running = if database.is_some() {
        account.add_account();
        start(&settings, &layout)
    } else {
        let harness = BenchHarness::new(&settings);
        harness.add_account();
        let running = harness.start(&["run"]);
        vec![(harness, running)]
    };
    let begun = Instant::now();
    let last = deliver::send_all(http, "clickatell", SMS);
    deliver::wait_until_recorded(http, providers, SMS, last);
    let elapsed = begun.elapsed();
    drop(running);
    f64::from(u32::try_from(SMS).unwrap()) / elapsed.as_secs_f64()
}

/// Names of connectors that are nobody else's on the broker; their queues go with them.
struct Names {
    broker: String,
    transport: String,
    campaign: String,
}

impl Names {
    fn new() -> Self {
        let broker =
            std::env::var("VUMI_BENCH_AMQP").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2F".to_owned());
        let own = format!("bench-{}-{}", std::process::id(), free_port());
        Self { broker, transport: format!("truteq-{own}"), campaign: format!("echo-{own}") }
    }

    /// The settings, once the network's port is known. SQLite is for one process, which needs no broker.
    fn settings(&self, database: Option<&BenchDatabase>) -> impl Fn(u16) -> String + Send + 'static {
        let (transport, campaign) = (self.transport.clone(), self.campaign.clone());
        let shared = database.map_or_else(String::new, |database| {
            format!("{}[amqp]\nurl = \"{}\"\ndead_letters = \"{campaign}.dead\"\n", database.settings(), self.broker)
        });
        move |port| format!("{}{shared}", ussd::settings(port, &transport, &campaign))
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Ok(connection) = lapin::Connection::connect(&self.broker, lapin::ConnectionProperties::default()).await
            else {
                return;
            };
            let Ok(channel) = connection.create_channel().await else { return };
            for connector in [&self.transport, &self.campaign] {
                for queue in ["inbound", "outbound", "event", "dead"] {
                    let name = format!("{connector}.{queue}");
                    let _not_there =
                        channel.queue_delete(name.into(), lapin::options::QueueDeleteOptions::default()).await;
                }
            }
        });
    }
}
