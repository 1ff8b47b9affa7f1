//! `vumi push`: the network opens a USSD session with a person, by the HTTP API of a running router.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use super::{
    block_on,
    status::{authorised, base_url, client},
};
use crate::config::Settings;

/// The sandbox's account, unless its settings name another.
const SANDBOX_USER: &str = "username:password";

/// Options of `vumi push`.
#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// The number to push to, in international form
    #[arg(long, value_name = "MSISDN")]
    to: String,
    /// The code that stands for the service, in quotes: '*120*663*79#'
    #[arg(long)]
    code: String,
    /// The transport, as the settings name it
    #[arg(long, default_value = "truteq")]
    transport: String,
    /// The campaign that writes the first screen and hears the answers; or give a text
    #[arg(long, value_name = "NAME", required_unless_present = "text", conflicts_with = "text")]
    campaign: Option<String>,
    /// NAME:PASSWORD of an account; the default is the sandbox's
    #[arg(long, env = "VUMI_USER", default_value = SANDBOX_USER, hide_env_values = true)]
    user: String,
    /// The router's address; that of the settings if left out
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The text; it wants no answer
    text: Option<String>,
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) fn push(args: &PushArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    let base = base_url(args.url.as_ref(), settings.http.url());
    let url = format!("{base}/api/v1/ussd/{}/push.json", args.transport);
    let mut form = vec![("to", args.to.as_str()), ("code", args.code.as_str())];
    form.extend(args.campaign.as_deref().map(|campaign| ("campaign", campaign)));
    form.extend(args.text.as_deref().map(|text| ("text", text)));
    block_on(async {
        let request = authorised(client()?.post(url).form(&form), &args.user);
        let answer =
            request.send().await.with_context(|| format!("no router answers at {base}: start one with `vumi`"))?;
        let (status, body) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("refused ({status}): {body}");
        }
        let taken: Value = serde_json::from_str(&body).context("the answer is not a router's")?;
        let id = taken.get("message_id").and_then(Value::as_str).context("the answer is not a router's")?;
        println!("{} has it, as {id}", args.transport);
        Ok(ExitCode::SUCCESS)
    })
}
