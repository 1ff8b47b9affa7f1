//! Screens of one connection that were given to it and are not answered.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::SentScreen;
use crate::ussd::CarriedReply;

struct WaitingScreen {
    screen: SentScreen,
    /// Where its PDU ends in the stream.
    end: u64,
    sent_at: Instant,
}

/// See the module. Their number is bounded by the replies and sessions of the transport: those that nobody answers are forgotten
/// after a time.
#[derive(Default)]
pub(in crate::smpp) struct SentScreens(HashMap<u32, WaitingScreen>);

/// What was lost with a connection.
#[derive(Default)]
pub(in crate::smpp) struct LostScreens {
    /// Not written whole: nobody has seen them.
    pub(in crate::smpp) unwritten: Vec<CarriedReply>,
    /// Replies that were written when the connection ended: nobody knows whether they were shown.
    pub(in crate::smpp) unknown: Vec<CarriedReply>,
}

impl SentScreens {
    pub(in crate::smpp) fn sent(&mut self, sequence: u32, screen: SentScreen, end: u64) {
        self.0.insert(sequence, WaitingScreen { screen, end, sent_at: Instant::now() });
    }

    pub(in crate::smpp) fn len(&self) -> usize {
        self.0.len()
    }

    pub(in crate::smpp) fn take(&mut self, sequence: u32) -> Option<SentScreen> {
        Some(self.0.remove(&sequence)?.screen)
    }

    /// The replies that were not answered within the limit.
    pub(in crate::smpp) fn take_overdue(&mut self, limit: Duration) -> Vec<CarriedReply> {
        let overdue = self.0.extract_if(|_, waiting| waiting.sent_at.elapsed() >= limit);
        overdue.filter_map(|(_, waiting)| waiting.screen.reply).collect()
    }

    /// The connection is lost after so many octets.
    pub(in crate::smpp) fn lose(&mut self, written: u64) -> LostScreens {
        let mut lost = LostScreens::default();
        let mut waiting: Vec<_> = self.0.drain().map(|(_, waiting)| waiting).collect();
        waiting.sort_unstable_by_key(|waiting| waiting.end);
        for WaitingScreen { screen, end, .. } in waiting {
            let Some(reply) = screen.reply else { continue };
            if end > written { lost.unwritten.push(reply) } else { lost.unknown.push(reply) }
        }
        lost
    }
}
