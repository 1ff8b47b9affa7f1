//! A service in any language: each step of a dialogue is a call to its URL, and its answer is the next screen
//! (`docs/http-campaigns.md`).
//!
//! The dialogue's state and inputs are kept by the router, so the application may be stateless and several processes.
//! What it asked for while a call fails is never lost: nothing of a failed step is saved.

mod application_client;
mod forms;
mod settings;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vumi_campaign_kit::{Campaign, KnownBy, Limits, Screen, Session};
use vumi_kit::{campaign_sms::CampaignSender, clock::Timestamp, kind::Problem, message::TransportType};

use application_client::{ApplicationClient, CallFailure};
use forms::{ApplicationForm, ApplicationScreen, ApplicationSms, ApplicationStep, StepEvent};
use settings::ApplicationSettings;

/// The longest input that is kept of a dialogue, and the longest that all of them are together, in bytes. Beyond that the
/// oldest inputs are left out.
const LONGEST_INPUT: usize = 1_000;
const LONGEST_INPUTS: usize = 6_000;

/// A campaign that asks an application over HTTP for each screen, and counts since when it has failed.
pub(crate) struct HttpApplication {
    settings: ApplicationSettings,
    form: ApplicationForm,
    client: ApplicationClient,
    failing: RefCell<Option<FailingSince>>,
}

/// Since when the application has failed, and with what: for the health.
struct FailingSince {
    since: Timestamp,
    calls: u64,
    why: String,
}

/// Where a dialogue is: the application's own state, and the person's inputs.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct HttpDialogue {
    state: Value,
    inputs: Vec<String>,
}

impl Campaign for HttpApplication {
    const NAME: &'static str = "http";
    const EXAMPLE: &'static str = r#"url = "http://127.0.0.1:8080/ussd"
form = "json"
"#;
    type Settings = ApplicationSettings;
    type State = HttpDialogue;

    fn new(settings: ApplicationSettings) -> Result<Self, Vec<Problem>> {
        let problems = settings.problems();
        let Some(form) = settings.form().filter(|_| problems.is_empty()) else { return Err(problems) };
        let client = ApplicationClient::new(&settings)?;
        Ok(Self { settings, form, client, failing: RefCell::default() })
    }

    async fn answer(&self, session: &mut Session<HttpDialogue>, input: Option<&str>) -> Screen {
        let first = session.dialled_inputs().to_vec();
        let text = input.or(session.opened_with()).map(|text| cut(text, LONGEST_INPUT).to_owned());
        let inputs = if input.is_some() { text.iter().cloned().collect() } else { first };
        add_inputs(&mut session.state.inputs, inputs);
        let event = if input.is_some() { StepEvent::Resume } else { StepEvent::New };
        self.step(session, event, text.as_deref()).await
    }

    async fn resume(&self, session: &mut Session<HttpDialogue>) -> Option<Screen> {
        if !self.form.keeps_state() || self.settings.limits.keep.is_zero() {
            return None;
        }
        let text = session.opened_with().map(|text| cut(text, LONGEST_INPUT).to_owned());
        Some(self.step(session, StepEvent::Again, text.as_deref()).await)
    }

    async fn ended(&self, session: &mut Session<HttpDialogue>) {
        if self.settings.tell_ends {
            // Whatever it answers, and whether it does: nobody is there to be shown anything.
            let _told = self.call(session, StepEvent::Close, None).await;
        }
    }

    fn limits(&self) -> Limits {
        self.settings.limits.clone()
    }

    fn known_by(&self) -> KnownBy {
        self.settings.known_by
    }

    fn sms_sender(&self) -> Option<&CampaignSender> {
        self.settings.sender.as_ref()
    }

    fn sorry(&self) -> &str {
        &self.settings.sorry
    }

    fn delayed(&self) -> &str {
        &self.settings.delayed
    }

    fn trouble(&self) -> Option<String> {
        let failing = self.failing.borrow();
        let FailingSince { since, calls, why } = failing.as_ref()?;
        Some(format!("the application fails since {} ({calls} calls): {why}", since.to_seconds_text()))
    }
}

impl HttpApplication {
    /// Asks the application for a screen. A call that fails gives the turn up.
    async fn step(&self, session: &mut Session<HttpDialogue>, event: StepEvent, text: Option<&str>) -> Screen {
        match self.call(session, event, text).await {
            Ok(ApplicationScreen { text, is_open, state, sms }) => {
                if let Err(why) = send_all(session, sms).await {
                    return self.failed(session, CallFailure::wrong(why));
                }
                self.failing.replace(None);
                if let Some(state) = state {
                    session.state.state = state;
                }
                match text {
                    Some(text) if is_open => Screen::ask(text),
                    Some(text) => Screen::end(text),
                    None => Screen::silence(),
                }
            }
            Err(failure) => self.failed(session, failure),
        }
    }

    fn failed(&self, session: &Session<HttpDialogue>, failure: CallFailure) -> Screen {
        let CallFailure { why, late } = failure;
        self.note_failure(&why, session.now());
        session.give_up(format!("the application at `url`: {why}"), late);
        Screen::end(&self.settings.sorry)
    }

    async fn call(
        &self,
        session: &Session<HttpDialogue>,
        event: StepEvent,
        text: Option<&str>,
    ) -> Result<ApplicationScreen, CallFailure> {
        let has_sessions = session.transport_type() == TransportType::Ussd;
        let step = ApplicationStep {
            session: session.id(),
            message_id: session.message_id(),
            transport: session.transport().as_str(),
            operator: session.operator(),
            from: session.msisdn(),
            to: session.code(),
            text,
            inputs: &session.state.inputs,
            event,
            state: &session.state.state,
        };
        let call = self.form.write(&step);
        let at_s = session.now().micros().div_euclid(1_000_000);
        let body = self.client.call(call, step.message_id, at_s).await?;
        if event == StepEvent::Close {
            return Ok(ApplicationScreen { text: None, is_open: false, state: None, sms: Vec::new() });
        }
        let screen = self.form.read(&body).map_err(CallFailure::wrong)?;
        if screen.text.is_none() && has_sessions {
            return Err(CallFailure::wrong("expected the screen's text in `text`: a USSD session needs one"));
        }
        Ok(screen)
    }

    fn note_failure(&self, why: &str, now: Timestamp) {
        let mut failing = self.failing.borrow_mut();
        let failing = failing.get_or_insert(FailingSince { since: now, calls: 0, why: String::new() });
        failing.calls += 1;
        why.clone_into(&mut failing.why);
    }
}

/// Sends the SMS of an answer in the transaction of its turn; else says why none of it counts.
async fn send_all(session: &mut Session<HttpDialogue>, sms: Vec<ApplicationSms>) -> Result<(), String> {
    for (number, ApplicationSms { text, at }) in sms.into_iter().enumerate() {
        let read = |at: &String| Timestamp::parse(at).ok_or("`sms.at` is no time: expected YYYY-MM-DDTHH:MM:SSZ");
        let at = at.as_ref().map(read).transpose()?;
        let sent = session.send_sms(&format!("sms-{number}"), text, at).await;
        sent.map_err(|refused| format!("its SMS can't be sent: {refused}"))?;
    }
    Ok(())
}

/// Adds inputs; where they are too many, the oldest go.
fn add_inputs(inputs: &mut Vec<String>, new: Vec<String>) {
    inputs.extend(new.iter().map(|input| cut(input, LONGEST_INPUT).to_owned()));
    let mut bytes: usize = inputs.iter().map(|input| input.len() + 1).sum();
    while bytes > LONGEST_INPUTS && !inputs.is_empty() {
        bytes -= inputs.remove(0).len() + 1;
    }
}

fn cut(text: &str, longest: usize) -> &str {
    text.get(..text.floor_char_boundary(longest)).unwrap_or(text)
}
