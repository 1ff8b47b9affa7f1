//! Answers a call: finds its session, asks the campaign, waits for the screen until the deadline.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout, timeout_at},
};
use vumi_kit::{
    address::Msisdn,
    clock::Clock,
    component::CALL_LIMIT,
    ids,
    message::{SessionEvent, TransportType, UserMessage},
    name::Name,
    router::{Inbound, Refused, RouterAddress},
    session::{After, CloseSession, FindSession, SaveSession, SessionRecord, Sessions},
    store::Ask,
    ussd_call::AnswerCall,
    webhook::{Unreadable, WebhookAnswer},
};
use vumi_ussd_codec::{CallBytes, UssdAnswer, UssdCall, UssdShape};

use super::{
    long_texts::{UnshownPages, first_page},
    session_step::{KeptUssdSession, SessionStep, next_step},
    settings::UssdSettings,
    waiting_calls::WaitingCalls,
};
use crate::fault_log::FaultLog;

/// How often a call is read again where other calls of the same person change the session meanwhile.
const ATTEMPTS: usize = 4;

/// The time limit of a request to the store.
const STORE_LIMIT: Duration = Duration::from_secs(4);

/// What the transport's futures share, on one thread.
pub(super) struct UssdCalls {
    pub(super) name: Name,
    pub(super) settings: UssdSettings,
    pub(super) shape: UssdShape,
    pub(super) sessions: Sessions,
    pub(super) router: RouterAddress,
    pub(super) clock: Clock,
    pub(super) waiting: RefCell<WaitingCalls>,
    pub(super) faults: RefCell<FaultLog>,
    pub(super) answered: Cell<u64>,
    pub(super) delayed: Cell<u64>,
    /// Calls and replies under way.
    pub(super) under_way: Cell<usize>,
    pub(super) draining: Cell<bool>,
    pub(super) finished: Notify,
}

/// A session of the store: what is kept, and the id of its last message.
type FoundSession = Option<(KeptUssdSession, SessionRecord)>;

/// The store did not answer, or refused: the person is asked to send it again.
#[derive(Debug)]
struct StoreAway;

impl UssdCalls {
    /// Answers a call with the campaign's screen, or with a courtesy text at the deadline. An error names the field that can't be
    /// read.
    pub(super) async fn answer(self: Rc<Self>, call: AnswerCall) -> Result<WebhookAnswer, Unreadable> {
        let AnswerCall { request, path } = call;
        let deadline = Instant::now() + self.settings.deadline();
        let is_form = request.is_form();
        let bytes = CallBytes { path: &path, query: &request.query, is_form, body: &request.body };
        let call = self.shape.read_call(&bytes).map_err(|wrong| Unreadable::new(wrong.field, wrong.what))?;
        let person = Msisdn::parse(&call.person)
            .map_err(|error| Unreadable::new(self.shape.fields.person.clone(), error.to_string()))?;
        let screen = self.screen(&person, &call, deadline).await;
        Ok(match screen {
            Some(screen) => {
                let written = self.shape.write_answer(&call, &screen);
                let content_type = Some(written.content_type);
                WebhookAnswer { status: 200, content_type, body: written.body.into() }
            }
            None => WebhookAnswer { status: 200, content_type: None, body: Bytes::new() },
        })
    }

    /// The screen that answers a call; none for one that tells of an end.
    async fn screen(&self, person: &Msisdn, call: &UssdCall, deadline: Instant) -> Option<UssdAnswer> {
        for _ in 0..ATTEMPTS {
            let Ok(found) = self.find(person).await else { return Some(self.again()) };
            let kept = found.as_ref().map(|(kept, _)| kept);
            let step = next_step(kept, call, self.shape.inputs, self.settings.dialled(call));
            let taken = match (step, found) {
                (SessionStep::Nothing, _) => return None,
                (SessionStep::NoCode, _) => {
                    self.fault("sessions without a USSD code refused: set `code`", "neither call nor settings say it");
                    return Some(closing(&self.settings.texts.unavailable));
                }
                (SessionStep::Earlier, _) => return Some(self.again()),
                (SessionStep::Begin(code), found) => self.begin(person, code.as_str(), call, found, deadline).await,
                (SessionStep::GoOn(input), Some(found)) => self.go_on(person, input, call, found, deadline).await,
                (SessionStep::Repeated, Some(found)) => return Some(self.repeat(person, call, found, deadline).await),
                (SessionStep::End, Some((_, record))) => {
                    self.end(person, call, record).await;
                    return None;
                }
                (SessionStep::GoOn(_) | SessionStep::Repeated | SessionStep::End, None) => return None,
            };
            match taken {
                Ok(Some(screen)) => return Some(screen),
                // Another call of the same person was first.
                Ok(None) => {}
                Err(StoreAway) => return Some(self.again()),
            }
        }
        self.fault("calls that others of the same person overtook", "they came at once");
        Some(self.again())
    }

    async fn begin(
        &self,
        person: &Msisdn,
        code: &str,
        call: &UssdCall,
        found: FoundSession,
        deadline: Instant,
    ) -> Result<Option<UssdAnswer>, StoreAway> {
        if self.draining.get() {
            return Ok(Some(closing(&self.settings.texts.unavailable)));
        }
        if self.waiting.borrow().len() >= self.settings.max_calls {
            self.fault("sessions refused: as many calls wait as `max_calls` allows", self.settings.max_calls);
            return Ok(Some(closing(&self.settings.texts.full)));
        }
        let message = self.message(person, code, call, SessionEvent::New, ids::message_id());
        let kept = KeptUssdSession {
            session: call.session.clone(),
            text: call.input.clone().unwrap_or_default(),
            turn: call.turn.clone(),
            content: None,
            is_over: false,
            unshown: None,
        };
        let after = found.map_or(After::Nothing, |(_, record)| After::Message(record.last_message_id));
        if !self.save(person, code, &message.message_id, &kept, after).await? {
            return Ok(None);
        }
        Ok(Some(self.ask(message, deadline).await))
    }

    async fn go_on(
        &self,
        person: &Msisdn,
        input: String,
        call: &UssdCall,
        (kept, record): (KeptUssdSession, SessionRecord),
        deadline: Instant,
    ) -> Result<Option<UssdAnswer>, StoreAway> {
        if self.draining.get() || self.waiting.borrow().len() >= self.settings.max_calls {
            // What the person sent is not noted: the next call brings it again.
            return Ok(Some(self.again()));
        }
        let mut message = self.message(person, &record.address, call, SessionEvent::Resume, ids::message_id());
        message.content = Some(input.clone());
        let mut next = KeptUssdSession {
            text: call.input.clone().unwrap_or_default(),
            turn: call.turn.clone(),
            content: Some(input.clone()),
            unshown: None,
            ..kept.clone()
        };
        let more = &self.settings.texts.more;
        let page = kept.unshown.filter(|unshown| unshown.is_asked_for(&input, more)).map(|unshown| {
            let (page, rest) = first_page(&unshown.text, self.settings.screen_limit(), more);
            next.is_over = unshown.closes && rest.is_none();
            next.unshown = rest.map(|text| UnshownPages { text, closes: unshown.closes, late: false });
            UssdAnswer { text: page, is_open: !next.is_over }
        });
        let after = After::Message(record.last_message_id);
        if !self.save(person, &record.address, &message.message_id, &next, after).await? {
            return Ok(None);
        }
        if let Some(page) = page {
            self.waiting.borrow_mut().answer(&message.message_id, &page);
            return Ok(Some(page));
        }
        Ok(Some(self.ask(message, deadline).await))
    }

    /// The last call again: the screen that it was answered with, or that it waits for.
    async fn repeat(
        &self,
        person: &Msisdn,
        call: &UssdCall,
        (kept, record): (KeptUssdSession, SessionRecord),
        deadline: Instant,
    ) -> UssdAnswer {
        let id = record.last_message_id;
        if let Some(shown) = self.waiting.borrow().shown(&id) {
            return shown;
        }
        if self.waiting.borrow().is_waiting(&id) {
            return self.wait(&id, deadline).await;
        }
        // Another process has it, or had. The campaign knows the message by its id and gives the same answer.
        let event = if kept.content.is_some() { SessionEvent::Resume } else { SessionEvent::New };
        let mut message = self.message(person, &record.address, call, event, id);
        message.content = kept.content;
        self.ask(message, deadline).await
    }

    async fn end(&self, person: &Msisdn, call: &UssdCall, record: SessionRecord) {
        let message = self.message(person, &record.address, call, SessionEvent::Close, ids::message_id());
        let close = CloseSession {
            owner: self.name.clone(),
            person: person.as_str().to_owned(),
            after: Some(record.last_message_id),
            answers: Vec::new(),
            sms: Vec::new(),
        };
        if !matches!(timeout(STORE_LIMIT, self.sessions.ask_waiting(close)).await, Ok(Ok(_))) {
            self.fault("writes of sessions that failed", "an end was not noted");
        }
        if let Err(refused) = self.hand_over(message).await {
            self.fault("messages the router did not take", refused);
        }
    }

    /// Asks the campaign, and waits for its screen.
    async fn ask(&self, message: UserMessage, deadline: Instant) -> UssdAnswer {
        let (id, begins) = (message.message_id.clone(), message.session_event == Some(SessionEvent::New));
        let Some(waits) = self.waiting.borrow_mut().wait(&id) else { return self.again() };
        let Err(refused) = self.hand_over(message).await else { return self.awaited(&id, waits, deadline).await };
        self.waiting.borrow_mut().give_up(&id);
        let later = matches!(refused, Refused::Busy(_) | Refused::Away(_));
        self.fault("messages the router did not take", &refused);
        if later && !begins { self.again() } else { closing(&self.settings.texts.unavailable) }
    }

    async fn wait(&self, id: &str, deadline: Instant) -> UssdAnswer {
        let waits = self.waiting.borrow_mut().wait(id);
        match waits {
            Some(waits) => self.awaited(id, waits, deadline).await,
            None => self.again(),
        }
    }

    async fn awaited(&self, id: &str, waits: oneshot::Receiver<UssdAnswer>, deadline: Instant) -> UssdAnswer {
        match timeout_at(deadline, waits).await {
            Ok(Ok(screen)) => {
                self.answered.set(self.answered.get() + 1);
                screen
            }
            Ok(Err(_)) => self.delayed_screen(),
            Err(_) => {
                // Its answer is late from here on: the next call of the session shows it.
                self.waiting.borrow_mut().give_up(id);
                self.delayed_screen()
            }
        }
    }

    fn delayed_screen(&self) -> UssdAnswer {
        self.delayed.set(self.delayed.get() + 1);
        self.fault(
            "calls answered before their campaign did",
            format!("it took longer than {:?}", self.settings.deadline()),
        );
        UssdAnswer { text: self.settings.texts.delayed.clone(), is_open: true }
    }

    async fn hand_over(&self, message: UserMessage) -> Result<(), Refused> {
        match timeout(CALL_LIMIT, self.router.inbound.send(Inbound(message))).await {
            Ok(Ok(taken)) => taken,
            Ok(Err(_)) | Err(_) => Err(Refused::Busy(self.name.clone())),
        }
    }

    fn message(&self, person: &Msisdn, code: &str, call: &UssdCall, event: SessionEvent, id: String) -> UserMessage {
        let (kind, now) = (TransportType::Ussd, self.clock.now());
        let mut message = UserMessage::from_person(&self.name, kind, person.as_str(), code, now);
        message.message_id = id;
        message.session_event = Some(event);
        message.provider.clone_from(&call.operator);
        message.screen_limit = Some(self.settings.screen_limit());
        message.set_session_id(&call.session);
        message
    }

    async fn find(&self, person: &Msisdn) -> Result<FoundSession, StoreAway> {
        let find = FindSession { owner: self.name.clone(), person: person.as_str().to_owned() };
        let Ok(Ok(found)) = timeout(STORE_LIMIT, self.sessions.ask_waiting(find)).await else {
            self.fault("sessions that could not be read", "the store is away");
            return Err(StoreAway);
        };
        Ok(found.and_then(|record| Some((serde_json::from_str(&record.state).ok()?, record))))
    }

    async fn save(
        &self,
        person: &Msisdn,
        code: &str,
        message_id: &str,
        kept: &KeptUssdSession,
        after: After,
    ) -> Result<bool, StoreAway> {
        let session = SessionRecord {
            owner: self.name.clone(),
            person: person.as_str().to_owned(),
            address: code.to_owned(),
            last_message_id: message_id.to_owned(),
            state: serde_json::to_string(kept).unwrap_or_default(),
            expires_at: self.clock.now().plus(self.settings.lifetime),
        };
        let save = SaveSession { session, after, answers: Vec::new(), sms: Vec::new() };
        match timeout(STORE_LIMIT, self.sessions.ask_waiting(save)).await {
            Ok(Ok(saved)) => Ok(saved),
            Ok(Err(_)) | Err(_) => {
                self.fault("writes of sessions that failed", "the store is away");
                Err(StoreAway)
            }
        }
    }

    /// Changes what is kept of a session, unless it has gone on from this message. Answers whether it was changed.
    pub(super) async fn change(
        &self,
        person: &Msisdn,
        message_id: &str,
        change: impl FnOnce(&mut KeptUssdSession),
    ) -> bool {
        let Ok(Some((mut kept, record))) = self.find(person).await else { return false };
        if record.last_message_id != message_id {
            return false;
        }
        change(&mut kept);
        let after = After::Message(message_id.to_owned());
        self.save(person, &record.address, message_id, &kept, after).await.unwrap_or(false)
    }

    fn again(&self) -> UssdAnswer {
        UssdAnswer { text: self.settings.texts.again.clone(), is_open: true }
    }

    pub(super) fn fault(&self, what: &'static str, detail: impl std::fmt::Display) {
        self.faults.borrow_mut().record(what, detail);
    }
}

fn closing(text: &str) -> UssdAnswer {
    UssdAnswer { text: text.to_owned(), is_open: false }
}
