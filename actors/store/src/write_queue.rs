//! What waits for the writer.

use vumi_kit::{
    account::{CreateAccount, RemoveAccount, SetPassword},
    callback::{ChangeCallback, ClaimDeliveries, CreateCallback, DeleteCallback, RecordDeliveryAttempts, ReplayParked},
    ledger::{
        AcceptSms, ClaimReceived, ClaimSms, CloseOutbox, KeepReceived, OpenOutbox, RecordOutcomes, RecordReceipts,
        ReleaseReceived, ReleaseSms, SettleReceived,
    },
    session::{CloseSession, FindSession, SaveSession},
    store::{Operation, Request, StoreError},
};

/// This process starts: what an earlier one of the same name had claimed, and no transport will ask for, is due again.
#[derive(Clone, Debug)]
pub(crate) struct TakeOver;
impl Operation for TakeOver {
    type Answer = ();
}

/// Removes a bounded number of rows that nobody needs any more. Answers whether there may be many more.
#[derive(Clone, Debug)]
pub(crate) struct Sweep;
impl Operation for Sweep {
    type Answer = bool;
}

/// Panics in the writer's hands.
#[cfg(test)]
#[derive(Clone, Debug)]
pub(crate) struct Panic;
#[cfg(test)]
impl Operation for Panic {
    type Answer = ();
}

/// Everything the writer does: the one list of it. `FindSession` is among it since a batch of them costs less there
/// than a thread's wake-up each, and since it then sees what was saved before it.
macro_rules! for_each_write {
    ($then:ident) => {
        $then! {
            AcceptSms, OpenOutbox, CloseOutbox, ClaimSms, RecordOutcomes, ReleaseSms, RecordReceipts, KeepReceived,
            ClaimReceived, SettleReceived, ReleaseReceived,
            CreateCallback, ChangeCallback, DeleteCallback, ClaimDeliveries, RecordDeliveryAttempts, ReplayParked,
            FindSession, SaveSession, CloseSession,
            CreateAccount, RemoveAccount, SetPassword,
            TakeOver, Sweep,
        }
    };
}
pub(crate) use for_each_write;

macro_rules! jobs {
    ($($Request:ident),+ $(,)?) => {
        /// A question on its way to the writer.
        pub(crate) enum Job {
            $($Request(Request<$Request>),)+
            #[cfg(test)]
            Panic(Request<Panic>),
            /// Finish what is queued, then end.
            Stop,
        }

        $(impl From<Request<$Request>> for Job {
            fn from(question: Request<$Request>) -> Self {
                Self::$Request(question)
            }
        })+

        impl Job {
            /// Answers it without having done it.
            pub(crate) fn refuse(self, why: &StoreError) {
                match self {
                    $(Self::$Request(question) => refuse(question, why),)+
                    #[cfg(test)]
                    Self::Panic(question) => refuse(question, why),
                    Self::Stop => {}
                }
            }
        }
    };
}
for_each_write!(jobs);

fn refuse<M: Operation>(question: Request<M>, why: &StoreError) {
    let _nobody_waits = question.reply.send(Err(why.clone()));
}

impl Job {
    /// How many rows it may write, about.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::AcceptSms(question) => question.operation.batch.len(),
            Self::ClaimSms(question) => question.operation.limit,
            Self::RecordOutcomes(question) => question.operation.outcomes.len(),
            Self::ReleaseSms(question) => question.operation.ids.len(),
            Self::RecordReceipts(question) => question.operation.receipts.len(),
            Self::KeepReceived(question) => question.operation.inbound.len(),
            Self::ClaimDeliveries(question) => question.operation.limit,
            Self::RecordDeliveryAttempts(question) => question.operation.attempts.len(),
            _ => 1,
        }
        .max(1)
    }
}
