//! A dialogue as its session keeps it in the store.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use vumi_kit::{
    clock::Timestamp,
    message::{TransportType, UserMessage},
    name::Name,
    session::SessionRecord,
};

use crate::Screen;

/// A session's state as it is stored. What earlier versions of vumi did not write is none.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredDialogue<State> {
    pub(crate) state: State,
    /// The last one shown: it answers a repeated message.
    pub(crate) screen: Screen,
    /// The id of the session: see [`Session::id`](crate::Session::id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dialogue: Option<String>,
    /// By which transport the person came last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transport: Option<Name>,
    /// The network of that transport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<TransportType>,
    /// Until when an input goes on with it, in microseconds since 1970; later it can only be resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) active_until: Option<i64>,
}

/// The dialogue before a message.
pub(crate) struct DialogueBefore<State> {
    /// What the person dialled or wrote to.
    pub(crate) address: String,
    pub(crate) last_message_id: String,
    pub(crate) stored: StoredDialogue<State>,
}

impl<State: DeserializeOwned> StoredDialogue<State> {
    /// None where the state can't be read: the dialogue begins anew.
    pub(crate) fn read(record: SessionRecord, campaign: &Name, message: &UserMessage) -> Option<DialogueBefore<State>> {
        match serde_json::from_str(&record.state) {
            Ok(stored) => {
                let SessionRecord { address, last_message_id, .. } = record;
                Some(DialogueBefore { address, last_message_id, stored })
            }
            Err(error) => {
                // serde_json's message can quote what it read; the position is enough to find the change.
                let (line, column) = (error.line(), error.column());
                vumi_kit::warn_limited!(campaign.as_str(), %campaign, message = %message.message_id, line, column, "a session's state can't be read: has the campaign changed? The dialogue begins anew");
                None
            }
        }
    }
}

impl<State> StoredDialogue<State> {
    /// One that the person was cut off from by this message. Only a new beginning goes on with it.
    pub(crate) fn cut_off(state: State, screen: Screen, by: &UserMessage) -> Self {
        Self {
            state,
            screen,
            dialogue: by.session_id().map(Cow::into_owned),
            transport: Some(by.transport_name.clone()),
            network: Some(by.transport_type),
            active_until: Some(0),
        }
    }

    /// Whether an input still goes on with it.
    pub(crate) fn is_active(&self, now: Timestamp) -> bool {
        self.active_until.is_none_or(|until| until >= now.micros())
    }
}

impl<State> DialogueBefore<State> {
    /// Whether a message is of this dialogue, and not the beginning of another: it comes by the same transport and network, and
    /// in the same session where the network has sessions.
    pub(crate) fn goes_on_with(&self, message: &UserMessage, now: Timestamp) -> bool {
        let StoredDialogue { dialogue, transport, network, .. } = &self.stored;
        let session = message.session_id();
        self.stored.is_active(now)
            && transport.as_ref().is_none_or(|transport| *transport == message.transport_name)
            && network.is_none_or(|network| network == message.transport_type)
            && dialogue.as_deref().zip(session.as_deref()).is_none_or(|(known, named)| known == named)
    }
}
