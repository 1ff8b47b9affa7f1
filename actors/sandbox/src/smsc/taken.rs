//! The submissions that the centre took: for query_sm, cancel_sm and receipts.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use bytes::Bytes;
use vumi_kit::clock::Timestamp;
use vumi_smpp_codec::{MessageState, PduAddress, registered_delivery};

/// How many submissions can be asked for; older ones are forgotten.
const MAX_TAKEN: usize = 100_000;

/// A submission that was taken.
#[derive(Debug)]
pub(super) struct TakenSms {
    /// The number that its id spells.
    pub(super) number: u64,
    pub(super) source: PduAddress,
    pub(super) destination: PduAddress,
    pub(super) registered_delivery: u8,
    pub(super) submitted_at: Timestamp,
    /// When it has its last state.
    pub(super) final_at: Timestamp,
    /// `stat` of its receipt.
    stat: String,
    /// The message_state that it ends in.
    state: AtomicU8,
    /// The first characters of its text.
    pub(super) head: String,
}

impl TakenSms {
    /// `stat` is as receipts write it; the addresses are copied, so that they do not keep the PDU they came in.
    pub(super) fn new(
        number: u64,
        (source, destination): (&PduAddress, &PduAddress),
        registered_delivery: u8,
        (submitted_at, final_at): (Timestamp, Timestamp),
        (stat, text): (&str, &str),
    ) -> Arc<Self> {
        let state = MessageState::from_word(stat).unwrap_or(MessageState::Unknown);
        Arc::new(Self {
            number,
            source: copied(source),
            destination: copied(destination),
            registered_delivery,
            submitted_at,
            final_at,
            stat: stat.to_owned(),
            state: AtomicU8::new(state.into()),
            head: text.chars().take(20).map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect(),
        })
    }

    /// The message_state that it ends in.
    pub(super) fn last_state(&self) -> MessageState {
        self.state.load(Ordering::Relaxed).into()
    }

    /// The message_state at a moment.
    pub(super) fn state_at(&self, now: Timestamp) -> MessageState {
        let last = self.last_state();
        if last == MessageState::Deleted || now >= self.final_at { last } else { MessageState::Enroute }
    }

    /// The word of its receipt.
    pub(super) fn stat(&self) -> &str {
        match self.last_state() {
            MessageState::Deleted => MessageState::Deleted.word(),
            _ => &self.stat,
        }
    }

    /// Cancels it; whether it was still on its way.
    pub(super) fn cancel(&self, now: Timestamp) -> bool {
        let cancelled = self.state_at(now) == MessageState::Enroute;
        if cancelled {
            self.state.store(MessageState::Deleted.into(), Ordering::Relaxed);
        }
        cancelled
    }

    /// Whether its sender asked for the receipt that it will have.
    pub(super) fn wants_receipt(&self) -> bool {
        let delivered = self.last_state() == MessageState::Delivered;
        registered_delivery::wants_receipt(self.registered_delivery, delivered)
    }
}

fn copied(address: &PduAddress) -> PduAddress {
    PduAddress::new(address.ton, address.npi, Bytes::copy_from_slice(&address.addr))
}

/// The newest of them, by number.
#[derive(Debug, Default)]
pub(super) struct TakenMessages {
    by_number: HashMap<u64, Arc<TakenSms>>,
    order: VecDeque<u64>,
}

impl TakenMessages {
    pub(super) fn put(&mut self, sms: Arc<TakenSms>) {
        if self.order.len() >= MAX_TAKEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_number.remove(&oldest);
        }
        self.order.push_back(sms.number);
        self.by_number.insert(sms.number, sms);
    }

    pub(super) fn get(&self, number: u64) -> Option<&Arc<TakenSms>> {
        self.by_number.get(&number)
    }

    /// All from one address to another.
    pub(super) fn between(&self, source: &[u8], destination: &[u8]) -> impl Iterator<Item = &Arc<TakenSms>> {
        self.by_number.values().filter(move |sms| sms.source.addr == source && sms.destination.addr == destination)
    }
}
