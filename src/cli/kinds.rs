//! `vumi kinds`.

use std::process::ExitCode;

use clap::Args;

use crate::config::{Kinds, RESERVED};

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
            let reserved = if RESERVED.contains(&kind.name) { "my-" } else { "" };
            let room = format!("{section}.{reserved}{}", kind.name);
            println!("[{room}]\nkind = \"{}\"\n{}\n", kind.name, below(&room, kind.example.trim()));
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

/// An example's own tables, named as they are inside the room's table: `[[questions]]` is `[[campaigns.quiz.questions]]`.
fn below(room: &str, example: &str) -> String {
    let header = |line: &str| match (line.strip_prefix("[["), line.strip_prefix('[')) {
        (Some(rest), _) => format!("[[{room}.{rest}"),
        (None, Some(rest)) => format!("[{room}.{rest}"),
        (None, None) => line.to_owned(),
    };
    example.lines().map(header).collect::<Vec<_>>().join("\n")
}
