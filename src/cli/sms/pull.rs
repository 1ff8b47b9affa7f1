//! A lever for all SMS of a filter: counted first, then confirmed, then pulled in steps, so that the router goes on meanwhile.

use std::{
    io::{BufRead, IsTerminal, Write},
    time::{Duration, Instant},
};

use anyhow::bail;
use clap::Args;
use vumi_kit::{
    audit::AuditEvent,
    levers::{Lever, PullLever, PulledLever, SearchSms, SmsFilter},
    life::{SmsState, allows},
    sms::SmsId,
    store::{Ask, Store},
};

use super::{super::audit::note, filter::FilterArgs};

/// How often long work says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// Which SMS, and whether it is asked before.
#[derive(Debug, Args)]
pub(in crate::cli) struct PullArgs {
    #[command(flatten)]
    which: FilterArgs,
    /// All there are, where nothing else says which
    #[arg(long)]
    all: bool,
    /// Why; the timeline of each SMS shows it
    #[arg(long, value_name = "TEXT", default_value = "by the operator")]
    reason: String,
    /// Does it without a question
    #[arg(long)]
    yes: bool,
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) async fn pull(store: &Store, lever: Lever, args: &PullArgs) -> anyhow::Result<()> {
    if args.which.is_empty() && !args.all {
        bail!("say which: --id, --account, --batch, --transport, --state, --to, --newer, --older; or --all");
    }
    let mut filter = args.which.filter(store).await?;
    filter.states = meant(lever, &filter.states)?;
    let count = count(store, &filter).await?;
    if count == 0 {
        println!("no such SMS is in a state for it: {}", words(&filter.states));
        return Ok(());
    }
    if !args.yes && !confirmed(lever, count)? {
        println!("nothing was done");
        return Ok(());
    }
    let PulledLever { done, begun, not_allowed } = pull_all(store, lever, &filter, &args.reason, count).await?;
    println!("{done} SMS {}", lever.done());
    if done > 0 {
        note(store, audit_event(lever), format!("{done} SMS: {}", args.reason)).await?;
    }
    if begun > 0 {
        println!("{begun} stay: they have begun to go out");
    }
    if not_allowed > 0 {
        println!("{not_allowed} stay: they went on to another state meanwhile");
    }
    Ok(())
}

/// The states that are meant: of those named, or of all, those that allow it.
pub(in crate::cli) fn meant(lever: Lever, named: &[SmsState]) -> anyhow::Result<Vec<SmsState>> {
    let allowing: Vec<SmsState> = SmsState::ALL.into_iter().filter(|state| allows(*state, lever.event())).collect();
    match named.iter().find(|state| !allowing.contains(state)) {
        Some(other) => bail!("an SMS that is {other} can't be {}; one that is {} can", lever.done(), words(&allowing)),
        None if named.is_empty() => Ok(allowing),
        None => Ok(named.to_vec()),
    }
}

/// What the audit trail calls it.
const fn audit_event(lever: Lever) -> AuditEvent {
    match lever {
        Lever::Hold => AuditEvent::Held,
        Lever::Release => AuditEvent::Released,
        Lever::Cancel => AuditEvent::Cancelled,
        Lever::Resend => AuditEvent::Resent,
    }
}

fn words(states: &[SmsState]) -> String {
    states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(" or ")
}

/// How many SMS there are of a filter.
pub(in crate::cli) async fn count(store: &Store, filter: &SmsFilter) -> anyhow::Result<usize> {
    let (mut counted, mut progress) = (0, ProgressLine::default());
    let mut after = Some(0);
    while let Some(from) = after {
        let page = search(store, filter, from).await?;
        counted += page.0.len();
        after = page.1;
        progress.say(|| format!("counted {counted} so far"));
    }
    Ok(counted)
}

async fn search(store: &Store, filter: &SmsFilter, after: SmsId) -> anyhow::Result<(Vec<SmsId>, Option<SmsId>)> {
    let search = SearchSms { filter: filter.clone(), after, limit: SearchSms::MOST };
    let page = store.ledger.ask_waiting(search).await?;
    Ok((page.found.into_iter().map(|sms| sms.id).collect(), page.next))
}

/// Pulls the lever in steps, so that the router goes on meanwhile.
pub(in crate::cli) async fn pull_all(
    store: &Store,
    lever: Lever,
    filter: &SmsFilter,
    reason: &str,
    count: usize,
) -> anyhow::Result<PulledLever> {
    let (mut all, mut progress) = (PulledLever::default(), ProgressLine::default());
    let mut after = Some(0);
    while let Some(from) = after {
        let (ids, next) = search(store, filter, from).await?;
        for ids in ids.chunks(PullLever::MOST) {
            let pull = PullLever { lever, ids: ids.to_vec(), reason: reason.into() };
            let pulled = store.ledger.ask_waiting(pull).await?;
            all.done += pulled.done;
            all.begun += pulled.begun;
            all.not_allowed += pulled.not_allowed;
            progress.say(|| format!("{} of {count} {}", all.done, lever.done()));
        }
        after = next;
    }
    Ok(all)
}

/// Says how far long work is.
struct ProgressLine {
    said: Instant,
}

impl Default for ProgressLine {
    fn default() -> Self {
        Self { said: Instant::now() }
    }
}

impl ProgressLine {
    #[expect(clippy::print_stderr, reason = "beside what the command prints")]
    fn say(&mut self, what: impl FnOnce() -> String) {
        if self.said.elapsed() >= SAY_EVERY {
            self.said = Instant::now();
            eprintln!("{}", what());
        }
    }
}

/// Asks, where somebody can answer.
#[expect(clippy::print_stdout, reason = "a question")]
pub(in crate::cli) fn confirmed(lever: Lever, count: usize) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("{count} SMS would be {}; with --yes it is done", lever.done());
    }
    print!("{count} SMS will be {}. Go on? [y/N] ", lever.done());
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use vumi_kit::{levers::Lever, life::SmsState};

    use super::meant;

    #[test]
    fn a_lever_means_the_states_that_allow_it_and_names_them_where_another_is_asked_for() {
        let states = meant(Lever::Cancel, &[]).unwrap();
        assert_eq!(states, [SmsState::Accepted, SmsState::Scheduled, SmsState::Held, SmsState::Claimed]);
        assert_eq!(meant(Lever::Resend, &[SmsState::Expired]).unwrap(), [SmsState::Expired]);
        let refused = meant(Lever::Release, &[SmsState::Failed]).unwrap_err().to_string();
        assert_eq!(refused, "an SMS that is failed can't be released; one that is held can");
    }
}
