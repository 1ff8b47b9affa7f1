//! `vumi results`: what people answered to a campaign.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Args;
use vumi_kit::{
    name::Name,
    session::{ANSWERS_PAGE, ListAnswerCounts, ListAnswers},
    store::{Ask, Store},
};

use super::ledger::{self, ExportFormat, RecordWriter};
use crate::config::Settings;

/// Which results, and how they are written.
#[derive(Debug, Args)]
pub(super) struct ResultsArgs {
    /// The campaign, as the settings name it
    #[arg(value_parser = |text: &str| Name::parse(text))]
    campaign: Name,
    /// As CSV, which is the default
    #[arg(long, conflicts_with = "jsonl")]
    csv: bool,
    /// Write a JSON object a line in place of CSV
    #[arg(long)]
    jsonl: bool,
    /// How often each answer was given, as it is now, without the people
    #[arg(long)]
    counts: bool,
    /// The file; it appears once it is whole. Without it the results go to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replaces a file that is there
    #[arg(long, requires = "out")]
    force: bool,
}

pub(super) fn run(args: &ResultsArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let format = if args.jsonl { ExportFormat::Jsonl } else { ExportFormat::Csv };
    let campaign = &args.campaign;
    ledger::write_to(settings, args.out.as_deref(), args.force, async |store, out| {
        if args.counts {
            counts(store, campaign, format, out).await
        } else {
            answers(store, campaign, format, out).await
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn answers(store: &Store, campaign: &Name, format: ExportFormat, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut writer = RecordWriter::begin(out, format, &["person", "question", "answer"])?;
    let mut after = None;
    loop {
        let page = store.sessions.ask_waiting(ListAnswers { campaign: campaign.clone(), after }).await?;
        for row in &page {
            let [person, question, answer] = [&row.person, &row.question, &row.answer].map(Into::into);
            writer.write(&vec![("person", person), ("question", question), ("answer", answer)])?;
        }
        after = page.last().map(|last| (last.person.clone(), last.question.clone()));
        if page.len() < ANSWERS_PAGE {
            return Ok(());
        }
    }
}

async fn counts(store: &Store, campaign: &Name, format: ExportFormat, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut writer = RecordWriter::begin(out, format, &["question", "answer", "count"])?;
    let mut after = None;
    loop {
        let page = store.sessions.ask_waiting(ListAnswerCounts { campaign: campaign.clone(), after }).await?;
        for (question, answer, count) in &page {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            writer.write(&vec![("question", question.into()), ("answer", answer.into()), ("count", count.into())])?;
        }
        after = page.last().map(|(question, answer, _)| (question.clone(), answer.clone()));
        if page.len() < ANSWERS_PAGE {
            return Ok(());
        }
    }
}
