//! The calls that wait for their campaign, and the last screens shown.

use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot;
use vumi_ussd_codec::UssdAnswer;

/// Calls that wait for one message: an aggregator that gets no answer may make a call again, and again.
const MOST_OF_MESSAGE: usize = 4;

/// Screens that are remembered, for calls that are made again after they were answered.
const MOST_SHOWN: usize = 2_000;

/// See the module. Calls are known by the id of the message to the campaign.
#[derive(Default)]
pub(super) struct WaitingCalls {
    waiting: HashMap<String, Vec<oneshot::Sender<UssdAnswer>>>,
    shown: HashMap<String, UssdAnswer>,
    shown_order: VecDeque<String>,
}

impl WaitingCalls {
    /// How many messages' calls wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a call waits for the answer to a message.
    pub(super) fn is_waiting(&self, message_id: &str) -> bool {
        self.waiting.contains_key(message_id)
    }

    /// Waits for the answer to a message; none where as many calls wait for it as may.
    pub(super) fn wait(&mut self, message_id: &str) -> Option<oneshot::Receiver<UssdAnswer>> {
        let calls = self.waiting.entry(message_id.to_owned()).or_default();
        calls.retain(|call| !call.is_closed());
        if calls.len() >= MOST_OF_MESSAGE {
            return None;
        }
        let (answer, waits) = oneshot::channel();
        calls.push(answer);
        Some(waits)
    }

    /// Answers the calls that wait for a message.
    pub(super) fn answer(&mut self, message_id: &str, screen: &UssdAnswer) {
        for call in self.waiting.remove(message_id).unwrap_or_default() {
            let _its_caller_is_gone = call.send(screen.clone());
        }
        if self.shown.insert(message_id.to_owned(), screen.clone()).is_none() {
            self.shown_order.push_back(message_id.to_owned());
        }
        if self.shown_order.len() > MOST_SHOWN
            && let Some(oldest) = self.shown_order.pop_front()
        {
            self.shown.remove(&oldest);
        }
    }

    /// The calls of a message wait no longer: they were answered otherwise.
    pub(super) fn give_up(&mut self, message_id: &str) {
        self.waiting.remove(message_id);
    }

    /// The screen that a message was answered with.
    pub(super) fn shown(&self, message_id: &str) -> Option<UssdAnswer> {
        self.shown.get(message_id).cloned()
    }
}
