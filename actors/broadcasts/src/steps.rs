//! A step of each broadcast that is due.

use std::{sync::Arc, time::Duration};

use vumi_kit::{
    account::FindAccount,
    broadcast::{Broadcast, BroadcastLine, FindDueBroadcasts, LineOutcome, MAX_STEP, TakeBroadcastLines},
    campaign_sms::{CampaignSender, CampaignSms, CampaignSmsOffice, CampaignSmsRefused, PreparedSms},
    sms_options::{Priority, SmsOptions},
    store::{Ask, Store, StoreError},
};

/// How many broadcasts take a step before it is asked again which are due.
const AT_ONCE: usize = 10;
/// Steps of a broadcast in a second, where its pace allows.
const STEPS_PER_SECOND: u32 = 4;
/// How long a broadcast waits for what may pass: a stopped account, a middleware that can't say.
const LATER: Duration = Duration::from_secs(10);
/// If so many lines in a row are refused and none is not, it is not the lines' fault.
const REFUSED_IN_A_ROW: usize = 10;

/// What the steps of all broadcasts that were due have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StepsTaken {
    /// Broadcasts that were due.
    pub(crate) due: usize,
    /// Their lines that became SMS or were refused.
    pub(crate) lines: usize,
}

/// Takes a step of every broadcast that is due.
pub(crate) async fn take(store: &Store, office: &CampaignSmsOffice) -> Result<StepsTaken, StoreError> {
    let due = store.ledger.ask_waiting(FindDueBroadcasts { limit: AT_ONCE }).await?;
    let mut taken = StepsTaken { due: due.len(), lines: 0 };
    for (broadcast, lines) in due {
        let step = next_step(store, office, &broadcast, lines).await?;
        taken.lines += store.ledger.ask_waiting(step).await?.lines;
    }
    Ok(taken)
}

/// How many lines a step takes, by the pace.
fn lines_of_step(pace: Option<u32>) -> usize {
    let by_pace = pace.map_or(u32::MAX, |pace| pace.div_ceil(STEPS_PER_SECOND));
    usize::try_from(by_pace).unwrap_or(MAX_STEP).clamp(1, MAX_STEP)
}

/// How long the step after so many lines waits.
fn wait_after(lines: usize, pace: Option<u32>) -> Duration {
    let lines = u32::try_from(lines).unwrap_or(u32::MAX);
    pace.map_or(Duration::ZERO, |pace| Duration::from_secs(1) * lines / pace.max(1))
}

async fn next_step(
    store: &Store,
    office: &CampaignSmsOffice,
    broadcast: &Broadcast,
    lines: Vec<BroadcastLine>,
) -> Result<TakeBroadcastLines, StoreError> {
    let mut step = TakeBroadcastLines {
        id: broadcast.id,
        taken: broadcast.taken,
        outcomes: Vec::new(),
        wait: LATER,
        why: None,
        pause: false,
    };
    let username = broadcast.username.clone();
    let account = store.accounts.ask_waiting(FindAccount { username }).await?;
    let refused = account.map_or_else(|| Some("its account is gone".to_owned()), |account| account.stopped_error());
    if refused.is_some() {
        return Ok(TakeBroadcastLines { why: refused, ..step });
    }
    let options = Arc::new(SmsOptions {
        priority: Priority::Low,
        reference: Some(format!("broadcast/{}", broadcast.name)),
        ..SmsOptions::default()
    });
    for line in lines.into_iter().take(lines_of_step(broadcast.spec.pace)) {
        match office.prepare(asked(broadcast, line)).await {
            Ok(mut prepared) => {
                prepared.sms.options = with_options(&prepared, &options);
                step.outcomes.push(LineOutcome::Accept(Box::new(prepared)));
            }
            Err(CampaignSmsRefused::Never(why)) => step.outcomes.push(LineOutcome::Refuse(why)),
            Err(CampaignSmsRefused::Later(why)) => {
                step.why = Some(why);
                return Ok(step);
            }
        }
    }
    let all_refused = step.outcomes.iter().all(|outcome| matches!(outcome, LineOutcome::Refuse(_)));
    if all_refused && step.outcomes.len() >= REFUSED_IN_A_ROW {
        let why = step.outcomes.drain(..).find_map(|outcome| match outcome {
            LineOutcome::Refuse(why) => Some(why),
            LineOutcome::Accept(_) => None,
        });
        return Ok(TakeBroadcastLines { why, pause: true, ..step });
    }
    step.wait = wait_after(step.outcomes.len(), broadcast.spec.pace);
    Ok(step)
}

fn asked(broadcast: &Broadcast, line: BroadcastLine) -> CampaignSms {
    let spec = &broadcast.spec;
    let (transport, from) = (spec.transport.clone(), spec.from.clone());
    let sender = CampaignSender { account: broadcast.username.clone(), transport, from };
    CampaignSms { campaign: broadcast.name.clone(), sender, to: line.to, text: line.text, at: None }
}

/// The options of a broadcast's SMS; what the middleware set stays.
fn with_options(prepared: &PreparedSms, options: &Arc<SmsOptions>) -> Arc<SmsOptions> {
    let set = &prepared.sms.options;
    if **set == SmsOptions::default() {
        return Arc::clone(options);
    }
    Arc::new(SmsOptions { priority: options.priority, reference: options.reference.clone(), ..SmsOptions::clone(set) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{lines_of_step, wait_after};

    #[test]
    fn steps_are_small_and_keep_the_pace() {
        for (pace, lines, wait_ms) in
            [(None, 100, 0), (Some(1), 1, 1_000), (Some(10), 3, 300), (Some(100), 25, 250), (Some(4_000), 100, 25)]
        {
            assert_eq!(lines_of_step(pace), lines, "{pace:?}");
            assert_eq!(wait_after(lines, pace), Duration::from_millis(wait_ms), "{pace:?}");
        }
        assert_eq!(wait_after(10, Some(0)), Duration::from_secs(10), "a pace of nothing is one of 1");
    }
}
