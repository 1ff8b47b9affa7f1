use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor, Context, Handler};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use vumi_kit::{
    campaign_sms::CampaignSmsOffice,
    clock::Clock,
    component::{Component, ComponentContext},
    kind::Kind,
    ledger::{
        ClaimSms, CloseOutbox, OpenOutbox, OpenedOutbox, OutboxState, RecordOutcomes, RecordedOutcomes, SmsOwners,
    },
    message::{Event, SessionEvent, UserMessage},
    name::Name,
    router::{Endpoints, Happened, Inbound, Outbound, Refused, RouterAddress},
    session::{After, CloseSession, FindSession, SaveSession, SessionRecord},
    store::Store,
    testing::FakeStore,
    transport_board::TransportBoard,
    ussd_call::AnswerCall,
    webhook::WebhookRequest,
};

use crate::{http_ussd::HttpUssd, tests::exam::CLAIM_TOKEN};

/// Nothing in these tests takes this long unless it never comes.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) const PERSON: &str = "254700000001";
pub(super) const CODE: &str = "*384*123#";

type SessionsOfTest = Arc<Mutex<HashMap<String, SessionRecord>>>;

/// A store of sessions, as the real one keeps them.
fn fake_store() -> Store {
    let sessions = SessionsOfTest::default();
    let (found, saved, closed) = (sessions.clone(), sessions.clone(), sessions);
    let applies = |record: Option<&SessionRecord>, after: &After| match after {
        After::Anything => true,
        After::Nothing => record.is_none(),
        After::Message(id) => record.is_some_and(|record| record.last_message_id == *id),
    };
    FakeStore::default()
        .on(|_: OpenOutbox| Ok(OpenedOutbox { lease: Duration::from_secs(120), claim_token: CLAIM_TOKEN.into() }))
        .on(|_: CloseOutbox| Ok(()))
        .on(|_: ClaimSms| Ok(Vec::new()))
        .on(|ask: RecordOutcomes| {
            Ok(RecordedOutcomes { state: OutboxState::Empty, begun: ask.begin, gone: Vec::new() })
        })
        .on(move |ask: FindSession| Ok(found.lock().unwrap().get(&ask.person).cloned()))
        .on(move |ask: SaveSession| {
            let mut sessions = saved.lock().unwrap();
            let applied = applies(sessions.get(&ask.session.person), &ask.after);
            if applied {
                sessions.insert(ask.session.person.clone(), ask.session);
            }
            Ok(applied)
        })
        .on(move |ask: CloseSession| Ok(closed.lock().unwrap().remove(&ask.person).is_some()))
        .start_store()
}

struct PlayedRouter {
    inbound: mpsc::UnboundedSender<UserMessage>,
    events: mpsc::UnboundedSender<Event>,
    refusal: Arc<Mutex<Option<Refused>>>,
}

impl Actor for PlayedRouter {
    type Context = Context<Self>;
}

vumi_kit::takes_from_components!(PlayedRouter);

impl Handler<Inbound> for PlayedRouter {
    type Result = Result<(), Refused>;
    fn handle(&mut self, Inbound(message): Inbound, _: &mut Self::Context) -> Self::Result {
        self.refusal.lock().unwrap().clone().map_or(Ok(()), Err)?;
        self.inbound.send(message).ok();
        Ok(())
    }
}

impl Handler<Outbound> for PlayedRouter {
    type Result = Result<(), Refused>;
    fn handle(&mut self, _: Outbound, _: &mut Self::Context) -> Self::Result {
        panic!("a transport sends no Outbound");
    }
}

impl Handler<Happened> for PlayedRouter {
    type Result = ();
    fn handle(&mut self, happened: Happened, _: &mut Self::Context) {
        self.events.send(happened.event).ok();
    }
}

/// The transport of Africa's Talking between a router and a store.
pub(super) struct UssdHarness {
    pub(super) component: Component,
    board: TransportBoard,
    name: Name,
    refusal: Arc<Mutex<Option<Refused>>>,
    inbound: mpsc::UnboundedReceiver<UserMessage>,
    events: mpsc::UnboundedReceiver<Event>,
}

impl UssdHarness {
    /// Starts it with further settings, JSON.
    pub(super) fn start(settings: &str) -> Self {
        let (to_inbound, inbound) = mpsc::unbounded_channel();
        let (to_events, events) = mpsc::unbounded_channel();
        let refusal = Arc::<Mutex<Option<Refused>>>::default();
        let router = PlayedRouter { inbound: to_inbound, events: to_events, refusal: refusal.clone() }.start();
        let (board, name) = (TransportBoard::default(), Name::parse("africas-talking").unwrap());
        let context = ComponentContext {
            name: name.clone(),
            router: RouterAddress::of(&router),
            store: fake_store(),
            campaign_sms: CampaignSmsOffice::default(),
            owners: SmsOwners::default(),
            board: board.clone(),
            clock: Clock::system(),
        };
        let mut settings: Value = serde_json::from_str(settings).unwrap();
        settings["aggregator"] = "africas-talking".into();
        let component = HttpUssd::start(context, serde_json::from_value(settings).unwrap()).unwrap();
        Self { component, board, name, refusal, inbound, events }
    }

    /// Makes a call of the person; the answer's body comes once there is one.
    pub(super) fn call(&self, session: &str, text: &str) -> JoinHandle<String> {
        self.call_of(PERSON, session, text)
    }

    pub(super) fn call_of(&self, person: &str, session: &str, text: &str) -> JoinHandle<String> {
        let form = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        self.make(format!("sessionId={session}&phoneNumber=%2B{person}&serviceCode={}&text={}", form(CODE), form(text)))
    }

    /// Tells that a session is over.
    pub(super) async fn end(&self, session: &str) -> String {
        self.make(format!("sessionId={session}&phoneNumber=%2B{PERSON}&status=Incomplete")).await.unwrap()
    }

    fn make(&self, body: String) -> JoinHandle<String> {
        let calls = self.board.of(&self.name).calls().unwrap();
        let request = WebhookRequest {
            method: "POST".to_owned(),
            content_type: "application/x-www-form-urlencoded".to_owned(),
            body: body.into(),
            ..WebhookRequest::default()
        };
        actix_rt::spawn(async move {
            let answer = calls.send(AnswerCall { request, path: String::new() }).await.unwrap().unwrap();
            assert_eq!(answer.status, 200);
            String::from_utf8(answer.body.to_vec()).unwrap()
        })
    }

    /// A call that the campaign answers with an open screen.
    pub(super) async fn turn(&mut self, session: &str, text: &str, screen: &str) -> String {
        let call = self.call(session, text);
        let message = self.next_message().await;
        self.reply(&message, screen, SessionEvent::Resume).await;
        call.await.unwrap()
    }

    /// What the router gets next.
    pub(super) async fn next_message(&mut self) -> UserMessage {
        timeout(LIMIT, self.inbound.recv()).await.expect("the router gets nothing").unwrap()
    }

    /// The router gets nothing more of what was begun.
    pub(super) async fn nothing_for_the_router(&mut self) {
        let got = timeout(Duration::from_millis(50), self.inbound.recv()).await;
        assert!(got.is_err(), "{got:?}");
    }

    pub(super) async fn next_event(&mut self) -> Event {
        timeout(LIMIT, self.events.recv()).await.expect("no ack and no nack").unwrap()
    }

    /// The campaign answers a message.
    pub(super) async fn reply(&self, message: &UserMessage, text: &str, event: SessionEvent) {
        let reply = message.reply(Some(text.to_owned()), Some(event), message.timestamp);
        self.reply_unasked(&reply).await;
    }

    pub(super) async fn reply_unasked(&self, reply: &UserMessage) {
        let outbound = self.component.endpoints.as_ref().and_then(Endpoints::outbound).unwrap();
        outbound.send(Outbound(reply.clone())).await.unwrap().unwrap();
    }

    /// What the router says to messages from here on.
    pub(super) fn refuse(&self, why: Option<Refused>) {
        *self.refusal.lock().unwrap() = why;
    }
}
