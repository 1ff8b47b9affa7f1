//! `vumi check`.

mod connect;
mod warnings;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Args;
use vumi_front_kit::tls::{TlsSettings, read_facts};
use vumi_kit::name::Name;

use super::run::RunPart;
use crate::config::{Settings, SettingsError};

/// Options of `vumi check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) part: RunPart,
    /// Also tries the database, the broker and, as far as a connection, each transport's provider; says what is missing
    /// and what mends it. Sends nothing to anybody
    #[arg(long)]
    connect: bool,
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) fn check(
    args: &CheckArgs,
    files: &[PathBuf],
    settings: Result<Settings, SettingsError>,
) -> anyhow::Result<ExitCode> {
    let settings = settings?;
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let what = if files.is_empty() { "the embedded default".to_owned() } else { files.join(", ") };
    let names = |components: &[crate::ComponentConfig], deployment: &[Name]| {
        let name = |component: &crate::ComponentConfig| {
            let elsewhere = if deployment.contains(&component.name) { "" } else { ", elsewhere" };
            format!("{} ({}{elsewhere})", component.name, component.kind.name)
        };
        components.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let deployment = &settings.deployment;
    println!("{what}: good");
    println!("  http        {}", if deployment.http { settings.http.bind.to_string() } else { "elsewhere".to_owned() });
    if let Some(tls) = settings.http.tls.as_ref().filter(|_| deployment.http) {
        println!("  tls         {}", tls_line("http.tls", tls, settings.http.bind)?);
    }
    if let Some(smpp) = &settings.smpp {
        println!("  smpp        {}", if deployment.smpp { smpp.bind.to_string() } else { "elsewhere".to_owned() });
        if let Some(tls) = smpp.tls.as_ref().filter(|_| deployment.smpp) {
            println!("  smpp tls    {}", tls_line("smpp.tls", tls, smpp.bind)?);
        }
    }
    println!("  health      {}", health(&settings));
    println!("  store       {}", settings.store.shown_url());
    println!("  transports  {}", names(&settings.transports, &deployment.transports));
    println!("  campaigns   {}", names(&settings.campaigns, &deployment.campaigns));
    println!("  sandbox     {}", if settings.sandbox.is_some() { "yes: not for production" } else { "no" });
    for warning in warnings::warnings(&settings)? {
        println!("  warning     {warning}");
    }
    if !args.connect {
        return Ok(ExitCode::SUCCESS);
    }
    let all_there = super::block_on(connect::connect(&settings))?;
    Ok(if all_there { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where TLS is spoken, and until when the certificate is good.
fn tls_line(table: &str, tls: &TlsSettings, plain: SocketAddr) -> anyhow::Result<String> {
    let facts = read_facts(table, tls)?;
    let until = facts
        .expires_at
        .map_or_else(String::new, |at| format!(", its certificate is good until {} UTC", at.to_seconds_text()));
    Ok(format!("{}{until}", tls.bind.unwrap_or(plain)))
}

/// Where the process will say how it is.
fn health(settings: &Settings) -> String {
    match &settings.health {
        _ if settings.deployment.sandbox_alone() => "none: it is the sandbox alone".to_owned(),
        Some(health) => health.bind.to_string(),
        None if settings.deployment.http => settings.http.bind.to_string(),
        None => "none: `bind` under [health] (VUMI__HEALTH__BIND) has it tell how it is".to_owned(),
    }
}
