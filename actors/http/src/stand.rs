//! For tests: the front-end on a free port, with a store in memory behind it that can be told to misbehave.

use actix::{Actor, Addr};
use bytes::Bytes;
use reqwest::{Method, RequestBuilder};
use tokio::sync::oneshot;
pub(crate) use vumi_kit::testing::{Memory, With, moment, store};
use vumi_kit::{
    account::Account,
    address::Msisdn,
    health::{Part, State},
    ledger::ReceiptMatch,
    name::Name,
    sms::{InboundSms, Receipt, TransportStatus},
    store::Store,
    webhook::{Unreadable, Webhook, WebhookAnswer, WebhookForm, WebhookKept, WebhookNews, WebhookRequest},
};

use super::{Door, HttpComponent, HttpContext, HttpSettings, password::hash_password, start};

/// A carrier's webhook whose calls carry `id` and `status` (a receipt) or `text` (an SMS).
struct Form;

impl WebhookForm for Form {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let fields = request.parameters();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        if let Some(message) = field("text") {
            let from = Msisdn::parse(&field("from").unwrap_or_default());
            let from = from.map_err(|error| Unreadable::new("from", error.to_string()))?;
            let to = Msisdn::parse("38080").unwrap();
            return Ok(WebhookNews::Inbound(vec![InboundSms {
                from,
                to,
                message,
                charset: None,
                provider_id: None,
                at: None,
            }]));
        }
        let sms = field("id").and_then(|id| id.parse().ok());
        let sms = sms.ok_or_else(|| Unreadable::new("id", "is required"))?;
        let status = TransportStatus::Delivered;
        Ok(WebhookNews::Receipts(vec![Receipt {
            provider_id: None,
            sms: Some(sms),
            to: None,
            status,
            at: None,
            fields,
        }]))
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

/// The front-end and what is behind it.
pub(crate) struct Stand {
    pub(crate) room: HttpComponent,
    pub(crate) memory: Addr<Memory>,
    pub(crate) client: reqwest::Client,
}

impl Stand {
    pub(crate) async fn start(settings: HttpSettings) -> Self {
        let account = |id, name: &str, password: &str| Account {
            id,
            username: name.to_owned(),
            password_hash: hash_password(password).unwrap(),
            sandbox: false,
        };
        let memory = Memory {
            accounts: vec![account(1, "username", "password"), account(2, "other", "secret")],
            parts: vec![part("store", State::Up), part("clickatell", State::Degraded)],
            ..Memory::default()
        }
        .start();
        let store = store(&memory);
        let webhook = |path, methods| Webhook { path, methods, form: std::sync::Arc::new(Form) };
        let door = |name: &str, webhooks| Door { name: Name::parse(name).unwrap(), webhooks };
        let transports = vec![
            door(
                "clickatell",
                vec![webhook("receipt.json", &["GET", "POST"]), webhook("receive.json", &["GET", "POST"])],
            ),
            door("opera", vec![webhook("receive.xml", &["POST"])]),
            door("techsys", vec![]),
        ];
        let context = HttpContext { store, transports, parts: memory.clone().recipient() };
        let settings = HttpSettings { bind: "127.0.0.1:0".parse().unwrap(), ..settings };
        let room = start(context, settings).unwrap();
        Self { room, memory, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) fn store(&self) -> Store {
        store(&self.memory)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.room.address)
    }

    /// A call below `/api/v1/` by the first account.
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(&format!("/api/v1/{path}"))).basic_auth("username", Some("password"))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.call(Method::POST, path).form(form)
    }

    /// One good SMS, to be sent.
    pub(crate) fn send(&self) -> RequestBuilder {
        let form = [("to_msisdn", "27123456780"), ("from_msisdn", "27123456789"), ("message", "hello world")];
        self.post("sms/clickatell/send.json", &form)
    }

    /// Looks at the memory, or changes it.
    pub(crate) async fn memory<T: Send + 'static>(&self, with: impl FnOnce(&mut Memory) -> T + Send + 'static) -> T {
        let (tell, told) = oneshot::channel();
        let with = Box::new(move |memory: &mut Memory| drop(tell.send(with(memory))));
        self.memory.send(With(with)).await.unwrap();
        told.await.unwrap()
    }
}

pub(crate) fn part(name: &str, state: State) -> Part {
    let name = Name::parse(name).unwrap();
    let role = if name.as_str() == "store" { "store" } else { "transport" };
    Part { name, role: role.to_owned(), state, detail: "as told".to_owned(), restarts: 0 }
}
