//! `vumi status`.

use std::{io::IsTerminal, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use secrecy::ExposeSecret;
use serde::Deserialize;
use vumi_kit::health::{Part, State};
use vumi_sandbox::SandboxSettings;

use super::block_on;
use crate::config::Settings;

/// Options of `vumi status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Where the process says how it is: its [health], or its HTTP API. If left out, `health.bind` of the settings (and of
    /// VUMI__HEALTH__BIND), or `http.bind` where there is none
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// NAME:PASSWORD of an account: the HTTP API tells details to those who log in, [health] to all who reach it. The
    /// default is the sandbox's, where there is a [sandbox]
    #[arg(long, env = "VUMI_USER", hide_env_values = true)]
    user: Option<String>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// Adds the credentials of `NAME:PASSWORD` to a request.
pub(super) fn authorised(request: reqwest::RequestBuilder, user: &str) -> reqwest::RequestBuilder {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    request.basic_auth(name, Some(password))
}

/// What `/health/ready` answers.
#[derive(Deserialize)]
struct Readiness {
    parts: Vec<Part>,
}

/// The base of the running router's URLs.
pub(super) fn base_url(given: Option<&String>, own: String) -> String {
    given.map_or(own, |url| url.trim_end_matches('/').to_owned())
}

/// An HTTP client for one short command.
pub(super) fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build()?)
}

pub(super) fn status(args: &StatusArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    let own = settings.health_server().map_or_else(|| settings.http.url(), |health| format!("http://{}", health.bind));
    let url = format!("{}/health/ready", base_url(args.url.as_ref(), own));
    let named = |sandbox: &SandboxSettings| format!("{}:{}", sandbox.username, sandbox.password.expose_secret());
    let sandbox = settings.sandbox.as_ref().map(named);
    let (ready, body) = block_on(async {
        let mut answer = ask(&url, args.user.as_deref().or(sandbox.as_deref())).await?;
        if args.user.is_none() && answer.status().is_client_error() {
            // The sandbox's account has another password: what a stranger sees will do.
            answer = ask(&url, None).await?;
        }
        let status = answer.status();
        if status.is_client_error() {
            bail!("refused ({status}): --user, or VUMI_USER, names no account's name and password");
        }
        anyhow::Ok((status.is_success(), answer.text().await?))
    })?;
    show(&body, args.json, ready)
}

async fn ask(url: &str, user: Option<&str>) -> anyhow::Result<reqwest::Response> {
    let request = client()?.get(url).header("accept", "application/json");
    let request = user.into_iter().fold(request, authorised);
    request.send().await.with_context(|| format!("no router answers at {url}: start one with `vumi`"))
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn show(body: &str, json: bool, ready: bool) -> anyhow::Result<ExitCode> {
    if json {
        println!("{body}");
    } else {
        let Readiness { parts } = serde_json::from_str(body).context("the answer is not a router's")?;
        let colours = std::io::stdout().is_terminal();
        let width = parts.iter().map(|part| part.name.as_str().len()).max().unwrap_or_default();
        for part in &parts {
            println!("{}", line(part, width, colours));
        }
        println!("{}", if ready { "ready" } else { "not ready" });
    }
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A part's line: name, role, state, detail, a transport's backlog, restarts.
fn line(part: &Part, width: usize, colours: bool) -> String {
    let name = part.name.as_str();
    let mut line = format!("{name:width$}  {:9}  {}  {}", part.role, coloured(part.state, colours), part.detail);
    if let Some(backlog) = part.backlog {
        line.push_str(if part.detail.is_empty() { "" } else { "; " });
        line.push_str(&backlog.to_string());
    }
    if part.restarts > 0 {
        line.push_str(&format!(" ({} restarts)", part.restarts));
    }
    line
}

fn coloured(state: State, colours: bool) -> String {
    let colour = match state {
        State::Up => 32,
        State::Degraded | State::Starting | State::Restarting | State::Stopping => 33,
        State::Away | State::Failed => 31,
    };
    let word = format!("{:10}", state.as_str());
    if colours { format!("\x1b[{colour}m{word}\x1b[0m") } else { word }
}

#[cfg(test)]
mod tests {
    use super::{Readiness, line};

    #[test]
    fn the_backlog_of_a_transport_stands_behind_its_detail() {
        let body = r#"{"ready": true, "parts": [
            {"name": "opera", "role": "transport", "state": "up", "detail": "2 in flight", "restarts": 1,
             "backlog": {"due": 10001, "oldest_s": 900}},
            {"name": "store", "role": "store", "state": "up", "detail": "", "restarts": 0}]}"#;
        let Readiness { parts } = serde_json::from_str(body).unwrap();
        let lines: Vec<_> = parts.iter().map(|part| line(part, 5, false)).collect();
        let opera = "opera  transport  up          2 in flight; 10000+ SMS due, the oldest for 15 min (1 restarts)";
        assert_eq!(lines, [opera, "store  store      up          "]);
    }
}
