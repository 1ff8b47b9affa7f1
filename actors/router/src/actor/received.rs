//! SMS from people: claimed, routed, offered to their campaigns in order, and settled or released.

use std::sync::Arc;

use actix::{AsyncContext, Context, Handler, Message};
use tokio::time::Instant;
use tracing::debug;
use vumi_kit::{
    ledger::{ClaimReceived, ReleaseReceived, SettleReceived},
    message::{TransportType, UserMessage},
    middleware::SmsDirection,
    name::Name,
    router::{Endpoints, Inbound},
    sms::{Received, ReceivedId},
    store::Ask,
};

use super::{Router, hand_over, log_failure};
use crate::{
    passage::add_tags,
    received_queues::{Arrived, Due, QueueKey},
};

/// What a campaign's message says of an SMS that lacks parts, in its `transport_metadata`.
const INCOMPLETE: &str = "incomplete";

/// Received SMS in one claim.
const CLAIM_LIMIT: usize = 500;

/// Whether a claim of received SMS is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Claiming {
    #[default]
    No,
    Once,
    /// And another one follows it.
    AndAgain,
}

impl Router {
    /// Takes received SMS through their chains, if there are any, and queues them for their campaigns. `claimed`: the ledger
    /// handed them out by a claim. Answers whether any found a place.
    pub(super) fn route_all_received(
        &mut self,
        received: Vec<Received>,
        claimed: bool,
        ctx: &mut Context<Self>,
    ) -> bool {
        let (count, mut returned) = (received.len(), Vec::new());
        let chained = self.passage.chains.see(SmsDirection::Inbound);
        for sms in received {
            let id = sms.id;
            let taken = if chained {
                self.enter_chain(sms, claimed, ctx)
            } else {
                self.route_received(sms, claimed, ctx) != Arrived::Returned
            };
            if !taken {
                returned.push(id);
            }
        }
        let placed = returned.len() < count;
        self.release_received(returned);
        placed
    }

    pub(super) fn route_received(&mut self, received: Received, claimed: bool, ctx: &mut Context<Self>) -> Arrived {
        let (to, from) = (received.sms.to.as_str(), received.sms.from.as_str());
        if let Some(notice) = received.consent
            && self.is_answered_here(notice, &received)
        {
            self.answer_consent(notice, &received);
            return Arrived::Waits;
        }
        let Some(campaign) = self.table.sms(to, &received.sms.message) else {
            self.settle_unroutable(&received, format!("no campaign serves {}", received.sms.to));
            return Arrived::Waits;
        };
        let key = (campaign.clone(), from.to_owned());
        let arrived = self.queues.arrive(&key, received, claimed, Instant::now());
        self.keep_time(&key.0, ctx);
        if arrived == Arrived::First {
            self.offer(key, ctx);
        }
        arrived
    }

    /// Starts the campaign's timer where somebody waits for it.
    fn keep_time(&mut self, campaign: &Name, ctx: &mut Context<Self>) {
        let Some(wait) = self.queues.start_timer(campaign) else { return };
        let campaign = campaign.clone();
        ctx.run_later(wait, move |router, ctx| {
            let Due { offers, returned } = router.queues.due(&campaign, Instant::now());
            router.release_received(returned);
            offers.into_iter().for_each(|key| router.offer(key, ctx));
            router.keep_time(&campaign, ctx);
        });
    }

    pub(super) fn settle_unroutable(&self, received: &Received, outcome: String) {
        self.settle_here(received, outcome, None);
    }

    /// Settles a received SMS that goes to no campaign, with its answer if there is one.
    pub(super) fn settle_here(&self, received: &Received, outcome: String, reply: Option<String>) {
        let settle =
            SettleReceived { outcome, ..SettleReceived::by_campaign(received.message_id.clone(), reply, None) };
        let store = self.store.clone();
        actix::spawn(async move {
            if let Err(error) = store.ledger.ask_waiting(settle).await {
                log_failure(&error, "a received SMS without a route could not be settled: it will be tried again");
            }
        });
    }

    /// Offers a person's first SMS to the campaign; the answer comes as [`OfferAnswered`].
    fn offer(&self, key: QueueKey, ctx: &mut Context<Self>) {
        let Some(Received { transport, message_id, sms, created_at, tags, incomplete, .. }) = self.queues.first(&key)
        else {
            return;
        };
        let mut message =
            UserMessage::from_person(transport, TransportType::Sms, sms.from.as_str(), sms.to.as_str(), *created_at);
        if !sms.from.is_number() {
            message.from_addr_type = None;
        }
        message.message_id.clone_from(message_id);
        message.content = Some(sms.message.clone());
        if *incomplete {
            message.transport_metadata.insert(INCOMPLETE.to_owned(), true.into());
        }
        add_tags(&mut message, tags.clone());
        let campaign = self.components.get(&key.0).and_then(Endpoints::inbound);
        let (answer, router) = (hand_over(campaign, Inbound(message), key.0.clone(), self.limit()), ctx.address());
        // A task of its own, not a future of the actor's context: that polls all of them for each that wakes.
        actix::spawn(async move {
            let taken = answer.await.is_ok();
            // An error: the router is gone, and its queues with it. The ledger's lease outlives both.
            let _gone = router.send(OfferAnswered { key, taken }).await;
        });
    }

    pub(super) fn release_received(&self, ids: Vec<ReceivedId>) {
        if ids.is_empty() {
            return;
        }
        debug!(count = ids.len(), "received SMS that their campaign can't take now wait in the ledger");
        let store = self.store.clone();
        actix::spawn(async move {
            // If this fails, too, they are due when their lease ends.
            if let Err(error) = store.ledger.ask_waiting(ReleaseReceived { ids }).await {
                log_failure(&error, "received SMS could not be released: they are due again when their lease ends");
            }
        });
    }

    /// Claims received SMS that are due, one claim at a time: a claim's answer says nothing of SMS that went back after it
    /// began.
    pub(super) fn claim_received(&mut self, ctx: &mut Context<Self>) {
        // SMS claimed in a process without campaigns would be withheld from the processes that have some.
        if self.table.serves_sms() && !self.components.any_campaign_but(self.table.conversations()) {
            return;
        }
        if self.claiming != Claiming::No {
            self.claiming = Claiming::AndAgain;
            return;
        }
        self.claiming = Claiming::Once;
        self.queues.claim_begins();
        let store = self.store.clone();
        let claim = async move { store.ledger.ask(ClaimReceived { limit: CLAIM_LIMIT }).await };
        ctx.spawn(actix::fut::ActorFutureExt::map(
            actix::fut::wrap_future(claim),
            |claimed, router: &mut Self, ctx| {
                let mut again = std::mem::take(&mut router.claiming) == Claiming::AndAgain;
                match claimed {
                    Ok(received) => {
                        let complete = received.len() < CLAIM_LIMIT;
                        // What a campaign without places gets back is claimed with the others some time.
                        let placed = router.route_all_received(received, true, ctx);
                        if complete {
                            router.queues.claim_was_complete();
                        } else {
                            again |= placed;
                        }
                    }
                    Err(error) => debug!(%error, "received SMS could not be claimed now"),
                }
                if again {
                    router.claim_received(ctx);
                }
            },
        ));
    }

    /// Looks for the accounts of SMS that belong to none yet. A step takes less than the time to the next one, or is
    /// repeated, which changes nothing.
    pub(super) fn own_received(&self, ctx: &mut Context<Self>) {
        let (store, table, round) = (self.store.clone(), Arc::clone(&self.table), self.unowned);
        let step = async move { round.step(&store, &table).await };
        ctx.spawn(actix::fut::ActorFutureExt::map(actix::fut::wrap_future(step), |stepped, router: &mut Self, _| {
            match stepped {
                Ok(round) => router.unowned = round,
                Err(error) => debug!(%error, "SMS without an account could not be looked through now"),
            }
        }));
    }
}

/// A campaign has taken or refused a person's first SMS.
#[derive(Message)]
#[rtype(result = "()")]
struct OfferAnswered {
    key: QueueKey,
    taken: bool,
}

impl Handler<OfferAnswered> for Router {
    type Result = ();

    fn handle(&mut self, OfferAnswered { key, taken }: OfferAnswered, ctx: &mut Self::Context) {
        if taken {
            return self.queues.taken(&key).into_iter().for_each(|next| self.offer(next, ctx));
        }
        let campaign = key.0.clone();
        self.queues.refused(key);
        self.keep_time(&campaign, ctx);
    }
}
