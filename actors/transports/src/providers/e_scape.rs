//! E-Scape: a Kannel behind a form that answers in HTML (`docs/providers/e-scape.md`).

use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use scraper::{Html, Selector};
use serde::Deserialize;
use vumi_kit::{
    clock::Clock,
    component::StartError,
    kind::Problem,
    sms::{Decision, InboundSms, Submission, TransportStatus},
    webhook::{Unreadable, Webhook, WebhookAnswer, WebhookForm, WebhookKept, WebhookNews, WebhookRequest},
    webhook_access::WebhookAccess,
};

use crate::{
    concatenation::part_of_header,
    outbox::OutboxSettings,
    provider::{Provider, check_given},
    provider_client::{ProviderClient, call, unreadable},
    webhook_answer::empty_answer,
    webhook_fields::WebhookFields,
};

/// A page with more tags is not read: deeply nested tags would occupy the HTML reader for seconds.
const MOST_TAGS: usize = 1000;

/// An account with E-Scape.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the form is.
    url: String,
    /// The account's number.
    api_id: String,
    /// The SMS centre to send through.
    smsc: String,
    /// The account that SMS from people belong to, unless their route names another. While there is none of that name,
    /// they wait for it.
    #[schemars(example = &"clinic")]
    account: Option<String>,
    /// Who may call the webhooks, beside accounts of role `carrier`.
    #[serde(default)]
    webhooks: WebhookAccess,
    /// Window, rate, retries.
    #[serde(default)]
    outbox: OutboxSettings,
}

pub(crate) struct EScape {
    client: ProviderClient,
    settings: Settings,
}

impl Provider for EScape {
    const NAME: &'static str = "e-scape";
    const EXAMPLE: &'static str = r#"
url = "https://e-scape.example.com/sms"
api_id = "123"
smsc = "smsc1"
"#;
    type Settings = Settings;

    fn url(settings: &Settings) -> &str {
        &settings.url
    }

    fn outbox(settings: &Settings) -> &OutboxSettings {
        &settings.outbox
    }

    fn check(settings: &Settings) -> Vec<Problem> {
        check_given("E-Scape", &[("api_id", &settings.api_id), ("smsc", &settings.smsc)])
    }

    fn webhooks(_: &Settings) -> Vec<Webhook> {
        vec![Webhook { path: "receive.json", methods: &["GET"], form: Arc::new(EScapeInbound) }]
    }

    fn webhook_access(settings: &Settings) -> WebhookAccess {
        settings.webhooks.clone()
    }

    fn account(settings: &Settings) -> Option<&str> {
        settings.account.as_deref()
    }

    fn new(settings: Settings, _: Clock) -> Result<Self, StartError> {
        Ok(Self { client: ProviderClient::new(&settings.url, &settings.outbox)?, settings })
    }

    fn credentials(&self) -> Vec<&str> {
        vec![&self.settings.api_id]
    }

    async fn submit(&self, submission: &Submission) -> Decision {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("s", submission.from.as_str())
            .append_pair("r", &submission.to.with_plus())
            .append_pair("text", &submission.message)
            .append_pair("smsc", &self.settings.smsc)
            .append_pair("api_id", &self.settings.api_id)
            .append_pair("send", "go")
            .finish();
        match call(self.client.post_form(&self.settings.url, form)).await {
            Ok(answer) => read_sent(&answer.text()),
            Err(decision) => decision,
        }
    }
}

/// The page's table has a row for each recipient; its fourth cell is `<code>: <words>`. We send to one recipient a call.
pub(crate) fn read_sent(page: &str) -> Decision {
    let Some(provider_response) = status_cell(page) else { return unreadable(page) };
    let (code, words) = provider_response.split_once(':').unwrap_or((&provider_response, ""));
    match code.trim().parse::<i32>() {
        // The contract names 0 as accepted. 3 is Kannel's own "Queued for later delivery": it has the SMS and sends it
        // later. As a failure it would make a delivered SMS look failed; another attempt would send it twice.
        Ok(0 | 3) => Decision::Accepted { provider_id: None, status: TransportStatus::Queued, provider_response },
        // Kannel's "Temporal failure, try again later."
        Ok(_) if words.contains("try again later") => Decision::Retry { provider_response, unknown_outcome: false },
        Ok(_) => Decision::Rejected { status: TransportStatus::DeliveryError, provider_response },
        Err(_) => unreadable(&provider_response),
    }
}

fn status_cell(page: &str) -> Option<String> {
    static ROWS: LazyLock<Option<Selector>> = LazyLock::new(|| Selector::parse("tbody tr").ok());
    static CELLS: LazyLock<Option<Selector>> = LazyLock::new(|| Selector::parse("td").ok());
    if page.bytes().filter(|byte| *byte == b'<').count() > MOST_TAGS {
        return None;
    }
    let (rows, cells) = (ROWS.as_ref()?, CELLS.as_ref()?);
    let html = Html::parse_document(page);
    let mut statuses = html.select(rows).filter_map(|row| row.select(cells).nth(3));
    let status: String = statuses.next()?.text().collect();
    Some(status.trim().to_owned())
}

/// `receive.json`.
struct EScapeInbound;

impl WebhookForm for EScapeInbound {
    fn read(&self, request: &WebhookRequest) -> Result<WebhookNews, Unreadable> {
        let fields = WebhookFields::of(request);
        // Kannel's `%C`, where it is asked for.
        let charset = fields.get("charset").filter(|charset| !charset.is_empty()).map(str::to_owned);
        let inbound = InboundSms {
            from: fields.require_address("s")?,
            to: fields.require_address("r")?,
            message: fields.require_text("text", charset.as_deref())?,
            charset,
            provider_id: None,
            at: None,
            part: fields.get("udh").and_then(part_of_header),
        };
        Ok(WebhookNews::Inbound(vec![inbound]))
    }

    /// Empty: Kannel would send a body back to the person.
    fn answer(&self, _: &WebhookRequest, _: &WebhookKept) -> WebhookAnswer {
        empty_answer(200)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vumi_kit::sms::TransportStatus;

    use super::{EScape, read_sent};
    use crate::{
        provider::Provider,
        tests::{
            exam::{Exam, Expect, example_webhook},
            fake_provider::answers,
            webhooks::{answer, get, inbound, names_missing_fields},
        },
    };

    fn page(rows: &str) -> String {
        format!(
            "<html><body><table><thead><tr><th>from</th><th>to</th><th>smsc</th><th>status</th><th>text</th></tr>\
             </thead><tbody>{rows}</tbody></table></body></html>"
        )
    }

    fn row(status: &str) -> String {
        page(&format!("<tr><td>1</td><td>+27123456789</td><td>smsc1</td><td> {status} </td><td>hello</td></tr>"))
    }

    #[tokio::test]
    async fn it_passes_the_exam() {
        Exam {
            settings: EScape::EXAMPLE,
            answers: vec![
                (answers(200, &row("0: Accepted for delivery")), Expect::Accepted(None)),
                (answers(200, &row("3: Queued for later delivery")), Expect::Accepted(None)),
                (
                    answers(200, &row("4: Not routable. Do not try again.")),
                    Expect::Rejected(TransportStatus::DeliveryError),
                ),
                (answers(200, &row("5: Temporal failure, try again later.")), Expect::Retry),
                (answers(200, &row("sorry")), Expect::UnknownOutcome),
                (answers(200, &page("")), Expect::UnknownOutcome),
                (answers(200, &page("<tr><td>short</td></tr>")), Expect::UnknownOutcome),
                (answers(200, &"<div>".repeat(20_000)), Expect::UnknownOutcome),
            ],
            texts: vec![
                (
                    "hello & more",
                    vec!["s=27123456780&r=%2B27123456789&text=hello+%26+more&smsc=smsc1&api_id=123&send=go"],
                ),
                ("é😀", vec!["text=%C3%A9%F0%9F%98%80"]),
            ],
        }
        .sit::<EScape>()
        .await;
    }

    proptest! {
        #[test]
        fn no_page_makes_the_reader_panic(
            pieces in proptest::collection::vec(
                prop::sample::select(vec![
                    "<table>", "<tbody>", "</tbody>", "<tr>", "</tr>", "<td>", "</td>", "0", ":", "3: ok", "<script>", "<!--",
                    "&amp;", "<svg><td>", "<template>", "<", ">", "é", "\0",
                ]),
                0..60,
            ),
        ) {
            let _decision = read_sent(&pieces.concat());
        }
    }

    #[test]
    fn an_sms_from_a_person_is_read_and_answered_with_nothing() {
        const INBOUND: &str = "smsc=smsc1&svc=default&s=%2B27123456789&r=38080&text=hi+there";
        let form = example_webhook::<EScape>("receive.json");
        let sms = inbound(&*form, &get(INBOUND));
        assert_eq!((sms.from.as_str(), sms.to.as_str(), sms.message.as_str()), ("27123456789", "38080", "hi there"));
        let answered = answer(&*form, &get(INBOUND), true);
        assert_eq!((answered.status, answered.content_type, answered.body.len()), (200, None, 0));
        names_missing_fields(&*form, INBOUND, &["s", "r", "text"]);
    }
}
