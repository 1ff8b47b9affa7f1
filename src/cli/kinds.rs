//! `vumi kinds`.

use std::process::ExitCode;

use clap::Args;

use crate::config::{Kinds, RESERVED};

/// Options of `vumi kinds`.
#[derive(Debug, Args)]
pub(super) struct KindsArgs {
    /// Only this kind
    kind: Option<String>,
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) fn list(args: &KindsArgs, kinds: &Kinds) -> anyhow::Result<ExitCode> {
    let mut shown = 0;
    for (section, registry) in [("transports", &kinds.transports), ("campaigns", &kinds.campaigns)] {
        for kind in registry.iter().filter(|kind| args.kind.as_deref().is_none_or(|wanted| wanted == kind.name)) {
            // A transport and a campaign of one kind's name are two components, and need two names.
            let is_taken = section == "campaigns" && kinds.transports.get(kind.name).is_some();
            let prefix = match () {
                () if is_taken => "our-",
                () if RESERVED.contains(&kind.name) => "my-",
                () => "",
            };
            let component = format!("{section}.{prefix}{}", kind.name);
            println!("[{component}]\nkind = \"{}\"\n{}\n", kind.name, below(&component, kind.example.trim()));
            shown += 1;
        }
    }
    for kind in vumi_middleware::kinds() {
        if args.kind.as_deref().is_none_or(|wanted| wanted == kind.name) {
            let (name, text) = (kind.name, kind.example.trim());
            println!("[[middleware]]\nname = \"my-{name}\"\nkind = \"{name}\"\n{text}\n");
            shown += 1;
        }
    }
    anyhow::ensure!(
        shown > 0,
        "there is no kind `{}`; `vumi kinds` lists them all",
        args.kind.as_deref().unwrap_or_default()
    );
    Ok(ExitCode::SUCCESS)
}

/// An example's own tables, named as they are inside the component's table: `[[questions]]` is `[[campaigns.quiz.questions]]`.
fn below(component: &str, example: &str) -> String {
    let header = |line: &str| match (line.strip_prefix("[["), line.strip_prefix('[')) {
        (Some(rest), _) => format!("[[{component}.{rest}"),
        (None, Some(rest)) => format!("[{component}.{rest}"),
        (None, None) => line.to_owned(),
    };
    example.lines().map(header).collect::<Vec<_>>().join("\n")
}
