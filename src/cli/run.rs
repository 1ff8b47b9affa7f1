//! `vumi run`.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use super::{block_on, log};
use crate::{settings::Settings, supervisor};

pub(super) fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    log::start();
    block_on(until_stopped(settings))
}

async fn until_stopped(settings: Settings) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let sandbox = settings.sandbox.clone().map(vumi_sandbox::start).transpose()?;
    if let Some(sandbox) = &sandbox {
        info!(http = %sandbox.http_address(), truteq = %sandbox.truteq_address(), "the sandbox's carriers are up");
    }
    let mut running = supervisor::start(settings).await?;
    info!(http = %running.address(), "ready; stop with Ctrl-C");
    let code = tokio::select! {
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::SUCCESS,
        part = running.fatal() => {
            error!(part, "ended; without it nothing can be kept: the process stops, what was accepted is in the ledger");
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
