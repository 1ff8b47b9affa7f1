//! Starts the built binary with settings and a database of its own, and talks to it as its users do.

pub(crate) mod broker;
pub(crate) mod browser;
pub(crate) mod database;
pub(crate) mod esme;
pub(crate) mod peer;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use reqwest::blocking::{Body, Client, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;

/// A script that runs a server with its arguments, and ends it with everything it started when its input is closed:
/// also when the tests are killed.
const WITH_THE_TESTS: &str = "\"$0\" \"$@\" </dev/null & cat >/dev/null; kill -s KILL 0";

/// How long anything may take before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A port nobody listens on now, below those the system gives to outgoing connections: one of these could be taken
/// between this look and the process's own.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 20_000).unwrap();
    loop {
        let port = 10_000 + (first - 10_000 + NEXT.fetch_add(1, Ordering::SeqCst)) % 20_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until `probe` gives something; fails with `what` when the deadline passes.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A folder with settings, from which processes are started.
pub(crate) struct Harness {
    pub(crate) folder: TempDir,
    pub(crate) http: u16,
    pub(crate) providers: u16,
    pub(crate) truteq: u16,
    pub(crate) smsc: u16,
    environment: Vec<(String, String)>,
    client: Client,
    /// A provider that takes connections and never answers.
    silent: Option<TcpListener>,
}

impl Harness {
    /// The embedded default on free ports, with rate limits out of the way.
    pub(crate) fn new() -> Self {
        let harness = Self {
            folder: TempDir::new().unwrap(),
            http: free_port(),
            providers: free_port(),
            truteq: free_port(),
            smsc: free_port(),
            environment: Vec::new(),
            client: Client::builder().timeout(DEADLINE).no_proxy().build().unwrap(),
            silent: None,
        };
        let default = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/settings/default.toml")).unwrap();
        let moved = default
            .replace("127.0.0.1:8000", &format!("127.0.0.1:{}", harness.http))
            .replace("127.0.0.1:8010", &format!("127.0.0.1:{}", harness.providers))
            .replace("127.0.0.1:50008", &format!("127.0.0.1:{}", harness.truteq))
            .replace("port = 50008", &format!("port = {}", harness.truteq))
            .replace("127.0.0.1:2776", &format!("127.0.0.1:{}", harness.smsc))
            .replace("port = 2776", &format!("port = {}", harness.smsc));
        fs::write(harness.settings_file(), moved).unwrap();
        harness
    }

    /// Like [`Harness::new`], but the SMS providers never answer: what is accepted stays as it was accepted.
    pub(crate) fn quiet() -> Self {
        let mut harness = Self::new();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        harness.edit(|text| {
            text.replace(&format!("http://127.0.0.1:{}/", harness.providers), &format!("http://{address}/"))
        });
        harness.silent = Some(silent);
        harness
    }

    pub(crate) fn settings_file(&self) -> PathBuf {
        self.folder.path().join("vumi.toml")
    }

    /// Changes the settings' text.
    pub(crate) fn edit(&self, change: impl FnOnce(String) -> String) {
        let before = fs::read_to_string(self.settings_file()).unwrap();
        let after = change(before.clone());
        assert_ne!(before, after, "the edit changed nothing: what it looks for is not in the settings");
        fs::write(self.settings_file(), after).unwrap();
    }

    /// Adds lines below a table's header.
    pub(crate) fn add_to(&self, table: &str, lines: &str) {
        let header = format!("[{table}]\n");
        self.edit(|text| {
            assert!(text.contains(&header), "no [{table}]");
            text.replace(&header, &format!("{header}{lines}\n"))
        });
    }

    /// Sets a variable for every process started from here on.
    pub(crate) fn set(&mut self, variable: &str, value: &str) {
        self.environment.push((variable.to_owned(), value.to_owned()));
    }

    /// `vumi ARGUMENTS` in this folder, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vumi"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("VUMI_SETTINGS", self.settings_file())
            .env_remove("VUMI_LOG")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// Runs `vumi ARGUMENTS` to its end.
    pub(crate) fn vumi(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts a process and waits until its log says that it is ready.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        let process = Process::spawn(self.command(arguments));
        process.wait_for_line("ready; stop with");
        process
    }

    /// Starts the router with its sandbox.
    pub(crate) fn run(&self) -> Process {
        self.start(&["run"])
    }

    /// Makes the account that the sandbox would make, for settings without one.
    pub(crate) fn add_account(&self, settings: &Path) {
        let add = ["account", "add", "username", "--role", "client,carrier", "--password-stdin"];
        let mut child = self
            .command(&[&["--settings", settings.to_str().unwrap()], &add[..]].concat())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"password\n").unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Waits until the SSMI transport has logged in.
    pub(crate) fn wait_for_network(&self) {
        self.wait_for_part("truteq");
    }

    /// How all parts are, details included; none if the router does not answer.
    pub(crate) fn readiness(&self) -> Option<Value> {
        self.get("/health/ready").header("accept", "application/json").send().ok()?.json().ok()
    }

    /// How a part of the router is; none if the router does not answer.
    pub(crate) fn part(&self, name: &str) -> Option<Value> {
        let parts = self.readiness()?;
        parts["parts"].as_array()?.iter().find(|part| part["name"] == name).cloned()
    }

    /// Waits until a part of the router is up.
    pub(crate) fn wait_for_part(&self, name: &str) {
        // A stranger sees the state: not every settings file has the sandbox's account.
        eventually(&format!("{name} is up"), || {
            let parts: Value = self.get_open("/health/ready").ok()?.json().ok()?;
            let part = parts["parts"].as_array()?.iter().find(|part| part["name"] == name)?;
            (part["state"] == "up").then_some(())
        });
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http)
    }

    pub(crate) fn provider_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.providers)
    }

    /// A request without credentials, JSON wanted.
    pub(crate) fn get_open(&self, path: &str) -> reqwest::Result<Response> {
        self.client.get(self.url(path)).header("accept", "application/json").send()
    }

    /// A request to the API with the sandbox's account.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).basic_auth("username", Some("password"))
    }

    /// A request to the API with the sandbox's account.
    pub(crate) fn post(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.client.post(self.url(path)).basic_auth("username", Some("password")).form(form)
    }

    /// A request to the API with the sandbox's account and a body of any type.
    pub(crate) fn post_body(&self, path: &str, content_type: &str, body: impl Into<Body>) -> RequestBuilder {
        let request = self.client.post(self.url(path)).basic_auth("username", Some("password"));
        request.header("content-type", content_type).body(body)
    }

    /// A client for other requests.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends an SMS and answers its number.
    pub(crate) fn send(&self, transport: &str, to: &str, message: &str) -> i64 {
        let form = [("to_msisdn", to), ("from_msisdn", "27123456789"), ("message", message)];
        let answer = self.post(&format!("/api/v1/sms/{transport}/send.json"), &form).send().unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
        answer.json::<Value>().unwrap()[0]["id"].as_i64().unwrap()
    }

    /// The SMS as the API shows it.
    pub(crate) fn status(&self, transport: &str, id: i64) -> Value {
        let answer = self.get(&format!("/api/v1/sms/{transport}/status/{id}.json")).send().unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().unwrap()
    }

    /// Waits until the SMS has this status.
    pub(crate) fn wait_for_status(&self, transport: &str, id: i64, status: i64) -> Value {
        eventually(&format!("SMS {id} by {transport} has status {status}"), || {
            let sms = self.status(transport, id);
            (sms["transport_status"] == status).then_some(sms)
        })
    }

    /// What a provider of the sandbox saw.
    pub(crate) fn seen(&self, provider: &str) -> Value {
        self.client.get(self.provider_url(&format!("/seen/{provider}?ids=true"))).send().unwrap().json().unwrap()
    }

    /// Tells a provider of the sandbox how to misbehave.
    pub(crate) fn misbehave(&self, provider: &str, how: &Value) {
        let answer = self.client.put(self.provider_url(&format!("/misbehave/{provider}"))).json(how).send().unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().unwrap());
    }

    /// Presses a key of a handset on the sandbox's network.
    pub(crate) fn handset(&self, key: &str, body: &Value) -> Response {
        self.client.post(self.provider_url(&format!("/handset/{key}"))).json(body).send().unwrap()
    }
}

/// A running process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stderr, kept) = (child.stderr.take().unwrap(), lines.clone());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Self { child, lines, reader: Some(reader) }
    }

    /// Everything it has logged.
    pub(crate) fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits until a line with this text is logged.
    pub(crate) fn wait_for_line(&self, text: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.lines.lock().unwrap().iter().any(|line| line.contains(text)) {
            let ended = self.reader.as_ref().is_none_or(JoinHandle::is_finished);
            assert!(!ended && Instant::now() < deadline, "no line with {text:?}:\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(mut self) -> i32 {
        self.signal("TERM");
        self.exit_code()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end.
    pub(crate) fn exit_code(&mut self) -> i32 {
        let status = eventually("the process ends", || self.child.try_wait().unwrap());
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status.code().unwrap_or(-1)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _status = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of process {}\n{}", self.child.id(), self.log());
        }
    }
}

/// Whether an SMS, as the API shows it, is neither at its provider nor at an end.
pub(crate) fn waits(sms: &Value) -> bool {
    ["accepted", "scheduled", "held", "claimed"].iter().any(|state| sms["state"] == *state)
}

/// Standard output and error as text.
pub(crate) fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The content of a file, or nothing.
pub(crate) fn read(path: &Path) -> String {
    let mut text = String::new();
    if let Ok(mut file) = fs::File::open(path) {
        file.read_to_string(&mut text).unwrap();
    }
    text
}
