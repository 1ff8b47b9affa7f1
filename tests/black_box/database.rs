//! A PostgreSQL server of the tests' own, on loopback and a port of its own, so that it can be stopped under load.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

use super::{WITH_THE_TESTS, eventually, free_port, words};

/// Where Debian keeps each version's programs.
const VERSIONS: &str = "/usr/lib/postgresql";

/// A running server; killed when dropped.
pub(crate) struct TestDatabase {
    server: Child,
    programs: PathBuf,
    folder: TempDir,
    port: u16,
}

impl TestDatabase {
    /// A server with nothing in it, where PostgreSQL is installed; else says that the test is left out.
    pub(crate) fn start() -> Option<Self> {
        let versions = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten();
        let Some(programs) = versions.map(|version| version.path().join("bin")).find(|bin| bin.join("initdb").exists())
        else {
            // Past the test runner, which would keep it to itself.
            let printed = format!("left out: there is no {VERSIONS}/*/bin/initdb; apt-get install postgresql");
            let _nobody_reads = writeln!(std::io::stderr(), "{printed}");
            return None;
        };
        let (folder, port) = (TempDir::new().unwrap(), free_port());
        if is_root() {
            let given = Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap();
            assert!(given.success());
        }
        let data = folder.path().join("data");
        let made = as_postgres(&programs.join("initdb").to_string_lossy())
            .args(["--auth=trust", "--username=postgres", "--no-sync", "-D"])
            .arg(&data)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", words(&made));
        let server = serve(&programs, &folder, port);
        let database = Self { server, programs, folder, port };
        database.wait();
        Some(database)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn wait(&self) {
        let port = self.port.to_string();
        eventually("the database of the tests' own takes connections", || {
            let asked = Command::new(self.programs.join("pg_isready")).args(["-h", "127.0.0.1", "-p", &port]).output();
            asked.unwrap().status.success().then_some(())
        });
    }

    /// Everybody is disconnected at once, and nobody is let in.
    pub(crate) fn stop(&self) {
        let stopped = self.try_to_stop();
        assert!(stopped.status.success(), "{}", words(&stopped));
    }

    fn try_to_stop(&self) -> Output {
        as_postgres(&self.programs.join("pg_ctl").to_string_lossy())
            .args(["stop", "-m", "fast", "-D"])
            .arg(self.folder.path().join("data"))
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }

    /// It is there again, with what was committed.
    pub(crate) fn start_again(&mut self) {
        // One that still runs would keep the fresh one out.
        let _stopped_before = self.try_to_stop();
        end(&mut self.server);
        self.server = serve(&self.programs, &self.folder, self.port);
        self.wait();
    }
}

fn serve(programs: &Path, folder: &TempDir, port: u16) -> Child {
    let mut server = Command::new("sh");
    let program = programs.join("postgres");
    let own = is_root().then_some(["runuser", "-u", "postgres", "--"]).into_iter().flatten();
    server
        .args(["-c", WITH_THE_TESTS])
        .args(own)
        .arg(program)
        .arg("-D")
        .arg(folder.path().join("data"))
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // What it starts is ended with it.
        .process_group(0);
    server.spawn().unwrap()
}

/// PostgreSQL does not run as root.
fn as_postgres(program: &str) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--", program]);
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

fn end(server: &mut Child) {
    drop(server.stdin.take());
    let _status = server.wait();
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        end(&mut self.server);
    }
}
