//! `vumi menu test`: runs test files of campaigns without a router, in virtual time.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context;
use chrono::NaiveDateTime;
use clap::Args;
use serde_json::Value;
use vumi_campaign_kit::rehearsal::Rehearse;
use vumi_campaign_tests::{CampaignFactory, TestFile, TestedCampaign, accepted, report, run};
use vumi_kit::clock::Timestamp;

use super::shown_problems;

/// Options of `vumi menu test`.
#[derive(Debug, Args)]
pub(in crate::cli) struct TestArgs {
    /// Test files, such as clinic.test.yaml
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Writes what was seen into the files where it differs; everything else in them stays as it is. Look at the change
    /// before you keep it
    #[arg(long)]
    accept: bool,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "what the command is for")]
pub(super) fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let (mut failed, mut all) = (0, 0);
    for path in &args.files {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("{name} can't be read"))?;
        let file = match TestFile::read(&text) {
            Ok(file) => file,
            Err(problems) => {
                eprintln!("{}", shown_problems(path, &problems));
                failed += 1;
                continue;
            }
        };
        let campaign = file.campaign.clone().with_context(|| no_campaign(&name, &file))?;
        let outcome = run(&file, &KindFactory(campaign));
        print!("{}", report(&name, &file, &outcome));
        all += file.tests.len();
        let differ = outcome.failed(&file);
        if args.accept && differ > 0 {
            let new = accepted(&file, &outcome);
            if new != text {
                fs::write(path, new).with_context(|| format!("{name} can't be written"))?;
                println!("{name}: what was seen is written into it");
            }
        }
        failed += differ;
    }
    println!("{all} tests, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn no_campaign(name: &str, file: &TestFile) -> String {
    match &file.menu {
        Some(menu) => format!(
            "{name}: menus such as {menu} can't be run by this version yet: test a campaign, `campaign: {{kind: quiz}}` with its settings"
        ),
        None => format!(
            "{name} says not what it tests: write `campaign: {{kind: quiz}}` with the settings of a campaign; a campaign in Rust \
             runs it in `cargo test` (docs/campaigns.md)"
        ),
    }
}

/// Makes a campaign by its kind and settings; its time zone is UTC.
struct KindFactory(Value);

impl CampaignFactory for KindFactory {
    fn open(&self, now: NaiveDateTime) -> Result<Box<dyn TestedCampaign>, String> {
        let mut settings = self.0.clone();
        let kind = settings.as_object_mut().and_then(|table| table.remove("kind"));
        let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
        let now = Timestamp::from_micros(now.and_utc().timestamp_micros());
        match vumi_campaigns::in_rehearsal(kind, &settings, now) {
            Some(Ok(rehearsal)) => Ok(Box::new(TestedKind(rehearsal))),
            Some(Err(problems)) => {
                let problems: Vec<String> =
                    problems.iter().map(|one| format!("campaign.{}: {}", one.key, one.what)).collect();
                Err(problems.join("\n"))
            }
            None => Err(format!("there is no kind of campaign `{kind}`: `vumi kinds` lists them")),
        }
    }
}

struct TestedKind(Box<dyn Rehearse>);

impl TestedCampaign for TestedKind {
    fn rehearsal(&self) -> &dyn Rehearse {
        &*self.0
    }
}
