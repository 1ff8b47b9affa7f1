//! A router that records what it is handed, and answers as a test says.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use actix::{Actor, Addr, Context, Handler};
use tokio::sync::mpsc;
use vumi_kit::{
    message::{Event, UserMessage},
    router::{Happened, Inbound, Outbound, Refused, RouterAddress},
};

/// The answers that the router gives next; it takes everything else.
pub(super) type RouterAnswers = Arc<Mutex<VecDeque<Result<(), Refused>>>>;

/// What the router took.
#[derive(Debug)]
pub(super) enum RouterInput {
    Inbound(UserMessage),
    Outbound(UserMessage),
    /// The service, and what became of its message.
    Happened(String, Event),
}

/// The router.
pub(super) struct AmqpTestRouter {
    taken: mpsc::UnboundedSender<RouterInput>,
    answers: RouterAnswers,
}

impl Actor for AmqpTestRouter {
    type Context = Context<Self>;
}

impl AmqpTestRouter {
    pub(super) fn start_with(answers: RouterAnswers) -> (Addr<Self>, mpsc::UnboundedReceiver<RouterInput>) {
        let (taken, received) = mpsc::unbounded_channel();
        (Self { taken, answers }.start(), received)
    }

    fn take(&self, input: RouterInput) -> Result<(), Refused> {
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()));
        if answer.is_ok() {
            self.taken.send(input).unwrap();
        }
        answer
    }
}

pub(super) fn address_of(router: &Addr<AmqpTestRouter>) -> RouterAddress {
    RouterAddress::of(router)
}

vumi_kit::takes_from_components!(AmqpTestRouter);

impl Handler<Inbound> for AmqpTestRouter {
    type Result = Result<(), Refused>;
    fn handle(&mut self, Inbound(message): Inbound, _: &mut Self::Context) -> Self::Result {
        self.take(RouterInput::Inbound(message))
    }
}

impl Handler<Outbound> for AmqpTestRouter {
    type Result = Result<(), Refused>;
    fn handle(&mut self, Outbound(message): Outbound, _: &mut Self::Context) -> Self::Result {
        self.take(RouterInput::Outbound(message))
    }
}

impl Handler<Happened> for AmqpTestRouter {
    type Result = ();
    fn handle(&mut self, Happened { service, event }: Happened, _: &mut Self::Context) {
        self.taken.send(RouterInput::Happened(service, event)).unwrap();
    }
}
