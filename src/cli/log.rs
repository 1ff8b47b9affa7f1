//! Log lines: coloured and short on a terminal, JSON elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The server under the front-end tells its own start and stop; ours says the same in an operator's words.
const DEFAULT: &str = "info,actix_server=warn";

/// The server under the front-end writes an error for each thing that a client does wrong. The front-end counts them.
const CLIENTS: &str = "actix_http";

/// Log lines go to standard error; `VUMI_LOG` chooses them, such as `debug` or `vumi_transports=trace,info`.
pub(super) fn start() {
    let wanted = std::env::var("VUMI_LOG").unwrap_or_else(|_| DEFAULT.to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let filter = if wanted.contains(CLIENTS) { filter } else { without_clients(filter) };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        lines.with_target(false).compact().init();
    } else {
        lines.json().flatten_event(true).init();
    }
}

fn without_clients(filter: EnvFilter) -> EnvFilter {
    match format!("{CLIENTS}=off").parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    }
}
