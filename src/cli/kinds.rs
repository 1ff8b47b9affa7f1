//! `vumi kinds`.

use std::process::ExitCode;

use clap::Args;

use crate::settings::Kinds;

/// Options of `vumi kinds`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only this kind
    kind: Option<String>,
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) fn list(options: &Options, kinds: &Kinds) -> anyhow::Result<ExitCode> {
    let mut shown = 0;
    for (section, registry) in [("transports", &kinds.transports), ("campaigns", &kinds.campaigns)] {
        for kind in registry.iter().filter(|kind| options.kind.as_deref().is_none_or(|wanted| wanted == kind.name)) {
            println!("[{section}.{0}]\nkind = \"{0}\"\n{1}\n", kind.name, kind.example.trim());
            shown += 1;
        }
    }
    anyhow::ensure!(
        shown > 0,
        "there is no kind `{}`; `vumi kinds` lists them all",
        options.kind.as_deref().unwrap_or_default()
    );
    Ok(ExitCode::SUCCESS)
}
