//! What the tests share: a front-end on a real broker through a proxy, a peer of the Vumi family beside it, a router
//! and a ledger.

use std::{
    future::Future,
    io::Write,
    panic::{AssertUnwindSafe, resume_unwind},
    rc::Rc,
    time::Duration,
};

use actix::Addr;
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
    sync::{Mutex, mpsc},
    time::timeout,
};
use vumi_front_kit::quotas::QuotaKeeper;
use vumi_kit::{
    clock::Clock,
    health::{AskHealth, Health},
    message::UserMessage,
    middleware::MiddlewareChains,
    name::Name,
    router::Endpoints,
    sms::Sms,
    sms_fields::SmsTimes,
    start_token::StartToken,
    testing::moment,
};

use super::{
    fake_ledger::{SmsLedger, USERNAME},
    fake_router::{AmqpTestRouter, RouterAnswers, RouterInput, address_of},
    proxy::BrokerProxy,
};
use crate::{AmqpComponent, AmqpContext, AmqpSettings, AmqpTopology, SmsTransport, start};

/// How long anything may take before a test fails.
const LIMIT: Duration = Duration::from_secs(30);

/// Names the broker of the tests.
const VARIABLE: &str = "VUMI_TEST_AMQP";

/// Everything a test needs.
pub(super) struct AmqpFixture {
    /// Connectors of this test begin with it.
    pub(super) prefix: String,
    uri: AMQPUri,
    pub(super) proxy: BrokerProxy,
    pub(super) peer: Channel,
    _connection: Connection,
    router: Addr<AmqpTestRouter>,
    router_input: Mutex<mpsc::UnboundedReceiver<RouterInput>>,
    pub(super) answers: RouterAnswers,
    pub(super) ledger: SmsLedger,
    /// Of the front-end's start.
    pub(super) token: StartToken,
}

/// Runs a test on the broker and deletes its queues afterwards. Without a broker the test is left out, which is said.
pub(super) async fn with_broker<F: Future<Output = ()>>(test: impl FnOnce(Rc<AmqpFixture>) -> F) {
    let variable = std::env::var(VARIABLE).ok();
    let url = variable.clone().unwrap_or_else(|| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned());
    let uri: AMQPUri = url.parse().unwrap();
    let connection = match Connection::connect_uri(uri.clone(), ConnectionProperties::default()).await {
        Ok(connection) => connection,
        Err(error) if variable.is_none() => {
            // To stderr itself: the test runner captures what a passed test prints.
            let left_out = format!("left out: no RabbitMQ on 127.0.0.1 ({error}); {VARIABLE}=amqp://... names another");
            let _nobody_reads = writeln!(std::io::stderr(), "{left_out}");
            return;
        }
        Err(error) => panic!("{VARIABLE}: {error}"),
    };
    let fixture = Rc::new(AmqpFixture::new(uri, connection).await);
    let outcome = AssertUnwindSafe(test(fixture.clone())).catch_unwind().await;
    fixture.clean().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

impl AmqpFixture {
    async fn new(uri: AMQPUri, connection: Connection) -> Self {
        let peer = connection.create_channel().await.unwrap();
        peer.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let answers = RouterAnswers::default();
        let (router, router_input) = AmqpTestRouter::start_with(answers.clone());
        Self {
            prefix: format!("test-{}", &vumi_kit::ids::secret()[..12]),
            proxy: BrokerProxy::start(format!("{}:{}", uri.authority.host, uri.authority.port)).await,
            uri,
            peer,
            _connection: connection,
            router,
            router_input: Mutex::new(router_input),
            answers,
            ledger: SmsLedger::start(),
            token: StartToken::default(),
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
            "port": self.proxy.address.port(),
            "user": userinfo.username,
            "password": userinfo.password,
            "vhost": self.uri.vhost,
            "reconnect": {"first": "20ms", "most": "100ms"},
            "dead_letters": format!("{}.dead", self.prefix),
            "connectors": {
                ussd.as_str(): {"side": "transport"},
                quiz.as_str(): {"side": "campaign", "account": USERNAME},
            },
        }))
        .unwrap()
    }

    /// Starts a front-end and waits until it is connected.
    pub(super) async fn start(&self) -> RunningFrontEnd {
        self.start_with(self.settings()).await
    }

    pub(super) async fn start_with(&self, settings: AmqpSettings) -> RunningFrontEnd {
        let topology = AmqpTopology::of_tables(&settings);
        self.start_in(settings, topology).await
    }

    pub(super) async fn start_in(&self, settings: AmqpSettings, topology: AmqpTopology) -> RunningFrontEnd {
        let context = AmqpContext {
            router: address_of(&self.router),
            store: self.ledger.store().with_token(&self.token),
            clock: Clock::held(moment()),
            transports: [Name::parse("clickatell").unwrap(), self.name("ussd")]
                .map(|name| (name, SmsTransport::default()))
                .into(),
            sms_times: SmsTimes::default(),
            chains: MiddlewareChains::default(),
            quotas: QuotaKeeper::default(),
            topology,
        };
        let front_end = RunningFrontEnd(start(context, settings).unwrap());
        front_end.until("connected").await;
        front_end
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

    /// Messages in a queue that no consumer holds.
    pub(super) async fn waiting(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.peer.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap().message_count()
    }

    /// Waits until so many messages are in a queue that no consumer holds.
    pub(super) async fn until_waiting(&self, queue: &str, count: u32) {
        let wait = async {
            while self.waiting(queue).await != count {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("{count} wait in {queue}"));
    }

    /// Waits until the ledger has so many SMS.
    pub(super) async fn until_accepted(&self, count: usize) -> Vec<Sms> {
        let wait = async {
            loop {
                let accepted = self.ledger.accepted();
                if accepted.len() >= count {
                    return accepted;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("{count} SMS are accepted"))
    }

    /// Declares a queue with an argument, which the front-end does not use.
    pub(super) async fn declare_with_a_limit(&self, queue: &str) {
        let mut limit = FieldTable::default();
        limit.insert("x-max-length".into(), AMQPValue::LongInt(10));
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.peer.queue_declare(queue.into(), durable, limit).await.unwrap();
    }

    /// What the router takes next.
    pub(super) async fn router_input(&self) -> RouterInput {
        timeout(LIMIT, async { self.router_input.lock().await.recv().await.unwrap() })
            .await
            .expect("the router is handed something in time")
    }

    /// The message from a person that the router takes next.
    pub(super) async fn inbound(&self) -> UserMessage {
        match self.router_input().await {
            RouterInput::Inbound(message) => message,
            other => panic!("{other:?}"),
        }
    }

    /// The message to a person that the router takes next.
    pub(super) async fn outbound(&self) -> UserMessage {
        match self.router_input().await {
            RouterInput::Outbound(message) => message,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn router_has_no_more_input(&self) -> bool {
        self.router_input.try_lock().unwrap().try_recv().is_err()
    }

    /// A message as a worker of the family writes it.
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
            for end in ["inbound", "outbound", "event", "event.parked"] {
                let queue = format!("{}.{end}", self.name(short));
                self.peer.queue_delete(queue.into(), options).await.unwrap();
            }
        }
        for queue in ["dead", "dead2"] {
            self.peer.queue_delete(format!("{}.{queue}", self.prefix).into(), options).await.unwrap();
        }
    }
}

/// A started front-end.
pub(super) struct RunningFrontEnd(pub(super) AmqpComponent);

impl RunningFrontEnd {
    pub(super) fn endpoints(&self, name: &Name) -> &Endpoints {
        &self.0.elsewhere.iter().find(|(elsewhere, _)| elsewhere == name).expect("a component").1
    }

    /// Waits until its health contains `words`.
    pub(super) async fn until(&self, words: &str) -> Health {
        let wait = async {
            loop {
                let health = self.0.health.send(AskHealth).await.unwrap();
                if health.detail.contains(words) {
                    return health;
                }
                // The other tasks of this thread run before it is asked again.
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("its health contains `{words}` in time"))
    }
}
