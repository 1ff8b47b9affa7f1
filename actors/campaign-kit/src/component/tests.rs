//! The actor around a campaign, with a router that records answers and a store that is a map and can fail.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor, Addr, Context, Handler};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};

use super::{CampaignActor, StoredSessions};
use crate::memory_sessions::MemorySessions;
use crate::{Campaign, KnownBy, Limits, Screen, Session, WithCampaign, dialogue::person};
use vumi_kit::{
    campaign_sms::CampaignSmsOffice,
    clock::{Clock, Timestamp},
    component::Drain,
    health::AskHealth,
    kind::{Problem, Registry},
    message::{SessionEvent, TransportType, UserMessage},
    name::Name,
    router::{Happened, Inbound, Outbound, Refused, RouterAddress},
    session::{After, CloseSession, CountAnswers, FindAnswers, FindSession, SaveSession, SessionRecord, Sessions},
    store::{Request, StoreError},
    testing::FakeStore,
};

/// Does what the person's input names.
struct ObedientCampaign {
    gate: Rc<Semaphore>,
    limits: Limits,
}

impl Campaign for ObedientCampaign {
    const NAME: &'static str = "obeying";
    const EXAMPLE: &'static str = "";
    type Settings = usize;
    type State = u32;

    fn new(limit: usize) -> Result<Self, Vec<Problem>> {
        if limit == 0 {
            return Err(vec![Problem::new("limit", "must not be 0")]);
        }
        let limits = Limits { at_once: limit - 1, ..Limits::default() };
        Ok(Self { gate: Rc::new(Semaphore::new(0)), limits })
    }

    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    async fn answer(&self, session: &mut Session<u32>, input: Option<&str>) -> Screen {
        session.state += 1;
        match input {
            Some("wait") => self.gate.acquire().await.unwrap().forget(),
            Some("panic") => panic!("as told"),
            Some("hang") => std::future::pending().await,
            Some("count") => drop(session.counts("any").await),
            Some("hush") => return Screen::silence(),
            Some("bye") => return Screen::end("bye"),
            _ => (),
        }
        Screen::ask(format!("{} {}", input.unwrap_or("new"), session.state))
    }

    async fn ended(&self, session: &mut Session<u32>) {
        assert!(session.state < 100, "the number of turns is small");
        session.remember("ended", "yes");
    }

    fn sorry(&self) -> &str {
        "sorry"
    }

    fn delayed(&self) -> &str {
        "late"
    }
}

/// Which requests the store refuses.
#[derive(Clone, Copy, PartialEq)]
enum StoreFault {
    None,
    All,
    Counting,
    /// The store takes the request and never answers it.
    Silent,
    /// It saves, and does not say so.
    SavesSilently,
}

type SharedSessions = Arc<Mutex<MemorySessions>>;
type SharedFault = Arc<Mutex<StoreFault>>;

/// A store that keeps sessions and answers in a map, and fails as the test says.
fn sessions(memory: &SharedSessions, fault: &SharedFault) -> Sessions {
    let answer = |refuses: &'static [StoreFault]| {
        let (memory, fault) = (memory.clone(), fault.clone());
        move || match *fault.lock().unwrap() {
            fault if refuses.contains(&fault) => Err(StoreError::Unavailable("broken by the test".into())),
            _ => Ok(memory.clone()),
        }
    };
    let [find, save, close, answers] = [(); 4].map(|()| answer(&[StoreFault::All]));
    let (find_fault, save_fault) = (fault.clone(), fault.clone());
    // A reply channel that is dropped would be an answer, too.
    let (mut unanswered_finds, mut unanswered_saves) = (Vec::new(), Vec::new());
    let count = answer(&[StoreFault::All, StoreFault::Counting]);
    FakeStore::default()
        .on_request(move |request: Request<FindSession>| {
            if *find_fault.lock().unwrap() == StoreFault::Silent {
                unanswered_finds.push(request.reply);
                return;
            }
            let FindSession { owner, person } = request.operation;
            request.reply.send(find().map(|memory| memory.lock().unwrap().find_session(owner, person))).ok();
        })
        .on_request(move |request: Request<SaveSession>| {
            let saved = save().map(|memory| memory.lock().unwrap().save_session(request.operation));
            if *save_fault.lock().unwrap() == StoreFault::SavesSilently {
                unanswered_saves.push(request.reply);
                return;
            }
            request.reply.send(saved).ok();
        })
        .on(move |ask: CloseSession| Ok(close()?.lock().unwrap().close_session(ask)))
        .on(move |ask: CountAnswers| Ok(count()?.lock().unwrap().count_answers(&ask.campaign, &ask.question)))
        .on(move |ask: FindAnswers| Ok(answers()?.lock().unwrap().find_answers(&ask.campaign, &ask.person)))
        .start_store()
        .sessions
}

/// Records each answer, and whether its turn was saved by then.
struct AnswerRecorder {
    answers: mpsc::UnboundedSender<(UserMessage, bool)>,
    memory: SharedSessions,
    refuses: Rc<Cell<bool>>,
}

impl Actor for AnswerRecorder {
    type Context = Context<Self>;
}

vumi_kit::takes_from_components!(AnswerRecorder);

impl Handler<Inbound> for AnswerRecorder {
    type Result = Result<(), Refused>;
    fn handle(&mut self, Inbound(message): Inbound, _: &mut Self::Context) -> Self::Result {
        Err(Refused::NoRoute(message.to_addr))
    }
}

impl Handler<Happened> for AnswerRecorder {
    type Result = ();
    fn handle(&mut self, _: Happened, _: &mut Self::Context) {}
}

impl Handler<Outbound> for AnswerRecorder {
    type Result = Result<(), Refused>;
    fn handle(&mut self, Outbound(answer): Outbound, _: &mut Self::Context) -> Self::Result {
        if self.refuses.get() {
            return Err(Refused::NoTransport(answer.transport_name));
        }
        let who = format!("{}/{}", answer.transport_name, answer.to_addr);
        let saved = self.memory.lock().unwrap().find_session(name("obeying"), who);
        let saved = saved.is_some_and(|session| Some(session.last_message_id) == answer.in_reply_to);
        self.answers.send((answer, saved)).unwrap();
        Ok(())
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

struct CampaignHarness {
    actor: Addr<CampaignActor<ObedientCampaign>>,
    answers: mpsc::UnboundedReceiver<(UserMessage, bool)>,
    memory: SharedSessions,
    fault: SharedFault,
    refuses: Rc<Cell<bool>>,
    gate: Rc<Semaphore>,
}

impl CampaignHarness {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        tokio::time::pause();
        let clock = Clock::held(Timestamp::from_seconds(1_000_000));
        let memory = Arc::new(Mutex::new(MemorySessions::new(clock.clone())));
        let (fault, refuses) = (Arc::new(Mutex::new(StoreFault::None)), Rc::new(Cell::new(false)));
        let sessions = sessions(&memory, &fault);
        let (record, answers) = mpsc::unbounded_channel();
        let router = AnswerRecorder { answers: record, memory: memory.clone(), refuses: refuses.clone() }.start();
        let router = RouterAddress::of(&router);
        let gate = Rc::new(Semaphore::new(0));
        let stored = StoredSessions(sessions, CampaignSmsOffice::default());
        let campaign = ObedientCampaign { gate: gate.clone(), limits };
        let (actor, _ended) = CampaignActor::open(campaign, name("obeying"), stored, router, clock);
        Self { actor, answers, memory, fault, refuses, gate }
    }

    fn set_fault(&self, fault: StoreFault) {
        *self.fault.lock().unwrap() = fault;
    }

    async fn hand(&self, message: &UserMessage) -> Result<(), Refused> {
        self.actor.send(Inbound(message.clone())).await.unwrap()
    }

    async fn next(&mut self) -> (String, UserMessage) {
        let (answer, saved) = self.answers.recv().await.unwrap();
        let text = answer.content.clone().unwrap_or_else(|| "-".to_owned());
        assert!(saved || text == "sorry" || text == "late", "{text} was sent before it was saved");
        (format!("{}: {text}", answer.to_addr), answer)
    }

    async fn next_text(&mut self) -> String {
        self.next().await.0
    }

    async fn say(&mut self, message: UserMessage) -> String {
        self.hand(&message).await.unwrap();
        self.next_text().await
    }

    /// Another process takes a person's dialogue, as it is, to a fifth turn that shows "theirs".
    fn overtake(&self, from: &str, last_message_id: &str) {
        let found =
            self.memory.lock().unwrap().find_session(name("obeying"), person(KnownBy::Transport, &dial(from))).unwrap();
        let state = json!({"state": 5, "screen": {"ask": "theirs"}}).to_string();
        let session = SessionRecord { last_message_id: last_message_id.to_owned(), state, ..found };
        self.memory.lock().unwrap().save_session(SaveSession {
            session,
            after: After::Anything,
            answers: Vec::new(),
            sms: Vec::new(),
        });
    }

    async fn drain(&self) {
        self.actor.send(Drain).await.unwrap();
    }

    async fn health(&self) -> String {
        self.actor.send(AskHealth).await.unwrap().detail
    }
}

fn message(from: &str, event: Option<SessionEvent>, text: Option<&str>) -> UserMessage {
    let network = if event.is_some() { TransportType::Ussd } else { TransportType::Sms };
    let at = Timestamp::from_seconds(1_000_000);
    let mut message = UserMessage::from_person(&name("ussd"), network, from, "*120#", at);
    message.session_event = event;
    message.content = text.map(str::to_owned);
    message
}

fn dial(from: &str) -> UserMessage {
    message(from, Some(SessionEvent::New), None)
}

fn say(from: &str, text: &str) -> UserMessage {
    message(from, Some(SessionEvent::Resume), Some(text))
}

fn sms(from: &str, text: &str) -> UserMessage {
    message(from, None, Some(text))
}

#[actix::test]
async fn one_persons_messages_stay_in_order_and_another_person_does_not_wait_for_them() {
    let mut harness = CampaignHarness::new();
    assert_eq!(harness.say(dial("111")).await, "111: new 1");
    for message in [say("111", "wait"), say("111", "a"), say("111", "b"), dial("222"), say("222", "c")] {
        harness.hand(&message).await.unwrap();
    }
    assert_eq!(harness.next_text().await, "222: new 1");
    assert_eq!(harness.next_text().await, "222: c 2");
    assert_eq!(harness.health().await, "3 in work, 3 handled");
    harness.gate.add_permits(1);
    for expected in ["111: wait 2", "111: a 3", "111: b 4"] {
        assert_eq!(harness.next_text().await, expected);
    }
    harness.drain().await;
    assert_eq!(harness.health().await, "0 in work, 6 handled");
}

#[actix::test]
async fn a_message_beyond_the_bounds_is_refused() {
    let mut harness = CampaignHarness::with(Limits { at_once: 4, waiting_per_person: 1, ..Limits::default() });
    harness.say(dial("111")).await;
    harness.say(dial("222")).await;
    harness.hand(&say("111", "wait")).await.unwrap();
    harness.hand(&say("111", "a")).await.unwrap();
    let busy = Err(Refused::Busy(name("obeying")));
    assert_eq!(harness.hand(&say("111", "too many of one")).await, busy);
    harness.hand(&say("222", "wait")).await.unwrap();
    harness.hand(&say("222", "b")).await.unwrap();
    assert_eq!(harness.hand(&dial("333")).await, busy, "too many of all");
    harness.gate.add_permits(2);
    for _ in 0..4 {
        harness.next_text().await;
    }
    assert_eq!(harness.say(dial("333")).await, "333: new 1");
}

#[actix::test]
async fn an_answer_goes_back_the_way_the_message_came() {
    let mut harness = CampaignHarness::new();
    let mut first = dial("111");
    first.transport_metadata.insert("session_id".to_owned(), json!(7));
    harness.hand(&first).await.unwrap();
    let (_, answer) = harness.next().await;
    assert_eq!((answer.from_addr.as_str(), answer.session_event), ("*120#", None));
    assert_eq!(answer.in_reply_to, Some(first.message_id));
    assert_eq!(answer.transport_metadata, first.transport_metadata);
    harness.hand(&say("111", "bye")).await.unwrap();
    let (text, answer) = harness.next().await;
    assert_eq!((text.as_str(), answer.session_event), ("111: bye", Some(SessionEvent::Close)));
}

#[actix::test]
async fn a_message_delivered_twice_is_answered_twice_and_moves_the_dialogue_once() {
    let mut harness = CampaignHarness::new();
    harness.say(dial("111")).await;
    let twice = say("111", "a");
    assert_eq!(harness.say(twice.clone()).await, "111: a 2");
    assert_eq!(harness.say(twice).await, "111: a 2");
    assert_eq!(harness.say(say("111", "b")).await, "111: b 3");
}

#[actix::test]
async fn hanging_up_ends_the_dialogue_without_an_answer() {
    let mut harness = CampaignHarness::new();
    harness.say(dial("111")).await;
    harness.hand(&message("111", Some(SessionEvent::Close), None)).await.unwrap();
    assert_eq!(harness.say(dial("222")).await, "222: new 1");
    assert!(
        harness
            .memory
            .lock()
            .unwrap()
            .find_session(name("obeying"), person(KnownBy::Transport, &dial("111")))
            .is_none()
    );
    assert_eq!(harness.memory.lock().unwrap().count_answers(&name("obeying"), "ended"), [("yes".to_owned(), 1)]);
}

#[actix::test]
async fn a_panic_ends_one_dialogue_politely_and_no_other() {
    let mut harness = CampaignHarness::new();
    harness.say(dial("111")).await;
    harness.say(dial("222")).await;
    harness.hand(&say("111", "panic")).await.unwrap();
    harness.hand(&say("111", "a")).await.unwrap();
    let (text, answer) = harness.next().await;
    assert_eq!((text.as_str(), answer.session_event), ("111: sorry", Some(SessionEvent::Close)));
    assert_eq!(harness.next_text().await, "111: new 1", "its session was forgotten");
    assert_eq!(harness.say(say("222", "b")).await, "222: b 2");
    harness.drain().await;
    assert_eq!(harness.health().await, "0 in work, 5 handled, 1 failed");
}

#[actix::test]
async fn an_answer_that_comes_too_late_leaves_the_session_open_and_the_dialogue_where_it_was() {
    let mut harness = CampaignHarness::new();
    harness.say(dial("111")).await;
    harness.say(say("111", "a")).await;
    harness.hand(&say("111", "hang")).await.unwrap();
    let (text, answer) = harness.next().await;
    assert_eq!((text.as_str(), answer.session_event), ("111: late", None));
    assert_eq!(harness.say(say("111", "b")).await, "111: b 3");
    assert_eq!(harness.say(sms("222", "hang")).await, "222: new 1");
    assert_eq!(harness.say(sms("222", "hang")).await, "222: late");
    assert_eq!(harness.say(sms("222", "c")).await, "222: c 2");
}

#[actix::test]
async fn a_first_screen_that_comes_too_late_is_made_at_the_persons_next_input() {
    let mut harness = CampaignHarness::new();
    harness.set_fault(StoreFault::Silent);
    assert_eq!(harness.say(dial("111")).await, "111: late");
    harness.set_fault(StoreFault::None);
    assert_eq!(harness.say(say("111", "1")).await, "111: new 1");
}

#[actix::test]
async fn what_was_saved_though_it_came_too_late_is_shown_before_anything_answers_it() {
    let mut harness = CampaignHarness::new();
    harness.say(dial("111")).await;
    harness.set_fault(StoreFault::SavesSilently);
    assert_eq!(harness.say(say("111", "a")).await, "111: late");
    harness.set_fault(StoreFault::None);
    harness.hand(&say("111", "b")).await.unwrap();
    let (answer, _) = harness.answers.recv().await.unwrap();
    assert_eq!(answer.content.as_deref(), Some("a 2"), "b answers a screen before that one");
    assert_eq!(harness.say(say("111", "c")).await, "111: c 3");
}

#[actix::test]
async fn without_the_store_a_ussd_session_is_closed_politely_and_an_sms_waits_to_be_routed_again() {
    let mut harness = CampaignHarness::new();
    harness.set_fault(StoreFault::All);
    let waits = sms("222", "hello");
    harness.hand(&waits).await.unwrap();
    harness.hand(&dial("111")).await.unwrap();
    let (text, answer) = harness.next().await;
    assert_eq!((text.as_str(), answer.session_event), ("111: sorry", Some(SessionEvent::Close)));
    harness.set_fault(StoreFault::None);
    assert_eq!(harness.say(waits).await, "222: new 1");
    assert_eq!(harness.say(sms("222", "hush")).await, "222: -", "no answer is sent, and the router is told so");
}

#[actix::test]
async fn a_screen_made_without_the_stores_answer_is_not_shown() {
    let mut harness = CampaignHarness::new();
    harness.say(dial("111")).await;
    harness.set_fault(StoreFault::Counting);
    assert_eq!(harness.say(say("111", "count")).await, "111: sorry");
    harness.set_fault(StoreFault::None);
    assert_eq!(harness.say(say("111", "count")).await, "111: count 2", "the dialogue is where it was");
}

#[actix::test]
async fn a_draining_campaign_finishes_what_it_has_and_takes_no_more() {
    let mut harness = CampaignHarness::new();
    harness.say(dial("111")).await;
    harness.hand(&say("111", "wait")).await.unwrap();
    harness.hand(&say("111", "a")).await.unwrap();
    let drained = actix_rt::spawn(harness.actor.send(Drain));
    // The messages of an actor are handled in order: this one comes after the drain.
    tokio::task::yield_now().await;
    assert_eq!(harness.hand(&dial("222")).await, Err(Refused::Away(name("obeying"))));
    assert!(!drained.is_finished());
    harness.gate.add_permits(1);
    drained.await.unwrap().unwrap();
    assert_eq!(harness.next_text().await, "111: wait 2");
    assert_eq!(harness.next_text().await, "111: a 3");
}

#[actix::test]
async fn an_answer_that_the_router_refuses_is_counted() {
    let mut harness = CampaignHarness::new();
    harness.refuses.set(true);
    harness.hand(&dial("111")).await.unwrap();
    harness.refuses.set(true);
    harness.drain().await;
    assert_eq!(harness.health().await, "0 in work, 1 handled, 1 answers not sent");
    assert!(harness.answers.try_recv().is_err());
}

#[actix::test]
async fn settings_are_checked_by_making_the_campaign() {
    let kinds = Registry::default().with_campaign::<ObedientCampaign>();
    let check = kinds.get("obeying").unwrap().check;
    assert!(check(&json!(2)).is_empty());
    assert_eq!(check(&json!(1)).first().unwrap().key, "limits.at_once");
    assert_eq!(check(&json!(0)), [Problem::new("limit", "must not be 0")]);
    assert_eq!(check(&json!("one")).len(), 1);
}

#[test]
fn a_persons_session_is_found_with_and_without_the_plus() {
    assert_eq!(person(KnownBy::Transport, &dial("+27831234567")), "ussd/27831234567");
    assert_eq!(person(KnownBy::Transport, &dial("27831234567")), "ussd/27831234567");
    assert_eq!(Limits::default().answer_within, Duration::from_secs(10));
}

#[actix::test]
async fn a_campaign_that_has_just_started_has_its_whole_mailbox() {
    let mut harness = CampaignHarness::new();
    for number in 0..1_000 {
        harness.actor.try_send(Inbound(dial(&format!("27{number:07}")))).unwrap();
    }
    for _ in 0..1_000 {
        harness.next().await;
    }
}

#[actix::test]
async fn what_another_process_has_answered_meanwhile_is_answered_as_it_did() {
    let mut harness = CampaignHarness::new();
    harness.say(dial("111")).await;
    let again = say("111", "wait");
    harness.hand(&again).await.unwrap();
    assert_eq!(harness.say(dial("222")).await, "222: new 1", "by now the campaign is at work on the other");
    harness.overtake("111", &again.message_id);
    harness.gate.add_permits(1);
    assert_eq!(harness.next_text().await, "111: theirs");
    assert_eq!(harness.say(say("111", "a")).await, "111: a 6");
}

#[actix::test]
async fn a_turn_that_another_process_took_meanwhile_is_not_lost() {
    let mut harness = CampaignHarness::new();
    harness.say(dial("111")).await;
    harness.hand(&say("111", "wait")).await.unwrap();
    harness.say(dial("222")).await;
    harness.overtake("111", "another");
    harness.gate.add_permits(2);
    assert_eq!(harness.next_text().await, "111: wait 6");
}

#[actix::test]
async fn a_turn_that_is_overtaken_again_and_again_ends_politely() {
    let mut harness = CampaignHarness::new();
    harness.say(dial("111")).await;
    harness.hand(&say("111", "wait")).await.unwrap();
    for turn in 0..4 {
        harness.say(dial(&format!("22{turn}"))).await;
        harness.overtake("111", &format!("another {turn}"));
        harness.gate.add_permits(1);
    }
    assert_eq!(harness.next_text().await, "111: sorry");
    assert_eq!(harness.say(say("111", "a")).await, "111: a 6");
}

#[actix::test]
async fn a_campaign_that_fails_forgets_no_session_that_another_process_took_further() {
    let mut harness = CampaignHarness::new();
    harness.say(dial("111")).await;
    harness.hand(&say("111", "hang")).await.unwrap();
    harness.say(dial("222")).await;
    harness.overtake("111", "another");
    assert_eq!(harness.next_text().await, "111: late");
    assert_eq!(harness.say(say("111", "a")).await, "111: a 6");
}
