//! A server that speaks SSMI, a router and a store that write down what they are told.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor, Context, Handler};
use bytes::BytesMut;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use vumi_kit::{
    account::{Account, Accounts, CreateAccount, FindAccount, ListAccounts, RemoveAccount, SetPassword},
    callback::{
        Callbacks, ChangeCallback, ClaimDeliveries, CreateCallback, DeleteCallback, FindCallback, ListCallbacks,
        ListParked, RecordDeliveryAttempts, ReplayParked,
    },
    clock::{Clock, Timestamp},
    component::{Component, ComponentContext},
    health::{AskHealth, Health, State},
    kind::Kind,
    ledger::{
        AcceptSms, ClaimReceived, ClaimSms, CloseOutbox, CountWaiting, FindSms, KeepReceived, Ledger, ListSms,
        ListUnmatchedReceipts, OpenOutbox, OutboxState, Outcome, RecordOutcomes, RecordReceipts, ReleaseReceived,
        ReleaseSms, SettleReceived, SmsTimeline,
    },
    message::{Event, SessionEvent, UserMessage},
    name::Name,
    router::{Happened, Inbound, Outbound, Refused, RouterAddress},
    session::{
        CloseSession, CountAnswers, FindAnswers, FindSession, OpenSessions, SaveSession, SessionRecord, Sessions,
    },
    sms::{InboundSms, Receipt},
    store::{Request, Store},
};
use vumi_ssmi_codec::{AckKind, ClientCommand, Codec, Command, Phase, ServerCommand, UssdType};

use crate::ssmi::Ssmi;

/// Nothing in these tests takes this long unless it never comes.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) const PERSON: &str = "27831234567";
pub(super) const CODE: &str = "*120*663*79#";

/// What the store was asked.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    Save(SessionRecord),
    Close(String),
    Outcomes(Vec<Outcome>),
    Received(Vec<InboundSms>),
    Receipts(Vec<Receipt>),
}

struct FakeStore {
    asked: mpsc::UnboundedSender<Asked>,
    open: Vec<SessionRecord>,
    has_account: Arc<Mutex<bool>>,
}

impl Actor for FakeStore {
    type Context = Context<Self>;
}

macro_rules! answers {
    ($($Request:ty => |$store:ident, $ask:ident| $answer:expr;)+) => {$(
        impl Handler<Request<$Request>> for FakeStore {
            type Result = ();
            fn handle(&mut self, question: Request<$Request>, _: &mut Self::Context) {
                let ($store, $ask) = (self, question.operation);
                question.reply.send(Ok($answer)).ok();
            }
        }
    )+};
}
macro_rules! never_asked {
    ($($Request:ty),+) => {$(
        impl Handler<Request<$Request>> for FakeStore {
            type Result = ();
            fn handle(&mut self, _: Request<$Request>, _: &mut Self::Context) {
                panic!("a transport does not ask this");
            }
        }
    )+};
}
answers! {
    OpenSessions => |store, _ask| std::mem::take(&mut store.open);
    SaveSession => |store, ask| store.asked.send(Asked::Save(ask.session)).is_ok();
    CloseSession => |store, ask| store.asked.send(Asked::Close(ask.person)).is_ok();
    OpenOutbox => |_store, _ask| Duration::from_secs(120);
    CloseOutbox => |_store, _ask| ();
    ClaimSms => |_store, _ask| Vec::new();
    RecordOutcomes => |store, ask| { store.asked.send(Asked::Outcomes(ask.outcomes)).ok(); OutboxState::Empty };
    KeepReceived => |store, ask| { store.asked.send(Asked::Received(ask.inbound)).ok(); Vec::new() };
    RecordReceipts => |store, ask| { store.asked.send(Asked::Receipts(ask.receipts)).ok(); Vec::new() };
    FindAccount => |store, ask| store.has_account.lock().unwrap().then(|| Account {
        id: 7, username: ask.username, password_hash: String::new(), sandbox: false,
    });
}
never_asked!(
    AcceptSms,
    FindSms,
    ListSms,
    SmsTimeline,
    ReleaseSms,
    ClaimReceived,
    ReleaseReceived,
    SettleReceived,
    CountWaiting,
    ListUnmatchedReceipts,
    FindSession,
    CountAnswers,
    FindAnswers,
    CreateAccount,
    ListAccounts,
    RemoveAccount,
    SetPassword,
    CreateCallback,
    ListCallbacks,
    FindCallback,
    ChangeCallback,
    DeleteCallback,
    ClaimDeliveries,
    RecordDeliveryAttempts,
    ListParked,
    ReplayParked
);

struct FakeRouter {
    inbound: mpsc::UnboundedSender<UserMessage>,
    events: mpsc::UnboundedSender<Event>,
    refuses: Arc<Mutex<Option<Refused>>>,
}

impl Actor for FakeRouter {
    type Context = Context<Self>;
}

impl Handler<Inbound> for FakeRouter {
    type Result = Result<(), Refused>;
    fn handle(&mut self, Inbound(message): Inbound, _: &mut Self::Context) -> Self::Result {
        self.refuses.lock().unwrap().clone().map_or(Ok(()), Err)?;
        self.inbound.send(message).ok();
        Ok(())
    }
}

impl Handler<Outbound> for FakeRouter {
    type Result = Result<(), Refused>;
    fn handle(&mut self, _: Outbound, _: &mut Self::Context) -> Self::Result {
        panic!("a transport sends no Outbound");
    }
}

impl Handler<Happened> for FakeRouter {
    type Result = ();
    fn handle(&mut self, happened: Happened, _: &mut Self::Context) {
        assert_eq!(happened.service, CODE);
        self.events.send(happened.event).ok();
    }
}

/// The server's end of a connection.
pub(super) struct Line {
    stream: TcpStream,
    codec: Codec<ClientCommand>,
    buffer: BytesMut,
}

impl Line {
    /// The next command; none when the router has closed the connection.
    pub(super) async fn hear(&mut self) -> Option<ClientCommand> {
        timeout(LIMIT, async {
            loop {
                if let Some(command) = self.codec.next(&mut self.buffer) {
                    return Some(command.unwrap());
                }
                if matches!(self.stream.read_buf(&mut self.buffer).await, Ok(0) | Err(_)) {
                    return None;
                }
            }
        })
        .await
        .expect("the router said nothing")
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(super) async fn say(&mut self, command: ServerCommand) {
        self.raw(&command.encode().unwrap().bytes).await;
    }

    pub(super) async fn log_in(&mut self) {
        let login = self.hear().await.unwrap();
        assert!(matches!(login, ClientCommand::Login { username, .. } if username == "me"));
        self.say(ServerCommand::Ack { kind: AckKind::Login }).await;
    }

    /// Person number `who` says something.
    pub(super) async fn ussd(&mut self, who: &str, kind: UssdType, text: &str) {
        let (msisdn, message) = (who.to_owned(), text.to_owned());
        self.say(ServerCommand::Ussd { msisdn, kind, phase: Phase::Two, message }).await;
    }

    /// The next command, which is a screen for a person.
    pub(super) async fn screen(&mut self) -> (String, UssdType, String) {
        match self.hear().await {
            Some(ClientCommand::Ussd { msisdn, kind, message }) => (msisdn, kind, message),
            other => panic!("no screen: {other:?}"),
        }
    }
}

/// The transport between a server, a router and a store.
pub(super) struct Stage {
    pub(super) room: Component,
    pub(super) clock: Clock,
    pub(super) refuses: Arc<Mutex<Option<Refused>>>,
    /// Whether the account `someone` exists.
    pub(super) has_account: Arc<Mutex<bool>>,
    listener: TcpListener,
    inbound: mpsc::UnboundedReceiver<UserMessage>,
    events: mpsc::UnboundedReceiver<Event>,
    asked: mpsc::UnboundedReceiver<Asked>,
}

impl Stage {
    pub(super) async fn set() -> Self {
        Self::with(json!({}), Vec::new()).await
    }

    /// With further settings, and sessions that were open before.
    pub(super) async fn with(further: serde_json::Value, open: Vec<SessionRecord>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = json!({
            "host": "127.0.0.1", "port": listener.local_addr().unwrap().port(),
            "username": "me", "password": "secret", "account": "someone", "short_code": "38080",
            "reconnect": { "first": "5ms", "most": "10ms" },
        });
        settings.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        let settings = serde_json::from_value(settings).unwrap();
        assert_eq!(Ssmi::check(&settings), []);
        let (tell_inbound, inbound) = mpsc::unbounded_channel();
        let (tell_event, events) = mpsc::unbounded_channel();
        let (tell_asked, asked) = mpsc::unbounded_channel();
        let refuses = Arc::new(Mutex::new(None));
        let has_account = Arc::new(Mutex::new(true));
        let router = FakeRouter { inbound: tell_inbound, events: tell_event, refuses: refuses.clone() }.start();
        let store = FakeStore { asked: tell_asked, open, has_account: has_account.clone() }.start();
        let clock = Clock::held(Timestamp::from_seconds(1_000_000));
        let context = ComponentContext {
            name: Name::parse("truteq").unwrap(),
            router: RouterAddress {
                inbound: router.clone().recipient(),
                outbound: router.clone().recipient(),
                happened: router.recipient(),
            },
            store: Store {
                ledger: Ledger::of(&store),
                callbacks: Callbacks::of(&store),
                sessions: Sessions::of(&store),
                accounts: Accounts::of(&store),
            },
            clock: clock.clone(),
        };
        let room = Ssmi::start(context, settings).unwrap();
        Self { room, clock, refuses, has_account, listener, inbound, events, asked }
    }

    /// The router connects.
    pub(super) async fn connection(&mut self) -> Line {
        let (stream, _) = timeout(LIMIT, self.listener.accept()).await.expect("nobody connects").unwrap();
        Line { stream, codec: Codec::default(), buffer: BytesMut::new() }
    }

    pub(super) async fn logged_in(&mut self) -> Line {
        let mut line = self.connection().await;
        line.log_in().await;
        line
    }

    /// The next message for a campaign.
    pub(super) async fn message(&mut self) -> UserMessage {
        timeout(LIMIT, self.inbound.recv()).await.expect("no message came").unwrap()
    }

    pub(super) async fn event(&mut self) -> Event {
        timeout(LIMIT, self.events.recv()).await.expect("no event came").unwrap()
    }

    pub(super) async fn asked(&mut self) -> Asked {
        timeout(LIMIT, self.asked.recv()).await.expect("the store was not asked").unwrap()
    }

    /// A person dials, and the campaign hears of it.
    pub(super) async fn dial(&mut self, line: &mut Line, who: &str) -> UserMessage {
        line.ussd(who, UssdType::New, CODE).await;
        self.message().await
    }

    pub(super) async fn reply(&self, to: &UserMessage, text: &str, event: SessionEvent) -> UserMessage {
        let reply = to.reply(Some(text.to_owned()), Some(event), self.clock.now());
        self.room.endpoints.outbound.as_ref().unwrap().send(Outbound(reply.clone())).await.unwrap().unwrap();
        reply
    }

    pub(super) async fn health(&self) -> Health {
        self.room.health.send(AskHealth).await.unwrap()
    }

    /// Waits until the room is in a state.
    pub(super) async fn is(&self, state: State) -> Health {
        timeout(LIMIT, async {
            loop {
                let health = self.health().await;
                if health.state == state {
                    return health;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the room never was in that state")
    }
}
