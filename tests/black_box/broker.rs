//! A RabbitMQ node of the tests' own, on loopback and a port of its own, so that it can be stopped, starved and
//! emptied while other tests use the machine's broker.

use std::{
    io::Write,
    net::TcpStream,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use tempfile::TempDir;

use super::{WITH_THE_TESTS, eventually, free_port, words};

/// Where Debian and RabbitMQ's own packages keep the scripts that any user may run; those in the path want to be
/// the broker's user.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";

/// A running node; killed when the last test lets go of it.
pub(crate) struct Broker {
    child: Child,
    folder: TempDir,
    node: String,
    port: u16,
    turn: Mutex<()>,
}

impl Broker {
    /// The node that the tests of this run share, where RabbitMQ is installed; else says that the test is left out.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static NODE: Mutex<Weak<Broker>> = Mutex::new(Weak::new());
        if !Path::new(SCRIPTS).join("rabbitmq-server").exists() {
            // Past the test runner, which would keep it to itself.
            let printed =
                format!("left out: there is no {SCRIPTS}/rabbitmq-server to start; apt-get install rabbitmq-server");
            let _nobody_reads = writeln!(std::io::stderr(), "{printed}");
            return None;
        }
        let mut node = NODE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(running) = node.upgrade() {
            return Some(running);
        }
        let started = Arc::new(Self::start());
        *node = Arc::downgrade(&started);
        Some(started)
    }

    fn start() -> Self {
        let (folder, port, dist) = (TempDir::new().unwrap(), free_port(), free_port());
        let node = format!("vumi-test-{port}@localhost");
        let mut server = command(folder.path(), "sh");
        server
            .args(["-c", WITH_THE_TESTS, &program("rabbitmq-server")])
            .env("RABBITMQ_NODENAME", &node)
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", dist.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("RABBITMQ_MNESIA_BASE", folder.path().join("mnesia"))
            .env("RABBITMQ_LOG_BASE", folder.path().join("log"))
            .env("RABBITMQ_CONFIG_FILE", folder.path().join("none"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.path().join("no_plugins"))
            .env("RABBITMQ_PID_FILE", folder.path().join("pid"))
            // Where it leaves what it has to say when it is killed.
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What the scripts start is ended with them.
            .process_group(0);
        let child = server.spawn().unwrap();
        let broker = Self { child, folder, node, port, turn: Mutex::new(()) };
        broker.wait();
        broker
    }

    fn wait(&self) {
        eventually("the broker of the tests' own takes connections", || {
            TcpStream::connect(("127.0.0.1", self.port)).is_ok().then_some(())
        });
        eventually("the broker of the tests' own has started", || {
            self.try_ctl(&["eval", "true = rabbit:is_running()."]).status.success().then_some(())
        });
    }

    /// One test at a time does things to it.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Its address for a user of a vhost.
    pub(crate) fn url(&self, user: &str, password: &str, vhost: &str) -> String {
        format!("amqp://{user}:{password}@127.0.0.1:{}/{}", self.port, vhost.replace('/', "%2F"))
    }

    /// `rabbitmqctl ARGUMENTS`, which must succeed.
    pub(crate) fn ctl(&self, arguments: &[&str]) {
        let done = command(self.folder.path(), &program("rabbitmqctl"))
            .args(["-n", &self.node])
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "rabbitmqctl {arguments:?}: {}", words(&done));
    }

    fn try_ctl(&self, arguments: &[&str]) -> Output {
        let mut ctl = command(self.folder.path(), &program("rabbitmqctl"));
        ctl.args(["-n", &self.node]).args(arguments).output().unwrap()
    }

    /// Closes all connections to `/vumi`, as an operator does; at least one was open.
    pub(crate) fn close_connections(&self) {
        eventually("the broker closes connections", || {
            let done = self.try_ctl(&["close_all_connections", "-p", "/vumi", "by the test"]);
            (!words(&done).contains("Closed 0 ")).then_some(())
        });
    }
}

fn program(name: &str) -> String {
    format!("{SCRIPTS}/{name}")
}

fn command(home: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    // The node's cookie lies in its home.
    command.env("HOME", home).env_remove("RABBITMQ_NODENAME");
    command
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _status = self.child.wait();
    }
}
