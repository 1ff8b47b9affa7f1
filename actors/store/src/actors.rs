//! The persistence actors: async shells. A write goes into the writer's queue, a read to a thread; when there is no
//! room for either the actor holds its mailbox, so that who can say no is told to, and who can't waits.

mod accounts;
mod callbacks;
mod keeper;
mod ledger;
mod sessions;

use actix::{Actor, AsyncContext, Context, fut::wrap_future};
use tokio::sync::mpsc::{self, error::TrySendError};
use vumi_kit::store::{Request, Store, StoreError};

use crate::{
    readers::{Read, Readers},
    write_queue::Job,
};
pub(crate) use keeper::Keeper;

/// Where questions go.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) jobs: mpsc::Sender<Job>,
    pub(crate) readers: Readers,
    pub(crate) mailbox: usize,
}

impl Desk {
    /// Starts the actors on the present arbiter.
    pub(crate) fn start(self) -> Store {
        use vumi_kit::{account, callback, ledger as sms, session};
        Store {
            ledger: sms::Ledger::of(&ledger::Ledger(self.clone()).start()),
            callbacks: callback::Callbacks::of(&callbacks::Callbacks(self.clone()).start()),
            sessions: session::Sessions::of(&sessions::Sessions(self.clone()).start()),
            accounts: account::Accounts::of(&accounts::Accounts(self).start()),
        }
    }

    fn write<A: Actor<Context = Context<A>>>(&self, job: Job, ctx: &mut Context<A>) {
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Closed(job)) => job.refuse(&StoreError::Stopped),
            Err(TrySendError::Full(job)) => {
                let jobs = self.jobs.clone();
                let wait = async move {
                    if let Err(mpsc::error::SendError(job)) = jobs.send(job).await {
                        job.refuse(&StoreError::Stopped);
                    }
                };
                ctx.wait(wrap_future::<_, A>(wait));
            }
        }
    }

    fn read<A: Actor<Context = Context<A>>, M: Read>(&self, question: Request<M>, ctx: &mut Context<A>) {
        let readers = self.readers.clone();
        if let Some(room) = readers.try_admit() {
            actix::spawn(readers.answer(question, room));
        } else {
            let wait = async move {
                if let Some(room) = readers.clone().admit().await {
                    actix::spawn(readers.answer(question, room));
                }
            };
            ctx.wait(wrap_future::<_, A>(wait));
        }
    }
}

/// An actor that is a desk for some questions.
macro_rules! desk {
    ($Actor:ident writes $($Write:ident),* ; reads $($Read:ident),* $(,)?) => {
        pub(super) struct $Actor(pub(super) super::Desk);

        impl actix::Actor for $Actor {
            type Context = actix::Context<Self>;

            fn started(&mut self, ctx: &mut Self::Context) {
                ctx.set_mailbox_capacity(self.0.mailbox);
            }
        }

        $(impl actix::Handler<vumi_kit::store::Request<$Write>> for $Actor {
            type Result = ();

            fn handle(&mut self, question: vumi_kit::store::Request<$Write>, ctx: &mut Self::Context) {
                self.0.write(question.into(), ctx);
            }
        })*

        $(impl actix::Handler<vumi_kit::store::Request<$Read>> for $Actor {
            type Result = ();

            fn handle(&mut self, question: vumi_kit::store::Request<$Read>, ctx: &mut Self::Context) {
                self.0.read(question, ctx);
            }
        })*
    };
}
use desk;
