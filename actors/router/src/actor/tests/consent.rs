//! SMS that opt out or in, or ask for help.

use vumi_kit::{consent::ConsentNotice, ledger::HandOver, sms::Received};

use super::harness::{RouterHarness, ScriptedCampaign, received};

fn saying(id: i64, text: &str, notice: ConsentNotice) -> Received {
    let mut received = received(id, "27831234567", "38080");
    received.sms.message = text.to_owned();
    received.consent = Some(notice);
    received
}

#[actix_rt::test]
async fn a_word_of_consent_is_answered_by_the_router_whatever_serves_the_number_and_confirmed_once() {
    let (mut harness, quiz) = (RouterHarness::new(), ScriptedCampaign::default());
    harness.campaign("quiz", &quiz).await;
    for (id, text, notice, begins) in [
        (1, "stop.", ConsentNotice::Out, Some("You will get no more")),
        (2, "stop.", ConsentNotice::OutBefore, None),
        (3, "START", ConsentNotice::In, Some("You will get our SMS")),
        (4, "help", ConsentNotice::Help, Some("Reply STOP")),
    ] {
        harness.handed_over.send(HandOver::Received(vec![saying(id, text, notice)])).await.unwrap();
        harness.until_asked("settle").await;
        let (settled, reply) = harness.ledger.settled.lock().unwrap().last().cloned().unwrap();
        assert_eq!((settled, reply.is_some()), (id.to_string(), begins.is_some()), "{text}");
        assert!(reply.is_none_or(|reply| begins.is_some_and(|begins| reply.starts_with(begins))), "{text}");
    }
    assert!(quiz.taken.borrow().is_empty());
}

#[actix_rt::test]
async fn a_route_for_the_word_answers_it() {
    let harness = RouterHarness::new();
    let (arrived, mut offers) = tokio::sync::mpsc::unbounded_channel();
    let quiz = ScriptedCampaign { arrived: Some(arrived), ..ScriptedCampaign::default() };
    harness.campaign("quiz", &quiz).await;
    let batch = vec![saying(1, "Halt!", ConsentNotice::Out)];
    harness.handed_over.send(HandOver::Received(batch)).await.unwrap();
    super::soon(offers.recv()).await.unwrap();
    assert_eq!(*quiz.taken.borrow(), ["Halt!"]);
    assert!(harness.ledger.settled.lock().unwrap().is_empty());
}
