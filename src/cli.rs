//! The command line.

mod account;
mod audit;
mod broadcast;
mod callbacks;
mod check;
mod consent;
mod dead;
mod dial;
mod kinds;
mod ledger;
mod log;
mod menu;
mod migrate;
mod receipts;
mod results;
mod route;
mod run;
mod sandbox;
mod send;
mod settings;
mod smpp;
mod sms;
mod status;
mod store;
mod subscriber;
mod ussd_push;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    builtin,
    config::{Kinds, Settings, SettingsError},
};

/// Routes SMS and USSD between mobile networks and services.
///
/// Without a command it runs the router. Without --settings it runs on its embedded default: SQLite in
/// ./vumi.db, the HTTP API on http://127.0.0.1:8000, and a sandbox of providers on loopback, so that everything
/// works before you have an account with anybody.
#[derive(Debug, Parser)]
#[command(name = "vumi", version, max_term_width = 110, after_help = TRY)]
struct Arguments {
    /// A settings file (TOML); may be repeated, a later file overrides an earlier one. Afterwards the
    /// environment overrides single keys: VUMI__HTTP__BIND=0.0.0.0:8000
    #[arg(short, long, value_name = "FILE", env = "VUMI_SETTINGS", value_delimiter = ',', global = true)]
    settings: Vec<PathBuf>,

    #[command(subcommand)]
    command: Option<CliCommand>,
}

const TRY: &str = "Try, in a second terminal while `vumi` runs:
  vumi status
  vumi send --to 27831234567 --from 38080 'hello world'
  vumi dial '*120*663*79#' --msisdn 27831234567";

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Runs the router (the default), or a part of it
    #[command(after_help = run::EXAMPLES)]
    Run(run::RunPart),
    /// Checks the settings without starting anything; says what is wrong, where, and what was expected. With --connect
    /// also whether database, broker and providers are there
    Check(check::CheckArgs),
    /// Brings the database to this version's tables; `run` does it by itself
    Migrate,
    /// Backups of the database; a move to another one
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// What is kept of one person: handed out, or forgotten
    #[command(subcommand)]
    Subscriber(subscriber::SubscriberCommand),
    /// Who wants no SMS: shown, set, exported and imported
    #[command(subcommand)]
    Consent(consent::ConsentCommand),
    /// Exports of the ledger
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Accounts of the HTTP API
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Who logged in, and who changed, cancelled or repeated what
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Begins a USSD dialogue with a person, for a campaign or with a text
    Push(ussd_push::PushArgs),
    /// Sends an SMS through the running router, and follows it with --wait
    Send(send::SendArgs),
    /// A text for many people: each line of a CSV becomes one SMS
    #[command(subcommand)]
    Broadcast(broadcast::BroadcastCommand),
    /// SMS in the ledger: lists, shows, holds, releases, cancels them, sends them again
    #[command(subcommand)]
    Sms(sms::SmsCommand),
    /// What people answered to a campaign, as CSV or JSON Lines; or how often each answer was given
    Results(results::ResultsArgs),
    /// A phone in the terminal: holds a USSD session through the sandbox's network
    Dial(dial::DialArgs),
    /// Menus, and the test files of campaigns
    #[command(subcommand)]
    Menu(menu::MenuCommand),
    /// Shows how every part of the running router is
    Status(status::StatusArgs),
    /// Callbacks that were given up
    #[command(subcommand)]
    Callbacks(callbacks::CallbacksCommand),
    /// Messages from the broker that could not be used
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// Routes outwards: which transport sends an SMS that names none
    #[command(subcommand)]
    Route(route::RouteCommand),
    /// Lists receipts that match no SMS: from another system's SMS, say
    Receipts(receipts::ReceiptsArgs),
    /// Runs the sandbox's providers alone, for a router in another process
    Sandbox,
    /// An SMSC, PDU by PDU: whether it lets us in, and what it answers
    #[command(subcommand)]
    Smpp(smpp::SmppCommand),
    /// Lists the kinds of transport and campaign there are, each with settings to start from
    Kinds(kinds::KindsArgs),
    /// Prints docs/settings.md, the page of every key
    #[command(subcommand, hide = true)]
    Settings(settings::SettingsCommand),
}

/// Runs the command line with the kinds that ship with vumi.
#[must_use]
pub fn main() -> ExitCode {
    run_with(&builtin())
}

/// Runs the command line with these kinds.
#[must_use]
pub fn run_with(kinds: &Kinds) -> ExitCode {
    let arguments = Arguments::parse();
    end_quietly_when_nobody_reads();
    match dispatch(&arguments, kinds) {
        Ok(code) => code,
        Err(error) => {
            say_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &Arguments, kinds: &Kinds) -> anyhow::Result<ExitCode> {
    let load_part = |only: &[String]| Settings::load(&arguments.settings, std::env::vars(), kinds, only);
    let load = || load_part(&[]);
    let Some(command) = &arguments.command else { return run::run(load()?) };
    match command {
        CliCommand::Run(part) => run::run(load_part(&part.only)?),
        CliCommand::Check(options) => check::check(options, &arguments.settings, load_part(&options.part.only)),
        CliCommand::Migrate => migrate::migrate(&load()?),
        CliCommand::Store(command) => store::run(command, load),
        CliCommand::Subscriber(command) => subscriber::run(command, load()?),
        CliCommand::Consent(command) => consent::run(command, load()?),
        CliCommand::Ledger(command) => ledger::run(command, load()?),
        CliCommand::Account(command) => account::run(command, load()?),
        CliCommand::Audit(command) => audit::run(command, load()?),
        CliCommand::Push(options) => ussd_push::push(options, &load()?),
        CliCommand::Send(options) => send::send(options, &load()?),
        CliCommand::Broadcast(command) => broadcast::run(command, &load()?),
        CliCommand::Results(options) => results::run(options, load()?),
        CliCommand::Sms(command) => sms::run(command, load()?),
        CliCommand::Dial(options) => dial::dial(options, &load()?),
        CliCommand::Menu(command) => menu::run(command),
        CliCommand::Status(options) => status::status(options, &load()?),
        CliCommand::Callbacks(command) => callbacks::run(command, load()?),
        CliCommand::Dead(command) => dead::run(command, load()?),
        CliCommand::Route(command) => route::run(command, &load()?),
        CliCommand::Receipts(options) => receipts::list(options, load()?),
        CliCommand::Sandbox => sandbox::run(load()?),
        CliCommand::Smpp(command) => smpp::run(command),
        CliCommand::Settings(command) => settings::run(command, kinds),
        CliCommand::Kinds(options) => kinds::list(options, kinds),
    }
}

/// `vumi status | head` ends when `head` has seen enough, without the standard library's report of a panic.
fn end_quietly_when_nobody_reads() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_some_and(|text| text.starts_with("failed printing to stdout: Broken pipe")) {
            std::process::exit(0);
        }
        report(panic);
    }));
}

/// One line for each thing that is wrong.
#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn say_error(error: &anyhow::Error) {
    if let Some(SettingsError(wrongs)) = error.downcast_ref::<SettingsError>() {
        for wrong in wrongs {
            eprintln!("vumi: {wrong}");
        }
    } else {
        eprintln!("vumi: {error:#}");
    }
}

/// Runs a future on an actix system of its own: what every command that talks to actors or sockets needs.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    actix::System::new().block_on(future)
}
