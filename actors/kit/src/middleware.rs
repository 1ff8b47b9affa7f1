//! Middleware: what may change, hold or refuse an SMS on its way to a person or from one.
//!
//! The contract only. `actors/middleware` has the kinds and makes chains of them from the settings; who hands in SMS, and
//! the router, run them.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{address::Address, name::Name};

/// Which way an SMS goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmsDirection {
    /// To a person: from a client, or a campaign's answer.
    Outbound,
    /// From a person: to a campaign.
    Inbound,
}

/// An SMS on its way through a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassingSms {
    /// Which way it goes.
    pub direction: SmsDirection,
    /// The name of the account whose it is, where there is one.
    pub account: Option<String>,
    /// The transport that brought it or is to send it.
    pub transport: Name,
    /// The campaign whose answer it is, or that is to get it.
    pub campaign: Option<Name>,
    /// The sender: the person of an inbound SMS, the service of an outbound one.
    pub from: Address,
    /// Who is to get it.
    pub to: Address,
    /// The text; of a binary SMS octets in hex.
    pub message: String,
    /// Whether it has a text.
    pub is_text: bool,
    /// What was noted of it: a campaign reads it.
    pub tags: Vec<String>,
}

impl PassingSms {
    /// The person: who gets an outbound SMS, and who sent an inbound one.
    #[must_use]
    pub const fn person(&self) -> &Address {
        match self.direction {
            SmsDirection::Outbound => &self.to,
            SmsDirection::Inbound => &self.from,
        }
    }

    /// The service: the number, short code or name that the person writes to or gets the SMS from.
    #[must_use]
    pub const fn service(&self) -> &Address {
        match self.direction {
            SmsDirection::Outbound => &self.from,
            SmsDirection::Inbound => &self.to,
        }
    }
}

/// What a middleware does with an SMS, beside changing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on to the next middleware, and after the last one on its way.
    Pass,
    /// It is kept and not sent until an operator releases it. An inbound one goes to no campaign.
    Hold(String),
    /// It is not taken. An inbound one is kept, and goes to no campaign.
    Refuse(String),
    /// Nothing can be said now: it is not taken, and may be tried again.
    Later(String),
}

/// A middleware, made from its settings. It serves every SMS of its chains, several at once.
#[async_trait]
pub trait Middleware: Send + Sync {
    /// Looks at an SMS, and changes it where it is to be changed. Bounded in time: the SMS waits, and only that one.
    async fn pass(&self, sms: &mut PassingSms) -> Verdict;
}

/// Which SMS a middleware sees. An empty list: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MiddlewareScope {
    /// Only SMS of this direction; none: of both.
    pub direction: Option<SmsDirection>,
    /// SMS of these accounts.
    pub accounts: Vec<String>,
    /// SMS that these transports bring or send.
    pub transports: Vec<Name>,
    /// Answers of these campaigns, and SMS for them.
    pub campaigns: Vec<Name>,
}

impl MiddlewareScope {
    fn covers(&self, sms: &PassingSms) -> bool {
        self.direction.is_none_or(|direction| direction == sms.direction)
            && (self.accounts.is_empty() || sms.account.as_ref().is_some_and(|account| self.accounts.contains(account)))
            && (self.transports.is_empty() || self.transports.contains(&sms.transport))
            && (self.campaigns.is_empty()
                || sms.campaign.as_ref().is_some_and(|campaign| self.campaigns.contains(campaign)))
    }
}

/// A middleware in its place.
pub struct ChainLink {
    /// Its name in the settings.
    pub name: Name,
    /// Which SMS it sees: all others pass it by unchanged.
    pub scope: MiddlewareScope,
    /// The middleware that was made from the settings.
    pub middleware: Box<dyn Middleware>,
}

/// How an SMS left its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainOutcome {
    /// Every middleware of it let it pass, and may have changed it.
    Passed,
    /// It is held, and why: with the middleware's name.
    Held(String),
    /// It is refused, and why: with the middleware's name.
    Refused(String),
    /// It is to be tried again, and why: with the middleware's name.
    Later(String),
}

/// All middlewares of the settings, in their order. Clones are the same chains.
#[derive(Clone, Default)]
pub struct MiddlewareChains(Arc<[ChainLink]>);

impl MiddlewareChains {
    /// Chains of these, in this order.
    #[must_use]
    pub fn new(links: Vec<ChainLink>) -> Self {
        Self(links.into())
    }

    /// Whether any middleware sees SMS of a direction.
    #[must_use]
    pub fn see(&self, direction: SmsDirection) -> bool {
        self.0.iter().any(|link| link.scope.direction.is_none_or(|only| only == direction))
    }

    /// Takes an SMS through the chain of its account, transport and campaign. One that is held goes on: it is to be as the
    /// chain leaves it when it is released.
    pub async fn run(&self, sms: &mut PassingSms) -> ChainOutcome {
        let mut held = None;
        for link in self.0.iter() {
            if !link.scope.covers(sms) {
                continue;
            }
            // However many SMS a call brings, the other calls of this thread get on.
            tokio::task::coop::consume_budget().await;
            match link.middleware.pass(sms).await {
                Verdict::Pass => {}
                Verdict::Hold(why) => held = held.or(Some(format!("middleware {}: {why}", link.name))),
                Verdict::Refuse(why) => return ChainOutcome::Refused(format!("middleware {}: {why}", link.name)),
                Verdict::Later(why) => return ChainOutcome::Later(format!("middleware {}: {why}", link.name)),
            }
        }
        held.map_or(ChainOutcome::Passed, ChainOutcome::Held)
    }
}

impl fmt::Debug for MiddlewareChains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|link| &link.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::{
        ChainLink, ChainOutcome, Middleware, MiddlewareChains, MiddlewareScope, PassingSms, SmsDirection, Verdict,
    };
    use crate::{address::Address, name::Name};

    /// Adds a letter to the text; then says this.
    struct Adding(char, Verdict);

    #[async_trait]
    impl Middleware for Adding {
        async fn pass(&self, sms: &mut PassingSms) -> Verdict {
            sms.message.push(self.0);
            self.1.clone()
        }
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn link(letter: char, verdict: Verdict, scope: MiddlewareScope) -> ChainLink {
        ChainLink { name: name(&letter.to_string()), scope, middleware: Box::new(Adding(letter, verdict)) }
    }

    fn sms() -> PassingSms {
        PassingSms {
            direction: SmsDirection::Outbound,
            account: Some("clinic".to_owned()),
            transport: name("opera"),
            campaign: None,
            from: Address::sender("38080").unwrap(),
            to: Address::sender("27831234567").unwrap(),
            message: String::new(),
            is_text: true,
            tags: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_chain_is_those_that_see_the_sms_in_their_order() {
        let all = MiddlewareScope::default();
        let chains = MiddlewareChains::new(vec![
            link('a', Verdict::Pass, all.clone()),
            link('b', Verdict::Pass, MiddlewareScope { direction: Some(SmsDirection::Inbound), ..all.clone() }),
            link('c', Verdict::Pass, MiddlewareScope { transports: vec![name("opera")], ..all.clone() }),
            link('d', Verdict::Pass, MiddlewareScope { accounts: vec!["other".to_owned()], ..all.clone() }),
            link('e', Verdict::Pass, MiddlewareScope { accounts: vec!["clinic".to_owned()], ..all.clone() }),
            link('f', Verdict::Pass, MiddlewareScope { campaigns: vec![name("quiz")], ..all }),
        ]);
        let mut outbound = sms();
        assert_eq!(chains.run(&mut outbound).await, ChainOutcome::Passed);
        assert_eq!(outbound.message, "ace");
        let mut answer = PassingSms { campaign: Some(name("quiz")), ..sms() };
        chains.run(&mut answer).await;
        assert_eq!(answer.message, "acef");
    }

    #[tokio::test]
    async fn a_refusal_ends_the_chain_and_a_hold_does_not() {
        let all = MiddlewareScope::default;
        let chains = MiddlewareChains::new(vec![
            link('a', Verdict::Hold("first".to_owned()), all()),
            link('b', Verdict::Hold("second".to_owned()), all()),
        ]);
        let mut held = sms();
        assert_eq!(chains.run(&mut held).await, ChainOutcome::Held("middleware a: first".to_owned()));
        assert_eq!(held.message, "ab");
        let chains = MiddlewareChains::new(vec![
            link('a', Verdict::Refuse("no".to_owned()), all()),
            link('b', Verdict::Pass, all()),
        ]);
        let mut refused = sms();
        assert_eq!(chains.run(&mut refused).await, ChainOutcome::Refused("middleware a: no".to_owned()));
        assert_eq!(refused.message, "a");
    }
}
