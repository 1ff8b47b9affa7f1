//! `vumi sandbox`.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::{block_on, log};
use crate::config::Settings;

pub(super) fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    log::start();
    block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let sandbox = vumi_sandbox::start(settings.sandbox.unwrap_or_default())?;
        let (http, truteq, smsc) = (sandbox.http_address(), sandbox.truteq_address(), sandbox.smsc_address());
        info!(%http, %truteq, %smsc, "ready; stop with Ctrl-C");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        sandbox.stop();
        Ok(ExitCode::SUCCESS)
    })
}
