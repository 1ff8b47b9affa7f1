//! The binary under measurement, in a folder of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use tempfile::TempDir;

pub(crate) fn print_machine() {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("machine: {cores} cores, {model}; load generator, router and providers share them");
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A folder with settings: those given here, nothing else.
pub(crate) struct BenchHarness {
    pub(crate) folder: TempDir,
}

impl BenchHarness {
    pub(crate) fn new(settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("vumi.toml"), settings).unwrap();
        Self { folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        // Another build's, to compare with.
        let binary = std::env::var("VUMI_BENCH_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_vumi").to_owned());
        let mut command = Command::new(binary);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("VUMI_SETTINGS", "vumi.toml")
            .env("VUMI_LOG", "info");
        command
    }

    /// An account `username` with the password `password`.
    pub(crate) fn add_account(&self) {
        use std::io::Write;
        let mut child = self
            .command(&["account", "add", "username", "--password-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"password\n").unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// A fresh password with which `username` binds over SMPP: 8 characters, the last word of what the command says.
    pub(crate) fn smpp_password(&self) -> String {
        let made = self.command(&["account", "smpp", "username"]).output().unwrap();
        assert!(made.status.success());
        String::from_utf8(made.stdout).unwrap().split_whitespace().last().unwrap().to_owned()
    }

    /// Starts the binary and waits until it is ready.
    pub(crate) fn start(&self, arguments: &[&str]) -> BenchProcess {
        wait_until_ready(self.command(arguments))
    }

    /// Starts the binary and waits until it is connected to the broker, too.
    pub(crate) fn start_connected(&self, arguments: &[&str]) -> BenchProcess {
        wait_until_said(self.command(arguments), &["ready", "connected to the broker"])
    }
}

/// Starts a process and waits until its log says that it is ready.
pub(crate) fn wait_until_ready(command: Command) -> BenchProcess {
    wait_until_said(command, &["ready"])
}

/// Starts a process and waits until its log shows all of these.
fn wait_until_said(mut command: Command, signs: &'static [&str]) -> BenchProcess {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (tell, ready) = mpsc::channel();
    let stderr = child.stderr.take().unwrap();
    std::thread::spawn(move || {
        let mut missing = signs.to_vec();
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let before = missing.len();
            missing.retain(|sign| !line.contains(sign));
            if missing.is_empty() && before > 0 {
                let _nobody_waits = tell.send(());
            } else if line.contains("ERROR") {
                eprintln!("{line}");
            }
        }
    });
    ready.recv_timeout(Duration::from_secs(30)).expect("the process says that it is ready");
    BenchProcess(child)
}

/// A process, killed when dropped.
pub(crate) struct BenchProcess(Child);

impl BenchProcess {
    /// A process that says nothing of itself.
    pub(crate) const fn of(child: Child) -> Self {
        Self(child)
    }

    /// Resident memory in MB.
    pub(crate) fn resident_mb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        kb.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap() / 1024.0
    }

    /// Processor seconds used so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }
}

impl Drop for BenchProcess {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _status = self.0.wait();
    }
}
