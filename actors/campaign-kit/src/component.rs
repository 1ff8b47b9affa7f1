//! A campaign as a component: the actor that takes people's messages, and the kind it is started by.

use std::{borrow::Cow, marker::PhantomData, rc::Rc, time::Duration};

use actix::{Actor, Addr, Context, Handler, MessageResult, ResponseFuture};
use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use tokio::time::timeout;

use super::{
    Campaign,
    person_queue::PersonQueue,
    session_store::{SessionStore, TurnError},
};
use vumi_kit::{
    clock::Clock,
    component::{Component, ComponentContext, Drain, Lifeline, StartError, Terminated, lifeline},
    health::{AskHealth, Health, State},
    kind::{Kind, Problem, Registry},
    name::Name,
    router::{Endpoints, Inbound, Refused, RouterAddress},
    session::{CloseSession, CountAnswers, FindAnswers, FindSession, SaveSession, SessionRecord, Sessions},
    store::{Accepts, Ask, Operation},
};

/// How long the store may take to answer: less than a person waits, so that there is time to say sorry.
const STORE_LIMIT: Duration = Duration::from_secs(4);

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

/// The kind of room that a campaign is.
#[derive(Debug)]
pub struct CampaignKind<C>(PhantomData<C>);

impl<C: Campaign> Kind for CampaignKind<C> {
    const NAME: &'static str = C::NAME;
    const EXAMPLE: &'static str = C::EXAMPLE;
    type Settings = Made<C>;

    fn check(made: &Made<C>) -> Vec<Problem> {
        made.0.as_ref().err().cloned().unwrap_or_default()
    }

    fn start(context: ComponentContext, made: Made<C>) -> Result<Component, StartError> {
        let campaign = made.0.map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(|wrong| format!("{}: {}", wrong.key, wrong.what)).collect();
            StartError(problems.join("; "))
        })?;
        let (actor, ended) =
            CampaignActor::open(campaign, context.name, context.store.sessions, context.router, context.clock);
        Ok(Component {
            endpoints: Some(Endpoints::Campaign { inbound: actor.clone().recipient(), events: None }),
            health: actor.clone().recipient(),
            drain: actor.recipient(),
            ended,
        })
    }
}

/// A campaign, made of its settings as they are read: so its settings need not be `Clone` to be checked.
pub struct Made<C>(Result<C, Vec<Problem>>);

impl<'de, C: Campaign> Deserialize<'de> for Made<C> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let made = C::new(C::Settings::deserialize(from)?);
        Ok(Self(made.and_then(|campaign| {
            let problems = campaign.limits().problems();
            if problems.is_empty() { Ok(campaign) } else { Err(problems) }
        })))
    }
}

/// In the documentation it is the campaign's settings.
impl<C: Campaign> JsonSchema for Made<C> {
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
    person_queue: Rc<PersonQueue<C>>,
    _lifeline: Lifeline,
}

impl<C: Campaign> CampaignActor<C> {
    /// Starts the actor on the present arbiter.
    pub(super) fn open(
        campaign: C,
        name: Name,
        sessions: Sessions,
        router: RouterAddress,
        clock: Clock,
    ) -> (Addr<Self>, Terminated) {
        let (lifeline, ended) = lifeline();
        let person_queue = Rc::new(PersonQueue::new(campaign, name, Rc::new(InStore(sessions)), router, clock));
        // Not in `started`, which runs later: until then the mailbox would hold 16.
        let actor = Self::create(|ctx| {
            ctx.set_mailbox_capacity(person_queue.limits.at_once);
            Self { person_queue, _lifeline: lifeline }
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
        self.person_queue.take(message)
    }
}

impl<C: Campaign> Handler<AskHealth> for CampaignActor<C> {
    type Result = MessageResult<AskHealth>;

    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        let counts = &self.person_queue.counts;
        let mut detail = format!("{} in work, {} handled", self.person_queue.in_work(), counts.handled.get());
        for (count, what) in [(counts.failed.get(), "failed"), (counts.unsent.get(), "answers not sent")] {
            if count > 0 {
                detail.push_str(&format!(", {count} {what}"));
            }
        }
        MessageResult(Health { state: State::Up, detail })
    }
}

impl<C: Campaign> Handler<Drain> for CampaignActor<C> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let person_queue = self.person_queue.clone();
        Box::pin(async move { person_queue.drain().await })
    }
}

/// Sessions and answers in the store.
struct InStore(Sessions);

impl InStore {
    /// Waits for room where the store is busy: a person waits at the other end, and there is time to.
    async fn ask<M: Operation>(&self, ask: M) -> Result<M::Answer, TurnError>
    where
        Sessions: Accepts<M>,
    {
        match timeout(STORE_LIMIT, self.0.ask_waiting(ask)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(TurnError::StoreSlow(STORE_LIMIT)),
        }
    }
}

#[async_trait(?Send)]
impl SessionStore for InStore {
    async fn find(&self, owner: Name, person: String) -> Result<Option<SessionRecord>, TurnError> {
        self.ask(FindSession { owner, person }).await
    }

    async fn save(&self, save: SaveSession) -> Result<bool, TurnError> {
        self.ask(save).await
    }

    async fn close(&self, close: CloseSession) -> Result<bool, TurnError> {
        self.ask(close).await
    }

    async fn counts(&self, campaign: Name, question: String) -> Result<Vec<(String, u64)>, TurnError> {
        self.ask(CountAnswers { campaign, question }).await
    }

    async fn answers(&self, campaign: Name, person: String) -> Result<Vec<(String, String)>, TurnError> {
        self.ask(FindAnswers { campaign, person }).await
    }
}

#[cfg(test)]
mod tests;
