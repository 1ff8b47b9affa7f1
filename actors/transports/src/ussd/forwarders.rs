//! The futures that forward to the router and the store what the dialogues collect for them.

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix::dev::SendError;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use vumi_kit::{
    address::Msisdn,
    backoff::Backoff,
    component::{CALL_LIMIT, ComponentContext},
    router::{Happened, Inbound, Refused},
    session::{After, CloseSession, OpenSessions, SaveSession, SessionRecord},
    store::{Ask, StoreError},
};

use super::{
    dialogues::Dialogues,
    network::DialogueKey,
    ussd_handler::UndeliveredMessage,
    ussd_sessions::{SessionChange, ToRouter},
};
use crate::fault_log::FaultLog;

/// Sessions that are written to the store at once; it commits them together.
const WRITES_AT_ONCE: usize = 256;
/// Attempts at a write of a session; then it is left undone.
const WRITE_ATTEMPTS: u32 = 4;
/// The waits while the store fails.
const STORE_RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// The state of a transport that holds dialogues.
pub(crate) trait DialogueOwner: 'static {
    /// How its network knows a dialogue.
    type Key: DialogueKey;

    fn dialogues(&mut self) -> &mut Dialogues<Self::Key>;

    /// Where faults are counted.
    fn faults(&mut self) -> &mut FaultLog;

    /// [`Dialogues::not_routed`] with its network.
    fn not_routed(&mut self, person: &Msisdn, undelivered: &UndeliveredMessage, why: String, later: bool);

    /// [`Dialogues::sweep`] with its network.
    fn sweep(&mut self);

    /// Something was finished: reading may go on, a drain may be done.
    fn progressed(&self);

    /// Told when something was finished.
    fn finished(&self) -> Rc<Notify>;

    /// Nothing is under way.
    fn is_settled(&self) -> bool;
}

/// Reads the open sessions back, however long the store takes. Answers false once the store has stopped.
pub(crate) async fn restore_sessions<S: DialogueOwner>(shared: &Rc<RefCell<S>>, context: &ComponentContext) -> bool {
    let mut failures = 0;
    loop {
        match context.store.sessions.ask_waiting(OpenSessions { owner: context.name.clone() }).await {
            Ok(records) => {
                let sessions = shared.borrow_mut().dialogues().restore(records);
                tracing::info!(transport = %context.name, sessions, "open sessions read from the store");
                return true;
            }
            Err(StoreError::Stopped) => return false,
            Err(error) => {
                failures += 1;
                shared.borrow_mut().faults().record("the open sessions could not be read", error);
                sleep(STORE_RETRY.wait(failures)).await;
            }
        }
    }
}

impl<D: DialogueKey> Dialogues<D> {
    /// Takes the sessions back that were open; how many. Of a dialogue that the network was to begin and that nobody has seen,
    /// the campaign is told that it is over.
    fn restore(&mut self, records: Vec<SessionRecord>) -> usize {
        let now = self.clock.now();
        let restored = records.into_iter().filter(|record| self.sessions.table.restore(record.clone())).count();
        for person in self.sessions.table.unseen() {
            if let Some(session) = self.sessions.table.close(&person) {
                self.sessions.ended(person, session, None, now);
            }
        }
        restored
    }
}

/// Forwards people's messages to the router; one is under way until the router has taken it.
pub(crate) async fn forward_messages<S: DialogueOwner>(shared: Rc<RefCell<S>>, context: ComponentContext) {
    let (work_queue, window) = {
        let mut state = shared.borrow_mut();
        let dialogues = state.dialogues();
        (dialogues.sessions.to_router.clone(), dialogues.settings.window)
    };
    let work = |person: Msisdn, job: ToRouter| {
        let (shared, router) = (shared.clone(), context.router.inbound.clone());
        async move {
            let undelivered = UndeliveredMessage::of(&job);
            let (why, later) = match timeout(CALL_LIMIT, router.send(Inbound(job.message))).await {
                Ok(Ok(Ok(()))) => return,
                Ok(Ok(Err(refused))) => (refused.to_string(), matches!(refused, Refused::Busy(_) | Refused::Away(_))),
                Ok(Err(_)) => ("the router is gone".to_owned(), true),
                Err(_) => (format!("the router did not take it within {CALL_LIMIT:?}"), true),
            };
            shared.borrow_mut().not_routed(&person, &undelivered, why, later);
        }
    };
    work_queue.run(window, work, || shared.borrow().progressed()).await;
}

/// Forwards changes of sessions to the store.
pub(crate) async fn forward_sessions<S: DialogueOwner>(shared: Rc<RefCell<S>>, context: ComponentContext) {
    let work_queue = shared.borrow_mut().dialogues().sessions.to_store.clone();
    let work = |person, change| write_session(shared.clone(), context.clone(), person, change);
    work_queue.run(WRITES_AT_ONCE, work, || shared.borrow().progressed()).await;
}

async fn write_session<S: DialogueOwner>(
    shared: Rc<RefCell<S>>,
    context: ComponentContext,
    person: Msisdn,
    change: SessionChange,
) {
    let sessions = &context.store.sessions;
    for failures in 1..=WRITE_ATTEMPTS {
        // The process that has the connection is the only one to write these sessions.
        let written = match &change {
            SessionChange::Save(record) => {
                let (session, after) = ((**record).clone(), After::Anything);
                sessions.ask_waiting(SaveSession { session, after, answers: Vec::new(), sms: Vec::new() }).await
            }
            SessionChange::Close => {
                let (owner, person) = (context.name.clone(), person.as_str().to_owned());
                let (answers, sms) = (Vec::new(), Vec::new());
                sessions.ask_waiting(CloseSession { owner, person, after: None, answers, sms }).await
            }
        };
        let Err(error) = written else { return };
        shared.borrow_mut().faults().record("writes of sessions that failed", &error);
        if matches!(error, StoreError::Stopped) {
            return;
        }
        if failures < WRITE_ATTEMPTS {
            sleep(STORE_RETRY.wait(failures)).await;
        }
    }
}

/// Forwards acks and nacks to the router, in order.
pub(crate) async fn forward_events<S: DialogueOwner>(shared: Rc<RefCell<S>>, context: ComponentContext) {
    let has_events = shared.borrow_mut().dialogues().has_events();
    let finished = shared.borrow().finished();
    let next = || shared.borrow_mut().dialogues().replies.events.pop_front();
    loop {
        let Some(event) = next() else {
            finished.notify_one();
            has_events.notified().await;
            continue;
        };
        if let Err(SendError::Full(event)) = context.router.happened.try_send(event) {
            send_event(&shared, &context, event).await;
        }
    }
}

async fn send_event<S: DialogueOwner>(shared: &Rc<RefCell<S>>, context: &ComponentContext, event: Happened) {
    if context.router.happened.send(event).await.is_err() {
        shared.borrow_mut().faults().record("acks and nacks lost", "the router is gone");
    }
}

/// Ends what is too old, about once a second.
pub(crate) async fn sweep<S: DialogueOwner>(shared: Rc<RefCell<S>>) {
    let every = {
        let lifetime = shared.borrow_mut().dialogues().settings.lifetime;
        (lifetime / 20).clamp(Duration::from_millis(10), Duration::from_secs(1))
    };
    loop {
        sleep(every).await;
        let mut state = shared.borrow_mut();
        state.sweep();
    }
}

/// Waits until nothing is under way, within a limit.
pub(crate) async fn settle<S: DialogueOwner>(shared: &Rc<RefCell<S>>, limit: Duration) {
    let finished = shared.borrow().finished();
    let settled = async {
        while !shared.borrow().is_settled() {
            finished.notified().await;
        }
    };
    if timeout(limit, settled).await.is_err() {
        tracing::warn!(?limit, "not everything under way was finished in time");
    }
}
