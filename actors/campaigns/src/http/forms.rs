//! How an application is called and how its answer is read.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vumi_ussd_codec::{CallEvent, CallMethod, UssdCall, UssdShape, WrittenCall, joined::with_input};

/// The largest state that an application may have the router keep, in bytes of JSON.
const LARGEST_STATE: usize = 16 * 1024;

/// The longest text of a screen, in bytes: what does not fit a screen is shown in pages.
const LONGEST_TEXT: usize = 4_000;

/// A way to call an application.
pub(super) enum ApplicationForm {
    Json,
    /// As an aggregator would.
    Shaped(Box<UssdShape>),
}

/// What happened in a dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StepEvent {
    New,
    /// The person sent something.
    Resume,
    /// The person was cut off and has come back; the state is as it was.
    Again,
    Close,
}

/// A step of a dialogue: what the application is told, with the keys of the JSON form.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct ApplicationStep<'s> {
    pub(super) session: &'s str,
    pub(super) message_id: &'s str,
    pub(super) transport: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operator: Option<&'s str>,
    pub(super) from: &'s str,
    pub(super) to: &'s str,
    pub(super) text: Option<&'s str>,
    pub(super) inputs: &'s [String],
    pub(super) event: StepEvent,
    pub(super) state: &'s Value,
}

/// What an application answers.
#[derive(Debug, PartialEq)]
pub(super) struct ApplicationScreen {
    /// None: nothing is sent, to an SMS.
    pub(super) text: Option<String>,
    pub(super) is_open: bool,
    /// None: it stays as it is.
    pub(super) state: Option<Value>,
    pub(super) sms: Vec<ApplicationSms>,
}

/// An SMS to the person beside the screen.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplicationSms {
    pub(super) text: String,
    /// When it is sent, UTC. None: now.
    #[serde(default)]
    pub(super) at: Option<String>,
}

/// An answer in the JSON form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonAnswer {
    text: Option<String>,
    open: bool,
    #[serde(default, deserialize_with = "given")]
    state: Option<Value>,
    #[serde(default)]
    sms: Vec<ApplicationSms>,
}

/// A state of `null` is one, too.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

impl ApplicationForm {
    /// Whether the application's state goes to and fro with the calls.
    pub(super) const fn keeps_state(&self) -> bool {
        matches!(self, Self::Json)
    }

    /// The call of a step.
    pub(super) fn write(&self, step: &ApplicationStep<'_>) -> WrittenCall {
        match self {
            Self::Json => WrittenCall {
                method: CallMethod::Post,
                path: String::new(),
                query: String::new(),
                // Texts, lists and a JSON value: nothing in it can fail to be written.
                body: Some(("application/json", serde_json::to_string(step).unwrap_or_default())),
            },
            Self::Shaped(shape) => shape.write_call(&call_of(shape, step)),
        }
    }

    /// The screen of an answer; else what was expected. It quotes nothing.
    pub(super) fn read(&self, body: &str) -> Result<ApplicationScreen, String> {
        let screen = match self {
            Self::Json => {
                let JsonAnswer { text, open, state, sms } =
                    serde_json::from_str(body).map_err(|error| explained(&error))?;
                if state.as_ref().is_some_and(|state| state.to_string().len() > LARGEST_STATE) {
                    return Err(format!("`state` is larger than {} KiB", LARGEST_STATE / 1024));
                }
                ApplicationScreen { text, is_open: open, state, sms }
            }
            Self::Shaped(shape) => {
                let answer = shape.read_answer(body).map_err(|wrong| wrong.to_string())?;
                ApplicationScreen { text: Some(answer.text), is_open: answer.is_open, state: None, sms: Vec::new() }
            }
        };
        if screen.text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT) {
            return Err(format!("the screen's text is longer than {LONGEST_TEXT} bytes"));
        }
        Ok(screen)
    }
}

fn call_of(shape: &UssdShape, step: &ApplicationStep<'_>) -> UssdCall {
    let last = step.text.unwrap_or_default();
    let joined = || step.inputs.iter().fold(String::new(), |before, input| with_input(&before, input));
    let input = match shape.inputs {
        vumi_ussd_codec::InputStyle::Joined => joined(),
        vumi_ussd_codec::InputStyle::Last => last.to_owned(),
    };
    UssdCall {
        session: step.session.to_owned(),
        person: step.from.to_owned(),
        code: Some(step.to.to_owned()),
        input: Some(input),
        last: Some(last.to_owned()),
        event: match step.event {
            StepEvent::New => CallEvent::New,
            StepEvent::Resume | StepEvent::Again => CallEvent::Resume,
            StepEvent::Close => CallEvent::End,
        },
        turn: Some(step.message_id.to_owned()),
        operator: step.operator.map(str::to_owned),
        fields: Value::Null,
    }
}

/// Where and why JSON is not an answer; serde's own words may quote it.
fn explained(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => {
            "expected {\"text\": TEXT, \"open\": true or false, \"state\": ANY, \"sms\": [{\"text\": TEXT}]}"
        }
        _ => "expected a JSON object",
    };
    format!("{what}, but not so at line {}, column {}", error.line(), error.column())
}
