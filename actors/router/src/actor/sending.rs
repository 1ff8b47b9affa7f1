//! What goes to people: SMS to the ledger or their transport, the screens of a session to its transport.

use actix::{Handler, ResponseFuture, dev::SendError};
use tracing::debug;
use vumi_kit::{
    ledger::{ReleaseSms, SettleReceived},
    message::{TransportType, UserMessage},
    middleware::SmsDirection,
    name::Name,
    router::{Endpoints, FromComponent, Outbound, Refused, Submit},
    sms::{SmsId, Submission},
    sms_options::SmsOptions,
    store::Ask,
};

use super::{Router, hand_over, log_failure, passing::settle_refused};

impl Router {
    /// Hands claimed SMS to their transport; those that it can't take now go back to the ledger.
    pub(super) fn submit(&self, transport: Name, batch: Vec<Submission>) {
        let refused = match self.components.get(&transport).and_then(Endpoints::submit) {
            None => batch,
            Some(submit) => match submit.try_send(Submit(batch)) {
                Ok(()) => return,
                Err(SendError::Full(Submit(batch)) | SendError::Closed(Submit(batch))) => batch,
            },
        };
        debug!(%transport, count = refused.len(), "the transport has no component: its SMS wait in the ledger");
        let ids: Vec<SmsId> = refused.into_iter().map(|sms| sms.id).collect();
        let store = self.store.clone();
        actix::spawn(async move {
            // If this fails, too, they are due when their lease ends.
            if let Err(error) = store.ledger.ask_waiting(ReleaseSms { transport, ids }).await {
                log_failure(&error, "SMS could not be released: they are due again when their lease ends");
            }
        });
    }

    /// Takes an SMS from a campaign: the answer to a received one, which the ledger keeps and sends.
    fn settle(&self, message: UserMessage, campaign: Option<Name>) -> ResponseFuture<Result<(), Refused>> {
        let Some(message_id) = message.in_reply_to.clone() else {
            let transport = message.transport_name;
            return Box::pin(async move { Err(Refused::NoTransport(transport)) });
        };
        let (store, name, passage) = (self.store.clone(), message.transport_name.clone(), self.passage.clone());
        Box::pin(async move {
            let (message, held) = match passage.answered(message, campaign).await {
                Ok(passed) => passed,
                // The campaign has answered: the SMS is settled, and the answer is not sent.
                Err(Refused::Middleware(why)) => return settle_refused(&store, message_id, why).await,
                Err(other) => return Err(other),
            };
            let options = held.map_or_else(SmsOptions::none, SmsOptions::held);
            let settle = SettleReceived { options, ..SettleReceived::by_campaign(message_id, message.content, None) };
            match store.ledger.ask_waiting(settle).await {
                Ok(Some(_)) => Ok(()),
                Ok(None) => {
                    debug!("the same answer to an SMS that was settled before, or to an unknown one: not sent");
                    Ok(())
                }
                Err(error) => {
                    log_failure(&error, "the answer to a received SMS could not be stored: it will be routed again");
                    Err(Refused::Busy(name))
                }
            }
        })
    }

    /// Hands on a message to a person, of this campaign where it is known.
    pub(super) fn send_to_person(
        &self,
        message: UserMessage,
        campaign: Option<Name>,
    ) -> ResponseFuture<Result<(), Refused>> {
        let transport = message.transport_name.clone();
        let endpoints = self.components.get(&transport);
        // The ledger sends SMS, except those of a transport behind the broker, which has an outbox of its own.
        let remote = matches!(endpoints, Some(Endpoints::Remote { .. }));
        if message.transport_type == TransportType::Sms && !remote {
            return self.settle(message, campaign);
        }
        if remote && message.transport_type == TransportType::Sms && self.passage.chains.see(SmsDirection::Outbound) {
            let (outbound, passage) = (endpoints.and_then(Endpoints::outbound).cloned(), self.passage.clone());
            let limit = self.limit();
            return Box::pin(async move {
                let (message, held) = passage.answered(message, campaign).await?;
                // What a peer sends can't be held here.
                match held {
                    Some(why) => Err(Refused::Middleware(why)),
                    None => hand_over(outbound.as_ref(), Outbound(message), transport, limit).await,
                }
            });
        }
        if let Some(outbound) = endpoints.and_then(Endpoints::outbound) {
            return hand_over(Some(outbound), Outbound(message), transport, self.limit());
        }
        let refused = match endpoints {
            Some(Endpoints::Transport { .. }) => Refused::NoSessions(transport),
            _ => Refused::NoTransport(transport),
        };
        Box::pin(async move { Err(refused) })
    }
}

impl Handler<FromComponent<Outbound>> for Router {
    type Result = ResponseFuture<Result<(), Refused>>;

    fn handle(&mut self, from: FromComponent<Outbound>, _: &mut Self::Context) -> Self::Result {
        if from.token.is_replaced() {
            return Box::pin(async { Err(Refused::Replaced) });
        }
        let campaign = self.components.campaign_of(&from.token).cloned();
        self.send_to_person(from.message.0, campaign)
    }
}

impl Handler<Outbound> for Router {
    type Result = ResponseFuture<Result<(), Refused>>;

    fn handle(&mut self, Outbound(message): Outbound, _: &mut Self::Context) -> Self::Result {
        self.send_to_person(message, None)
    }
}
