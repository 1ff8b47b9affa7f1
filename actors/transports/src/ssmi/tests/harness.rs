//! The transport between a server that speaks SSMI, a router and a store; the test plays all three.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Context, Handler};
use bytes::BytesMut;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use vumi_kit::{
    account::{Account, AccountRoles, FindAccount},
    clock::{Clock, Timestamp},
    component::{Component, ComponentContext},
    health::{AskHealth, Health, State},
    kind::Kind,
    ledger::{
        ClaimSms, CloseOutbox, KeepReceived, OpenOutbox, OpenedOutbox, OutboxState, Outcome, RecordOutcomes,
        RecordReceipts, RecordedOutcomes, SmsOwners,
    },
    message::{Event, SessionEvent, UserMessage},
    name::Name,
    router::{Endpoints, Happened, Inbound, Outbound, Refused, RouterAddress, Submit},
    session::{CloseSession, OpenSessions, SaveSession, SessionRecord},
    sms::{InboundSms, Receipt, Submission},
    start_token::StartToken,
    store::Store,
    testing::FakeStore,
    transport_board::TransportBoard,
};
use vumi_ssmi_codec::{AckKind, ClientCommand, Codec, Phase, ServerCommand, SsmiCommand, UssdType};

use crate::{ssmi::Ssmi, tests::exam::CLAIM_TOKEN, tls::ServerSocket};

/// Nothing in these tests takes this long unless it never comes.
const LIMIT: Duration = Duration::from_secs(10);

/// A self-signed certificate for `localhost` and 127.0.0.1, and its key.
const CERTIFICATE: &[u8] = include_bytes!("localhost.crt");
const KEY: &[u8] = include_bytes!("localhost.key");

pub(super) const PERSON: &str = "27831234567";
pub(super) const CODE: &str = "*120*663*79#";

/// A request that the store got.
#[derive(Debug, PartialEq)]
pub(super) enum StoreRequest {
    Save(SessionRecord),
    Close(String),
    Outcomes(Vec<Outcome>),
    Received(Vec<InboundSms>),
    Receipts(Vec<Receipt>),
}

/// A store that hands every write to the test. It answers with the sessions that were open before, once.
fn fake_store(
    requests: &mpsc::UnboundedSender<StoreRequest>,
    open: Vec<SessionRecord>,
    has_account: &Arc<AtomicBool>,
) -> Store {
    let (save, close, outcomes) = (requests.clone(), requests.clone(), requests.clone());
    let (received, receipts, has_account) = (requests.clone(), requests.clone(), has_account.clone());
    let mut open = Some(open);
    FakeStore::default()
        .on(move |_: OpenSessions| Ok(open.take().unwrap_or_default()))
        .on(move |ask: SaveSession| Ok(save.send(StoreRequest::Save(ask.session)).is_ok()))
        .on(move |ask: CloseSession| Ok(close.send(StoreRequest::Close(ask.person)).is_ok()))
        .on(|_: OpenOutbox| Ok(OpenedOutbox { lease: Duration::from_secs(120), claim_token: CLAIM_TOKEN.into() }))
        .on(|_: CloseOutbox| Ok(()))
        .on(|_: ClaimSms| Ok(Vec::new()))
        .on(move |ask: RecordOutcomes| {
            outcomes.send(StoreRequest::Outcomes(ask.outcomes)).ok();
            Ok(RecordedOutcomes { state: OutboxState::Empty, begun: ask.begin, gone: Vec::new() })
        })
        .on(move |ask: KeepReceived| {
            received.send(StoreRequest::Received(ask.inbound)).ok();
            Ok(Vec::new())
        })
        .on(move |ask: RecordReceipts| {
            receipts.send(StoreRequest::Receipts(ask.receipts)).ok();
            Ok(Vec::new())
        })
        .on(move |ask: FindAccount| {
            let account = Account::unlimited(7, ask.username, String::new(), AccountRoles::CLIENT);
            Ok(has_account.load(Ordering::Relaxed).then_some(account))
        })
        .start_store()
}

struct RecordingRouter {
    inbound: mpsc::UnboundedSender<UserMessage>,
    events: mpsc::UnboundedSender<Event>,
    refusal: Arc<Mutex<Option<Refused>>>,
}

impl Actor for RecordingRouter {
    type Context = Context<Self>;
}

vumi_kit::takes_from_components!(RecordingRouter);

impl Handler<Inbound> for RecordingRouter {
    type Result = Result<(), Refused>;
    fn handle(&mut self, Inbound(message): Inbound, _: &mut Self::Context) -> Self::Result {
        self.refusal.lock().unwrap().clone().map_or(Ok(()), Err)?;
        self.inbound.send(message).ok();
        Ok(())
    }
}

impl Handler<Outbound> for RecordingRouter {
    type Result = Result<(), Refused>;
    fn handle(&mut self, _: Outbound, _: &mut Self::Context) -> Self::Result {
        panic!("a transport sends no Outbound");
    }
}

impl Handler<Happened> for RecordingRouter {
    type Result = ();
    fn handle(&mut self, happened: Happened, _: &mut Self::Context) {
        assert_eq!(happened.service, CODE);
        self.events.send(happened.event).ok();
    }
}

/// The server's end of a connection.
pub(super) struct ServerConnection {
    stream: Box<dyn ServerSocket>,
    codec: Codec<ClientCommand>,
    buffer: BytesMut,
}

impl ServerConnection {
    /// The next command; none when the router has closed the connection.
    pub(super) async fn next_command(&mut self) -> Option<ClientCommand> {
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
        .expect("the router sent nothing")
    }

    /// What comes next, whatever it is.
    pub(super) async fn next_raw(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 1024];
        let read = timeout(LIMIT, self.stream.read(&mut bytes)).await.expect("nothing comes").unwrap();
        bytes.truncate(read);
        bytes
    }

    pub(super) async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(super) async fn send(&mut self, command: ServerCommand) {
        self.send_raw(&command.encode().unwrap().bytes).await;
    }

    pub(super) async fn log_in(&mut self) {
        let login = self.next_command().await.unwrap();
        assert!(matches!(login, ClientCommand::Login { username, .. } if username == "me"));
        self.send(ServerCommand::Ack { kind: AckKind::Login }).await;
    }

    /// Sends a USSD message of a person.
    pub(super) async fn send_ussd(&mut self, who: &str, kind: UssdType, text: &str) {
        let (msisdn, message) = (who.to_owned(), text.to_owned());
        self.send(ServerCommand::Ussd { msisdn, kind, phase: Phase::Two, message }).await;
    }

    /// The next command, which is a screen for a person.
    pub(super) async fn next_screen(&mut self) -> (String, UssdType, String) {
        match self.next_command().await {
            Some(ClientCommand::Ussd { msisdn, kind, message }) => (msisdn, kind, message),
            other => panic!("no screen: {other:?}"),
        }
    }
}

/// The transport between a server, a router and a store.
pub(super) struct SsmiHarness {
    pub(super) component: Component,
    /// Of this start of the transport.
    pub(super) token: StartToken,
    pub(super) clock: Clock,
    pub(super) refusal: Arc<Mutex<Option<Refused>>>,
    /// Whether the account `someone` exists.
    has_account: Arc<AtomicBool>,
    listener: TcpListener,
    inbound: mpsc::UnboundedReceiver<UserMessage>,
    events: mpsc::UnboundedReceiver<Event>,
    store_requests: mpsc::UnboundedReceiver<StoreRequest>,
}

impl SsmiHarness {
    /// Makes the account `someone`, or removes it.
    pub(super) fn set_account(&self, exists: bool) {
        self.has_account.store(exists, Ordering::Relaxed);
    }

    pub(super) async fn start() -> Self {
        Self::start_with(json!({}), Vec::new()).await
    }

    /// With further settings, and sessions that were open before.
    pub(super) async fn start_with(further: serde_json::Value, open: Vec<SessionRecord>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = json!({
            "host": "127.0.0.1", "port": listener.local_addr().unwrap().port(),
            "username": "me", "password": "secret", "account": "someone", "short_code": "38080",
            "reconnect": { "first": "5ms", "most": "10ms" },
        });
        settings.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        let settings = serde_json::from_value(settings).unwrap();
        assert_eq!(Ssmi::check(&settings), []);
        let (messages_sent, inbound) = mpsc::unbounded_channel();
        let (events_sent, events) = mpsc::unbounded_channel();
        let (requests_sent, store_requests) = mpsc::unbounded_channel();
        let refusal = Arc::new(Mutex::new(None));
        let has_account = Arc::new(AtomicBool::new(true));
        let router = RecordingRouter { inbound: messages_sent, events: events_sent, refusal: refusal.clone() }.start();
        let clock = Clock::held(Timestamp::from_seconds(1_000_000));
        let token = StartToken::default();
        let context = ComponentContext {
            campaign_sms: vumi_kit::campaign_sms::CampaignSmsOffice::default(),
            owners: SmsOwners::default(),
            name: Name::parse("truteq").unwrap(),
            router: RouterAddress::of(&router).with_token(&token),
            store: fake_store(&requests_sent, open, &has_account).with_token(&token),
            board: TransportBoard::default(),
            clock: clock.clone(),
        };
        let component = Ssmi::start(context, settings).unwrap();
        Self { component, token, clock, refusal, has_account, listener, inbound, events, store_requests }
    }

    /// The router connects.
    pub(super) async fn connection(&mut self) -> ServerConnection {
        let (stream, _) = timeout(LIMIT, self.listener.accept()).await.expect("nobody connects").unwrap();
        ServerConnection { stream: Box::new(stream), codec: Codec::default(), buffer: BytesMut::new() }
    }

    /// The router connects and shakes hands; none: it does not trust the certificate.
    pub(super) async fn tls_connection(&mut self) -> Option<ServerConnection> {
        let (stream, _) = timeout(LIMIT, self.listener.accept()).await.expect("nobody connects").unwrap();
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let accepted = timeout(LIMIT, TlsAcceptor::from(Arc::new(config)).accept(stream)).await.expect("no handshake");
        // TLS 1.3: whether the client trusts us shows with what it sends next.
        let mut stream = accepted.ok()?;
        let mut buffer = BytesMut::new();
        let read = timeout(LIMIT, stream.read_buf(&mut buffer)).await.expect("nothing is sent");
        read.is_ok_and(|read| read > 0).then(|| ServerConnection {
            stream: Box::new(stream),
            codec: Codec::default(),
            buffer,
        })
    }

    pub(super) async fn logged_in(&mut self) -> ServerConnection {
        let mut server = self.connection().await;
        server.log_in().await;
        server
    }

    /// The next message for a campaign.
    pub(super) async fn next_message(&mut self) -> UserMessage {
        timeout(LIMIT, self.inbound.recv()).await.expect("no message came").unwrap()
    }

    pub(super) async fn next_event(&mut self) -> Event {
        timeout(LIMIT, self.events.recv()).await.expect("no event came").unwrap()
    }

    pub(super) async fn next_store_request(&mut self) -> StoreRequest {
        timeout(LIMIT, self.store_requests.recv()).await.expect("the store was not asked").unwrap()
    }

    /// The outcome of a submission, which the store gets next and alone.
    pub(super) async fn next_outcome(&mut self) -> Outcome {
        match self.next_store_request().await {
            StoreRequest::Outcomes(mut outcomes) if outcomes.len() == 1 => outcomes.remove(0),
            other => panic!("no outcome was recorded: {other:?}"),
        }
    }

    /// The router hands over an SMS that is due.
    pub(super) async fn submit(&self, sms: Submission) {
        let submit = self.component.endpoints.as_ref().and_then(Endpoints::submit).unwrap();
        submit.send(Submit(vec![sms])).await.unwrap();
    }

    /// A person dials. Answers the message for the campaign.
    pub(super) async fn dial(&mut self, server: &mut ServerConnection, who: &str) -> UserMessage {
        server.send_ussd(who, UssdType::New, CODE).await;
        self.next_message().await
    }

    pub(super) async fn reply(&self, to: &UserMessage, text: &str, event: SessionEvent) -> UserMessage {
        let reply = to.reply(Some(text.to_owned()), Some(event), self.clock.now());
        let outbound = self.component.endpoints.as_ref().and_then(Endpoints::outbound).unwrap();
        outbound.send(Outbound(reply.clone())).await.unwrap().unwrap();
        reply
    }

    pub(super) async fn health(&self) -> Health {
        self.component.health.send(AskHealth).await.unwrap()
    }

    /// Waits until the transport is in a state.
    pub(super) async fn wait_for(&self, state: State) -> Health {
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
        .expect("the transport never was in that state")
    }
}
