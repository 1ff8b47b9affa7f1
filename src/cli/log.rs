//! Log lines: coloured and short on a terminal, JSON elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The server under the front-end tells its own start and stop; ours says the same in an operator's words.
const DEFAULT: &str = "info,actix_server=warn";

/// Log lines go to standard error; `VUMI_LOG` chooses them, such as `debug` or `vumi_transports=trace,info`.
pub(super) fn start() {
    let filter = EnvFilter::try_from_env("VUMI_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        lines.with_target(false).compact().init();
    } else {
        lines.json().flatten_event(true).init();
    }
}
