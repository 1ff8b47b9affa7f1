//! `vumi route`.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use vumi_kit::{
    name::Name,
    outbound::{Routable, RouteExplanation},
    sms_options::Content,
    transport_settings::TransportSettings,
};
use vumi_router::Standing;

use crate::config::Settings;

/// Commands of `vumi route`.
#[derive(Debug, Subcommand)]
pub(super) enum RouteCommand {
    /// Says which of [[outbound]] takes an SMS, over which transport it goes, and why the lines before do not take it. Reads the
    /// settings alone: nothing is sent, and all transports are assumed to work
    Explain(ExplainArgs),
}

/// Options of `vumi route explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The recipient's number, in international form
    #[arg(long, value_name = "MSISDN")]
    to: String,
    /// The sender's number, short code or name
    #[arg(long, value_name = "SENDER")]
    from: String,
    /// The account that sends it
    #[arg(long, value_name = "NAME")]
    account: String,
    /// The text, where a line asks for one by its pattern
    #[arg(long, default_value = "")]
    text: String,
    /// The tag that its client gives it
    #[arg(long)]
    tag: Option<String>,
    /// A transport that is assumed to fail; may be repeated
    #[arg(long, value_name = "TRANSPORT")]
    failing: Vec<String>,
    /// Prints one JSON object, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &RouteCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    match command {
        RouteCommand::Explain(args) => explain(args, settings),
    }
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn explain(args: &ExplainArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    if settings.outbound.is_empty() {
        bail!("the settings have no [[outbound]]: every SMS names its transport");
    }
    if let Some(unknown) =
        args.failing.iter().find(|name| !settings.transports.iter().any(|one| one.name.as_str() == **name))
    {
        bail!("--failing: there is no transport `{unknown}` in the settings");
    }
    let addresses = TransportSettings::default();
    let to = addresses.recipient(&args.to).map_err(|wrong| anyhow!("--to: {wrong}"))?;
    let from = addresses.sender(&args.from).map_err(|wrong| anyhow!("--from: {wrong}"))?;
    let tag = args.tag.as_deref();
    let sms = Routable {
        account: &args.account,
        transports: &[],
        to: &to,
        from: &from,
        text: &args.text,
        content: &Content::Text,
        tag,
    };
    let standing = |transport: &Name| {
        let fails = args.failing.iter().any(|failing| failing == transport.as_str());
        if fails {
            Standing { works: false, share: 0.0, condition: "assumed to fail", ..Standing::GOOD }
        } else {
            Standing::GOOD
        }
    };
    let explained = settings.outbound.explain(&sms, standing);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&explained)?);
    } else {
        println!("{}", shown(&explained));
    }
    Ok(if explained.chosen.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn shown(explained: &RouteExplanation) -> String {
    let mut lines = Vec::new();
    for route in &explained.routes {
        lines.push(format!("{}: {}", route.route, route.verdict));
        lines.extend(route.transports.iter().map(|transport| format!("    {transport}")));
    }
    lines.push(match &explained.chosen {
        Some(choice) => format!("goes by {}: {}", choice.transport, choice.why),
        None => "no route takes it: send.json answers 400".to_owned(),
    });
    lines.join("\n")
}
