//! Techsys: a form to send with; no receipts, no SMS from people (`docs/providers/techsys.md`).

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{
    clock::Clock,
    component::StartError,
    kind::Problem,
    sms::{Decision, Submission, TransportStatus},
};

use crate::{
    outbox::OutboxSettings,
    provider::{Provider, check_given},
    provider_client::{ProviderClient, call, unreadable},
};

/// What the answer holds when the SMS was taken.
const QUEUED: &str = "Message queued successfully";

/// An account with Techsys.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the form is.
    url: String,
    /// The account's bind.
    bind: String,
    /// Window, rate, retries.
    #[serde(default)]
    outbox: OutboxSettings,
}

pub(crate) struct Techsys {
    client: ProviderClient,
    settings: Settings,
}

impl Provider for Techsys {
    const NAME: &'static str = "techsys";
    const EXAMPLE: &'static str = r#"
url = "https://techsys.example.com/send"
bind = "bind"
"#;
    type Settings = Settings;

    fn url(settings: &Settings) -> &str {
        &settings.url
    }

    fn outbox(settings: &Settings) -> &OutboxSettings {
        &settings.outbox
    }

    fn check(settings: &Settings) -> Vec<Problem> {
        check_given("Techsys", &[("bind", &settings.bind)])
    }

    fn new(settings: Settings, _: Clock) -> Result<Self, StartError> {
        Ok(Self { client: ProviderClient::new(&settings.url, &settings.outbox)?, settings })
    }

    fn credentials(&self) -> Vec<&str> {
        vec![&self.settings.bind]
    }

    async fn submit(&self, submission: &Submission) -> Decision {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("bind", &self.settings.bind)
            .append_pair("msisdn", submission.to.as_str())
            .append_pair("text", &submission.message)
            .finish();
        match call(self.client.post_form(&self.settings.url, form)).await {
            Ok(answer) => read_sent(answer.text().trim()),
            Err(decision) => decision,
        }
    }
}

/// Any text but [`QUEUED`] is a failure of the SMS, and its reason.
fn read_sent(answer: &str) -> Decision {
    let provider_response = answer.to_owned();
    if answer.contains(QUEUED) {
        Decision::Accepted { provider_id: None, status: TransportStatus::Queued, provider_response }
    } else if answer.is_empty() || answer.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        unreadable(answer)
    } else {
        Decision::Rejected { status: TransportStatus::DeliveryError, provider_response }
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::sms::TransportStatus;

    use super::Techsys;
    use crate::{
        provider::Provider,
        tests::{
            exam::{Exam, Expect, changed},
            fake_provider::answers,
        },
    };

    #[tokio::test]
    async fn it_passes_the_exam() {
        Exam {
            settings: Techsys::EXAMPLE,
            answers: vec![
                (answers(200, "Message queued successfully"), Expect::Accepted(None)),
                (answers(200, "<html><p>Message queued successfully</p></html>\n"), Expect::Accepted(None)),
                (answers(200, "Invalid bind"), Expect::Rejected(TransportStatus::DeliveryError)),
            ],
            texts: vec![
                ("hello & more", vec!["bind=bind&msisdn=27123456789&text=hello+%26+more"]),
                ("é😀", vec!["text=%C3%A9%F0%9F%98%80"]),
            ],
        }
        .sit::<Techsys>()
        .await;
    }

    #[test]
    fn nothing_is_posted_to_us() {
        assert!(Techsys::webhooks(&changed::<Techsys>(Techsys::EXAMPLE, &[])).is_empty());
    }
}
