//! A router, a provider that is a process of its own, and how long a run is.

use std::{
    path::PathBuf,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::json;

use crate::black_box::{Harness, Process, database::TestDatabase};

/// A provider that can't be asked for the outcome of a submission.
pub(crate) const TRANSPORT: &str = "e-scape";

/// SMS that may be under way to it at once.
pub(crate) const WINDOW: usize = 16;

/// Runs of this file measure, so they take turns.
static ALONE: Mutex<()> = Mutex::new(());

/// How often a run does what it is about: 3, or `VUMI_FAULTS_ROUNDS`.
pub(crate) fn rounds() -> usize {
    number("VUMI_FAULTS_ROUNDS").unwrap_or(3)
}

/// How long a run puts load on the router: 3 s, or `VUMI_FAULTS_SECONDS`.
pub(crate) fn load_time() -> Duration {
    Duration::from_secs(number("VUMI_FAULTS_SECONDS").unwrap_or(3) as u64)
}

fn number(variable: &str) -> Option<usize> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// Says on the terminal, past the test runner, that a run is left out.
pub(crate) fn left_out(why: &str) {
    use std::io::Write;
    let _nobody_reads = writeln!(std::io::stderr(), "left out: {why}");
}

/// A router in a folder of its own; the provider outlives it.
pub(crate) struct FaultFixture {
    pub(crate) harness: Harness,
    settings: PathBuf,
    _provider: Process,
    _alone: MutexGuard<'static, ()>,
}

impl FaultFixture {
    /// The router's database is at `url`.
    pub(crate) fn new(url: &str) -> Self {
        Self::with(url, |text| text)
    }

    /// As [`Self::new`], with settings that a run changes.
    pub(crate) fn with(url: &str, change: impl FnOnce(String) -> String) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let harness = Harness::new();
        let bounds = format!("window = {WINDOW}, queue = 100, max_resubmissions = 20");
        let outbox = format!("outbox = {{ {bounds}, retry = {{ first = \"50ms\", most = \"500ms\" }} }}");
        harness.add_to("transports.e-scape", &outbox);
        harness.edit(|text| {
            change(text.replace("sqlite://vumi.db", url).replace("[sandbox]\n", "[sandbox]\nseen_ids = 10000000\n"))
        });
        let provider = harness.start(&["sandbox"]);
        harness.misbehave(TRANSPORT, &json!({ "receipts": "none" }));
        let settings = harness.folder.path().join("router.toml");
        let text = std::fs::read_to_string(harness.settings_file()).unwrap();
        std::fs::write(&settings, text.split("[sandbox]").next().unwrap()).unwrap();
        harness.add_account(&settings);
        Self { harness, settings, _provider: provider, _alone: alone }
    }

    /// In a file of its folder.
    pub(crate) fn sqlite() -> Self {
        Self::new("sqlite://vumi.db")
    }

    /// On a server of its own, where PostgreSQL is installed.
    pub(crate) fn postgres() -> Option<(Self, TestDatabase)> {
        let database = TestDatabase::start()?;
        Some((Self::new(&database.url()), database))
    }

    /// `vumi run`, not started yet.
    pub(crate) fn command(&self) -> Command {
        self.harness.command(&["--settings", self.settings.to_str().unwrap(), "run"])
    }

    /// Another process, which sends what this one does not.
    pub(crate) fn transport_alone(&self) -> Command {
        let only = format!("transport:{TRANSPORT}");
        self.harness.command(&["--settings", self.settings.to_str().unwrap(), "run", "--only", &only])
    }

    pub(crate) fn run(&self) -> Process {
        started(self.command())
    }
}

/// Starts the router and waits until it is ready.
pub(crate) fn started(command: Command) -> Process {
    let process = Process::spawn(command);
    process.wait_for_line("ready; stop with");
    process
}
