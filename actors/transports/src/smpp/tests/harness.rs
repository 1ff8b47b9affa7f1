//! The transport between an SMSC and a store; the test plays both.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor, Context, Handler};
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, server::WebPkiClientVerifier},
};
use vumi_kit::{
    clock::{Clock, Timestamp},
    component::{Component, ComponentContext, Drain},
    health::{AskHealth, Health},
    kind::Kind,
    ledger::{
        ClaimSms, CloseOutbox, KeepReceived, OpenOutbox, OpenedOutbox, OutboxState, Outcome, RecordOutcomes,
        RecordReceipts, RecordedOutcomes, SmsOwners,
    },
    message::{Event, EventKind, TransportType, UserMessage},
    name::Name,
    router::{Endpoints, Happened, Inbound, Outbound, Refused, RouterAddress, Submit},
    session::{CloseSession, OpenSessions, SaveSession, SessionRecord},
    sms::{InboundSms, Receipt, Submission},
    start_token::StartToken,
    store::{Request, Store, StoreError},
    testing::FakeStore,
    transport_board::TransportBoard,
};
use vumi_smpp_codec::{
    Bind, BindMode, BindResp, CommandId, IncomingPdu, Message, MessageResp, OutgoingPdu, Pdu, PduAddress, SmppCodec,
    Tlvs,
};

use crate::{
    smpp::Smpp,
    tests::exam::CLAIM_TOKEN,
    tls::{ServerSocket, authorities, identity},
};

/// A self-signed certificate for `localhost` and 127.0.0.1, and its key.
pub(super) const CERTIFICATE: &str = include_str!("../../ssmi/tests/localhost.crt");
const KEY: &str = include_str!("../../ssmi/tests/localhost.key");

/// A self-signed certificate of a client, and its key.
pub(super) const CLIENT_CERTIFICATE: &str = include_str!("client.crt");
pub(super) const CLIENT_KEY: &str = include_str!("client.key");

/// Nothing in these tests takes this long unless it never comes.
const LIMIT: Duration = Duration::from_secs(10);

const START: Timestamp = Timestamp::from_seconds(1_000_000);

/// What the store was asked for.
pub(super) enum LedgerRequest {
    Outcomes(Vec<Outcome>),
    Received(Request<KeepReceived>),
    Receipts(Request<RecordReceipts>),
}

/// A router that hands every message to the test.
struct NoRouter {
    inbound: mpsc::UnboundedSender<UserMessage>,
    events: mpsc::UnboundedSender<Event>,
}

impl Actor for NoRouter {
    type Context = Context<Self>;
}

vumi_kit::takes_from_components!(NoRouter);

impl Handler<Inbound> for NoRouter {
    type Result = Result<(), Refused>;
    fn handle(&mut self, Inbound(message): Inbound, _: &mut Self::Context) -> Self::Result {
        assert_eq!(message.transport_type, TransportType::Ussd, "SMS go through the ledger");
        self.inbound.send(message).ok();
        Ok(())
    }
}

impl Handler<Outbound> for NoRouter {
    type Result = Result<(), Refused>;
    fn handle(&mut self, _: Outbound, _: &mut Self::Context) -> Self::Result {
        panic!("a transport sends no Outbound");
    }
}

impl Handler<Happened> for NoRouter {
    type Result = ();
    fn handle(&mut self, happened: Happened, _: &mut Self::Context) {
        self.events.send(happened.event).ok();
    }
}

/// What waits in the ledger.
type InLedger = Arc<Mutex<VecDeque<Submission>>>;

/// The sessions that the store keeps.
pub(super) type InStore = Arc<Mutex<Vec<SessionRecord>>>;

fn fake_store(requests: &mpsc::UnboundedSender<LedgerRequest>, waiting: &InLedger, sessions: &InStore) -> Store {
    let (open, saved, closed) = (sessions.clone(), sessions.clone(), sessions.clone());
    let (outcomes, received, receipts) = (requests.clone(), requests.clone(), requests.clone());
    let waiting = waiting.clone();
    FakeStore::default()
        .on(move |_: OpenSessions| Ok(open.lock().unwrap().clone()))
        .on(move |ask: SaveSession| {
            let mut sessions = saved.lock().unwrap();
            sessions.retain(|kept| kept.person != ask.session.person);
            sessions.push(ask.session);
            Ok(true)
        })
        .on(move |ask: CloseSession| {
            closed.lock().unwrap().retain(|kept| kept.person != ask.person);
            Ok(true)
        })
        .on(|_: OpenOutbox| Ok(OpenedOutbox { lease: Duration::from_secs(120), claim_token: CLAIM_TOKEN.into() }))
        .on(|_: CloseOutbox| Ok(()))
        .on(move |ask: ClaimSms| {
            let mut waiting = waiting.lock().unwrap();
            let count = ask.limit.min(waiting.len());
            Ok(waiting.drain(..count).collect())
        })
        .on(move |ask: RecordOutcomes| {
            outcomes.send(LedgerRequest::Outcomes(ask.outcomes)).ok();
            Ok(RecordedOutcomes { state: OutboxState::Empty, begun: ask.begin, gone: Vec::new() })
        })
        .on_request(move |request: Request<KeepReceived>| drop(received.send(LedgerRequest::Received(request))))
        .on_request(move |request: Request<RecordReceipts>| drop(receipts.send(LedgerRequest::Receipts(request))))
        .start_store()
}

/// The SMSC's end of a connection.
pub(super) struct Smsc {
    stream: Box<dyn ServerSocket>,
    codec: SmppCodec,
    buffer: BytesMut,
    next_sequence: u32,
}

impl Smsc {
    fn on(stream: Box<dyn ServerSocket>) -> Self {
        Self { stream, codec: SmppCodec::default(), buffer: BytesMut::new(), next_sequence: 100 }
    }

    /// The next PDU; none when the transport has closed the connection.
    pub(super) async fn next(&mut self) -> Option<IncomingPdu> {
        timeout(LIMIT, async {
            loop {
                if let Some(frame) = self.codec.next(&mut self.buffer) {
                    return Some(frame.unwrap());
                }
                if matches!(self.stream.read_buf(&mut self.buffer).await, Ok(0) | Err(_)) {
                    return None;
                }
            }
        })
        .await
        .expect("the transport sent nothing")
    }

    pub(super) async fn raw(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    pub(super) async fn answer(&mut self, status: u32, sequence: u32, pdu: Pdu) {
        let mut out = BytesMut::new();
        OutgoingPdu { status, sequence, pdu }.encode_into(&mut out).unwrap();
        self.raw(&out).await;
    }

    /// Sends a request; answers its number.
    pub(super) async fn request(&mut self, pdu: Pdu) -> u32 {
        self.next_sequence += 1;
        self.answer(0, self.next_sequence, pdu).await;
        self.next_sequence
    }

    /// The status of the answer to a request of ours.
    pub(super) async fn answered(&mut self, sequence: u32) -> u32 {
        let frame = self.next().await.expect("the connection is lost");
        assert!(frame.command.is_response(), "{frame:?}");
        assert_eq!(frame.sequence, sequence);
        frame.status
    }

    pub(super) async fn expect_bind(&mut self) -> (u32, Bind) {
        match self.next().await {
            Some(IncomingPdu { sequence, body: Ok(Pdu::Bind(bind)), .. }) => (sequence, *bind),
            other => panic!("no bind: {other:?}"),
        }
    }

    pub(super) async fn answer_bind(&mut self, status: u32) -> Bind {
        let (sequence, bind) = self.expect_bind().await;
        let resp = BindResp { mode: bind.mode, system_id: Bytes::from_static(b"smsc"), tlvs: Tlvs::new() };
        self.answer(status, sequence, Pdu::BindResp(resp)).await;
        bind
    }

    /// The transport has read all that was sent before.
    pub(super) async fn is_heard(&mut self) {
        let enquiry = self.request(Pdu::EnquireLink).await;
        assert_eq!(self.answered(enquiry).await, 0);
    }

    /// The next submit_sm.
    pub(super) async fn submitted(&mut self) -> (u32, Message) {
        match self.next().await {
            Some(IncomingPdu { sequence, body: Ok(Pdu::SubmitSm(message)), .. }) => (sequence, *message),
            other => panic!("no submit_sm: {other:?}"),
        }
    }

    /// Takes a submit_sm under an id.
    pub(super) async fn take(&mut self, sequence: u32, id: &str) {
        let resp = MessageResp { message_id: id.to_owned().into(), tlvs: Tlvs::new() };
        self.answer(0, sequence, Pdu::SubmitSmResp(resp)).await;
    }

    pub(super) async fn refuse(&mut self, sequence: u32, status: u32) {
        self.answer(status, sequence, Pdu::SubmitSmResp(MessageResp::default())).await;
    }

    /// Answers unbind, and waits for the end.
    pub(super) async fn expect_unbind(&mut self) {
        let frame = self.next().await.expect("no unbind");
        assert_eq!(frame.command, CommandId::UNBIND);
        self.answer(0, frame.sequence, Pdu::UnbindResp).await;
        assert_eq!(self.next().await, None, "and it closes");
    }
}

/// The transport between an SMSC and a store.
pub(super) struct SmppHarness {
    pub(super) component: Component,
    listener: TcpListener,
    requests: mpsc::UnboundedReceiver<LedgerRequest>,
    waiting: InLedger,
    inbound: mpsc::UnboundedReceiver<UserMessage>,
    events: mpsc::UnboundedReceiver<Event>,
    pub(super) sessions: InStore,
}

impl SmppHarness {
    /// With more keys in TOML.
    pub(super) async fn start(more: &str) -> Self {
        Self::start_with(more, InStore::default()).await
    }

    /// With sessions in the store.
    pub(super) async fn start_with(more: &str, sessions: InStore) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let quick = if more.contains("reconnect") { "" } else { "reconnect = { first = \"5ms\", most = \"10ms\" }\n" };
        let settings = super::settings(&format!("port = {port}\n{quick}{more}"));
        assert_eq!(Smpp::check(&settings), []);
        let (requests_sent, requests) = mpsc::unbounded_channel();
        let (token, waiting) = (StartToken::default(), InLedger::default());
        let (inbound_sent, inbound) = mpsc::unbounded_channel();
        let (events_sent, events) = mpsc::unbounded_channel();
        let context = ComponentContext {
            campaign_sms: vumi_kit::campaign_sms::CampaignSmsOffice::default(),
            owners: SmsOwners::default(),
            name: Name::parse("smsc").unwrap(),
            router: RouterAddress::of(&NoRouter { inbound: inbound_sent, events: events_sent }.start())
                .with_token(&token),
            store: fake_store(&requests_sent, &waiting, &sessions).with_token(&token),
            board: TransportBoard::default(),
            clock: Clock::held(START),
        };
        let component = Smpp::start(context, settings).unwrap();
        Self { component, listener, requests, waiting, inbound, events, sessions }
    }

    /// The transport connects.
    pub(super) async fn connection(&self) -> Smsc {
        let (stream, _) = timeout(LIMIT, self.listener.accept()).await.expect("nobody connects").unwrap();
        Smsc::on(Box::new(stream))
    }

    /// The transport connects and shakes hands by TLS; `asks`: for a certificate of ours. None: it does not trust ours, or has
    /// none for us.
    pub(super) async fn tls_connection(&self, asks: bool) -> Option<Smsc> {
        let (stream, _) = timeout(LIMIT, self.listener.accept()).await.expect("nobody connects").unwrap();
        let (certificate, key) = identity(CERTIFICATE, KEY).unwrap();
        let verifier =
            || WebPkiClientVerifier::builder(authorities(CLIENT_CERTIFICATE).unwrap().into()).build().unwrap();
        let builder = ServerConfig::builder();
        let builder = if asks { builder.with_client_cert_verifier(verifier()) } else { builder.with_no_client_auth() };
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(certificate, key).unwrap()));
        let accepted = timeout(LIMIT, acceptor.accept(stream)).await.expect("no handshake");
        Some(Smsc::on(Box::new(accepted.ok()?)))
    }

    /// The transport connects and is bound.
    pub(super) async fn bound(&self) -> Smsc {
        let mut smsc = self.connection().await;
        let bind = smsc.answer_bind(0).await;
        assert_eq!((&bind.system_id[..], &bind.password.0[..]), (&b"vumi"[..], &b"secret"[..]));
        smsc.is_heard().await;
        smsc
    }

    /// The next message for a campaign.
    pub(super) async fn next_message(&mut self) -> UserMessage {
        timeout(LIMIT, self.inbound.recv()).await.expect("no message").unwrap()
    }

    /// What became of the next reply.
    pub(super) async fn next_event(&mut self) -> EventKind {
        timeout(LIMIT, self.events.recv()).await.expect("no event").unwrap().what
    }

    /// A message for a person within a dialogue.
    pub(super) async fn show(&self, message: UserMessage) -> Result<(), Refused> {
        let outbound = self.component.endpoints.as_ref().and_then(Endpoints::outbound).unwrap();
        outbound.send(Outbound(message)).await.unwrap()
    }

    /// SMS wait in the ledger, to be claimed.
    pub(super) fn wait(&self, sms: Submission) {
        self.waiting.lock().unwrap().push_back(sms);
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.lock().unwrap().len()
    }

    /// The router hands over an SMS that is due.
    pub(super) async fn submit(&self, sms: Submission) {
        let submit = self.component.endpoints.as_ref().and_then(Endpoints::submit).unwrap();
        submit.send(Submit(vec![sms])).await.unwrap();
    }

    pub(super) async fn next_request(&mut self) -> LedgerRequest {
        timeout(LIMIT, self.requests.recv()).await.expect("the store was not asked").unwrap()
    }

    /// The outcome of a submission, which the store gets next and alone.
    pub(super) async fn next_outcome(&mut self) -> Outcome {
        match self.next_request().await {
            LedgerRequest::Outcomes(mut outcomes) if outcomes.len() == 1 => outcomes.remove(0),
            _ => panic!("no outcome was recorded"),
        }
    }

    /// Receipts that come to the ledger, which takes them or not.
    pub(super) async fn next_receipts(&mut self, take: Result<(), StoreError>) -> Vec<Receipt> {
        match self.next_request().await {
            LedgerRequest::Receipts(request) => {
                let receipts = request.operation.receipts;
                request.reply.send(take.map(|()| Vec::new())).ok();
                receipts
            }
            _ => panic!("no receipts"),
        }
    }

    /// SMS from people that come to the ledger, which takes them or not.
    pub(super) async fn next_received(&mut self, take: Result<(), StoreError>) -> Vec<InboundSms> {
        match self.next_request().await {
            LedgerRequest::Received(request) => {
                let inbound = request.operation.inbound;
                request.reply.send(take.map(|()| Vec::new())).ok();
                inbound
            }
            _ => panic!("no SMS"),
        }
    }

    pub(super) async fn health(&self) -> Health {
        self.component.health.send(AskHealth).await.unwrap()
    }

    /// Waits until the transport says so of itself.
    pub(super) async fn until_health_says(&self, words: &str) -> Health {
        timeout(LIMIT, async {
            loop {
                let health = self.health().await;
                if health.detail.contains(words) {
                    return health;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("it never says {words:?}"))
    }

    /// The transport is to stop; whoever waits for the answer has to play the SMSC meanwhile.
    pub(super) fn drain(&self) -> impl Future<Output = ()> + use<> {
        let drained = self.component.drain.send(Drain);
        async move { drained.await.unwrap() }
    }
}

/// A message from a person.
pub(super) fn deliver(text: &[u8]) -> Message {
    Message {
        source: PduAddress::new(1, 1, &b"27831234567"[..]),
        destination: PduAddress::new(3, 0, &b"38080"[..]),
        short_message: text.to_vec().into(),
        ..Message::default()
    }
}

/// A receipt in a text.
pub(super) fn receipt(text: &str) -> Message {
    Message { esm_class: 4, ..deliver(text.as_bytes()) }
}

/// Which way a connection is bound.
pub(super) const fn receives(mode: BindMode) -> bool {
    matches!(mode, BindMode::Receiver)
}
