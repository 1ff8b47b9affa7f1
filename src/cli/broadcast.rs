//! `vumi broadcast`: a text for many people, through the running router.

mod csv_lines;
mod progress;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;

use super::{
    block_on,
    send::{SANDBOX_USER, later},
    status::{authorised, base_url, client},
};
use crate::config::Settings;

/// What to do with broadcasts.
#[derive(Debug, Subcommand)]
pub(super) enum BroadcastCommand {
    /// Checks every line of a CSV, then sends; shows how far it is. To run it again goes on where it was
    #[command(after_help = EXAMPLE)]
    Send(BroadcastArgs),
    /// Lists the account's broadcasts, the newest first
    List(RouterArgs),
    /// Shows one, and follows it
    Follow(NamedArgs),
    /// Pauses one: no more of its lines become SMS
    Pause(NamedArgs),
    /// Resumes one that is paused
    Resume(NamedArgs),
    /// Cancels one for good: the lines that are no SMS yet are removed
    Cancel(NamedArgs),
}

const EXAMPLE: &str = "Example, with a CSV whose first line is `to_msisdn,name`:
  vumi broadcast send people.csv --name clinic-days --from 38080 --transport clickatell --pace 20 \\
    --template 'Dear {{name}}, your clinic is open on Friday.'";

/// Which router, and as whom.
#[derive(Debug, Args)]
pub(super) struct RouterArgs {
    /// NAME:PASSWORD of an account; the default is the sandbox's
    #[arg(long, env = "VUMI_USER", default_value = SANDBOX_USER, hide_env_values = true)]
    user: String,
    /// The router's address; that of the settings if left out
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// The broadcast that a command is about: its account and its name.
#[derive(Debug, Args)]
pub(super) struct NamedArgs {
    /// The broadcast's name, as `vumi broadcast list` shows it
    name: String,
    #[command(flatten)]
    router: RouterArgs,
}

/// What a new broadcast sends, to whom and how fast.
#[derive(Debug, Args)]
pub(super) struct BroadcastArgs {
    /// A CSV: its first line names the columns, `to_msisdn` among them
    file: PathBuf,
    /// A name for it, of which the account has one: lower-case letters, digits and hyphens
    #[arg(long)]
    name: String,
    /// The sender's number or short code
    #[arg(long, value_name = "MSISDN")]
    from: String,
    /// The text, with {{column}} where a column's value goes
    #[arg(long, value_name = "TEXT")]
    template: String,
    /// The transport that sends it; without one the routes choose
    #[arg(long)]
    transport: Option<String>,
    /// SMS a second at the most; without it as fast as they are accepted
    #[arg(long, value_name = "SMS")]
    pace: Option<u32>,
    /// Returns once it is started
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    router: RouterArgs,
}

/// The router's API as an account uses it.
struct BroadcastApi {
    client: Client,
    base: String,
    user: String,
}

/// An answer of the API.
struct BroadcastAnswer {
    status: StatusCode,
    body: Value,
}

impl BroadcastAnswer {
    /// The body of a success; else an error with the router's words.
    fn success(self) -> anyhow::Result<Value> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let detail = self.body.get("detail").and_then(Value::as_str).unwrap_or("no reason given");
        let errors = self.body.get("errors").and_then(Value::as_array).into_iter().flatten();
        let fields: String =
            errors.map(|error| format!("\n  {}: {}", text(error, "field"), text(error, "detail"))).collect();
        bail!("refused ({}): {detail}{fields}", self.status)
    }
}

impl BroadcastApi {
    fn open(args: &RouterArgs, settings: &Settings) -> anyhow::Result<Self> {
        let base = format!("{}/api/v1/broadcasts", base_url(args.url.as_ref(), settings.http.url()));
        Ok(Self { client: client()?, base, user: args.user.clone() })
    }

    /// Calls, again where the router says that it can't now.
    async fn call(&self, request: impl Fn(&Client) -> RequestBuilder) -> anyhow::Result<BroadcastAnswer> {
        loop {
            let sent = authorised(request(&self.client), &self.user).send().await;
            let answer = sent.with_context(|| format!("no router answers at {}: start one with `vumi`", self.base))?;
            if let Some(wait) = later(&answer) {
                tokio::time::sleep(wait).await;
                continue;
            }
            let (status, text) = (answer.status(), answer.text().await?);
            let body =
                serde_json::from_str(&text).with_context(|| format!("the answer is not a router's ({status})"))?;
            return Ok(BroadcastAnswer { status, body });
        }
    }

    async fn find(&self, name: &str) -> anyhow::Result<Value> {
        self.call(|client| client.get(format!("{}/{name}.json", self.base))).await?.success()
    }

    async fn steer(&self, name: &str, step: &str, fields: &[(&str, String)]) -> anyhow::Result<Value> {
        self.call(|client| client.post(format!("{}/{name}/{step}.json", self.base)).form(fields)).await?.success()
    }
}

pub(super) fn run(command: &BroadcastCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    block_on(async {
        match command {
            BroadcastCommand::Send(args) => send(args, settings).await,
            BroadcastCommand::List(args) => {
                let api = BroadcastApi::open(args, settings)?;
                let all = api.call(|client| client.get(format!("{}.json", api.base))).await?.success()?;
                for broadcast in all.as_array().into_iter().flatten() {
                    say(&progress::sentence(broadcast));
                }
                Ok(ExitCode::SUCCESS)
            }
            BroadcastCommand::Follow(args) => {
                let api = BroadcastApi::open(&args.router, settings)?;
                follow(&api, &args.name).await
            }
            BroadcastCommand::Pause(args) => steered(args, settings, "pause").await,
            BroadcastCommand::Resume(args) => steered(args, settings, "resume").await,
            BroadcastCommand::Cancel(args) => steered(args, settings, "cancel").await,
        }
    })
}

async fn steered(args: &NamedArgs, settings: &Settings, step: &str) -> anyhow::Result<ExitCode> {
    let api = BroadcastApi::open(&args.router, settings)?;
    say(&progress::sentence(&api.steer(&args.name, step, &[]).await?));
    Ok(ExitCode::SUCCESS)
}

async fn send(args: &BroadcastArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    let api = BroadcastApi::open(&args.router, settings)?;
    let (name, from, template) = (args.name.clone(), args.from.clone(), args.template.clone());
    let mut fields = vec![("name", name), ("from_msisdn", from), ("template", template)];
    fields.extend(args.transport.clone().map(|transport| ("transport", transport)));
    fields.extend(args.pace.map(|pace| ("pace", pace.to_string())));
    let made = api.call(|client| client.post(format!("{}.json", api.base)).form(&fields)).await?.success()?;
    if text(&made, "state") == "loading" {
        let checked = csv_lines::load(&api, &args.name, &args.file).await?;
        if !checked.errors.is_empty() {
            for error in &checked.errors {
                say(&format!("{}:{error}", args.file.display()));
            }
            api.steer(&args.name, "cancel", &[]).await?;
            bail!("{} of {} lines are wrong: nothing was sent", checked.errors.len(), checked.lines);
        }
        if checked.lines == 0 {
            api.steer(&args.name, "cancel", &[]).await?;
            bail!("{} has no lines behind its first one: nothing was sent", args.file.display());
        }
        api.steer(&args.name, "start", &[("lines", checked.lines.to_string())]).await?;
        say(&format!("{} is started: {} lines. It goes on without this command.", args.name, checked.lines));
    } else {
        say(&format!("{} was started before: its lines are sent once.", args.name));
    }
    if args.no_follow { Ok(ExitCode::SUCCESS) } else { follow(&api, &args.name).await }
}

/// Shows how far it is until it ends or is paused.
async fn follow(api: &BroadcastApi, name: &str) -> anyhow::Result<ExitCode> {
    let bar = progress::bar();
    loop {
        let now = api.find(name).await?;
        progress::show(&bar, &now);
        if text(&now, "state") == "running" {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        }
        bar.finish_and_clear();
        say(&progress::sentence(&now));
        for refusal in now.get("refusals").and_then(Value::as_array).into_iter().flatten() {
            let line = refusal.get("line").and_then(Value::as_u64).unwrap_or_default();
            say(&format!("line {line} became no SMS: {}", text(refusal, "why")));
        }
        let all = text(&now, "state") == "done" && now.get("refused").and_then(Value::as_u64) == Some(0);
        return Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
}

/// A text of an answer; empty if there is none.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn say(line: &str) {
    println!("{line}");
}
