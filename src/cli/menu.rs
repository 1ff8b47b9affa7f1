//! `vumi menu`: menus and the test files of campaigns.

mod test;

use std::{fmt::Write, path::Path, process::ExitCode};

use clap::Subcommand;
use vumi_campaign_tests::TestFileProblem;

/// What to do with menus and test files.
#[derive(Debug, Subcommand)]
pub(super) enum MenuCommand {
    /// Holds the dialogues of test files, without a router and in no time, and says line by line what differs
    Test(test::TestArgs),
}

pub(super) fn run(command: &MenuCommand) -> anyhow::Result<ExitCode> {
    match command {
        MenuCommand::Test(args) => test::test(args),
    }
}

/// A line for each problem of a test file.
pub(super) fn shown_problems(file: &Path, problems: &[TestFileProblem]) -> String {
    let mut text = String::new();
    for problem in problems {
        let _infallible = writeln!(text, "{}:{problem}", file.display());
    }
    text.trim_end().to_owned()
}
