//! SMS that pass middleware on their way to a campaign and from one.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use vumi_kit::{
    ledger::HandOver,
    middleware::{ChainLink, Middleware, MiddlewareChains, MiddlewareScope, PassingSms, SmsDirection, Verdict},
};

use super::harness::{RouterHarness, ScriptedCampaign, name, received, soon};

/// Refuses what people `27830000666` write; is slow for `27830000777`; sends what is written to 38081 to 38080.
struct Scripted;

#[async_trait]
impl Middleware for Scripted {
    async fn pass(&self, sms: &mut PassingSms) -> Verdict {
        match (sms.person().as_str(), sms.service().as_str()) {
            ("27830000666", _) => return Verdict::Refuse("a nuisance".to_owned()),
            ("27830000777", _) => tokio::time::sleep(Duration::from_secs(5)).await,
            (_, "38081") => sms.to = vumi_kit::address::Msisdn::parse("38080").unwrap().into(),
            _ => {}
        }
        Verdict::Pass
    }
}

fn chains() -> MiddlewareChains {
    let scope = MiddlewareScope { direction: Some(SmsDirection::Inbound), ..MiddlewareScope::default() };
    MiddlewareChains::new(vec![ChainLink { name: name("scripted"), scope, middleware: Box::new(Scripted) }])
}

#[actix_rt::test]
async fn a_chain_refuses_changes_and_delays_only_its_own_sms() {
    let mut harness = RouterHarness::with(chains());
    let (arrived, mut taken) = mpsc::unbounded_channel();
    let quiz = ScriptedCampaign { arrived: Some(arrived), ..ScriptedCampaign::default() };
    harness.campaign("quiz", &quiz).await;
    let batch = vec![
        received(1, "27830000777", "38080"),
        received(2, "27830000777", "38080"),
        received(3, "27830000666", "38080"),
        received(4, "27830000001", "38081"),
        received(5, "27830000002", "38080"),
    ];
    harness.handed_over.send(HandOver::Received(batch)).await.unwrap();
    harness.until_asked("settle").await;
    assert_eq!(*harness.ledger.settled.lock().unwrap(), [("3".to_owned(), None)]);
    for _ in 0..4 {
        soon(taken.recv()).await.unwrap();
    }
    let mut order = quiz.taken.borrow().clone();
    assert_eq!(order.split_off(2), ["1", "2"], "the slow ones last, in their order");
    order.sort();
    assert_eq!(order, ["4", "5"], "one was sent to another service, and so to another campaign");
}
