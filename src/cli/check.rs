//! `vumi check`.

use std::{path::PathBuf, process::ExitCode};

use crate::settings::{Settings, SettingsError};

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) fn check(files: &[PathBuf], settings: Result<Settings, SettingsError>) -> anyhow::Result<ExitCode> {
    let settings = settings?;
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let what = if files.is_empty() { "the embedded default".to_owned() } else { files.join(", ") };
    let names = |rooms: &[crate::Envelope]| {
        rooms.iter().map(|room| format!("{} ({})", room.name, room.kind.name)).collect::<Vec<_>>().join(", ")
    };
    println!("{what}: good");
    println!("  http        {}", settings.http.bind);
    println!("  store       {}", settings.store.url);
    println!("  transports  {}", names(&settings.transports));
    println!("  campaigns   {}", names(&settings.campaigns));
    println!("  sandbox     {}", if settings.sandbox.is_some() { "yes: not for production" } else { "no" });
    Ok(ExitCode::SUCCESS)
}
