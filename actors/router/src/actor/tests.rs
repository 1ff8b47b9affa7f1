//! Who gets a message, who is told why nobody does, and what the ledger is asked.

mod consent;
mod harness;
mod middleware;

use std::time::Duration;

use actix::{Actor, Addr};
use tokio::sync::mpsc;
use vumi_kit::{
    clock::Timestamp,
    ledger::HandOver,
    message::{Event, SessionEvent, TransportType},
    router::{Deregister, Endpoints, Happened, Inbound, Outbound, Refused, Register, Submit},
    sms::Received,
    start_token::StartToken,
};

use super::Router;
use harness::{RecordingTransport, RouterHarness, ScriptedCampaign, message, name, received, soon, submission};

#[actix_rt::test]
async fn a_message_goes_to_the_campaign_of_its_route() {
    let (harness, quiz, other) = (RouterHarness::new(), ScriptedCampaign::default(), ScriptedCampaign::default());
    harness.campaign("quiz", &quiz).await;
    harness.campaign("other", &other).await;
    assert_eq!(harness.dial("*120*1#").await, Ok(()));
    assert_eq!((quiz.taken.borrow().len(), other.taken.borrow().len()), (1, 0));
}

#[actix_rt::test]
async fn what_is_dialled_beyond_a_route_comes_as_inputs_at_the_beginning_of_a_session_only() {
    let (harness, quiz) = (RouterHarness::new(), ScriptedCampaign::default());
    harness.campaign("quiz", &quiz).await;
    let long = format!("*120*1*{}#", "1*".repeat(100));
    for (dialled, event, inputs) in [
        ("*120*1*1*22#", SessionEvent::New, &["1", "22"][..]),
        ("*120*1**2*#", SessionEvent::New, &["2"]),
        ("*120*1#", SessionEvent::New, &[]),
        ("*120*1*1*22#", SessionEvent::Resume, &[]),
        (&long, SessionEvent::New, &[]),
    ] {
        let mut message = message(TransportType::Ussd, dialled);
        message.session_event = Some(event);
        harness.router.send(Inbound(message)).await.unwrap().unwrap();
        assert_eq!(*quiz.dialled_inputs.borrow(), inputs, "{dialled} {event:?}");
    }
}

#[actix_rt::test]
async fn whoever_dials_is_told_why_nobody_answers() {
    let harness = RouterHarness::new();
    assert_eq!(harness.dial("*120*2#").await, Err(Refused::NoRoute("*120*2#".to_owned())));
    assert_eq!(harness.dial("*120*1#").await, Err(Refused::Away(name("quiz"))));
    harness.campaign("quiz", &ScriptedCampaign { silent: true, ..ScriptedCampaign::default() }).await;
    // Refused when the time limit for handing over has passed, not before and not never.
    let began = tokio::time::Instant::now();
    assert_eq!(harness.dial("*120*1#").await, Err(Refused::Busy(name("quiz"))));
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[actix_rt::test]
async fn a_component_that_was_deregistered_gets_nothing_more() {
    let (harness, quiz) = (RouterHarness::new(), ScriptedCampaign::default());
    harness.campaign("quiz", &quiz).await;
    harness.router.send(Deregister { name: name("quiz") }).await.unwrap();
    assert_eq!(harness.dial("*120*1#").await, Err(Refused::Away(name("quiz"))));
    assert!(quiz.taken.borrow().is_empty());
}

#[actix_rt::test]
async fn a_component_that_was_replaced_is_neither_called_nor_heard() {
    let (harness, quiz) = (RouterHarness::new(), ScriptedCampaign::default());
    let token = StartToken::default();
    let register = |token: &StartToken| {
        let actor = quiz.clone().start();
        let endpoints = Endpoints::Campaign { inbound: actor.clone().recipient(), events: Some(actor.recipient()) };
        Register { name: name("quiz"), endpoints, token: token.clone() }
    };
    harness.router.send(register(&token)).await.unwrap();
    assert_eq!(harness.dial("*120*1#").await, Ok(()));

    let components = Router::address(&harness.router).with_token(&token);
    let asked = || message(TransportType::Ussd, "*120*1#");
    assert_eq!(components.inbound.send(Inbound(asked())).await.unwrap(), Ok(()));
    token.replace();
    assert_eq!(harness.dial("*120*1#").await, Err(Refused::Away(name("quiz"))));
    harness.router.send(register(&token)).await.unwrap();
    assert_eq!(harness.dial("*120*1#").await, Err(Refused::Away(name("quiz"))), "it can't register again");
    let fresh = StartToken::default();
    harness.router.send(register(&fresh)).await.unwrap();
    assert_eq!(harness.dial("*120*1#").await, Ok(()));
    assert_eq!(components.inbound.send(Inbound(asked())).await.unwrap(), Err(Refused::Replaced));
    let answer = asked().reply(None, None, Timestamp::from_seconds(0));
    let event = Event::ack(&answer, Timestamp::from_seconds(0));
    assert_eq!(components.outbound.send(Outbound(answer)).await.unwrap(), Err(Refused::Replaced));
    components.happened.send(Happened { service: "*120*1#".to_owned(), event }).await.unwrap();
    harness.dial("*120*1#").await.unwrap();
    assert!(quiz.events.borrow().is_empty());
}

#[actix_rt::test]
async fn claimed_sms_go_to_their_transport_and_back_to_the_ledger_where_there_is_none() {
    let (mut harness, opera) = (RouterHarness::new(), RecordingTransport::default());
    harness.transport("opera", &opera).await;
    for (transport, id) in [("opera", 1), ("techsys", 2)] {
        let batch = vec![submission(id)];
        harness.handed_over.send(HandOver::Submissions { transport: name(transport), batch }).await.unwrap();
    }
    harness.until_asked("release sms").await;
    assert_eq!(*opera.submitted.borrow(), [1]);
    assert_eq!(*harness.ledger.released_sms.lock().unwrap(), [2]);
}

#[actix_rt::test]
async fn an_answer_by_ussd_goes_to_the_transport_and_one_by_sms_into_the_ledger() {
    let (harness, truteq) = (RouterHarness::new(), RecordingTransport::default());
    harness.transport("truteq", &truteq).await;
    let answer = |kind| {
        let asked = message(kind, "*120*1#");
        asked.reply(Some("hello".to_owned()), None, Timestamp::from_seconds(0))
    };
    assert_eq!(harness.router.send(Outbound(answer(TransportType::Ussd))).await.unwrap(), Ok(()));
    assert_eq!(*truteq.outbound.borrow(), ["hello"]);

    let by_sms = answer(TransportType::Sms);
    let answers = by_sms.in_reply_to.clone().unwrap();
    assert_eq!(harness.router.send(Outbound(by_sms)).await.unwrap(), Ok(()));
    assert_eq!(truteq.outbound.borrow().len(), 1, "the transport gets it from the ledger");
    assert_eq!(*harness.ledger.settled.lock().unwrap(), [(answers, Some("hello".to_owned()))]);

    let mut elsewhere = answer(TransportType::Ussd);
    elsewhere.transport_name = name("nowhere");
    assert_eq!(harness.router.send(Outbound(elsewhere)).await.unwrap(), Err(Refused::NoTransport(name("nowhere"))));
}

#[actix_rt::test]
async fn a_transport_without_sessions_refuses_what_is_not_an_sms_for_good() {
    let harness = RouterHarness::new();
    let submit = RecordingTransport::default().start().recipient();
    let endpoints = Endpoints::Transport { submit, outbound: None };
    harness.router.send(Register { name: name("opera"), endpoints, token: StartToken::default() }).await.unwrap();
    let mut answer = message(TransportType::Ussd, "*120*1#").reply(None, None, Timestamp::from_seconds(0));
    answer.transport_name = name("opera");
    assert_eq!(harness.router.send(Outbound(answer)).await.unwrap(), Err(Refused::NoSessions(name("opera"))));
}

#[actix_rt::test]
async fn an_event_goes_to_the_component_that_sent_the_message_whatever_its_address() {
    let (harness, quiz) = (RouterHarness::new(), ScriptedCampaign::default());
    harness.campaign("elsewhere", &quiz).await;
    let mut sent = message(TransportType::Ussd, "*120*1#").reply(None, None, Timestamp::from_seconds(0));
    sent.sent_by = Some(name("elsewhere"));
    let event = Event::nack(&sent, "the session is over", Timestamp::from_seconds(0));
    harness.router.send(Happened { service: "*999#".to_owned(), event }).await.unwrap();
    harness.router.send(Deregister { name: name("elsewhere") }).await.unwrap();
    assert_eq!(*quiz.events.borrow(), [sent.message_id]);
}

#[actix_rt::test]
async fn a_transport_behind_the_broker_takes_sms_itself() {
    let (harness, remote) = (RouterHarness::new(), RecordingTransport::default());
    let endpoints = Endpoints::Remote { outbound: remote.clone().start().recipient() };
    harness.router.send(Register { name: name("truteq"), endpoints, token: StartToken::default() }).await.unwrap();
    let sms = message(TransportType::Sms, "38080").reply(Some("hi".to_owned()), None, Timestamp::from_seconds(0));
    assert_eq!(harness.router.send(Outbound(sms)).await.unwrap(), Ok(()));
    assert_eq!(*remote.outbound.borrow(), ["hi"]);
    assert!(harness.ledger.settled.lock().unwrap().is_empty());
}

#[actix_rt::test]
async fn one_persons_sms_keep_their_order_behind_refusals_and_delay_nobody_else() {
    let harness = RouterHarness::new();
    let (arrived, mut offers) = mpsc::unbounded_channel();
    let quiz = ScriptedCampaign { arrived: Some(arrived), ..ScriptedCampaign::default() };
    *quiz.refusals.borrow_mut() = 2;
    harness.campaign("quiz", &quiz).await;
    let mut batch: Vec<Received> = (1..=3).map(|id| received(id, "27830000001", "38080")).collect();
    batch.push(received(9, "27830000002", "38080"));
    harness.handed_over.send(HandOver::Received(batch)).await.unwrap();
    // Four SMS and two refusals.
    for _ in 0..6 {
        soon(offers.recv()).await.unwrap();
    }
    let taken = quiz.taken.borrow();
    let of_first: Vec<&str> = taken.iter().map(String::as_str).filter(|id| *id != "9").collect();
    assert_eq!(of_first, ["1", "2", "3"]);
    assert_ne!(taken.last().unwrap(), "9", "the second person did not wait for the first one's retries: {taken:?}");
}

#[actix_rt::test]
async fn an_sms_that_its_campaign_refuses_for_too_long_goes_back_and_another_campaigns_does_not() {
    let mut harness = RouterHarness::new();
    let (refusing, other) = (ScriptedCampaign::default(), ScriptedCampaign::default());
    *refusing.refusals.borrow_mut() = usize::MAX;
    harness.campaign("quiz", &refusing).await;
    harness.campaign("other", &other).await;
    let batch = vec![received(1, "27830000001", "38080"), received(2, "27830000001", "38081")];
    harness.handed_over.send(HandOver::Received(batch)).await.unwrap();
    let began = tokio::time::Instant::now();
    harness.until_asked("release received").await;
    assert!(began.elapsed() >= Duration::from_secs(20), "it was offered for {:?} only", began.elapsed());
    assert_eq!(*other.taken.borrow(), ["2"]);
    assert!(refusing.taken.borrow().is_empty());
}

#[actix_rt::test]
async fn a_dead_campaign_costs_few_offers_and_takes_no_places_of_another() {
    let harness = RouterHarness::new();
    let (refused, mut refusals) = mpsc::unbounded_channel();
    let dead = ScriptedCampaign { arrived: Some(refused), ..ScriptedCampaign::default() };
    *dead.refusals.borrow_mut() = usize::MAX;
    let (arrived, mut taken) = mpsc::unbounded_channel();
    let alive = ScriptedCampaign { arrived: Some(arrived), ..ScriptedCampaign::default() };
    harness.campaign("quiz", &dead).await;
    harness.campaign("other", &alive).await;
    let people = |count: i64, to: &'static str| -> Vec<Received> {
        (0..count).map(|id| received(id + 1, &format!("2783{id:07}"), to)).collect()
    };
    for batch in people(6_000, "38080").chunks(500) {
        harness.handed_over.send(HandOver::Received(batch.to_vec())).await.unwrap();
    }
    harness.handed_over.send(HandOver::Received(people(500, "38081"))).await.unwrap();
    for _ in 0..500 {
        soon(taken.recv()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    let offers = std::iter::from_fn(|| refusals.try_recv().ok()).count();
    assert!((10..1_000).contains(&offers), "{offers} offers in 10 s");
    assert_eq!(harness.ledger.released_received.lock().unwrap().len(), 1_000, "those without a place went back");
}

#[actix_rt::test]
async fn an_sms_that_arrives_behind_returned_ones_follows_them_to_the_ledger_and_comes_back_after_them() {
    let mut harness = RouterHarness::new();
    let (arrived, mut offers) = mpsc::unbounded_channel();
    let quiz = ScriptedCampaign { arrived: Some(arrived), ..ScriptedCampaign::default() };
    *quiz.refusals.borrow_mut() = usize::MAX;
    harness.campaign("quiz", &quiz).await;
    harness.until_asked("claim").await;
    let of_one_person = |ids: &[i64]| ids.iter().map(|id| received(*id, "27830000001", "38080")).collect::<Vec<_>>();
    harness.handed_over.send(HandOver::Received(of_one_person(&[1, 2]))).await.unwrap();
    harness.until_asked("release received").await;
    // From now on the campaign would take the third.
    *quiz.refusals.borrow_mut() = 0;
    harness.handed_over.send(HandOver::Received(of_one_person(&[3]))).await.unwrap();
    harness.until_asked("release received").await;
    assert_eq!(*harness.ledger.released_received.lock().unwrap(), [1, 2, 3]);

    harness.ledger.due.lock().unwrap().push_back(of_one_person(&[1, 2, 3]));
    harness.campaign("quiz", &quiz).await;
    while quiz.taken.borrow().len() < 3 {
        soon(offers.recv()).await.unwrap();
    }
    assert_eq!(*quiz.taken.borrow(), ["1", "2", "3"]);
}

#[actix_rt::test]
async fn sms_for_a_transport_whose_mailbox_is_full_go_back_to_the_ledger() {
    let mut harness = RouterHarness::new();
    // A mailbox that nobody reads.
    let (sender, _mailbox) = actix::dev::channel::channel::<RecordingTransport>(1);
    let submit = Addr::new(sender).recipient::<Submit>();
    while submit.try_send(Submit(Vec::new())).is_ok() {}
    harness
        .router
        .send(Register {
            name: name("opera"),
            endpoints: Endpoints::Transport { submit, outbound: None },
            token: StartToken::default(),
        })
        .await
        .unwrap();
    let batch = vec![submission(1), submission(2)];
    harness.handed_over.send(HandOver::Submissions { transport: name("opera"), batch }).await.unwrap();
    harness.until_asked("release sms").await;
    assert_eq!(*harness.ledger.released_sms.lock().unwrap(), [1, 2]);
}

#[actix_rt::test]
async fn a_campaign_that_registers_gets_the_sms_that_are_due() {
    let mut harness = RouterHarness::new();
    harness.ledger.due.lock().unwrap().push_back(vec![received(5, "27830000001", "38080")]);
    let (arrived, mut offers) = mpsc::unbounded_channel();
    let quiz = ScriptedCampaign { arrived: Some(arrived), ..ScriptedCampaign::default() };
    harness.campaign("quiz", &quiz).await;
    harness.until_asked("claim").await;
    soon(offers.recv()).await.unwrap();
    assert_eq!(*quiz.taken.borrow(), ["5"]);
}

#[actix_rt::test]
async fn an_sms_under_way_when_its_campaign_ends_is_offered_to_the_next_one_of_that_name() {
    let harness = RouterHarness::new();
    let (arrived, mut offers) = mpsc::unbounded_channel();
    let first = ScriptedCampaign { arrived: Some(arrived.clone()), ..ScriptedCampaign::default() };
    *first.refusals.borrow_mut() = usize::MAX;
    harness.campaign("quiz", &first).await;
    harness.handed_over.send(HandOver::Received(vec![received(1, "27830000001", "38080")])).await.unwrap();
    soon(offers.recv()).await.unwrap();
    harness.router.send(Deregister { name: name("quiz") }).await.unwrap();
    let (arrived, mut offers) = mpsc::unbounded_channel();
    let second = ScriptedCampaign { arrived: Some(arrived), ..ScriptedCampaign::default() };
    harness.campaign("quiz", &second).await;
    soon(offers.recv()).await.unwrap();
    assert_eq!(*second.taken.borrow(), ["1"]);
}

#[actix_rt::test]
async fn an_sms_without_a_route_is_settled_and_says_so() {
    let mut harness = RouterHarness::new();
    harness.handed_over.send(HandOver::Received(vec![received(1, "27830000001", "38099")])).await.unwrap();
    harness.until_asked("settle").await;
    assert_eq!(*harness.ledger.settled.lock().unwrap(), [("1".to_owned(), None)]);
}

#[actix_rt::test]
async fn what_became_of_a_message_is_told_to_the_campaign_of_its_service() {
    let (harness, quiz) = (RouterHarness::new(), ScriptedCampaign::default());
    harness.campaign("quiz", &quiz).await;
    let answer = message(TransportType::Ussd, "*120*1#");
    let event = Event::ack(&answer, Timestamp::from_seconds(0));
    harness.router.send(Happened { service: "*120*1#".to_owned(), event }).await.unwrap();
    // Behind the event in the campaign's mailbox.
    harness.dial("*120*1#").await.unwrap();
    assert_eq!(*quiz.events.borrow(), [answer.message_id]);
}
