//! USSD dialogues, whatever protocol carries them: SSMI and SMPP share this.
//!
//! [`dialogues`] is what a transport holds: the open sessions ([`session_table`], [`ussd_sessions`]) and the campaigns'
//! [`replies`], shown page by page ([`paging`]). [`ussd_handler`] says what follows a message of a person, [`pushed_dialogues`] how the
//! network begins a dialogue. The protocol writes screens as a [`network::ScreenNetwork`]. [`forwarders`] bring to router
//! and store what the dialogues collect for them.

mod dialogues;
mod forwarders;
mod network;
mod paging;
mod person_work;
mod pushed_dialogues;
mod replies;
mod session_table;
mod settings;
mod ussd_handler;
mod ussd_sessions;

pub(crate) use dialogues::Dialogues;
pub(crate) use forwarders::{
    DialogueOwner, forward_events, forward_messages, forward_sessions, restore_sessions, settle, sweep,
};
pub(crate) use network::{DialogueKey, ScreenKind, ScreenNetwork, ScreensState, UssdScreen};
pub(crate) use paging::PageSize;
pub(crate) use replies::{CarriedReply, ScreenFate, UnwrittenScreen};
pub(crate) use settings::{DialogueSettings, DialogueTexts};
pub(crate) use ussd_handler::{InputKind, UndeliveredMessage, UssdInput};
