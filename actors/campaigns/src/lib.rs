//! The campaigns that ship with Vumi: services that answer people over USSD and SMS.
//!
//! Sessions, queues and the store are the business of the runtime around every campaign: [`vumi_campaign_kit`].
//!
//! To add one: a file here with a type that implements [`vumi_campaign_kit::Campaign`], its `mod` line, and its line
//! in [`kinds`]. `docs/campaigns.md` leads through it; its examples are compiled and run by this crate's tests.

mod echo;
mod http;
mod quiz;

use serde_json::Value;
use vumi_campaign_kit::{
    Campaign, WithCampaign,
    rehearsal::{Rehearse, rehearse},
};
use vumi_kit::{
    clock::Timestamp,
    kind::{Problem, Registry},
};

/// The kinds of campaign that ship with Vumi.
#[must_use]
pub fn kinds() -> Registry {
    Registry::default()
        .with_campaign::<echo::Echo>()
        .with_campaign::<http::HttpApplication>()
        .with_campaign::<quiz::Quiz>()
}

/// A campaign of such a kind in rehearsal, by its settings, its clock at `now`: for test files. None: there is no such kind.
#[must_use]
pub fn in_rehearsal(kind: &str, settings: &Value, now: Timestamp) -> Option<Result<Box<dyn Rehearse>, Vec<Problem>>> {
    match kind {
        echo::Echo::NAME => Some(rehearse::<echo::Echo>(settings, now)),
        http::HttpApplication::NAME => Some(rehearse::<http::HttpApplication>(settings, now)),
        quiz::Quiz::NAME => Some(rehearse::<quiz::Quiz>(settings, now)),
        _ => None,
    }
}

/// The examples of the manual are tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/campaigns.md")]
struct Manual;

#[cfg(test)]
mod tests {
    #[test]
    fn every_kind_can_be_rehearsed() {
        for kind in super::kinds().iter() {
            let example: serde_json::Value = toml::from_str(kind.example).unwrap();
            let rehearsal = super::in_rehearsal(kind.name, &example, vumi_kit::clock::Timestamp::from_seconds(0));
            assert!(rehearsal.is_some_and(|made| made.is_ok()), "{}", kind.name);
        }
        let unknown =
            super::in_rehearsal("none", &serde_json::Value::Null, vumi_kit::clock::Timestamp::from_seconds(0));
        assert!(unknown.is_none());
    }

    #[test]
    fn every_kinds_example_passes_its_check() {
        for kind in super::kinds().iter() {
            let example = toml::from_str(kind.example).unwrap();
            assert_eq!((kind.check)(&example), [], "{}", kind.name);
        }
    }

    #[test]
    fn every_kind_refuses_a_key_it_does_not_know() {
        for kind in super::kinds().iter() {
            let problems = (kind.check)(&serde_json::json!({ "no_such_key": 1 }));
            assert_eq!(problems.len(), 1, "{}: {problems:?}", kind.name);
        }
    }
}
