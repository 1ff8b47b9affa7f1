//! `vumi dial`: a phone in the terminal.

mod record;

use std::{
    io::{BufRead, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use vumi_campaign_kit::Screen;
use vumi_campaign_tests::recording::SessionRecording;
use vumi_kit::address::{Msisdn, UssdCode};

use super::{block_on, status::client};
use crate::config::Settings;

/// A USSD screen holds so many 7-bit characters.
const SCREEN: usize = 182;
/// Columns of the drawn phone.
const COLUMNS: usize = 40;

/// Options of `vumi dial`.
#[derive(Debug, Args)]
pub(super) struct DialArgs {
    /// The code, in quotes: '*120*663*79#'
    code: String,
    /// The phone's own number
    #[arg(long, default_value = "27831234567")]
    msisdn: String,
    /// Over this transport: of kind http-ussd as its aggregator, of kind smpp over the SMSC; over TruTeq if left out
    #[arg(long, value_name = "NAME")]
    transport: Option<String>,
    /// The sandbox's address; that of the settings if left out
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Writes the session as a test into this file, clinic.test.yaml beside clinic.yaml; numbers of people are replaced. A
    /// file that is there gets one more test. `vumi menu test` runs it
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// What the network shows.
#[derive(Deserialize)]
struct DialScreen {
    screen: String,
    session: String,
    elapsed_ms: f64,
}

impl DialScreen {
    fn as_screen(&self) -> Screen {
        if self.session == "open" { Screen::ask(&self.screen) } else { Screen::end(&self.screen) }
    }
}

pub(super) fn dial(args: &DialArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    let code = UssdCode::parse(&args.code)?;
    let msisdn = Msisdn::parse(&args.msisdn)?;
    let url = match (&args.url, &settings.sandbox) {
        (Some(url), _) => url.trim_end_matches('/').to_owned(),
        (None, Some(sandbox)) => format!("http://{}", sandbox.http_bind),
        (None, None) => {
            bail!("these settings have no [sandbox], and `dial` goes through the sandbox's network: give --url")
        }
    };
    let recorder = args.record.as_deref().map(record::Recorder::new).transpose()?;
    let mut recording = SessionRecording::of(msisdn.as_str());
    let code = block_on(async {
        let of_kind = |kind: &str| {
            let mut named = settings.transports.iter().filter(|one| one.kind.name == kind);
            named.any(|one| args.transport.as_deref() == Some(one.name.as_str()))
        };
        let provider = if of_kind("smpp") { Some("smsc") } else { of_kind("ssmi").then_some("truteq") };
        let via = args.transport.as_deref().filter(|_| provider.is_none()).map(|transport| via(transport, settings));
        let handset = Handset { client: client()?, url, msisdn, via, provider };
        handset.hold(&code, &mut recording).await
    })?;
    if let Some(recorder) = recorder {
        recorder.write(&recording)?;
    }
    Ok(code)
}

/// How the sandbox reaches a transport of kind http-ussd.
fn via(transport: &str, settings: &Settings) -> Value {
    let known = settings.transports.iter().find(|known| known.name.as_str() == transport);
    let aggregator = known.and_then(|known| known.settings.get("aggregator")).and_then(Value::as_str);
    json!({ "transport": transport, "aggregator": aggregator.unwrap_or("africas-talking") })
}

struct Handset {
    client: reqwest::Client,
    url: String,
    msisdn: Msisdn,
    /// Which transport serves it; none: TruTeq.
    via: Option<Value>,
    /// The sandbox's provider; none: as `via` says.
    provider: Option<&'static str>,
}

impl Handset {
    async fn hold(&self, code: &UssdCode, recording: &mut SessionRecording) -> anyhow::Result<ExitCode> {
        let mut shown = self.press("dial", json!({ "msisdn": self.msisdn.as_str(), "code": code.as_str() })).await?;
        recording.dialled(code.as_str(), Some(&shown.as_screen()));
        loop {
            draw(&shown);
            if shown.session != "open" {
                return Ok(ExitCode::SUCCESS);
            }
            let Some(text) = typed()? else {
                self.press("hang_up", json!({ "msisdn": self.msisdn.as_str() })).await?;
                recording.hung_up();
                return Ok(ExitCode::SUCCESS);
            };
            shown = self.press("answer", json!({ "msisdn": self.msisdn.as_str(), "text": text })).await?;
            recording.sent(&text, Some(&shown.as_screen()));
        }
    }

    async fn press(&self, key: &str, mut body: Value) -> anyhow::Result<DialScreen> {
        if let (Some(via), Some(body)) = (&self.via, body.as_object_mut()) {
            body.insert("via".to_owned(), via.clone());
        }
        if let (Some(provider), Some(body)) = (self.provider, body.as_object_mut()) {
            body.insert("provider".to_owned(), provider.into());
        }
        let url = format!("{}/handset/{key}", self.url);
        let answer =
            self.client.post(&url).json(&body).send().await.with_context(|| {
                format!("no sandbox answers at {}: start one with `vumi` or `vumi sandbox`", self.url)
            })?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            let detail = serde_json::from_str::<Value>(&text).ok();
            let detail = detail.as_ref().and_then(|body| body.get("detail")).and_then(Value::as_str).unwrap_or(&text);
            bail!("the network says: {detail}");
        }
        serde_json::from_str(&text).with_context(|| format!("{url} does not answer as a sandbox does"))
    }
}

/// What the person types; none at the end of the input (Ctrl-D): they hang up.
#[expect(clippy::print_stdout, reason = "the phone's prompt")]
fn typed() -> anyhow::Result<Option<String>> {
    let stdin = std::io::stdin();
    print!("> ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line)?;
    let text = line.trim_end_matches(['\r', '\n']).to_owned();
    if !stdin.is_terminal() {
        println!("{text}");
    }
    Ok((read > 0).then_some(text))
}

#[expect(clippy::print_stdout, reason = "the phone's screen")]
fn draw(shown: &DialScreen) {
    let used = shown.screen.chars().count();
    println!("┌{}┐", "─".repeat(COLUMNS + 2));
    for line in wrapped(&shown.screen) {
        println!("│ {line:COLUMNS$} │");
    }
    let left = format!(" {used}/{SCREEN} ");
    let right = format!(" {} in {:.0} ms ", shown.session, shown.elapsed_ms);
    let rule = (COLUMNS + 2).saturating_sub(left.chars().count() + right.chars().count());
    println!("└{left}{}{right}┘", "─".repeat(rule));
}

/// The screen's lines, broken at words where they are too long for a phone.
fn wrapped(screen: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in screen.split('\n') {
        let mut current = String::new();
        for word in line.split(' ') {
            let component = COLUMNS.saturating_sub(current.chars().count());
            if !current.is_empty() && word.chars().count() + 1 > component {
                lines.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            for c in word.chars() {
                if current.chars().count() == COLUMNS {
                    lines.push(std::mem::take(&mut current));
                }
                current.push(c);
            }
        }
        lines.push(current);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, wrapped};

    #[test]
    fn long_lines_break_at_words_and_nothing_is_lost() {
        let text = format!("one two\n\n{} end", "x".repeat(COLUMNS + 5));
        let lines = wrapped(&text);
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS));
        assert_eq!(lines.concat().replace(' ', ""), text.replace(['\n', ' '], ""));
        assert_eq!(lines[0], "one two");
        assert_eq!(lines[1], "");
    }
}
