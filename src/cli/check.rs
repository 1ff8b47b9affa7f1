//! `vumi check`.

mod connect;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use vumi_kit::name::Name;

use super::run::Part;
use crate::config::{Settings, SettingsError};

/// Options of `vumi check`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) part: Part,
    /// Also tries the database, the broker and, as far as a connection, each transport's carrier; says what is missing
    /// and what mends it. Sends nothing to anybody
    #[arg(long)]
    connect: bool,
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) fn check(
    options: &Options,
    files: &[PathBuf],
    settings: Result<Settings, SettingsError>,
) -> anyhow::Result<ExitCode> {
    let settings = settings?;
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let what = if files.is_empty() { "the embedded default".to_owned() } else { files.join(", ") };
    let names = |rooms: &[crate::ComponentConfig], here: &[Name]| {
        let name = |room: &crate::ComponentConfig| {
            let elsewhere = if here.contains(&room.name) { "" } else { ", elsewhere" };
            format!("{} ({}{elsewhere})", room.name, room.kind.name)
        };
        rooms.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let here = &settings.here;
    println!("{what}: good");
    println!("  http        {}", if here.http { settings.http.bind.to_string() } else { "elsewhere".to_owned() });
    println!("  health      {}", health(&settings));
    println!("  store       {}", settings.store.shown_url());
    println!("  transports  {}", names(&settings.transports, &here.transports));
    println!("  campaigns   {}", names(&settings.campaigns, &here.campaigns));
    println!("  sandbox     {}", if settings.sandbox.is_some() { "yes: not for production" } else { "no" });
    if !options.connect {
        return Ok(ExitCode::SUCCESS);
    }
    let all_there = super::block_on(connect::connect(&settings))?;
    Ok(if all_there { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where the process will say how it is.
fn health(settings: &Settings) -> String {
    match &settings.health {
        _ if settings.here.sandbox_alone() => "none: it is the sandbox alone".to_owned(),
        Some(health) => health.bind.to_string(),
        None if settings.here.http => settings.http.bind.to_string(),
        None => "none: `bind` under [health] (VUMI__HEALTH__BIND) has it tell how it is".to_owned(),
    }
}
