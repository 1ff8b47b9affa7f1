//! What the router sees: a campaign elsewhere takes what a campaign takes, a transport elsewhere what a transport
//! takes. Each says yes when the broker has confirmed.

use std::rc::Rc;

use actix::{Actor, Addr, Context, Handler, ResponseFuture};
use tokio::sync::OwnedSemaphorePermit;
use vumi_kit::{
    ledger::SettleReceived,
    message::{TransportType, UserMessage},
    name::Name,
    router::{Endpoints, Happened, Inbound, Outbound, Refused},
    store::Ask,
};

use super::{
    connector::{Connector, ConnectorEnd},
    core::{AmqpCore, Telling},
    publication::{Publication, Unpublished},
    wire::write_message,
};

/// A campaign that lives elsewhere.
pub(super) struct CampaignElsewhere {
    connector: Rc<Connector>,
    core: Rc<AmqpCore>,
}

/// A transport that lives elsewhere.
pub(super) struct TransportElsewhere {
    name: Name,
    core: Rc<AmqpCore>,
}

impl Actor for CampaignElsewhere {
    type Context = Context<Self>;
}

impl Actor for TransportElsewhere {
    type Context = Context<Self>;
}

fn begin<A: Actor<Context = Context<A>>>(actor: A, mailbox: usize) -> Addr<A> {
    A::create(|ctx| {
        ctx.set_mailbox_capacity(mailbox);
        actor
    })
}

/// The endpoints of a campaign.
pub(super) fn campaign(connector: Rc<Connector>, core: Rc<AmqpCore>) -> Endpoints {
    let mailbox = core.settings.unconfirmed;
    let actor = begin(CampaignElsewhere { connector, core }, mailbox);
    Endpoints::Campaign { inbound: actor.clone().recipient(), events: Some(actor.recipient()) }
}

/// The endpoints of a transport.
pub(super) fn transport(name: Name, core: Rc<AmqpCore>) -> Endpoints {
    let mailbox = core.settings.unconfirmed;
    let actor = begin(TransportElsewhere { name, core }, mailbox);
    Endpoints::Remote { outbound: actor.recipient() }
}

impl Handler<Inbound> for CampaignElsewhere {
    type Result = ResponseFuture<Result<(), Refused>>;

    fn handle(&mut self, Inbound(message): Inbound, _: &mut Self::Context) -> Self::Result {
        let (core, name) = (self.core.clone(), self.connector.name.clone());
        let Some(permit) = permit(&core) else { return Box::pin(async move { Err(Refused::Busy(name)) }) };
        let (queue, id) = (self.connector.queues.inbound.clone(), message.message_id.clone());
        // Peers answer an SMS in the ledger that they share, and it comes again until they have.
        let sms = message.transport_type == TransportType::Sms && self.connector.end == ConnectorEnd::Campaign;
        Box::pin(async move {
            if sms && core.in_flight.borrow().published.get(&id).is_some() {
                return no_answer(&core, id, name).await;
            }
            publish(&core, permit, queue, message).await.map_err(|why| refused(why, name))?;
            if sms {
                core.in_flight.borrow_mut().published.insert(id, ());
            }
            Ok(())
        })
    }
}

/// The ledger hands a received SMS over again while nobody has answered it: it was published before, so whoever
/// wants to answer has it.
async fn no_answer(core: &Rc<AmqpCore>, message_id: String, name: Name) -> Result<(), Refused> {
    let settle = SettleReceived { message_id, outcome: format!("handed to {name}, which did not answer"), reply: None };
    match core.store.ledger.ask_waiting(settle).await {
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::debug!(%error, "a received SMS without an answer could not be settled: it comes again");
            Err(Refused::Busy(name))
        }
    }
}

impl Handler<Happened> for CampaignElsewhere {
    type Result = ();

    fn handle(&mut self, Happened { event, .. }: Happened, _: &mut Self::Context) {
        let settles = Some(self.core.key(event.user_message_id.clone(), &self.connector));
        self.core.tell(Telling { queue: self.connector.queues.event.clone(), event, settles });
    }
}

impl Handler<Outbound> for TransportElsewhere {
    type Result = ResponseFuture<Result<(), Refused>>;

    fn handle(&mut self, Outbound(message): Outbound, _: &mut Self::Context) -> Self::Result {
        let (core, name) = (self.core.clone(), self.name.clone());
        let answered = message.in_reply_to.clone();
        let Some(connector) = core.towards(&name, answered.as_deref()) else {
            return Box::pin(async move { Err(Refused::NoTransport(name)) });
        };
        if connector.end == ConnectorEnd::PeersTransport && message.transport_type == TransportType::Sms {
            return Box::pin(async move { answer_in_the_ledger(&core, message).await });
        }
        let permit = permit(&core);
        Box::pin(async move {
            let sent = match permit {
                Some(permit) => send(&core, permit, &connector, message).await,
                None => Err(Unpublished::Unsure),
            };
            let key = answered.map(|id| core.key(id, &connector));
            match (&sent, key) {
                (Ok(()), Some(key)) => core.settle(&key).await,
                // The campaign asks once: the message it answers is to come again, and is answered again.
                (Err(_), Some(key)) => core.give_back(&key),
                (_, None) => {}
            }
            sent.map_err(|why| refused(why, name))
        })
    }
}

/// The answer to an SMS in the ledger that peers share; it is sent from there.
async fn answer_in_the_ledger(core: &Rc<AmqpCore>, message: UserMessage) -> Result<(), Refused> {
    let name = message.transport_name;
    let Some(message_id) = message.in_reply_to else { return Err(Refused::NoTransport(name)) };
    let outcome = if message.content.is_some() { "answered" } else { "no answer" }.to_owned();
    let settle = SettleReceived { message_id, outcome, reply: message.content };
    match core.store.ledger.ask_waiting(settle).await {
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::warn!(%error, "the answer to a received SMS could not be kept: the SMS comes again");
            Err(Refused::Busy(name))
        }
    }
}

async fn send(
    core: &Rc<AmqpCore>,
    permit: OwnedSemaphorePermit,
    connector: &Connector,
    message: UserMessage,
) -> Result<(), Unpublished> {
    if message.transport_type == TransportType::Sms && message.content.is_none() {
        // The campaign has no answer to an SMS: that is for whoever keeps the SMS, not for a phone.
        return Ok(());
    }
    // Before it is published: its event may be faster than the confirm.
    core.in_flight.borrow_mut().sent_for.insert(message.message_id.clone(), message.from_addr.clone());
    publish(core, permit, connector.queues.outbound.clone(), message).await
}

async fn publish(
    core: &Rc<AmqpCore>,
    permit: OwnedSemaphorePermit,
    queue: String,
    message: UserMessage,
) -> Result<(), Unpublished> {
    let id = message.message_id.clone();
    match write_message(message) {
        Ok(body) => core.publish_with(permit, Publication::json(&queue, &id, body)).await,
        Err(error) => {
            tracing::error!(queue, message = id, %error, "a message can't be written for the broker");
            Err(Unpublished::Refused)
        }
    }
}

fn permit(core: &AmqpCore) -> Option<OwnedSemaphorePermit> {
    core.unconfirmed.clone().try_acquire_owned().ok()
}

fn refused(why: Unpublished, name: Name) -> Refused {
    tracing::debug!(connector = %name, %why, "a message could not be published");
    match why {
        Unpublished::Away(_) => Refused::Away(name),
        Unpublished::Unsure | Unpublished::Unroutable(_) | Unpublished::Refused => Refused::Busy(name),
    }
}
