//! Components that fail, against a real store and a real router.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Addr, Context, Handler, MessageResult};
use tokio::sync::mpsc;
use vumi_kit::{
    address::Msisdn,
    backoff::Backoff,
    clock::{Clock, Timestamp},
    component::{Component, ComponentContext, Drain, Lifeline, StartError, lifeline},
    health::{AskHealth, AskParts, Health, Part, State},
    ledger::AcceptSms,
    message::{TransportType, UserMessage},
    middleware::MiddlewareChains,
    name::Name,
    router::{Endpoints, Inbound, Refused, RouterAddress},
    session::{After, SaveSession, SessionRecord},
    sms::NewSms,
    sms_options::SmsOptions,
    store::{Ask, StoreError},
};
use vumi_router::{Router, RouterSettings, RoutingTable, TransportWatch};
use vumi_store::StoreSettings;

use super::{
    SupervisorSettings,
    hung::CountLingering,
    registry::{Role, RouterTable, StartComponent, StartFn, StopComponents, Supervisor},
};

/// Panics at the content `boom`, and blocks its thread at `block` until the test lets it go on.
struct Fragile {
    blocks: Option<std::sync::mpsc::Receiver<()>>,
    _lifeline: Lifeline,
}

impl Actor for Fragile {
    type Context = Context<Self>;
}

impl Handler<Inbound> for Fragile {
    type Result = Result<(), Refused>;
    fn handle(&mut self, Inbound(message): Inbound, _: &mut Self::Context) -> Self::Result {
        assert_ne!(message.content.as_deref(), Some("boom"), "the test asked for it");
        if message.content.as_deref() == Some("block")
            && let Some(go_on) = self.blocks.take()
        {
            let _test_is_over = go_on.recv();
        }
        Ok(())
    }
}

impl Handler<AskHealth> for Fragile {
    type Result = MessageResult<AskHealth>;
    fn handle(&mut self, _: AskHealth, _: &mut Self::Context) -> Self::Result {
        MessageResult(Health { state: State::Up, detail: String::new() })
    }
}

impl Handler<Drain> for Fragile {
    type Result = ();
    fn handle(&mut self, _: Drain, _: &mut Self::Context) {}
}

fn fragile() -> Component {
    blocking(None)
}

fn blocking(blocks: Option<std::sync::mpsc::Receiver<()>>) -> Component {
    let (lifeline, ended) = lifeline();
    let actor = Fragile { blocks, _lifeline: lifeline }.start();
    let endpoints = Some(Endpoints::Campaign { inbound: actor.clone().recipient(), events: None });
    Component { endpoints, health: actor.clone().recipient(), drain: actor.recipient(), ended }
}

fn said(text: &str) -> Inbound {
    let name = Name::parse("truteq").unwrap();
    let at = Timestamp::from_seconds(0);
    let mut message = UserMessage::from_person(&name, TransportType::Ussd, "27831234567", "*120#", at);
    message.content = Some(text.to_owned());
    Inbound(message)
}

struct SupervisorHarness {
    supervisor: Addr<Supervisor>,
    router: RouterAddress,
    started: mpsc::UnboundedReceiver<u32>,
    tell: mpsc::UnboundedSender<u32>,
    fatal: mpsc::Receiver<&'static str>,
    _folder: tempfile::TempDir,
    store: vumi_store::OpenStore,
}

impl SupervisorHarness {
    fn new(restarts: u32) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("vumi.db").display());
        let (handover, handed_over) = mpsc::channel(16);
        let clock = Clock::system();
        let store =
            vumi_store::open(StoreSettings { url, ..StoreSettings::default() }, clock.clone(), handover).unwrap();
        let route = serde_json::json!({ "default": true, "campaign": "fragile" });
        let table = RoutingTable::new(&[serde_json::from_value(route).unwrap()]).unwrap();
        let (router, _ended) = Router::start(
            RouterSettings::default(),
            table,
            MiddlewareChains::default(),
            TransportWatch::default(),
            store.store.clone(),
            handed_over,
        );
        let settings = SupervisorSettings {
            restart: Backoff::new(Duration::from_millis(1), Duration::from_millis(2)),
            restarts,
            ask_every: Duration::from_millis(20),
            hung_after: 5,
            max_hung: 1,
            ..SupervisorSettings::default()
        };
        let address = Router::address(&router);
        let table = RouterTable { register: router.clone().recipient(), deregister: router.recipient() };
        let (tell_fatal, fatal) = mpsc::channel(2);
        let supervisor =
            Supervisor::new(settings, address.clone(), table, store.store.clone(), clock, tell_fatal).start();
        let (tell, started) = mpsc::unbounded_channel();
        Self { supervisor, router: address, started, tell, fatal, _folder: folder, store }
    }

    /// Starts the component `fragile`; its n-th start (counted from 1) does what `start` says.
    async fn start(
        &self,
        start: impl Fn(u32) -> Result<Component, StartError> + Send + Sync + 'static,
    ) -> Result<(), StartError> {
        let (count, tell) = (AtomicU32::new(0), self.tell.clone());
        let start: StartFn = Arc::new(move |_: ComponentContext| {
            let nth = count.fetch_add(1, Ordering::SeqCst) + 1;
            let component = start(nth);
            tell.send(nth).unwrap();
            component
        });
        let name = Name::parse("fragile").unwrap();
        self.supervisor.send(StartComponent { name, role: Role::Campaign, start }).await.unwrap()
    }

    /// Sends a message to the component, by the router.
    fn say(&self, text: &str) -> impl Future<Output = Result<(), Refused>> + use<> {
        let sent = self.router.inbound.send(said(text));
        async move { sent.await.unwrap() }
    }

    /// Starts the component as a transport that takes nothing.
    async fn start_transport(&self) {
        let start: StartFn = Arc::new(|_: ComponentContext| Ok(fragile()));
        let name = Name::parse("fragile").unwrap();
        self.supervisor.send(StartComponent { name, role: Role::Transport, start }).await.unwrap().unwrap();
    }

    async fn part(&self) -> Part {
        self.supervisor.send(AskParts).await.unwrap().pop().unwrap()
    }

    /// Waits until the component is as expected.
    async fn until(&self, expected: impl Fn(&Part) -> bool) -> Part {
        let wait = async {
            loop {
                let part = self.part().await;
                if expected(&part) {
                    return part;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.expect("the component gets there in time")
    }
}

#[actix::test]
async fn a_room_that_panics_is_started_again_and_the_router_finds_the_new_one() {
    let mut harness = SupervisorHarness::new(3);
    harness.start(|_| Ok(fragile())).await.unwrap();
    assert_eq!(harness.started.recv().await, Some(1));
    harness.until(|part| part.state == State::Up).await;
    assert_eq!(harness.say("hello").await, Ok(()));
    assert!(harness.say("boom").await.is_err());
    assert_eq!(harness.started.recv().await, Some(2));
    let part = harness.until(|part| part.state == State::Up && part.restarts == 1).await;
    assert_eq!(part.role, "campaign");
    assert_eq!(harness.say("hello again").await, Ok(()));
}

#[actix::test]
async fn a_room_that_fails_too_often_stays_down_and_says_why() {
    let mut harness = SupervisorHarness::new(2);
    harness.start(|nth| if nth == 1 { Ok(fragile()) } else { Err(StartError("no luck".to_owned())) }).await.unwrap();
    assert!(harness.say("boom").await.is_err());
    let part = harness.until(|part| part.state == State::Failed).await;
    assert!(part.detail.contains("no luck"), "{}", part.detail);
    assert_eq!(part.restarts, 2);
    for nth in 1..=3 {
        assert_eq!(harness.started.recv().await, Some(nth));
    }
    assert!(harness.started.try_recv().is_err(), "and it is not started again");
    assert_eq!(harness.say("hello").await, Err(Refused::Away(Name::parse("fragile").unwrap())));
}

#[actix::test]
async fn a_first_start_that_fails_or_panics_is_told_to_whoever_asked() {
    let harness = SupervisorHarness::new(2);
    let error = harness.start(|_| Err(StartError("the key is missing".to_owned()))).await.unwrap_err();
    assert_eq!(error.to_string(), "the key is missing");
    let error = harness.start(|_| panic!("the test asked for it")).await.unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
}

#[actix::test]
async fn a_stopped_room_is_not_started_again() {
    let mut harness = SupervisorHarness::new(2);
    harness.start(|_| Ok(fragile())).await.unwrap();
    assert_eq!(harness.started.recv().await, Some(1));
    harness.supervisor.send(StopComponents(Role::Campaign)).await.unwrap();
    harness.until(|part| part.state == State::Stopping).await;
    assert!(harness.started.try_recv().is_err());
}

#[actix::test]
async fn a_transport_is_shown_with_the_sms_that_are_due_for_it() {
    let harness = SupervisorHarness::new(0);
    harness.start_transport().await;
    assert_eq!(harness.part().await.backlog, None);
    let msisdn = |text| Msisdn::parse(text).unwrap();
    let sms = NewSms {
        account: 1,
        transport: Name::parse("fragile").unwrap(),
        to: msisdn("27831234567"),
        from: msisdn("38080").into(),
        message: "hi".to_owned(),
        route: None,
        options: SmsOptions::none(),
    };
    harness.store.store.ledger.ask(AcceptSms { batch: vec![sms; 3], idempotency: None }).await.unwrap();
    assert_eq!(harness.part().await.backlog.map(|backlog| backlog.due), Some(3));
}

/// What the component got at its n-th start: what it goes on with when its thread is free.
type Contexts = Arc<Mutex<Vec<ComponentContext>>>;

/// Starts a component whose first `count` starts block at `block`. Answers what lets each go on, and their contexts.
async fn start_blocking(
    harness: &SupervisorHarness,
    role: Role,
    count: usize,
) -> (Vec<std::sync::mpsc::Sender<()>>, Contexts) {
    let (go_on, blocks): (Vec<_>, Vec<_>) = (0..count).map(|_| std::sync::mpsc::channel()).unzip();
    let (blocks, contexts) = (Mutex::new(VecDeque::from(blocks)), Contexts::default());
    let (tell, seen) = (harness.tell.clone(), contexts.clone());
    let start: StartFn = Arc::new(move |context: ComponentContext| {
        let mut seen = seen.lock().unwrap();
        seen.push(context);
        tell.send(u32::try_from(seen.len()).unwrap()).unwrap();
        Ok(blocking(blocks.lock().unwrap().pop_front()))
    });
    let name = Name::parse("fragile").unwrap();
    harness.supervisor.send(StartComponent { name, role, start }).await.unwrap().unwrap();
    (go_on, contexts)
}

fn save(context: &ComponentContext) -> impl Future<Output = Result<bool, StoreError>> + use<> {
    let session = SessionRecord {
        owner: context.name.clone(),
        person: "27831234567".to_owned(),
        address: "*120#".to_owned(),
        last_message_id: "m1".to_owned(),
        state: String::new(),
        expires_at: Timestamp::from_seconds(4_000_000_000),
    };
    let sessions = context.store.sessions.clone();
    async move { sessions.ask(SaveSession { session, after: After::Anything, answers: vec![], sms: Vec::new() }).await }
}

#[actix::test]
async fn a_component_that_blocks_its_thread_is_replaced_and_what_it_does_when_it_goes_on_is_refused() {
    let mut harness = SupervisorHarness::new(3);
    let (go_on, contexts) = start_blocking(&harness, Role::Campaign, 1).await;
    assert_eq!(harness.started.recv().await, Some(1));
    let context = |nth: usize| contexts.lock().unwrap()[nth].clone();
    assert!(save(&context(0)).await.unwrap());
    // The router waits for it, and the message is taken by nobody.
    let blocked = harness.say("block");
    let replaced = async {
        assert_eq!(harness.started.recv().await, Some(2));
    };
    let (blocked, ()) = tokio::join!(blocked, replaced);
    assert!(blocked.is_err(), "{blocked:?}");
    let part = harness.until(|part| part.state == State::Up && part.restarts == 1).await;
    assert_eq!(part.restarts, 1);
    assert_eq!(harness.say("hello").await, Ok(()), "the fresh one serves");

    // It goes on: store and router refuse it, and its thread ends.
    let old = context(0);
    assert!(matches!(save(&old).await, Err(StoreError::Stopped)));
    assert!(save(&context(1)).await.unwrap());
    assert_eq!(old.router.inbound.send(said("hello")).await.unwrap(), Err(Refused::Replaced));
    assert_eq!(context(1).router.inbound.send(said("hello")).await.unwrap(), Ok(()));
    assert_eq!(harness.supervisor.send(CountLingering).await.unwrap(), 1);
    go_on[0].send(()).unwrap();
    let ended = async {
        while harness.supervisor.send(CountLingering).await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("its thread ends when it is free");
    assert!(harness.fatal.try_recv().is_err());
}

#[actix::test]
async fn one_blocked_thread_too_many_ends_the_process() {
    let mut harness = SupervisorHarness::new(10);
    let (_go_on, _contexts) = start_blocking(&harness, Role::Campaign, 2).await;
    for nth in 1..=2 {
        assert_eq!(harness.started.recv().await, Some(nth));
        harness.until(|part| part.state == State::Up).await;
        assert!(harness.fatal.try_recv().is_err());
        let _nobody_answers = harness.say("block").await;
    }
    let ends = tokio::time::timeout(Duration::from_secs(10), harness.fatal.recv()).await.expect("the process ends");
    assert!(ends.unwrap().contains("does not answer"));
}

#[actix::test]
async fn a_front_end_that_blocks_its_thread_holds_its_port_and_ends_the_process() {
    let mut harness = SupervisorHarness::new(3);
    let (_go_on, _contexts) = start_blocking(&harness, Role::FrontEnd, 1).await;
    harness.until(|part| part.state == State::Up).await;
    let _nobody_answers = harness.say("block").await;
    let ends = tokio::time::timeout(Duration::from_secs(10), harness.fatal.recv()).await.expect("the process ends");
    assert!(ends.unwrap().contains("does not answer"));
}
