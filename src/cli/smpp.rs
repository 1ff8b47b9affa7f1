//! `vumi smpp`: looks at an SMSC PDU by PDU.

mod printer;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use vumi_kit::address::{Address, Msisdn};
use vumi_smpp_codec::BindMode;
use vumi_transports::{SmppTrial, TrialSms};

use super::block_on;

/// What to do with an SMSC.
#[derive(Debug, Subcommand)]
pub(super) enum SmppCommand {
    /// Binds to an SMSC, asks whether it is there and unbinds; shows each PDU, without passwords, numbers and texts.
    /// Messages that the SMSC delivers meanwhile are put off, so that it sends them again
    #[command(after_help = EXAMPLES)]
    Bind(BindArgs),
}

const EXAMPLES: &str = "Examples:
  vumi smpp bind --to 127.0.0.1:2776 --system-id vumi --password vumi
  VUMI_SMPP_PASSWORD=secret vumi smpp bind --to smpp.example.com:3550 --tls --system-id acme
  vumi smpp bind --to 127.0.0.1:2776 --system-id vumi --password vumi --send 27831234567 hello";

/// Options of `vumi smpp bind`.
#[derive(Debug, Args)]
pub(super) struct BindArgs {
    /// The SMSC
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    /// The account, 15 characters at the most
    #[arg(long, value_name = "NAME", default_value = "")]
    system_id: String,
    /// Its password, 8 characters at the most
    #[arg(long, env = "VUMI_SMPP_PASSWORD", hide_env_values = true, default_value = "", hide_default_value = true)]
    password: String,
    /// What the SMSC calls our kind of system
    #[arg(long, value_name = "TYPE", default_value = "")]
    system_type: String,
    /// Both ways, sending only or receiving only
    #[arg(long, value_enum, default_value = "trx")]
    mode: ModeArg,
    /// The version that the bind names: 3.3, 3.4 or 5.0
    #[arg(long, value_name = "VERSION", default_value = "3.4")]
    interface: String,
    /// Connects by TLS
    #[arg(long)]
    tls: bool,
    /// The authorities to trust, or the SMSC's own certificate, in PEM form; else those of this machine
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca: Option<PathBuf>,
    /// The name in the SMSC's certificate, where it is not the host's
    #[arg(long, value_name = "NAME", requires = "tls")]
    server_name: Option<String>,
    /// Sends an SMS once bound
    #[arg(long, num_args = 2, value_names = ["TO", "TEXT"])]
    send: Vec<String>,
    /// Its sender
    #[arg(long, value_name = "FROM", default_value = "38080", requires = "send")]
    from: String,
    /// How many seconds to wait for its receipt
    #[arg(long, value_name = "SECONDS", default_value_t = 5, requires = "send")]
    listen: u16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeArg {
    Trx,
    Tx,
    Rx,
}

impl From<ModeArg> for BindMode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Trx => Self::Transceiver,
            ModeArg::Tx => Self::Transmitter,
            ModeArg::Rx => Self::Receiver,
        }
    }
}

pub(super) fn run(command: &SmppCommand) -> anyhow::Result<ExitCode> {
    let SmppCommand::Bind(args) = command;
    let sms = args.sms()?;
    let trial = SmppTrial::read(&args.settings()?).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(|problem| format!("{}: {}", problem.key, problem.what)).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })?;
    let mut printer = printer::Printer::new();
    block_on(trial.run(args.mode.into(), sms.as_ref(), &mut |step| printer.print(&step)))?;
    Ok(ExitCode::SUCCESS)
}

impl BindArgs {
    /// As a transport's table has them.
    fn settings(&self) -> anyhow::Result<Value> {
        let (host, port) = self.to.rsplit_once(':').context("--to: expected HOST:PORT")?;
        let port: u16 = port.parse().context("--to: the port is no number from 1 to 65535")?;
        let mut settings = json!({
            "host": host.trim_matches(['[', ']']), "port": port, "tls": self.tls, "version": self.interface,
            "system_id": self.system_id, "password": self.password, "system_type": self.system_type,
        });
        if let Some(table) = settings.as_object_mut() {
            if let Some(path) = &self.ca {
                let pem = std::fs::read_to_string(path).with_context(|| format!("--ca {}", path.display()))?;
                table.insert("ca".to_owned(), pem.into());
            }
            if let Some(name) = &self.server_name {
                table.insert("server_name".to_owned(), name.as_str().into());
            }
        }
        Ok(settings)
    }

    fn sms(&self) -> anyhow::Result<Option<TrialSms>> {
        let [to, text] = self.send.as_slice() else { return Ok(None) };
        if matches!(self.mode, ModeArg::Rx) {
            bail!("--send: a receiver does not send; use --mode trx or tx");
        }
        let (to, from) = (Msisdn::parse(to)?, Address::sender(&self.from)?);
        let listen = Duration::from_secs(self.listen.into());
        Ok(Some(TrialSms { to, from, text: text.clone(), listen }))
    }
}
