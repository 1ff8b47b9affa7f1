//! What a protocol does for dialogues: it carries screens.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use vumi_kit::address::{Msisdn, UssdCode};

use super::{
    paging::PageSize,
    replies::{CarriedReply, UnwrittenScreen},
};
use crate::fault_log::FaultLog;

/// How the network knows a dialogue. It is kept with the session, and comes back from the store with it.
pub(crate) trait DialogueKey:
    Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + 'static
{
    /// Whether a message with the key `later` belongs to this dialogue.
    fn goes_on_as(&self, later: &Self) -> bool;
}

/// A network that knows a dialogue by the person's number alone.
impl DialogueKey for () {
    fn goes_on_as(&self, (): &Self) -> bool {
        true
    }
}

/// Whether screens can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScreensState {
    /// The open sessions are being read from the store.
    Starting,
    Up,
    /// There is no connection now.
    Down,
    /// There will be none any more.
    Stopping,
}

/// What a screen does to its dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScreenKind {
    /// The person is to answer.
    Question,
    /// The dialogue ends with it.
    Last,
    /// It begins a dialogue, and the person is to answer.
    PushedQuestion,
    /// It comes unasked, and there is nothing to answer.
    Notification,
}

impl ScreenKind {
    /// Whether the session is over once it is shown.
    pub(super) const fn ends(self) -> bool {
        matches!(self, Self::Last | Self::Notification)
    }

    /// Whether it is the first of its dialogue.
    pub(super) const fn begins(self) -> bool {
        matches!(self, Self::PushedQuestion | Self::Notification)
    }
}

/// A screen on its way to a phone.
pub(crate) struct UssdScreen<'a, D> {
    pub(crate) person: &'a Msisdn,
    pub(crate) dialogue: &'a D,
    pub(crate) kind: ScreenKind,
    pub(crate) text: String,
}

/// What dialogues ask of their network: to write a screen, and whether one can be written now.
pub(crate) trait ScreenNetwork<D> {
    /// Whether screens can be written.
    fn state(&self) -> ScreensState;

    /// The text as the network carries it, and the characters that it had to replace.
    fn spelled(&self, text: &str) -> (String, Vec<char>);

    /// How much of a text a screen holds.
    fn page_size(&self, text: &str) -> PageSize;

    /// The key of a dialogue that is begun by us, at this code. An error says why there is none.
    fn begin(&mut self, code: &UssdCode) -> Result<D, String>;

    /// Writes a screen. What becomes of the reply that it carries is told to the [`super::Dialogues`]. Where screens can't be
    /// written, one without a reply is dropped.
    fn show(&mut self, screen: UssdScreen<'_, D>, reply: Option<CarriedReply>) -> Result<(), Box<UnwrittenScreen>>;

    /// Replies of which it is not known yet what became of them.
    fn replies_under_way(&self) -> usize;

    /// Where faults are counted.
    fn faults(&mut self) -> &mut FaultLog;
}
