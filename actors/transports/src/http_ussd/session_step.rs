//! What a call means for its session.

use serde::{Deserialize, Serialize};
use vumi_kit::address::UssdCode;
use vumi_ussd_codec::{
    CallEvent, InputStyle, UssdCall,
    joined::{JoinedInput, new_input},
};

use super::long_texts::UnshownPages;

/// What the store has of a session. Its other facts are in the record: the person, and the id of the last message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptUssdSession {
    pub(super) session: String,
    /// The input's field in the last call: where inputs come joined, the next call's begins with it.
    pub(super) text: String,
    /// What told the last call from the one before.
    pub(super) turn: Option<String>,
    /// What the person sent in the last call, as the campaign was told; none in the first.
    pub(super) content: Option<String>,
    /// Its last screen was shown.
    pub(super) is_over: bool,
    /// What of a long or late screen was not shown.
    pub(super) unshown: Option<UnshownPages>,
}

/// What follows a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SessionStep {
    /// A session begins by this code.
    Begin(UssdCode),
    /// One would begin, and nobody knows by which code.
    NoCode,
    /// The person sent this.
    GoOn(String),
    /// The last call was made again.
    Repeated,
    /// A call before the last comes late: nothing follows.
    Earlier,
    /// The session is over.
    End,
    /// It tells nothing that is new.
    Nothing,
}

/// What follows a call, by what is kept of the person's last session. `dialled` is the code of a session that begins.
pub(super) fn next_step(
    kept: Option<&KeptUssdSession>,
    call: &UssdCall,
    style: InputStyle,
    dialled: Option<UssdCode>,
) -> SessionStep {
    let same = kept.filter(|kept| kept.session == call.session);
    let begin = || dialled.clone().map_or(SessionStep::NoCode, SessionStep::Begin);
    let text = call.input.as_deref().unwrap_or_default();
    match (call.event, same) {
        (CallEvent::End, Some(kept)) if !kept.is_over => SessionStep::End,
        (CallEvent::End, _) => SessionStep::Nothing,
        // Its first call again; a person who dials anew has another session.
        (CallEvent::New, Some(kept)) if kept.content.is_none() => SessionStep::Repeated,
        (CallEvent::New, _) | (_, None) => begin(),
        (CallEvent::Resume | CallEvent::Unmarked, Some(kept)) => {
            let step = match style {
                InputStyle::Joined => match new_input(&kept.text, text) {
                    JoinedInput::Next(input) => SessionStep::GoOn(input.to_owned()),
                    JoinedInput::Repeated => SessionStep::Repeated,
                    JoinedInput::Earlier => SessionStep::Earlier,
                },
                InputStyle::Last if call.turn.is_some() && call.turn == kept.turn => SessionStep::Repeated,
                InputStyle::Last => SessionStep::GoOn(text.to_owned()),
            };
            match step {
                // Some go on with an id after its end: that is a new session.
                SessionStep::GoOn(_) if kept.is_over => begin(),
                step => step,
            }
        }
    }
}
