//! The benchmark: `cargo bench`, or one part of it: `cargo bench -- accept`.
//!
//! It starts the release binary as an operator would and measures from outside, with the load generator on the
//! same machine. `accept` runs a reference beside it, in turns: a bare actix-web handler with a group-committing
//! SQLite writer and nothing else; on a shared machine the ratio says more than the figure.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and prints"
)]

mod accept;
mod bulk;
mod cluster;
mod database;
mod deliver;
mod harness;
mod http;
mod memory;
mod reference;
mod smpp;
mod status;
mod ussd;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some(folder) = arguments.first().and_then(|argument| argument.strip_prefix("--reference-in=")) {
        return reference::serve(folder);
    }
    let wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == part);
    harness::print_machine();
    if wanted("memory") {
        memory::run();
    }
    if wanted("accept") {
        accept::run();
    }
    if wanted("deliver") {
        deliver::run();
    }
    if wanted("status") {
        status::run();
    }
    if wanted("ussd") {
        ussd::run();
    }
    if wanted("smpp") {
        smpp::run();
    }
    if wanted("bulk") {
        bulk::run();
    }
    // Needs servers, so only when it is asked for.
    if arguments.iter().any(|argument| argument == "cluster") {
        cluster::run();
    }
}
