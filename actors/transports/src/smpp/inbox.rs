//! SMS from people and receipts, until the ledger has them.

use std::{collections::VecDeque, rc::Rc};

use tokio::sync::Notify;
use vumi_kit::sms::{InboundSms, Receipt};
use vumi_smpp_codec::CommandId;

/// Where a message is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyTo {
    pub(super) connection: usize,
    /// [`super::link::Link::id`].
    pub(super) link: u64,
    pub(super) sequence: u32,
    pub(super) response: CommandId,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Receipt(Box<Receipt>),
    Sms(Box<InboundSms>),
}

/// See the module.
#[derive(Default)]
pub(super) struct Inbox {
    waiting: VecDeque<(ReplyTo, Item)>,
    under_way: usize,
    pub(super) arrived: Rc<Notify>,
}

impl Inbox {
    /// Those that the ledger does not have.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.under_way
    }

    pub(super) fn push(&mut self, place: ReplyTo, item: Item) {
        self.waiting.push_back((place, item));
        self.arrived.notify_one();
    }

    /// The first ones that are of one sort, so many at the most; they are under way until [`Self::done`].
    pub(super) fn take(&mut self, most: usize) -> Vec<(ReplyTo, Item)> {
        let sort = |item: &Item| matches!(item, Item::Receipt(_));
        let Some(first) = self.waiting.front().map(|(_, item)| sort(item)) else { return Vec::new() };
        let count = self.waiting.iter().take(most).take_while(|(_, item)| sort(item) == first).count();
        self.under_way += count;
        self.waiting.drain(..count).collect()
    }

    pub(super) fn done(&mut self, count: usize) {
        self.under_way = self.under_way.saturating_sub(count);
    }
}
