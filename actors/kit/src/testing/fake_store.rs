//! A store for tests: it answers the requests that a test expects, each by a closure of the test's own.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
};

use actix::{Actor, Addr, Context, Handler};

use crate::{
    account::Accounts,
    callback::Callbacks,
    ledger::Ledger,
    session::Sessions,
    store::{Operation, Request, Store, StoreError},
};

/// Answers one type of request; takes a boxed `Request<O>`.
type Answering = Box<dyn FnMut(Box<dyn Any>) + Send>;

/// A store that answers what a test expects. A request that nobody expected panics with its name.
///
/// ```
/// # actix::System::new().block_on(async {
/// use vumi_kit::{account::ListAccounts, store::Ask, testing::FakeStore};
///
/// let store = FakeStore::default().on(|_: ListAccounts| Ok(vec![])).start_store();
/// assert!(store.accounts.ask(ListAccounts).await.unwrap().is_empty());
/// # });
/// ```
#[derive(Default)]
pub struct FakeStore(HashMap<TypeId, Answering>);

impl FakeStore {
    /// Answers every request of a type; the last closure for a type counts.
    #[must_use]
    pub fn on<O: Operation>(self, mut answer: impl FnMut(O) -> Result<O::Answer, StoreError> + Send + 'static) -> Self {
        self.on_request(move |request: Request<O>| {
            let _nobody_waits = request.reply.send(answer(request.operation));
        })
    }

    /// Hands a test every request of a type with its reply channel: to answer late, or never.
    #[must_use]
    #[expect(clippy::panic, reason = "unreachable: a closure is found by its request's type")]
    pub fn on_request<O: Operation>(mut self, mut handle: impl FnMut(Request<O>) + Send + 'static) -> Self {
        let handle: Answering = Box::new(move |request: Box<dyn Any>| match request.downcast() {
            Ok(request) => handle(*request),
            Err(_) => panic!("a request of another type"),
        });
        self.0.insert(TypeId::of::<O>(), handle);
        self
    }

    /// Starts it on the present arbiter, as the components know the store.
    #[must_use]
    pub fn start_store(self) -> Store {
        store_of(&self.start())
    }
}

impl Actor for FakeStore {
    type Context = Context<Self>;

    // A store's mailbox holds more than actix's 16.
    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1_000);
    }
}

impl<O: Operation> Handler<Request<O>> for FakeStore {
    type Result = ();

    #[expect(clippy::panic, reason = "fails the test that asks what it did not expect")]
    fn handle(&mut self, request: Request<O>, _: &mut Self::Context) {
        match self.0.get_mut(&TypeId::of::<O>()) {
            Some(handle) => handle(Box::new(request)),
            None => panic!("the test expects no {}", type_name::<O>()),
        }
    }
}

/// The addresses of a fake store.
#[must_use]
pub fn store_of(fake: &Addr<FakeStore>) -> Store {
    Store {
        ledger: Ledger::of(fake),
        callbacks: Callbacks::of(fake),
        sessions: Sessions::of(fake),
        accounts: Accounts::of(fake),
    }
}
