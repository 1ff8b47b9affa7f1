//! The supervisor binary: arguments, settings, supervisor, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    vumi::cli::main()
}
