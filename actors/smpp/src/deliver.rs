//! Receipts and SMS from people on their way to ESMEs. They wait in the store; this claims those of accounts whose binds have
//! room, hands each to a bind, and records what came of it. What is not answered with success waits on and goes out again.

mod pdu;

use std::{collections::HashSet, rc::Rc, time::Duration};

use vumi_kit::{
    account::AccountId,
    backoff::Backoff,
    callback::{DeliveryAttempt, DeliveryThen, RecordDeliveryAttempts},
    clock::Timestamp,
    esme::{ClaimEsmeEvents, EsmeDelivery, EsmeEvent, FindEsmeWork, GiveUpEsmeEvents},
    store::{Ask, StoreError},
};
use vumi_smpp_codec::status;

pub(crate) use self::pdu::pdu_of;
use crate::{
    binds::BindId,
    settings::{LONGEST_ANSWER, SmppSettings},
    state::SmppServerState,
};

/// Time between looks for something to deliver.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Time between looks for what waits for too long.
const GIVE_UP_EVERY: Duration = Duration::from_secs(60);
/// The most that one claim takes of all accounts: others' writes go in between.
const MOST_AT_ONCE: usize = 200;
/// Attempts of one record.
const MOST_RECORDED: usize = 200;
/// Above so many that are not recorded nothing is claimed.
const MOST_UNRECORDED: usize = 2_000;
/// How much longer than the longest answer a claim holds: the store may take as long to record it.
const LEASE_BEYOND: Duration = Duration::from_secs(60);
/// The waits between attempts to record while the store is not available.
const RECORD_AGAIN: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
/// The waits before what an ESME did not take is delivered again.
const DELIVER_AGAIN: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300));
/// ESMEs are never given up as callbacks are whose URL is gone.
const NEVER: Duration = Duration::MAX;

/// What an ESME's answer comes to.
pub(crate) struct EsmeVerdict {
    pub(crate) then: DeliveryThen,
    pub(crate) error: Option<String>,
}

/// What follows an ESME's answer.
pub(crate) fn answered(status: u32, delivery: &EsmeDelivery, now: Timestamp, settings: &SmppSettings) -> EsmeVerdict {
    if status == status::ESME_ROK {
        return EsmeVerdict { then: DeliveryThen::Done, error: None };
    }
    let failures = u32::try_from(delivery.attempts).unwrap_or(0).saturating_add(1);
    let again = now.plus(DELIVER_AGAIN.wait(failures));
    let too_old = again > delivery.created_at.plus(settings.give_up_after);
    let for_good = status == status::ESME_RX_R_APPN;
    let then = if too_old || for_good { DeliveryThen::Parked } else { DeliveryThen::Again(again) };
    EsmeVerdict { then, error: Some(format!("{} (0x{status:08X})", status::name(status))) }
}

/// What is recorded of a delivery.
pub(crate) fn attempt(
    delivery: &EsmeDelivery,
    at: Timestamp,
    then: DeliveryThen,
    error: Option<String>,
) -> DeliveryAttempt {
    DeliveryAttempt { delivery: delivery.id, held_until: delivery.lease_until, at, http_status: None, error, then }
}

/// Delivers until the server stops.
pub(crate) async fn deliver(state: Rc<SmppServerState>) {
    let mut turn = 0_usize;
    loop {
        let idle = match claim(&state, &mut turn).await {
            Ok(claimed) => claimed == 0,
            Err(error) => {
                vumi_kit::warn_limited!(
                    "claim",
                    sort = error.sort(),
                    "the SMPP server can't ask what is to be delivered"
                );
                true
            }
        };
        if idle {
            // An answer may have made room: then there may be more at once, but no more often than this.
            tokio::time::sleep(LOOK_EVERY).await;
        } else {
            let _or_later = tokio::time::timeout(LOOK_EVERY, state.deliveries.claimable.notified()).await;
        }
    }
}

/// Gives up what waits for longer than it may, until the server stops: also what no bind has come for.
pub(crate) async fn give_up(state: Rc<SmppServerState>) {
    loop {
        tokio::time::sleep(GIVE_UP_EVERY).await;
        let before = state.context.clock.now().minus(state.settings.give_up_after);
        // The next look goes on where the store is away.
        while let Ok(GiveUpEsmeEvents::MOST) = state.context.store.callbacks.ask(GiveUpEsmeEvents { before }).await {}
    }
}

/// Claims what binds have room for, and hands it to them. Answers how many.
async fn claim(state: &Rc<SmppServerState>, turn: &mut usize) -> Result<usize, StoreError> {
    let mut rooms = state.binds.with_room();
    if rooms.is_empty() || state.draining.get() || state.deliveries.attempts.borrow().len() > MOST_UNRECORDED {
        return Ok(0);
    }
    // Each account has its turn, however many there are.
    rooms.sort_unstable();
    let begin = *turn % rooms.len();
    rooms.rotate_left(begin);
    rooms.truncate(FindEsmeWork::MOST);
    let callbacks = &state.context.store.callbacks;
    let accounts = rooms.iter().map(|(account, _)| *account).collect();
    let with_work: HashSet<AccountId> = callbacks.ask(FindEsmeWork { accounts }).await?.into_iter().collect();
    *turn = turn.wrapping_add(FindEsmeWork::MOST.min(rooms.len()));
    let mut left = MOST_AT_ONCE;
    rooms.retain_mut(|(account, room)| {
        *room = (*room).min(left);
        left -= if with_work.contains(account) { *room } else { 0 };
        with_work.contains(account) && *room > 0
    });
    if rooms.is_empty() {
        return Ok(0);
    }
    let lease_s = (LONGEST_ANSWER + LEASE_BEYOND).as_secs();
    let claimed = callbacks.ask(ClaimEsmeEvents { accounts: rooms, lease_s }).await?;
    let count = claimed.len();
    state.deliveries.open.set(state.deliveries.open.get() + count);
    for delivery in claimed {
        hand_over(state, delivery);
    }
    Ok(count)
}

fn hand_over(state: &Rc<SmppServerState>, delivery: EsmeDelivery) {
    let now = state.context.clock.now();
    if now > delivery.created_at.plus(state.settings.give_up_after) {
        let why = "no ESME took it within smpp.give_up_after".to_owned();
        return state.deliveries.ended(attempt(&delivery, now, DeliveryThen::Parked, Some(why)));
    }
    let preferred: Option<BindId> = match &delivery.event {
        Some(EsmeEvent::Receipt(receipt)) => Some(receipt.bind),
        Some(EsmeEvent::Sms(_)) | None => None,
    };
    let refused = match state.binds.find(delivery.account) {
        Some(bound) => bound.deliver(Box::new(delivery), preferred).err(),
        None => Some(Box::new(delivery)),
    };
    if let Some(delivery) = refused {
        // Its bind ended since.
        let again = DeliveryThen::Again(delivery.created_at);
        state.deliveries.ended(attempt(&delivery, now, again, Some("no bind takes it now".to_owned())));
    }
}

/// Records what came of deliveries, until the server stops.
pub(crate) async fn record(state: Rc<SmppServerState>) {
    loop {
        state.deliveries.recordable.notified().await;
        loop {
            let attempts = {
                let mut waiting = state.deliveries.attempts.borrow_mut();
                let some = waiting.len().min(MOST_RECORDED);
                waiting.drain(..some).collect::<Vec<_>>()
            };
            if attempts.is_empty() {
                break;
            }
            let count = attempts.len();
            if !record_all(&state, attempts).await {
                return;
            }
            state.deliveries.open.set(state.deliveries.open.get().saturating_sub(count));
        }
    }
}

/// Records attempts, however long the store is away; false: it has stopped.
async fn record_all(state: &SmppServerState, attempts: Vec<DeliveryAttempt>) -> bool {
    let mut failures = 0;
    loop {
        let record = RecordDeliveryAttempts { attempts: attempts.clone(), disable_after: NEVER };
        match state.context.store.callbacks.ask_waiting(record).await {
            Ok(()) => return true,
            Err(StoreError::Stopped) => return false,
            Err(error @ StoreError::Rejected(_)) => {
                tracing::error!(sort = error.sort(), "the store keeps nothing of some deliveries: they go out again");
                return true;
            }
            Err(error) => {
                vumi_kit::warn_limited!("record", sort = error.sort(), "answers of ESMEs wait for the store");
                failures += 1;
                tokio::time::sleep(RECORD_AGAIN.wait(failures)).await;
            }
        }
    }
}
