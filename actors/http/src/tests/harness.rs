//! The front-end on a free port, with a fake store and a fake supervisor behind it.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

use actix::{Actor, Context, Handler, MessageResult, Recipient};
use bytes::Bytes;
use reqwest::{Method, RequestBuilder};
use vumi_front_kit::{password::hash_password, quotas::QuotaKeeper};
use vumi_kit::{
    account::{Account, AccountRole, AccountRoles},
    address::Address,
    carries::Carries,
    clock::{Clock, Timestamp},
    health::{AskParts, Part, State},
    ledger::{ReceiptMatch, SmsOwners},
    message::UserMessage,
    middleware::MiddlewareChains,
    name::Name,
    router::{Happened, Inbound, Outbound, Refused, RouterAddress},
    sms::{InboundSms, Receipt, TransportStatus},
    sms_fields::SmsTimes,
    store::Store,
    transport_board::TransportBoard,
    transport_settings::TransportSettings,
    webhook::{Unreadable, Webhook, WebhookAnswer, WebhookForm, WebhookKept, WebhookNews, WebhookRequest, each_read},
    webhook_access::WebhookAccess,
};

use super::stored::{Stored, StoredData};
use crate::{HttpComponent, HttpContext, HttpSettings, WebhookMount, start};

/// A provider's webhook whose calls carry `id`, once for each receipt, or `text` (an SMS).
struct TestWebhookForm;

impl WebhookForm for TestWebhookForm {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let fields = request.parameters();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        if let Some(message) = field("text") {
            let from = Address::inbound(&field("from").unwrap_or_default());
            let from = from.map_err(|error| Unreadable::new("from", error.to_string()))?;
            let to = Address::inbound("38080").unwrap();
            return Ok(WebhookNews::Inbound(vec![InboundSms::whole(from, to, message)]));
        }
        let receipt = |id: &str| {
            let sms = id.parse().map_err(|_| Unreadable::new("id", "is required"))?;
            Ok(Receipt { sms: Some(sms), ..Receipt::new(TransportStatus::Delivered, fields.clone()) })
        };
        let ids: Vec<&str> = fields.iter().filter(|(key, _)| key == "id").map(|(_, value)| value.as_str()).collect();
        let ids = if ids.is_empty() { vec![""] } else { ids };
        each_read(ids.into_iter().map(receipt), WebhookNews::Receipts)
    }

    fn answer(&self, _: &WebhookRequest, kept: &WebhookKept) -> WebhookAnswer {
        let (status, body) = match kept {
            WebhookKept::Receipts(receipts) if matches!(receipts[0].1, ReceiptMatch::Unmatched) => (404, String::new()),
            WebhookKept::Receipts(receipts) => (201, format!("{}", receipts.len())),
            WebhookKept::Inbound(received) => (200, format!("<id>{}</id>", received[0].id)),
        };
        let content_type = (!body.is_empty()).then_some("text/xml; charset=utf8");
        WebhookAnswer { status, content_type, body: Bytes::from(body) }
    }
}

/// The front-end on a free port, and what is behind it.
pub(super) struct HttpHarness {
    pub(super) component: HttpComponent,
    pub(super) store: Store,
    pub(super) client: reqwest::Client,
    pub(super) supervisor: Recipient<AskParts>,
    parts: Arc<Mutex<Vec<Part>>>,
    asked: Arc<AtomicUsize>,
    stored: Stored,
}

impl HttpHarness {
    pub(super) async fn start(settings: HttpSettings) -> Self {
        Self::start_with(settings, |_| {}).await
    }

    /// With a context that a test changes.
    pub(super) async fn start_with(settings: HttpSettings, change: impl FnOnce(&mut HttpContext)) -> Self {
        let stored = Stored::default();
        stored.lock().accounts = vec![
            account(1, "username", "password", AccountRoles::CLIENT_AND_CARRIER),
            account(2, "other", "secret", AccountRoles::CLIENT),
            account(3, "hooks", "secret", AccountRoles::from_iter([AccountRole::Carrier])),
        ];
        let parts = Arc::new(Mutex::new(vec![part("store", State::Up), part("clickatell", State::Degraded)]));
        let store = stored.start_store();
        let asked = Arc::<AtomicUsize>::default();
        let supervisor = FakeSupervisor(parts.clone(), asked.clone()).start().recipient();
        let mut context = context(&store, &supervisor);
        change(&mut context);
        let settings = HttpSettings { bind: "127.0.0.1:0".parse().unwrap(), ..settings };
        let component = start(context, settings).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { component, store, client, supervisor, parts, asked, stored }
    }

    /// What another front-end over the same store is given.
    pub(super) fn context(&self) -> HttpContext {
        context(&self.store, &self.supervisor)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.component.address)
    }

    /// A call below `/api/v1/` by the first account.
    pub(super) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(&format!("/api/v1/{path}"))).basic_auth("username", Some("password"))
    }

    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.call(Method::GET, path)
    }

    /// A request without credentials.
    pub(super) fn get_public(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    pub(super) fn post(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.call(Method::POST, path).form(form)
    }

    /// A valid SMS, to be sent.
    pub(super) fn send(&self) -> RequestBuilder {
        let form = [("to_msisdn", "27123456780"), ("from_msisdn", "27123456789"), ("message", "hello world")];
        self.post("sms/clickatell/send.json", &form)
    }

    /// The store's data. The store waits while it is locked: hold it for one statement, and over no await.
    pub(super) fn stored(&self) -> MutexGuard<'_, StoredData> {
        self.stored.lock()
    }

    /// Waits until a request to accept waits in the store.
    pub(super) async fn until_accepting(&self) {
        while self.stored().waiting.as_ref().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    /// How often the supervisor was asked for its parts.
    pub(super) fn times_asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The parts that the supervisor names.
    pub(super) fn parts(&self) -> MutexGuard<'_, Vec<Part>> {
        self.parts.lock().unwrap()
    }
}

fn context(store: &Store, supervisor: &Recipient<AskParts>) -> HttpContext {
    HttpContext {
        conversations: vumi_kit::conversation::ConversationRules::default(),
        store: store.clone(),
        clock: Clock::held(Timestamp::from_seconds(1_790_000_000)),
        owners: SmsOwners::default(),
        routes: None,
        router: RouterAddress::of(&FakeRouter::default().start()),
        campaigns: vec![Name::parse("quiz").unwrap()],
        board: TransportBoard::default(),
        sandbox_account: false,
        transports: transports(),
        sms_times: SmsTimes::default(),
        chains: MiddlewareChains::default(),
        quotas: QuotaKeeper::default(),
        parts: supervisor.clone(),
        sandbox: Some("127.0.0.1:8010".parse().unwrap()),
    }
}

/// A router that keeps what it is given for people, and answers as it is told.
#[derive(Clone, Default)]
pub(super) struct FakeRouter {
    pub(super) sent: Arc<Mutex<Vec<UserMessage>>>,
    pub(super) refusal: Arc<Mutex<Option<Refused>>>,
}

impl Actor for FakeRouter {
    type Context = Context<Self>;
}

vumi_kit::takes_from_components!(FakeRouter);

impl Handler<Inbound> for FakeRouter {
    type Result = Result<(), Refused>;

    fn handle(&mut self, _: Inbound, _: &mut Self::Context) -> Self::Result {
        panic!("a front-end brings no message from a person");
    }
}

impl Handler<Outbound> for FakeRouter {
    type Result = Result<(), Refused>;

    fn handle(&mut self, Outbound(message): Outbound, _: &mut Self::Context) -> Self::Result {
        self.refusal.lock().unwrap().clone().map_or(Ok(()), Err)?;
        self.sent.lock().unwrap().push(message);
        Ok(())
    }
}

impl Handler<Happened> for FakeRouter {
    type Result = ();

    fn handle(&mut self, _: Happened, _: &mut Self::Context) {}
}

/// A supervisor that names the parts that a test gives it.
struct FakeSupervisor(Arc<Mutex<Vec<Part>>>, Arc<AtomicUsize>);

impl Actor for FakeSupervisor {
    type Context = Context<Self>;
}

impl Handler<AskParts> for FakeSupervisor {
    type Result = MessageResult<AskParts>;

    fn handle(&mut self, _: AskParts, _: &mut Self::Context) -> Self::Result {
        self.1.fetch_add(1, Ordering::SeqCst);
        MessageResult(self.0.lock().unwrap().clone())
    }
}

fn account(id: i64, name: &str, password: &str, roles: AccountRoles) -> Account {
    Account::unlimited(id, name.to_owned(), hash_password(password).unwrap(), roles)
}

fn transports() -> Vec<WebhookMount> {
    let webhook = |path, methods| Webhook { path, methods, form: Arc::new(TestWebhookForm) };
    let mount = |name: &str, webhooks| WebhookMount {
        takes_calls: false,
        transport: Name::parse(name).unwrap(),
        webhooks,
        access: WebhookAccess::default(),
        settings: TransportSettings::default(),
        carries: Carries { flash: true, ..Carries::TEXTS },
        converses: name == "techsys",
    };
    vec![
        mount("clickatell", vec![webhook("receipt.json", &["GET", "POST"]), webhook("receive.json", &["GET", "POST"])]),
        mount("opera", vec![webhook("receive.xml", &["POST"])]),
        mount("techsys", vec![]),
    ]
}

pub(super) fn part(name: &str, state: State) -> Part {
    let name = Name::parse(name).unwrap();
    let role = if name.as_str() == "store" { "store" } else { "transport" };
    Part { name, role: role.to_owned(), state, detail: "as expected".to_owned(), restarts: 0, backlog: None }
}
