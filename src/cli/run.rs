//! `vumi run`.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use super::{block_on, log};
use crate::{
    config::Settings,
    supervisor::{self, StartFailed},
};

/// Which part of the settings, for `vumi run` and `vumi check`.
#[derive(Debug, Default, Args)]
pub(super) struct RunPart {
    /// Runs only these parts of the settings: http, callbacks, transports, campaigns, sandbox, transport:NAME,
    /// campaign:NAME; separated by commas, or repeated. The other parts run in other processes of the same settings,
    /// over one PostgreSQL ([store]) and, where campaigns answer people of another process, one RabbitMQ ([amqp])
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    pub(super) only: Vec<String>,
}

/// What `vumi run --help` ends with.
pub(super) const EXAMPLES: &str = "Three processes of one settings file, on one machine or on three:
  vumi run --settings cluster.toml --only http,callbacks
  vumi run --settings cluster.toml --only transports
  vumi run --settings cluster.toml --only campaigns

SMS wait in the ledger until the process with their transport claims them.
A campaign may run in as many processes as you like, a USSD transport in one at a time.";

pub(super) fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    if settings.deployment.sandbox_alone() {
        return super::sandbox::run(settings);
    }
    log::start();
    block_on(until_stopped(settings))
}

async fn until_stopped(settings: Settings) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let sandbox = settings.sandbox.clone().filter(|_| settings.deployment.sandbox);
    let sandbox = sandbox.map(vumi_sandbox::start).transpose()?;
    if let Some(sandbox) = &sandbox {
        let (http, truteq, smsc) = (sandbox.http_address(), sandbox.truteq_address(), sandbox.smsc_address());
        info!(%http, %truteq, %smsc, "the sandbox's providers are up");
    }
    let deployment = settings.deployment.clone();
    let mut running = supervisor::start(settings).await.map_err(|failed| match failed {
        StartFailed::Store(vumi_store::OpenError::Locked(path)) if deployment.part => anyhow!(
            "store: {} is in use by another vumi, and an SQLite file has component for one: processes that run a part each \
             share a PostgreSQL, store.url = \"postgres://vumi@127.0.0.1/vumi\"",
            path.display()
        ),
        other => other.into(),
    })?;
    match running.address() {
        Some(http) => info!(%http, runs = %deployment, "ready; stop with Ctrl-C"),
        None => info!(runs = %deployment, "ready; stop with Ctrl-C"),
    }
    let code = tokio::select! {
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::SUCCESS,
        part = running.fatal() => {
            error!(part, "the process stops: it can't go on like this; what was accepted is in the ledger");
            ExitCode::FAILURE
        }
    };
    info!("stopping: finishing what is under way; a second signal stops at once");
    tokio::select! {
        () = running.stop() => info!("stopped"),
        _ = terminate.recv() => warn!("stopped at once: what was under way is in the ledger"),
        _ = interrupt.recv() => warn!("stopped at once: what was under way is in the ledger"),
    }
    if let Some(sandbox) = sandbox {
        sandbox.stop();
    }
    Ok(code)
}
