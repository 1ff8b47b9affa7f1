//! The router with campaigns and transports that do as the test says, and a store that answers as the test says.

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor, Addr, Context, Handler};
use tokio::sync::mpsc;
use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    ledger::{ClaimReceived, HandOver, ReleaseReceived, ReleaseSms, SettleReceived},
    message::{TransportType, UserMessage},
    middleware::MiddlewareChains,
    name::Name,
    router::{Endpoints, Happened, Inbound, Outbound, Refused, Register, Submit},
    sms::{InboundSms, Received, Submission},
    sms_options::{Content, Priority},
    start_token::StartToken,
    testing::FakeStore,
};

use super::super::{Router, RouterSettings, TransportWatch};
use crate::table::{Route, RoutingTable};

/// A campaign that records what it takes. It refuses as many messages first as the test says, or never answers.
#[derive(Clone, Default)]
pub(super) struct ScriptedCampaign {
    pub(super) taken: Rc<RefCell<Vec<String>>>,
    /// What was dialled beyond the route's code with the message taken last.
    pub(super) dialled_inputs: Rc<RefCell<Vec<String>>>,
    pub(super) refusals: Rc<RefCell<usize>>,
    pub(super) silent: bool,
    pub(super) events: Rc<RefCell<Vec<String>>>,
    pub(super) arrived: Option<mpsc::UnboundedSender<()>>,
}

impl Actor for ScriptedCampaign {
    type Context = Context<Self>;
}

impl Handler<Inbound> for ScriptedCampaign {
    type Result = actix::ResponseFuture<Result<(), Refused>>;

    fn handle(&mut self, Inbound(message): Inbound, _: &mut Self::Context) -> Self::Result {
        if self.silent {
            return Box::pin(std::future::pending());
        }
        let mut refusals = self.refusals.borrow_mut();
        let refused = *refusals > 0;
        *refusals = refusals.saturating_sub(1);
        let answer = if refused { Err(Refused::Busy(name("quiz"))) } else { Ok(()) };
        if !refused {
            self.dialled_inputs.replace(message.dialled_inputs);
            self.taken.borrow_mut().push(message.content.unwrap_or_default());
        }
        if let Some(arrived) = &self.arrived {
            arrived.send(()).unwrap();
        }
        Box::pin(async move { answer })
    }
}

impl Handler<Happened> for ScriptedCampaign {
    type Result = ();
    fn handle(&mut self, happened: Happened, _: &mut Self::Context) {
        self.events.borrow_mut().push(happened.event.user_message_id);
    }
}

/// A transport that records the SMS and the messages it gets.
#[derive(Clone, Default)]
pub(super) struct RecordingTransport {
    pub(super) submitted: Rc<RefCell<Vec<i64>>>,
    pub(super) outbound: Rc<RefCell<Vec<String>>>,
}

impl Actor for RecordingTransport {
    type Context = Context<Self>;
}

impl Handler<Submit> for RecordingTransport {
    type Result = ();
    fn handle(&mut self, Submit(batch): Submit, _: &mut Self::Context) {
        self.submitted.borrow_mut().extend(batch.iter().map(|submission| submission.id));
    }
}

impl Handler<Outbound> for RecordingTransport {
    type Result = Result<(), Refused>;
    fn handle(&mut self, Outbound(message): Outbound, _: &mut Self::Context) -> Self::Result {
        self.outbound.borrow_mut().push(message.content.unwrap_or_default());
        Ok(())
    }
}

/// The message id of an SMS that was settled, and its answer.
pub(super) type SettledAnswer = (String, Option<String>);

/// What the ledger was asked.
#[derive(Clone, Default)]
pub(super) struct LedgerRequests {
    pub(super) released_sms: Arc<Mutex<Vec<i64>>>,
    pub(super) released_received: Arc<Mutex<Vec<i64>>>,
    pub(super) settled: Arc<Mutex<Vec<SettledAnswer>>>,
    /// What the next claims hand out.
    pub(super) due: Arc<Mutex<VecDeque<Vec<Received>>>>,
}

pub(super) struct RouterHarness {
    pub(super) router: Addr<Router>,
    pub(super) handed_over: mpsc::Sender<HandOver>,
    pub(super) ledger: LedgerRequests,
    /// A word for each request to the ledger.
    pub(super) asked: mpsc::UnboundedReceiver<&'static str>,
}

impl RouterHarness {
    pub(super) fn new() -> Self {
        Self::with(MiddlewareChains::default())
    }

    pub(super) fn with(chains: MiddlewareChains) -> Self {
        // Time stands still until nothing else is left to do.
        tokio::time::pause();
        let ledger = LedgerRequests::default();
        let (ask, asked) = mpsc::unbounded_channel();
        let (released, settled, due) = (ledger.released_sms.clone(), ledger.settled.clone(), ledger.due.clone());
        let released_received = ledger.released_received.clone();
        let (on_claim, on_release, on_give_back, on_settle) = (ask.clone(), ask.clone(), ask.clone(), ask);
        let store = FakeStore::default()
            .on(move |_: ClaimReceived| {
                let _test_is_over = on_claim.send("claim");
                Ok(due.lock().unwrap().pop_front().unwrap_or_default())
            })
            .on(move |release: ReleaseSms| {
                released.lock().unwrap().extend(release.ids);
                let _test_is_over = on_release.send("release sms");
                Ok(())
            })
            .on(move |release: ReleaseReceived| {
                released_received.lock().unwrap().extend(release.ids);
                let _test_is_over = on_give_back.send("release received");
                Ok(())
            })
            .on(move |settle: SettleReceived| {
                settled.lock().unwrap().push((settle.message_id, settle.reply));
                let _test_is_over = on_settle.send("settle");
                Ok(None)
            })
            .start_store();
        let (handed_over, receiver) = mpsc::channel(8);
        let settings = RouterSettings { retry_received: Duration::from_secs(3_600), ..RouterSettings::default() };
        let (router, _terminated) =
            Router::start(settings, table(), chains, TransportWatch::default(), store, receiver);
        Self { router, handed_over, ledger, asked }
    }

    pub(super) async fn campaign(&self, called: &str, campaign: &ScriptedCampaign) {
        let actor = campaign.clone().start();
        let endpoints = Endpoints::Campaign { inbound: actor.clone().recipient(), events: Some(actor.recipient()) };
        self.router.send(Register { name: name(called), endpoints, token: StartToken::default() }).await.unwrap();
    }

    pub(super) async fn transport(&self, called: &str, transport: &RecordingTransport) {
        let actor = transport.clone().start();
        let endpoints = Endpoints::Transport { submit: actor.clone().recipient(), outbound: Some(actor.recipient()) };
        self.router.send(Register { name: name(called), endpoints, token: StartToken::default() }).await.unwrap();
    }

    pub(super) async fn dial(&self, code: &str) -> Result<(), Refused> {
        let mut message = message(TransportType::Ussd, code);
        message.content = Some(code.to_owned());
        self.router.send(Inbound(message)).await.unwrap()
    }

    /// Waits until the ledger was asked for this.
    pub(super) async fn until_asked(&mut self, what: &str) {
        while soon(self.asked.recv()).await.unwrap() != what {}
    }
}

/// What a test waits for must happen within a minute of its clock, which jumps ahead when nothing else is left to do.
pub(super) async fn soon<T>(happens: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), happens).await.unwrap()
}

pub(super) fn table() -> RoutingTable {
    let routes = [
        serde_json::json!({ "ussd": "*120*1#", "campaign": "quiz" }),
        serde_json::json!({ "short_code": "38080", "campaign": "quiz" }),
        serde_json::json!({ "short_code": "38081", "campaign": "other" }),
        serde_json::json!({ "keyword": "HALT", "campaign": "quiz" }),
    ];
    let routes: Vec<Route> = routes.into_iter().map(|route| serde_json::from_value(route).unwrap()).collect();
    RoutingTable::new(&routes).unwrap()
}

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(super) fn message(kind: TransportType, to: &str) -> UserMessage {
    UserMessage::from_person(&name("truteq"), kind, "27831234567", to, Timestamp::from_seconds(0))
}

pub(super) fn received(id: i64, from: &str, to: &str) -> Received {
    let msisdn = |text| Msisdn::parse(text).unwrap();
    let sms = InboundSms::whole(msisdn(from), msisdn(to), id.to_string());
    let at = Timestamp::from_seconds(0);
    Received {
        id,
        account: Some(1),
        transport: name("opera"),
        message_id: id.to_string(),
        sms,
        repeated: false,
        incomplete: false,
        tags: Vec::new(),
        consent: None,
        created_at: at,
        updated_at: at,
    }
}

pub(super) fn submission(id: i64) -> Submission {
    let at = Timestamp::from_seconds(0);
    let msisdn = || Msisdn::parse("27831234567").unwrap();
    Submission {
        id,
        to: msisdn(),
        from: msisdn().into(),
        message: "hello".to_owned(),
        content: Content::Text,
        segments: 1,
        priority: Priority::Normal,
        reference: None,
        attempts: 0,
        unknown_outcomes: 0,
        parts: Vec::new(),
        due_at: at,
        lease_until: at,
        give_up_at: at,
        limited: false,
        begun: true,
        renewed: false,
        claim_token: "local/1".into(),
    }
}
