//! Techsys: a form to send with, and nothing comes back later (`spec/providers.md`).

use std::time::Duration;

use serde::Deserialize;
use vumi_kit::{
    component::{Component, ComponentContext, StartError},
    kind::{Kind, Problem},
    sms::{Decision, Submission, TransportStatus},
};

use crate::{
    call::{Caller, call, check_url, garbage},
    outbox::{Outbox, OutboxSettings, Provider},
};

/// What the answer holds when the SMS was taken.
const QUEUED: &str = "Message queued successfully";

/// An account with Techsys.
#[derive(Clone, Debug, Deserialize)]
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

/// The provider.
pub(crate) struct Techsys {
    caller: Caller,
    settings: Settings,
}

impl Kind for Techsys {
    const NAME: &'static str = "techsys";
    const EXAMPLE: &'static str = r#"
url = "https://techsys.example.com/send"
bind = "bind"
"#;
    type Settings = Settings;

    fn check(settings: &Settings) -> Vec<Problem> {
        let mut problems: Vec<_> = check_url("url", &settings.url).into_iter().collect();
        if settings.bind.is_empty() {
            problems.push(Problem::new("bind", "is empty; Techsys gives it with the account"));
        }
        problems.extend(settings.outbox.check());
        problems
    }

    fn least_lease(settings: &Settings) -> Duration {
        settings.outbox.least_lease()
    }

    fn carrier(settings: &Settings) -> Option<String> {
        Some(settings.url.clone())
    }

    fn start(context: ComponentContext, settings: Settings) -> Result<Component, StartError> {
        let outbox = settings.outbox.clone();
        Ok(Outbox::open(context, &outbox, Self::new(settings)?))
    }
}

impl Techsys {
    fn new(settings: Settings) -> Result<Self, StartError> {
        Ok(Self { caller: Caller::new(&settings.url, &settings.outbox)?, settings })
    }
}

impl Provider for Techsys {
    async fn submit(&self, submission: &Submission) -> Decision {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("bind", &self.settings.bind)
            .append_pair("msisdn", submission.to.as_str())
            .append_pair("text", &submission.message)
            .finish();
        match call(self.caller.post_form(&self.settings.url, form)).await {
            Ok(answer) => read_sent(answer.text().trim()),
            Err(decision) => decision,
        }
    }
}

/// Techsys says that it queued the SMS, or anything else: then the SMS failed, and what it said is the reason.
fn read_sent(answer: &str) -> Decision {
    let said = answer.to_owned();
    if answer.contains(QUEUED) {
        Decision::Accepted { provider_id: None, status: TransportStatus::Queued, said }
    } else if answer.is_empty() || answer.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        garbage(answer)
    } else {
        Decision::Rejected { status: TransportStatus::DeliveryError, said }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vumi_kit::{kind::Kind, sms::TransportStatus};

    use super::{Settings, Techsys};
    use crate::{
        exam::{Exam, Expect, example, says},
        outbox::OutboxSettings,
    };

    fn provider(url: &str, outbox: OutboxSettings) -> Techsys {
        Techsys::new(Settings { outbox, ..example::<Techsys>(&[("url", json!(url))]) }).unwrap()
    }

    #[tokio::test]
    async fn it_passes_the_exam() {
        Exam {
            provider,
            answers: vec![
                (says(200, "Message queued successfully"), Expect::Accepted(None)),
                (says(200, "<html><p>Message queued successfully</p></html>\n"), Expect::Accepted(None)),
                (says(200, "Invalid bind"), Expect::Rejected(TransportStatus::DeliveryError)),
            ],
            texts: vec![
                ("hello & more", vec!["bind=bind&msisdn=27123456789&text=hello+%26+more"]),
                ("é😀", vec!["text=%C3%A9%F0%9F%98%80"]),
            ],
        }
        .sit()
        .await;
    }

    #[test]
    fn nothing_is_posted_to_us() {
        assert!(Techsys::webhooks(&example::<Techsys>(&[])).is_empty());
    }
}
