//! A broker, the front-end on it, a peer of the Vumi family beside it, and a router that does as it is told.

use std::{
    collections::VecDeque,
    future::Future,
    io::Write,
    net::SocketAddr,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor, Addr, Context, Handler};
use futures_util::FutureExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
    uri::AMQPUri,
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::timeout,
};
use vumi_kit::{
    account::Account,
    clock::Clock,
    health::{AskHealth, Health},
    message::{Event, UserMessage},
    name::Name,
    router::Endpoints,
    router::{Happened, Inbound, Outbound, Refused, RouterAddress},
    sms::{Sms, SmsId, TransportStatus},
};

use super::super::{AmqpComponent, AmqpContext, AmqpSettings, start};
use vumi_kit::testing::{MemoryStore, With, moment, store};

/// How long anything may take before a test fails.
const LIMIT: Duration = Duration::from_secs(30);

/// Where the tests' broker is.
const VARIABLE: &str = "VUMI_TEST_AMQP";

/// What the router was handed.
#[derive(Debug)]
pub(super) enum HeardByPeer {
    Inbound(UserMessage),
    Outbound(UserMessage),
    Happened(String, Event),
}

/// A router that tells what it hears, and answers what it is told to, or yes.
pub(super) struct FakeRouter {
    tell: mpsc::UnboundedSender<HeardByPeer>,
    answers: Arc<Mutex<VecDeque<Result<(), Refused>>>>,
}

impl Actor for FakeRouter {
    type Context = Context<Self>;
}

impl FakeRouter {
    fn hear(&self, heard: HeardByPeer) -> Result<(), Refused> {
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()));
        if answer.is_ok() {
            self.tell.send(heard).unwrap();
        }
        answer
    }
}

impl Handler<Inbound> for FakeRouter {
    type Result = Result<(), Refused>;
    fn handle(&mut self, Inbound(message): Inbound, _: &mut Self::Context) -> Self::Result {
        self.hear(HeardByPeer::Inbound(message))
    }
}

impl Handler<Outbound> for FakeRouter {
    type Result = Result<(), Refused>;
    fn handle(&mut self, Outbound(message): Outbound, _: &mut Self::Context) -> Self::Result {
        self.hear(HeardByPeer::Outbound(message))
    }
}

impl Handler<Happened> for FakeRouter {
    type Result = ();
    fn handle(&mut self, Happened { service, event }: Happened, _: &mut Self::Context) {
        self.tell.send(HeardByPeer::Happened(service, event)).unwrap();
    }
}

/// What a wire does.
#[derive(Clone, Copy, PartialEq)]
enum Carries {
    Everything,
    /// It stays up, and nothing comes through.
    Nothing,
    Cut,
}

/// A wire to the broker that can be cut.
struct Wire {
    address: SocketAddr,
    carries: watch::Sender<Carries>,
}

impl Wire {
    async fn lay(broker: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (carries, state) = watch::channel(Carries::Everything);
        actix_rt::spawn(async move {
            let mut calls = JoinSet::new();
            let mut changes = state.clone();
            loop {
                tokio::select! {
                    Ok((near, _)) = listener.accept() => if *state.borrow() == Carries::Everything {
                        calls.spawn(carry(near, broker.clone(), state.clone()));
                    },
                    changed = changes.changed() => match changed {
                        Ok(()) if *state.borrow() == Carries::Cut => calls.shutdown().await,
                        Ok(()) => {}
                        Err(_) => return,
                    },
                }
            }
        });
        Self { address, carries }
    }
}

async fn carry(mut near: TcpStream, broker: String, mut state: watch::Receiver<Carries>) {
    let mut far = TcpStream::connect(broker).await.unwrap();
    let stalled = tokio::select! {
        _ended = tokio::io::copy_bidirectional(&mut near, &mut far) => false,
        stalled = state.wait_for(|carries| *carries == Carries::Nothing) => stalled.is_ok(),
    };
    if stalled {
        let _cut = state.wait_for(|carries| *carries != Carries::Nothing).await;
    }
}

/// Everything a test needs.
pub(super) struct AmqpHarness {
    /// Connectors of this test begin with it.
    pub(super) prefix: String,
    uri: AMQPUri,
    wire: Wire,
    pub(super) peer: Channel,
    _connection: Connection,
    router: tokio::sync::Mutex<mpsc::UnboundedReceiver<HeardByPeer>>,
    fake: Addr<FakeRouter>,
    pub(super) answers: Arc<Mutex<VecDeque<Result<(), Refused>>>>,
    pub(super) memory: Addr<MemoryStore>,
}

/// Runs a test on the broker, and cleans up behind it; says so where there is none.
pub(super) async fn on_stage<F: Future<Output = ()>>(test: impl FnOnce(std::rc::Rc<AmqpHarness>) -> F) {
    let variable = std::env::var(VARIABLE).ok();
    let url = variable.clone().unwrap_or_else(|| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned());
    let uri: AMQPUri = url.parse().unwrap();
    let connection = match Connection::connect_uri(uri.clone(), ConnectionProperties::default()).await {
        Ok(connection) => connection,
        Err(error) if variable.is_none() => {
            // Past the test runner, which would keep it to itself.
            let said = format!("left out: no RabbitMQ on 127.0.0.1 ({error}); {VARIABLE}=amqp://... names another");
            let _nobody_reads = writeln!(std::io::stderr(), "{said}");
            return;
        }
        Err(error) => panic!("{VARIABLE}: {error}"),
    };
    let harness = std::rc::Rc::new(AmqpHarness::new(uri, connection).await);
    let outcome = AssertUnwindSafe(test(harness.clone())).catch_unwind().await;
    harness.clean().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

impl AmqpHarness {
    async fn new(uri: AMQPUri, connection: Connection) -> Self {
        let peer = connection.create_channel().await.unwrap();
        peer.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let (tell, router) = mpsc::unbounded_channel();
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let account = Account { id: 1, username: "client".to_owned(), password_hash: String::new(), sandbox: false };
        Self {
            prefix: format!("test-{}", &vumi_kit::ids::secret()[..12]),
            wire: Wire::lay(format!("{}:{}", uri.authority.host, uri.authority.port)).await,
            uri,
            peer,
            _connection: connection,
            router: tokio::sync::Mutex::new(router),
            fake: FakeRouter { tell, answers: answers.clone() }.start(),
            answers,
            memory: MemoryStore { accounts: vec![account], ..MemoryStore::default() }.start(),
        }
    }

    /// The connector's name in this test.
    pub(super) fn name(&self, short: &str) -> Name {
        Name::parse(&format!("{}-{short}", self.prefix)).unwrap()
    }

    pub(super) fn settings(&self) -> AmqpSettings {
        let [ussd, quiz] = ["ussd", "quiz"].map(|short| self.name(short));
        let userinfo = &self.uri.authority.userinfo;
        serde_json::from_value(json!({
            "host": "127.0.0.1",
            "port": self.wire.address.port(),
            "user": userinfo.username,
            "password": userinfo.password,
            "vhost": self.uri.vhost,
            "reconnect": {"first": "20ms", "most": "100ms"},
            "dead_letters": format!("{}.dead", self.prefix),
            "connectors": {
                ussd.as_str(): {"side": "transport"},
                quiz.as_str(): {"side": "campaign", "account": "client"},
            },
        }))
        .unwrap()
    }

    /// Starts a front-end, and waits until it is connected.
    pub(super) async fn start(&self) -> Front {
        self.start_with(self.settings()).await
    }

    pub(super) async fn start_with(&self, settings: AmqpSettings) -> Front {
        let router = RouterAddress {
            inbound: self.fake.clone().recipient(),
            outbound: self.fake.clone().recipient(),
            happened: self.fake.clone().recipient(),
        };
        let clock = Clock::held(moment());
        let transports = vec![Name::parse("clickatell").unwrap(), self.name("ussd")];
        let context = AmqpContext { router, store: store(&self.memory), clock, transports };
        let front = Front(start(context, settings).unwrap());
        front.until("connected").await;
        front
    }

    /// The other side writes to a queue.
    pub(super) async fn publish(&self, queue: &str, body: &Value) {
        self.publish_raw(queue, &serde_json::to_vec(body).unwrap()).await;
    }

    pub(super) async fn publish_raw(&self, queue: &str, body: &[u8]) {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = self.peer.basic_publish("vumi".into(), queue.into(), options, body, properties);
        let confirmed = confirm.await.unwrap().await.unwrap();
        assert_eq!(confirmed, lapin::Confirmation::Ack(None), "{queue} is there");
    }

    /// The other side reads a message, when there is one.
    pub(super) async fn read(&self, queue: &str) -> (BasicProperties, Value) {
        let wait = async {
            loop {
                // The broker's answer paces it.
                if let Some(got) = self.peer.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap() {
                    got.delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
                    let body = serde_json::from_slice(&got.delivery.data).unwrap_or(Value::Null);
                    return (got.delivery.properties.clone(), body);
                }
            }
        };
        timeout(LIMIT, wait).await.expect("a message in time")
    }

    /// Messages that wait in a queue and nobody holds.
    pub(super) async fn waiting(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.peer.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap().message_count()
    }

    /// Waits until so many messages wait in a queue and nobody holds them.
    pub(super) async fn until_waiting(&self, queue: &str, count: u32) {
        let wait = async {
            while self.waiting(queue).await != count {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("{count} wait in {queue}"));
    }

    /// Waits until the ledger has so many SMS.
    pub(super) async fn until_kept(&self, count: usize) -> Vec<Sms> {
        let wait = async {
            loop {
                let (tell, told) = oneshot::channel();
                let look = Box::new(move |memory: &mut MemoryStore| drop(tell.send(memory.sms.clone())));
                self.memory.send(With(look)).await.unwrap();
                let kept = told.await.unwrap();
                if kept.len() >= count {
                    return kept;
                }
            }
        };
        timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("{count} SMS are kept"))
    }

    /// A transport records what the provider says of an SMS.
    pub(super) async fn provider_says(&self, id: SmsId, status: TransportStatus, provider_id: Option<&'static str>) {
        let record = move |memory: &mut MemoryStore| {
            let sms = memory.sms.iter_mut().find(|sms| sms.id == id).unwrap();
            sms.status = status;
            sms.provider_said = Some("as the provider says".to_owned());
            sms.provider_id = provider_id.map(str::to_owned);
        };
        self.memory.send(With(Box::new(record))).await.unwrap();
    }

    /// Somebody has declared a queue, and not plainly.
    pub(super) async fn declare_with_a_limit(&self, queue: &str) {
        let mut limit = FieldTable::default();
        limit.insert("x-max-length".into(), AMQPValue::LongInt(10));
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.peer.queue_declare(queue.into(), durable, limit).await.unwrap();
    }

    pub(super) async fn heard(&self) -> HeardByPeer {
        timeout(LIMIT, async { self.router.lock().await.recv().await.unwrap() })
            .await
            .expect("the router hears in time")
    }

    pub(super) fn has_heard_nothing_more(&self) -> bool {
        self.router.try_lock().unwrap().try_recv().is_err()
    }

    pub(super) fn cut_the_wire(&self) {
        self.wire.carries.send_replace(Carries::Cut);
    }

    pub(super) fn stall_the_wire(&self) {
        self.wire.carries.send_replace(Carries::Nothing);
    }

    pub(super) fn mend_the_wire(&self) {
        self.wire.carries.send_replace(Carries::Everything);
    }

    /// A message of a peer's.
    pub(super) fn message(&self, id: &str, more: Value) -> Value {
        let mut message = json!({
            "message_version": "20110921", "message_type": "user_message", "timestamp": "2012-04-11 09:25:00.000001",
            "message_id": id, "to_addr": "*120*663#", "from_addr": "+27831234567", "in_reply_to": null,
            "session_event": "new", "content": null, "transport_name": self.name("ussd"), "transport_type": "ussd",
            "transport_metadata": {}, "helper_metadata": {}, "routing_metadata": {}, "group": null,
            "provider": "mtn", "to_addr_type": null, "from_addr_type": "msisdn",
        });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    }

    async fn clean(&self) {
        let options = QueueDeleteOptions::default();
        for short in ["ussd", "quiz"] {
            for end in ["inbound", "outbound", "event"] {
                let queue = format!("{}.{end}", self.name(short));
                self.peer.queue_delete(queue.into(), options).await.unwrap();
            }
        }
        for queue in ["dead", "dead2"] {
            self.peer.queue_delete(format!("{}.{queue}", self.prefix).into(), options).await.unwrap();
        }
    }
}

/// A front-end.
pub(super) struct Front(pub(super) AmqpComponent);

impl Front {
    pub(super) fn endpoints(&self, name: &Name) -> &Endpoints {
        &self.0.components.iter().find(|(placed, _)| placed == name).expect("a component").1
    }

    /// Waits until its health says so.
    pub(super) async fn until(&self, words: &str) -> Health {
        let wait = async {
            loop {
                let health = self.0.health.send(AskHealth).await.unwrap();
                if health.detail.contains(words) {
                    return health;
                }
                // Other tasks of this thread have their turn before it is asked again.
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("it says `{words}` in time"))
    }
}
