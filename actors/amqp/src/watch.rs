//! SMS of campaigns elsewhere, from the moment the ledger has them: the campaign is told when the provider has
//! taken one, or never will, and afterwards what the network reports of it.
//!
//! Until then the delivery stays unacknowledged, so that another process takes it over should this one die; but for
//! half of what a queue may have in work at the most, and for `hold_for`: a carrier that stands still holds up nobody
//! else. What is told later than that is remembered in this process only.

use std::{collections::BTreeSet, rc::Rc};

use tokio::time::{Instant, sleep_until, timeout};
use vumi_kit::{
    account::AccountId,
    component::CALL_LIMIT,
    ledger::{ListSms, Which},
    name::Name,
    sms::{Sms, SmsId},
    store::Ask,
};

use super::{
    connector::Connector,
    core::{AmqpCore, Telling, add},
    sms_watch::{WATCH_FOR, Watched, news},
};

/// The ledger has an SMS that a delivery asked for.
pub(super) async fn watch(core: &Rc<AmqpCore>, connector: &Rc<Connector>, message_id: &str, sms: &Sms) {
    let now = Instant::now();
    let watched = Watched {
        connector: connector.clone(),
        message_id: message_id.to_owned(),
        account: sms.account,
        transport: sms.transport.clone(),
        told: None,
        held_until: Some(now + core.settings.hold_for),
        looks: 0,
        next_look: now,
        until: now + WATCH_FOR,
    };
    let key = watched.key();
    if core.is_stopping() {
        // Another process is told by the ledger that it has it, and goes on from there.
        return core.give_back(&key);
    }
    core.in_flight.borrow_mut().hold_on(&key);
    let share = usize::from(core.settings.prefetch / 2);
    let (beyond, forgotten) = {
        let mut watch = core.watch.borrow_mut();
        watch.begin(sms.id, watched);
        let forgotten = if watch.watched.len() > watch.most { watch.watched.keys().next().copied() } else { None };
        (watch.beyond(connector.number, share), forgotten.and_then(|id| watch.end(id)))
    };
    core.watch_begun.notify_one();
    for key in beyond {
        core.settle(&key).await;
    }
    if let Some(forgotten) = forgotten {
        forget(core, &forgotten).await;
    }
}

async fn forget(core: &AmqpCore, watched: &Watched) {
    if watched.told.is_none() {
        add(&core.counts.events_lost, 1);
        tracing::warn!(
            message = watched.message_id,
            "what became of an SMS will not be told: as many are remembered as `amqp.remember` allows"
        );
    }
    if watched.held_until.is_some() {
        core.settle(&watched.key()).await;
    }
}

/// The front-end stops: the broker has back what is not told of yet, for another process to tell.
pub(super) fn leave_watch(core: &Rc<AmqpCore>) {
    let (mut untold, watched) = (0, std::mem::take(&mut core.watch.borrow_mut().watched));
    core.watch.borrow_mut().due.clear();
    for watched in watched.into_values().filter(|watched| watched.told.is_none()) {
        match watched.held_until {
            Some(_) => core.give_back(&watched.key()),
            None => untold += 1,
        }
    }
    if untold > 0 {
        tracing::warn!(count = untold, "SMS wait in the ledger for long: their acks will not be told after the stop");
    }
}

/// Looks at what is due, until the front-end ends.
pub(super) async fn keep_watch(core: Rc<AmqpCore>) {
    loop {
        let next = core.watch.borrow().due.first().map(|(at, _)| *at);
        match next {
            None => core.watch_begun.notified().await,
            Some(at) => tokio::select! {
                () = sleep_until(at) => {}
                () = core.watch_begun.notified() => continue,
            },
        }
        let groups = core.watch.borrow_mut().take_due(Instant::now());
        for ((account, transport), ids) in groups {
            look(&core, account, transport, ids).await;
        }
    }
}

async fn look(core: &Rc<AmqpCore>, account: AccountId, transport: Name, ids: Vec<SmsId>) {
    let which = Which::Ids(ids.clone());
    let list = ListSms { account, transport, which, start: 0, limit: ids.len() };
    let found = match timeout(CALL_LIMIT, core.store.ledger.ask_waiting(list)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return tracing::debug!(%error, "SMS can't be looked at now: later"),
        Err(_) => return tracing::debug!("the store did not answer in time: SMS are looked at later"),
    };
    let in_ledger: BTreeSet<SmsId> = found.iter().map(|sms| sms.id).collect();
    for id in ids.into_iter().filter(|id| !in_ledger.contains(id)) {
        let ended = core.watch.borrow_mut().end(id);
        if let Some(watched) = ended {
            forget(core, &watched).await;
        }
    }
    for sms in found {
        follow(core, &sms);
        let now = Instant::now();
        let overdue = {
            let mut watch = core.watch.borrow_mut();
            let late = watch.watched.get(&sms.id).is_some_and(|w| w.held_until.is_some_and(|until| until <= now));
            if late { watch.let_go(sms.id) } else { None }
        };
        if let Some(key) = overdue {
            core.settle(&key).await;
        }
    }
}

/// Has the campaign told what is new of an SMS.
fn follow(core: &AmqpCore, sms: &Sms) {
    let mut watch = core.watch.borrow_mut();
    let Some(watched) = watch.watched.get_mut(&sms.id) else { return };
    let news = news(watched.told, sms);
    // Without room for them, they are still news at the next look.
    if core.events.borrow().len() + news.len() > core.settings.events_waiting {
        return;
    }
    for what in news {
        let settles = watched.held_until.take().map(|_| watched.key());
        watched.told = Some(sms.status);
        watched.looks = 0;
        let event = watched.event(what, core.clock.now());
        core.tell(Telling { queue: watched.connector.queues.event.clone(), event, settles });
    }
    let over = sms.status.is_final() || watched.until <= Instant::now();
    if over && watched.held_until.is_none() {
        watch.end(sms.id);
    }
}
