//! The store's actors: each takes requests from its mailbox and sends them where their type says, to the writer's queue or
//! to the readers. Where there is no room, who asked by `ask` is refused. Who asked by `ask_waiting` waits: for the writer's
//! queue the actor leaves its mailbox alone meanwhile, so that the mailbox fills.

use actix::{Actor, AsyncContext, Context, Handler, fut::wrap_future};
use vumi_kit::store::{Operation, Reads, Request, Store, StoreError, Writes};

use crate::{
    readers::{AnyReaders, ReadAnywhere},
    writer::queue::{NotQueued, Queued, WriteAnywhere, WriteQueue},
};

/// Takes requests, and passes them to the writer or to a reader.
#[derive(Clone)]
pub(crate) struct StoreActor {
    pub(crate) queue: WriteQueue,
    pub(crate) readers: AnyReaders,
    pub(crate) mailbox: usize,
}

impl StoreActor {
    /// Starts one for each address, on the present arbiter.
    pub(crate) fn start_all(self) -> Store {
        use vumi_kit::{account::Accounts, callback::Callbacks, ledger::Ledger, session::Sessions};
        Store {
            ledger: Ledger::of(&Actor::start(self.clone())),
            callbacks: Callbacks::of(&Actor::start(self.clone())),
            sessions: Sessions::of(&Actor::start(self.clone())),
            accounts: Accounts::of(&Actor::start(self)),
        }
    }

    fn write(&self, job: Queued, ctx: &mut Context<Self>) {
        match self.queue.try_send(job) {
            Ok(()) => {}
            Err(NotQueued::Closed(job)) => job.refuse(&StoreError::Stopped),
            Err(NotQueued::Full(job)) if !job.is_patient() => job.refuse(&StoreError::Busy),
            Err(NotQueued::Full(job)) => {
                let queue = self.queue.clone();
                let wait = async move {
                    if let Err(job) = queue.send(job).await {
                        job.refuse(&StoreError::Stopped);
                    }
                };
                ctx.wait(wrap_future::<_, Self>(wait));
            }
        }
    }
}

impl Actor for StoreActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.mailbox);
    }
}

impl<O: Operation> Handler<Request<O>> for StoreActor
where
    O::Access: Dispatch<O>,
{
    type Result = ();

    fn handle(&mut self, request: Request<O>, ctx: &mut Self::Context) {
        if request.token.is_replaced() {
            let _nobody_waits = request.reply.send(Err(StoreError::Stopped));
            return;
        }
        O::Access::dispatch(self, request, ctx);
    }
}

/// Where an operation goes, by its access.
pub(crate) trait Dispatch<O: Operation> {
    fn dispatch(actor: &StoreActor, request: Request<O>, ctx: &mut Context<StoreActor>);
}

impl<C: WriteAnywhere> Dispatch<C> for Writes {
    fn dispatch(actor: &StoreActor, request: Request<C>, ctx: &mut Context<StoreActor>) {
        actor.write(request.into(), ctx);
    }
}

impl<Q: ReadAnywhere> Dispatch<Q> for Reads {
    fn dispatch(actor: &StoreActor, request: Request<Q>, _: &mut Context<StoreActor>) {
        actor.readers.dispatch(request);
    }
}
