//! What holds for every kind, and what each does to an SMS.

use std::time::Duration;

use serde_json::{Value, json};
use vumi_kit::{
    address::Address,
    clock::{Clock, Timestamp},
    middleware::{ChainOutcome, MiddlewareChains, PassingSms, SmsDirection},
    name::Name,
};

use crate::{MiddlewareContext, MiddlewareSettings, chains, kinds};

pub(crate) fn context() -> MiddlewareContext {
    MiddlewareContext { clock: Clock::held(Timestamp::from_seconds(1_800_000_000)) }
}

fn settings(own: Value) -> MiddlewareSettings {
    let mut entry = json!({ "name": "m" });
    entry.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    serde_json::from_value(entry).unwrap()
}

#[track_caller]
pub(crate) fn chain(own: Value) -> MiddlewareChains {
    chains(&[settings(own)], &context()).unwrap()
}

pub(crate) fn outbound(message: &str) -> PassingSms {
    PassingSms {
        direction: SmsDirection::Outbound,
        account: Some("clinic".to_owned()),
        transport: Name::parse("opera").unwrap(),
        campaign: None,
        from: Address::sender("38080").unwrap(),
        to: Address::sender("27831234567").unwrap(),
        message: message.to_owned(),
        is_text: true,
        tags: Vec::new(),
    }
}

pub(crate) fn inbound(message: &str) -> PassingSms {
    let PassingSms { from, to, .. } = outbound("");
    PassingSms { direction: SmsDirection::Inbound, from: to, to: from, ..outbound(message) }
}

#[test]
fn its_example_makes_it_and_a_key_it_does_not_know_is_refused() {
    for kind in kinds() {
        let example: Value = toml::from_str(kind.example).unwrap();
        assert!((kind.make)(&example, &context()).is_ok(), "{}", kind.name);
        let mut wrong = example;
        wrong["nonsense"] = 1.into();
        assert!((kind.make)(&wrong, &context()).is_err(), "{}", kind.name);
    }
}

#[test]
fn wrong_entries_are_named_by_their_place_and_key() {
    let wrong = [
        settings(json!({"kind": "block"})),
        settings(json!({"kind": "nonsense"})),
        settings(json!({"kind": "replace", "rules": [{"pattern": "(", "with": ""}]})),
        settings(json!({"kind": "replace", "rules": [{"pattern": "(\\w{1,1000}){1000}", "with": ""}]})),
        settings(json!({"kind": "limit", "most": 0, "within": "1m"})),
        settings(json!({"kind": "webhook", "url": "ftp://x", "deadline": "1h"})),
        settings(json!({"kind": "addresses", "from": {"1": "no sender at all"}})),
    ];
    let problems = chains(&wrong, &context()).unwrap_err();
    let keys: Vec<_> =
        problems.iter().map(|problem| problem.key.as_str()).filter(|key| !key.ends_with("name")).collect();
    assert_eq!(keys, ["1.kind", "2.rules.0.pattern", "3.rules.0.pattern", "4.most", "5.url", "6.from.1"]);
    assert!(problems.iter().any(|problem| problem.key == "1.name" && problem.what.contains("twice")));
}

#[tokio::test]
async fn addresses_are_translated_whole_or_by_an_expression() {
    let chain = chain(json!({"kind": "addresses", "from": {"38080": "MYCLINIC"},
        "to_patterns": [{"pattern": "27(83)(\\d+)", "with": "44$2"}]}));
    let mut sms = outbound("hi");
    assert_eq!(chain.run(&mut sms).await, ChainOutcome::Passed);
    assert_eq!((sms.from.as_str(), sms.to.as_str()), ("MYCLINIC", "441234567"));
    let nowhere = super::tests::chain(json!({"kind": "addresses", "to": {"27831234567": "NOBODY"}}));
    assert!(
        matches!(nowhere.run(&mut outbound("hi")).await, ChainOutcome::Refused(why) if why.contains("no recipient"))
    );
}

#[tokio::test]
async fn people_services_and_texts_are_blocked() {
    let chain = chain(json!({"kind": "block", "people": ["+27831234567"], "services": ["BANK"],
        "texts": ["(?i)https?://"], "prefixes": ["88"]}));
    for blocked in [outbound("hi"), inbound("hi")] {
        let ChainOutcome::Refused(why) = chain.run(&mut blocked.clone()).await else { panic!("{blocked:?}") };
        assert_eq!(why, "middleware m: the person's address is blocked");
    }
    let other = Address::sender("27830000000").unwrap();
    let bank = PassingSms { to: other.clone(), from: Address::sender("BANK").unwrap(), ..outbound("hi") };
    assert!(matches!(chain.run(&mut bank.clone()).await, ChainOutcome::Refused(why) if why.contains("service")));
    let link = PassingSms { to: other.clone(), ..outbound("see HTTPS://x") };
    assert!(matches!(chain.run(&mut link.clone()).await, ChainOutcome::Refused(why) if why.contains("text")));
    let octets = PassingSms { is_text: false, ..link };
    assert_eq!(chain.run(&mut octets.clone()).await, ChainOutcome::Passed);
    let satellite = PassingSms { to: Address::sender("88123456").unwrap(), ..outbound("hi") };
    assert!(matches!(chain.run(&mut satellite.clone()).await, ChainOutcome::Refused(_)));
    assert_eq!(chain.run(&mut PassingSms { to: other, ..outbound("hi") }).await, ChainOutcome::Passed);
}

#[tokio::test]
async fn a_person_gets_so_many_within_a_time() {
    let context = context();
    let entry = settings(json!({"kind": "limit", "most": 2, "within": "1m"}));
    let chain = chains(&[entry], &context).unwrap();
    let other = || PassingSms { to: Address::sender("27830000000").unwrap(), ..outbound("hi") };
    for expected in [true, true, false] {
        assert_eq!(chain.run(&mut outbound("hi")).await == ChainOutcome::Passed, expected);
    }
    assert_eq!(chain.run(&mut other()).await, ChainOutcome::Passed, "another person");
    assert_eq!(chain.run(&mut inbound("hi")).await, ChainOutcome::Passed, "the other direction");
    context.clock.advance(Duration::from_secs(60));
    assert_eq!(chain.run(&mut outbound("hi")).await, ChainOutcome::Passed);
}

#[tokio::test]
async fn machines_that_answer_each_other_are_stopped_and_people_are_not() {
    let context = context();
    let entry = settings(json!({"kind": "loop-guard", "most": 10, "same": 3}));
    let chain = chains(&[entry], &context).unwrap();
    let mut stopped = None;
    for round in 0..20 {
        let came = chain.run(&mut inbound("I am away, thank you for your SMS")).await;
        let answer = chain.run(&mut outbound("Welcome. Send STOP to stop.")).await;
        if came != ChainOutcome::Passed || answer != ChainOutcome::Passed {
            stopped = Some(round);
            break;
        }
    }
    assert_eq!(stopped, Some(3));
    context.clock.advance(Duration::from_secs(60));
    for text in ["1", "2", "1", "3", "yes"] {
        assert_eq!(chain.run(&mut inbound(text)).await, ChainOutcome::Passed, "{text}");
    }
}

#[tokio::test]
async fn texts_are_replaced_and_written_in_the_gsm_alphabet() {
    let chain = chain(json!({"kind": "replace", "rules": [{"pattern": "(?i)(vumi)", "with": "<$1>"}]}));
    let mut sms = outbound("VUMI and vumi");
    chain.run(&mut sms).await;
    assert_eq!(sms.message, "<VUMI> and <vumi>");
    let grows = super::tests::chain(
        json!({"kind": "replace", "rules": [{"pattern": "", "with": "xxxxxxxxxx"}, {"pattern": "x", "with": "yyyyyyyyyy"},
        {"pattern": "y", "with": "zzzzzzzzzzzzzzzzzzzz"}]}),
    );
    assert!(matches!(grows.run(&mut outbound(&"a".repeat(100))).await, ChainOutcome::Refused(_)));
    let spelled = super::tests::chain(json!({"kind": "transliterate"}));
    let long = "naïve ideas ".repeat(8);
    let mut sms = outbound(&long);
    spelled.run(&mut sms).await;
    assert_eq!(sms.message, "naive ideas ".repeat(8));
    let mut short = outbound("naïve");
    spelled.run(&mut short).await;
    assert_eq!(short.message, "naïve", "one part either way");
}

#[tokio::test]
async fn tags_are_noted_once_for_texts_that_match() {
    let chain =
        chain(json!({"kind": "tag", "tags": ["win", "team-$1", "win"], "text": "(?i)^win (\\w+)", "service": "38080"}));
    let mut sms = inbound("WIN lions please");
    chain.run(&mut sms).await;
    assert_eq!(sms.tags, ["win", "team-lions"]);
    let mut other = PassingSms { to: Address::sender("38081").unwrap(), ..inbound("win lions") };
    chain.run(&mut other).await;
    assert!(other.tags.is_empty());
}
