//! Who is bound: how many of each account, and which of them take what is delivered.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    num::NonZeroU32,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{mpsc, oneshot};
use vumi_kit::{
    account::{Account, AccountId},
    esme::EsmeDelivery,
};
use vumi_smpp_codec::BindMode;

use crate::state::SmppServerState;

/// The number of a bind: no two have the same, in whatever process.
pub(crate) type BindId = u64;

/// What a session is told from outside.
pub(crate) enum SessionCommand {
    /// Deliver this; it counts against the session's room already.
    Deliver(Box<EsmeDelivery>),
    /// Is the ESME still there? Answered by the next PDU that comes; the sender is dropped where the session ends.
    Probe(oneshot::Sender<()>),
    /// Unbind and close, and why.
    Close(&'static str),
}

/// The commands that wait for one session, beside its deliveries.
const OTHER_COMMANDS: usize = 8;

/// An account whose ESMEs are bound.
pub(crate) struct BoundAccount {
    pub(crate) id: AccountId,
    /// As the store has it; another one when it changes.
    pub(crate) account: RefCell<Arc<Account>>,
    /// SMS a second; none: no limit.
    pub(crate) rate: Option<DefaultDirectRateLimiter>,
    binds: RefCell<Vec<Rc<BindEntry>>>,
    /// Where the last delivery went, so that the next goes to the next bind.
    last: Cell<usize>,
}

/// A bind.
pub(crate) struct BindEntry {
    pub(crate) id: BindId,
    mode: BindMode,
    commands: mpsc::Sender<SessionCommand>,
    /// Deliveries that it can take now; 0 also where it does not answer them.
    pub(crate) room: Cell<usize>,
}

impl BindEntry {
    fn receives(&self) -> bool {
        !matches!(self.mode, BindMode::Transmitter)
    }
}

/// Who is bound.
#[derive(Default)]
pub(crate) struct Binds(RefCell<HashMap<AccountId, Rc<BoundAccount>>>);

/// A place among the binds, until it is dropped.
pub(crate) struct BindPlace {
    state: Rc<SmppServerState>,
    pub(crate) account: Rc<BoundAccount>,
    pub(crate) entry: Rc<BindEntry>,
    pub(crate) commands: mpsc::Receiver<SessionCommand>,
}

impl Drop for BindPlace {
    fn drop(&mut self) {
        self.account.binds.borrow_mut().retain(|other| other.id != self.entry.id);
        if self.account.binds.borrow().is_empty() {
            self.state.binds.0.borrow_mut().remove(&self.account.id);
        }
    }
}

impl Binds {
    /// How many accounts and binds there are.
    pub(crate) fn count(&self) -> (usize, usize) {
        let accounts = self.0.borrow();
        (accounts.len(), accounts.values().map(|account| account.binds.borrow().len()).sum())
    }

    /// The accounts whose ESMEs are bound.
    pub(crate) fn accounts(&self) -> Vec<Rc<BoundAccount>> {
        self.0.borrow().values().cloned().collect()
    }

    /// An account whose ESMEs are bound.
    pub(crate) fn find(&self, account: AccountId) -> Option<Rc<BoundAccount>> {
        self.0.borrow().get(&account).cloned()
    }

    /// How many binds an account has.
    pub(crate) fn of(&self, account: AccountId) -> usize {
        self.0.borrow().get(&account).map_or(0, |bound| bound.binds.borrow().len())
    }

    /// The accounts with room for deliveries, each with how much.
    pub(crate) fn with_room(&self) -> Vec<(AccountId, usize)> {
        let accounts = self.0.borrow();
        let rooms = accounts.values().map(|account| (account.id, account.room()));
        rooms.filter(|(_, room)| *room > 0).collect()
    }

    /// Asks the ESMEs of an account whether they are still there. Those that do not answer in time are closed.
    pub(crate) async fn probe(&self, account: AccountId, within: Duration) {
        let Some(bound) = self.0.borrow().get(&account).cloned() else { return };
        let entries: Vec<Rc<BindEntry>> = bound.binds.borrow().iter().cloned().collect();
        let bound = &bound;
        let probes = entries.into_iter().map(|entry| async move {
            let (probe, answered) = oneshot::channel();
            let asked = entry.commands.try_send(SessionCommand::Probe(probe)).is_ok();
            let answers = asked && matches!(tokio::time::timeout(within, answered).await, Ok(Ok(())));
            if !answers {
                bound.binds.borrow_mut().retain(|other| other.id != entry.id);
                let _gone_already = entry.commands.try_send(SessionCommand::Close("it does not answer enquire_link"));
            }
        });
        join_all(probes).await;
    }
}

impl BoundAccount {
    fn new(account: Arc<Account>, rate: u32) -> Self {
        let rate = NonZeroU32::new(rate).map(|rate| RateLimiter::direct(Quota::per_second(rate)));
        Self { id: account.id, account: RefCell::new(account), rate, binds: RefCell::default(), last: Cell::new(0) }
    }

    fn room(&self) -> usize {
        self.binds.borrow().iter().filter(|bind| bind.receives()).map(|bind| bind.room.get()).sum()
    }

    /// Hands over a delivery: to the bind that submitted what it is about, else to the next one with room. `Err`: none
    /// has room.
    pub(crate) fn deliver(
        &self,
        delivery: Box<EsmeDelivery>,
        preferred: Option<BindId>,
    ) -> Result<(), Box<EsmeDelivery>> {
        let binds = self.binds.borrow();
        let first = binds.iter().position(|bind| Some(bind.id) == preferred);
        let start = first.unwrap_or_else(|| self.last.get().wrapping_add(1));
        let mut delivery = delivery;
        for step in 0..binds.len() {
            let at = start.wrapping_add(step) % binds.len();
            let Some(bind) = binds.get(at).filter(|bind| bind.receives() && bind.room.get() > 0) else { continue };
            match bind.commands.try_send(SessionCommand::Deliver(delivery)) {
                Ok(()) => {
                    bind.room.set(bind.room.get() - 1);
                    self.last.set(at);
                    return Ok(());
                }
                Err(mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back)) => match back {
                    SessionCommand::Deliver(back) => delivery = back,
                    SessionCommand::Probe(_) | SessionCommand::Close(_) => return Ok(()),
                },
            }
        }
        Err(delivery)
    }

    /// Closes its binds.
    pub(crate) fn close(&self, why: &'static str) {
        for bind in self.binds.borrow().iter() {
            let _gone_already = bind.commands.try_send(SessionCommand::Close(why));
        }
    }
}

/// Takes a place for a bind of an account, which has not as many as it may.
pub(crate) fn take_place(
    state: &Rc<SmppServerState>,
    account: Arc<Account>,
    mode: BindMode,
    window: usize,
) -> BindPlace {
    let (sender, commands) = mpsc::channel(window + OTHER_COMMANDS);
    let room = Cell::new(if matches!(mode, BindMode::Transmitter) { 0 } else { window });
    let entry = Rc::new(BindEntry { id: rand::random(), mode, commands: sender, room });
    let bound = {
        let mut accounts = state.binds.0.borrow_mut();
        let new = || Rc::new(BoundAccount::new(Arc::clone(&account), state.settings.rate));
        Rc::clone(accounts.entry(account.id).or_insert_with(new))
    };
    *bound.account.borrow_mut() = account;
    bound.binds.borrow_mut().push(Rc::clone(&entry));
    state.deliveries.claimable.notify_one();
    BindPlace { state: Rc::clone(state), account: bound, entry, commands }
}
