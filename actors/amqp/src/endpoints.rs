//! The endpoints by which the router knows a component that lives elsewhere. A message is taken when the broker has
//! confirmed it.

use std::rc::Rc;

use actix::{Actor, Addr, Context, Handler, ResponseFuture};
use tokio::sync::OwnedSemaphorePermit;
use vumi_kit::{
    message::{TransportType, UserMessage},
    name::Name,
    router::{Endpoints, Happened, Inbound, Outbound, Refused},
    sms_options::SmsOptions,
};

use super::{
    message_codec::write_message,
    publication::Publication,
    publisher::Unpublished,
    received_sms::{settle_unanswered, settle_with_answer},
    state::AmqpState,
    topology::{Connector, ConnectorRole},
};

/// The key by which a peer learns who is told what becomes of a message: [`UserMessage::sent_by`].
pub(super) const SENT_BY: &str = "vumi_sent_by";

/// The key of [`UserMessage::transport_metadata`] by which a reply finds the process that has the call which it answers. Replies
/// copy it.
const REPLY_QUEUE: &str = "vumi_reply_queue";

/// A campaign that lives elsewhere.
struct CampaignElsewhere {
    connector: Rc<Connector>,
    state: Rc<AmqpState>,
}

/// A transport that lives elsewhere.
struct TransportElsewhere {
    name: Name,
    state: Rc<AmqpState>,
}

impl Actor for CampaignElsewhere {
    type Context = Context<Self>;
}

impl Actor for TransportElsewhere {
    type Context = Context<Self>;
}

/// The endpoints of every component that lives elsewhere.
pub(super) fn endpoints_elsewhere(state: &Rc<AmqpState>) -> Vec<(Name, Endpoints)> {
    let mut endpoints: Vec<(Name, Endpoints)> = Vec::new();
    for connector in state.correlation.connectors() {
        if connector.role.is_campaign_elsewhere() {
            endpoints.push((connector.name.clone(), campaign(connector.clone(), state.clone())));
        }
        if connector.role.is_transport_elsewhere() {
            for name in &connector.transports {
                // Several connectors can lead to one transport: a reply leaves by the one that its message came by.
                if !endpoints.iter().any(|(added, _)| added == name) {
                    endpoints.push((name.clone(), transport(name.clone(), state.clone())));
                }
            }
        }
    }
    endpoints
}

fn campaign(connector: Rc<Connector>, state: Rc<AmqpState>) -> Endpoints {
    let mailbox = state.settings.unconfirmed;
    let actor = start(CampaignElsewhere { connector, state }, mailbox);
    Endpoints::Campaign { inbound: actor.clone().recipient(), events: Some(actor.recipient()) }
}

fn transport(name: Name, state: Rc<AmqpState>) -> Endpoints {
    let mailbox = state.settings.unconfirmed;
    let actor = start(TransportElsewhere { name, state }, mailbox);
    Endpoints::Remote { outbound: actor.recipient() }
}

fn start<A: Actor<Context = Context<A>>>(actor: A, mailbox: usize) -> Addr<A> {
    A::create(|ctx| {
        ctx.set_mailbox_capacity(mailbox);
        actor
    })
}

impl Handler<Inbound> for CampaignElsewhere {
    type Result = ResponseFuture<Result<(), Refused>>;

    fn handle(&mut self, Inbound(mut message): Inbound, _: &mut Self::Context) -> Self::Result {
        let (state, connector) = (self.state.clone(), self.connector.clone());
        let name = connector.name.clone();
        let Some(permit) = state.publisher.try_permit() else {
            return Box::pin(async move { Err(Refused::Busy(name)) });
        };
        // Peers answer an SMS in the shared ledger, which hands it over until they have.
        let once = message.transport_type == TransportType::Sms && connector.role == ConnectorRole::FamilyCampaign;
        Box::pin(async move {
            let id = message.message_id.clone();
            if let Some(queue) = state.correlation.reply_queue(&message.transport_name) {
                message.transport_metadata.insert(REPLY_QUEUE.to_owned(), queue.into());
            }
            if connector.role == ConnectorRole::FamilyCampaign {
                state.correlation.record_brought_by(id.clone(), message.transport_name.clone());
            }
            if once && state.correlation.sms_was_published(&id) {
                return sms_without_answer(&state, id, name).await;
            }
            let published = publish(&state, permit, (&connector.queues.inbound, false), message).await;
            published.map_err(|why| refused(&why, name))?;
            if once {
                state.correlation.record_published_sms(id);
            }
            Ok(())
        })
    }
}

/// The ledger hands a received SMS over again while it is not answered. It was published before: whoever wants to
/// answer has it.
async fn sms_without_answer(state: &AmqpState, message_id: String, campaign: Name) -> Result<(), Refused> {
    settle_unanswered(&state.store, message_id, &campaign).await.map_err(|error| {
        tracing::debug!(%error, "a received SMS without an answer could not be settled: it comes again");
        Refused::Busy(campaign)
    })
}

impl Handler<Happened> for CampaignElsewhere {
    type Result = ();

    fn handle(&mut self, Happened { event, .. }: Happened, _: &mut Self::Context) {
        let settles = self.state.correlation.delivery_key(event.user_message_id.clone(), &self.connector);
        self.state.queue_event(&self.connector, event, Some(settles));
    }
}

impl Handler<Outbound> for TransportElsewhere {
    type Result = ResponseFuture<Result<(), Refused>>;

    fn handle(&mut self, Outbound(mut message): Outbound, _: &mut Self::Context) -> Self::Result {
        let (state, name) = (self.state.clone(), self.name.clone());
        let connector = state.correlation.connector_towards(&name, message.in_reply_to.as_deref());
        let Some(connector) = connector else { return Box::pin(async move { Err(Refused::NoTransport(name)) }) };
        if connector.role == ConnectorRole::PeerTransport && message.transport_type == TransportType::Sms {
            return Box::pin(async move { answer_in_shared_ledger(&state, message).await });
        }
        let queue = if connector.answers_calls {
            reply_queue(&connector, &mut message)
        } else {
            Some(connector.queues.outbound.clone())
        };
        let permit = state.publisher.try_permit();
        Box::pin(async move {
            let answered = message.in_reply_to.clone();
            let sent = match (permit, queue) {
                (Some(permit), Some(queue)) => send(&state, permit, &connector, &queue, message).await,
                (Some(_), None) => Err(Unpublished::Unroutable(name.as_str().to_owned())),
                (None, _) => Err(Unpublished::Unconfirmed),
            };
            let call_is_gone = connector.answers_calls && matches!(sent, Err(Unpublished::Unroutable(_)));
            if let Some(id) = answered {
                let key = state.correlation.delivery_key(id, &connector);
                match sent {
                    Ok(()) => state.deliveries.settle(&key).await,
                    // The process with the call has ended, and the call with it: the person goes on with the next one.
                    Err(_) if call_is_gone => state.deliveries.settle(&key).await,
                    // The campaign sends an answer once: it gets the answered message again.
                    Err(_) => state.deliveries.give_back(&key),
                }
            }
            if call_is_gone {
                return Err(Refused::NoTransport(name));
            }
            sent.map_err(|why| refused(&why, name))
        })
    }
}

/// The queue of the process that has the call which a message answers: what the answered message named, if it is one of the
/// transport's.
fn reply_queue(connector: &Connector, message: &mut UserMessage) -> Option<String> {
    let named = message.transport_metadata.remove(REPLY_QUEUE)?;
    let named = named.as_str()?;
    let node = named.strip_prefix(&connector.queues.outbound)?.strip_prefix('.')?;
    let is_node = !node.is_empty() && node.len() <= 64 && node.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_node.then(|| named.to_owned())
}

/// The answer to an SMS in the ledger that peers share; the ledger sends it.
async fn answer_in_shared_ledger(state: &AmqpState, message: UserMessage) -> Result<(), Refused> {
    let transport = message.transport_name;
    let Some(answered) = message.in_reply_to else { return Err(Refused::NoTransport(transport)) };
    match settle_with_answer(&state.store, answered, message.content, None, SmsOptions::none()).await {
        Ok(_) => Ok(()),
        Err(error) => {
            vumi_kit::warn_limited!(error.sort(), %error, "the answer to a received SMS could not be kept: the SMS comes again");
            Err(Refused::Busy(transport))
        }
    }
}

async fn send(
    state: &AmqpState,
    permit: OwnedSemaphorePermit,
    connector: &Connector,
    queue: &str,
    mut message: UserMessage,
) -> Result<(), Unpublished> {
    if message.transport_type == TransportType::Sms && message.content.is_none() {
        // The campaign has no answer to an SMS: that concerns the ledger of the SMS, not a phone.
        return Ok(());
    }
    // Before it is published: its event can arrive before the confirm.
    state.correlation.record_published(&message);
    if let Some(sent_by) = message.sent_by.take().filter(|_| connector.role == ConnectorRole::PeerTransport) {
        message.other.insert(SENT_BY.to_owned(), sent_by.as_str().into());
    }
    publish(state, permit, (queue, connector.answers_calls), message).await
}

async fn publish(
    state: &AmqpState,
    permit: OwnedSemaphorePermit,
    (queue, may_be_gone): (&str, bool),
    message: UserMessage,
) -> Result<(), Unpublished> {
    let id = message.message_id.clone();
    match write_message(message) {
        Ok(body) => {
            let publication = Publication { may_be_gone, ..Publication::json(queue, &id, body) };
            state.publisher.publish_with(permit, publication).await
        }
        Err(error) => {
            tracing::error!(queue, message = id, %error, "a message can't be written for the broker");
            Err(Unpublished::Refused)
        }
    }
}

fn refused(why: &Unpublished, name: Name) -> Refused {
    tracing::debug!(connector = %name, %why, "a message could not be published");
    match why {
        Unpublished::Away(_) => Refused::Away(name),
        Unpublished::Unconfirmed | Unpublished::Unroutable(_) | Unpublished::Refused => Refused::Busy(name),
    }
}
