//! `vumi migrate`.

use std::process::ExitCode;

use crate::config::Settings;

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) fn migrate(settings: &Settings) -> anyhow::Result<ExitCode> {
    let applied = vumi_store::migrate(&settings.store)?;
    if applied.is_empty() {
        println!("{}: nothing to do", settings.store.shown_url());
    }
    for name in applied {
        println!("{}: {name}", settings.store.shown_url());
    }
    Ok(ExitCode::SUCCESS)
}
