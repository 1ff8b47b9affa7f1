//! `vumi send`.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use reqwest::{StatusCode, header::RETRY_AFTER};
use serde_json::Value;
use vumi_kit::sms::TransportStatus;

use super::{
    block_on,
    status::{authorised, base_url, client},
};
use crate::config::Settings;

/// Within an account's usual rate of reading, 60 a minute.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The sandbox's account, unless its settings name another.
pub(super) const SANDBOX_USER: &str = "username:password";

/// Options of `vumi send`.
#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// The recipient's number; may be repeated
    #[arg(long, required = true, value_name = "MSISDN")]
    to: Vec<String>,
    /// The sender's number or short code
    #[arg(long, value_name = "MSISDN")]
    from: String,
    /// The transport that sends it, as the settings name it
    #[arg(long, default_value = "clickatell")]
    transport: String,
    /// NAME:PASSWORD of an account; the default is the sandbox's
    #[arg(long, env = "VUMI_USER", default_value = SANDBOX_USER, hide_env_values = true)]
    user: String,
    /// The router's address; that of the settings if left out
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Waits until each is delivered or has failed; exits with 1 if one failed or --limit passed
    #[arg(long)]
    wait: bool,
    /// How long --wait waits, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    limit: u64,
    #[command(flatten)]
    asked: AskedArgs,
    /// The text; --data may stand in its place
    #[arg(required_unless_present = "data", conflicts_with = "data")]
    message: Option<String>,
}

/// What may be asked of an SMS beside its text.
#[derive(Debug, Args)]
struct AskedArgs {
    /// How long it may wait before it fails: in seconds, or as 10m
    #[arg(long, value_name = "TIME")]
    validity: Option<String>,
    /// When it is sent: RFC 3339, or YYYY-MM-DD HH:MM:SS in UTC
    #[arg(long, value_name = "TIME")]
    send_at: Option<String>,
    /// What goes first: low, normal or high
    #[arg(long)]
    priority: Option<String>,
    /// Where its receipts are posted, beside the account's callbacks
    #[arg(long, value_name = "URL")]
    callback_url: Option<String>,
    /// A name of your own for it, by which its status is found
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
    /// The phone shows it at once and does not keep it
    #[arg(long)]
    flash: bool,
    /// A binary SMS: its octets in hex
    #[arg(long, value_name = "HEX")]
    data: Option<String>,
    /// The user data header of --data in hex
    #[arg(long, value_name = "HEX", requires = "data")]
    udh: Option<String>,
}

impl AskedArgs {
    /// The fields of the call. The router says what is wrong with them.
    fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let texts = [
            ("validity", &self.validity),
            ("send_at", &self.send_at),
            ("priority", &self.priority),
            ("callback_url", &self.callback_url),
            ("reference", &self.reference),
            ("data", &self.data),
            ("udh", &self.udh),
        ];
        let given = texts.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        given.chain(self.flash.then_some(("flash", "true")))
    }
}

pub(super) fn send(args: &SendArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    let base = format!("{}/api/v1/sms/{}", base_url(args.url.as_ref(), settings.http.url()), args.transport);
    block_on(async {
        let client = client()?;
        let sent = accept(&client, &base, args).await?;
        for sms in &sent {
            say(sms);
        }
        if !args.wait {
            return Ok(ExitCode::SUCCESS);
        }
        let follow = follow(&client, &base, args, &sent);
        match tokio::time::timeout(Duration::from_secs(args.limit), follow).await {
            Ok(all_good) => Ok(if all_good? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
            Err(_) => bail!("not all were seen delivered within {} s; the router goes on trying", args.limit),
        }
    })
}

async fn accept(client: &reqwest::Client, base: &str, args: &SendArgs) -> anyhow::Result<Vec<Value>> {
    let mut form: Vec<(&str, &str)> = args.to.iter().map(|to| ("to_msisdn", to.as_str())).collect();
    form.push(("from_msisdn", &args.from));
    form.extend(args.message.as_deref().map(|message| ("message", message)));
    form.extend(args.asked.fields());
    let request = client.post(format!("{base}/send.json")).form(&form);
    let answer = authorised(request, &args.user)
        .send()
        .await
        .with_context(|| format!("no router answers at {base}: start one with `vumi`"))?;
    let (status, body) = (answer.status(), answer.text().await?);
    if !status.is_success() {
        bail!("refused ({status}): {body}");
    }
    serde_json::from_str(&body).context("the answer is not a router's")
}

async fn follow(client: &reqwest::Client, base: &str, args: &SendArgs, sent: &[Value]) -> anyhow::Result<bool> {
    let mut all_good = true;
    for sms in sent {
        let id = sms.get("id").and_then(Value::as_i64).context("an SMS without an id")?;
        loop {
            let request = client.get(format!("{base}/status/{id}.json"));
            let answer = authorised(request, &args.user).send().await?;
            if let Some(wait) = later(&answer) {
                tokio::time::sleep(wait).await;
                continue;
            }
            let now: Value = answer.error_for_status()?.json().await?;
            let code = now.get("transport_status").and_then(Value::as_i64).and_then(|code| i16::try_from(code).ok());
            let status = TransportStatus::from(code.unwrap_or_default());
            if status.is_final() {
                say(&now);
                all_good &= status == TransportStatus::Delivered;
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(all_good)
}

/// How long to wait where the router is asked too often, or can't answer now.
pub(super) fn later(answer: &reqwest::Response) -> Option<Duration> {
    if !matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let after = answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.trim().parse().ok());
    Some(after.map_or(LOOK_EVERY, |seconds: u64| Duration::from_secs(seconds.clamp(1, 60))))
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn say(sms: &Value) {
    let field = |key: &str| {
        sms.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).unwrap_or_default()
    };
    let display = field("transport_status_display");
    let status = if display.is_empty() { "accepted".to_owned() } else { display };
    println!("SMS {} to {}: {status}", field("id"), field("to_msisdn"));
}
