//! A campaign as a component: the actor that takes people's messages, and the kind that starts it.

use std::{borrow::Cow, marker::PhantomData, rc::Rc};

use actix::{Actor, Addr, Context, Handler, MessageResult, ResponseFuture};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use super::{Campaign, person_queue::PersonQueue, session_store::StoredSessions};
use vumi_kit::{
    clock::Clock,
    component::{Component, ComponentContext, Drain, Lifeline, StartError, Terminated, lifeline},
    health::{AskHealth, Health, State},
    kind::{Kind, Problem, Registry},
    name::Name,
    router::{Endpoints, Inbound, Refused, RouterAddress},
};

/// Adds campaigns to a registry of kinds.
pub trait WithCampaign {
    /// Adds a campaign. A second one of the same name replaces the first.
    #[must_use]
    fn with_campaign<C: Campaign>(self) -> Self;
}

impl WithCampaign for Registry {
    fn with_campaign<C: Campaign>(self) -> Self {
        self.with::<CampaignKind<C>>()
    }
}

/// The kind of component that a campaign is.
#[derive(Debug)]
pub struct CampaignKind<C>(PhantomData<C>);

impl<C: Campaign> Kind for CampaignKind<C> {
    const NAME: &'static str = C::NAME;
    const EXAMPLE: &'static str = C::EXAMPLE;
    type Settings = CheckedCampaign<C>;

    fn check(campaign: &CheckedCampaign<C>) -> Vec<Problem> {
        campaign.0.as_ref().err().cloned().unwrap_or_default()
    }

    fn start(context: ComponentContext, campaign: CheckedCampaign<C>) -> Result<Component, StartError> {
        let campaign = campaign.0.map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(|wrong| format!("{}: {}", wrong.key, wrong.what)).collect();
            StartError(problems.join("; "))
        })?;
        Ok(start_campaign(campaign, context))
    }
}

/// Starts a campaign that is made already, on the present arbiter.
pub fn start_campaign<C: Campaign>(campaign: C, context: ComponentContext) -> Component {
    let stored = StoredSessions(context.store.sessions, context.campaign_sms);
    let (actor, ended) = CampaignActor::open(campaign, context.name, stored, context.router, context.clock);
    Component {
        endpoints: Some(Endpoints::Campaign { inbound: actor.clone().recipient(), events: None }),
        health: actor.clone().recipient(),
        drain: actor.recipient(),
        ended,
    }
}

/// A campaign, or what is wrong with its settings. It is made while the settings are read: so they need not be `Clone`.
pub struct CheckedCampaign<C>(Result<C, Vec<Problem>>);

impl<'de, C: Campaign> Deserialize<'de> for CheckedCampaign<C> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let campaign = C::new(C::Settings::deserialize(from)?);
        Ok(Self(campaign.and_then(|campaign| {
            let problems = campaign.limits().problems();
            if problems.is_empty() { Ok(campaign) } else { Err(problems) }
        })))
    }
}

/// In the documentation it is the campaign's settings.
impl<C: Campaign> JsonSchema for CheckedCampaign<C> {
    fn inline_schema() -> bool {
        C::Settings::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        C::Settings::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        C::Settings::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        C::Settings::json_schema(generator)
    }
}

/// The actor around a campaign.
pub(super) struct CampaignActor<C> {
    queue: Rc<PersonQueue<C>>,
    _lifeline: Lifeline,
}

impl<C: Campaign> CampaignActor<C> {
    /// Starts the actor on the present arbiter.
    pub(super) fn open(
        campaign: C,
        name: Name,
        stored: StoredSessions,
        router: RouterAddress,
        clock: Clock,
    ) -> (Addr<Self>, Terminated) {
        let (lifeline, ended) = lifeline();
        let queue = Rc::new(PersonQueue::new(campaign, name, Rc::new(stored), router, clock));
        let actor = Self::create(|ctx| {
            ctx.set_mailbox_capacity(queue.mailbox());
            Self { queue, _lifeline: lifeline }
        });
        (actor, ended)
    }
}

impl<C: Campaign> Actor for CampaignActor<C> {
    type Context = Context<Self>;
}

impl<C: Campaign> Handler<Inbound> for CampaignActor<C> {
    type Result = Result<(), Refused>;

    fn handle(&mut self, Inbound(message): Inbound, _: &mut Self::Context) -> Self::Result {
        self.queue.take(message)
    }
}

impl<C: Campaign> Handler<AskHealth> for CampaignActor<C> {
    type Result = MessageResult<AskHealth>;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        let counts = &self.queue.counts;
        let mut detail = format!("{} in work, {} handled", self.queue.len(), counts.handled.get());
        for (count, what) in [(counts.failed.get(), "failed"), (counts.unsent.get(), "answers not sent")] {
            if count > 0 {
                detail.push_str(&format!(", {count} {what}"));
            }
        }
        let trouble = self.queue.trouble();
        let state = if trouble.is_some() { State::Degraded } else { State::Up };
        if let Some(trouble) = trouble {
            detail = format!("{trouble}; {detail}");
        }
        MessageResult(Health { state, detail })
    }
}

impl<C: Campaign> Handler<Drain> for CampaignActor<C> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let queue = self.queue.clone();
        Box::pin(async move { queue.drain().await })
    }
}

#[cfg(test)]
mod tests;
