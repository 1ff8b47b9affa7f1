//! What the centre has for an ESME: receipts, inbound SMS, messages of handsets.

use std::sync::Arc;

use tokio::sync::oneshot;
use vumi_smpp_codec::Message;

use super::taken::TakenSms;

/// One of them, until it is acknowledged.
#[derive(Debug)]
pub(super) struct SmscDelivery {
    pub(super) content: DeliveryContent,
    /// Attempts that the ESME refused.
    pub(super) attempts: u32,
}

#[derive(Debug)]
pub(super) enum DeliveryContent {
    /// A receipt. What it says is decided when it is sent.
    Receipt(Arc<TakenSms>),
    /// A message, and who waits for the command_status of its answer.
    Inbound { message: Box<Message>, answered: oneshot::Sender<u32> },
}

impl SmscDelivery {
    pub(super) const fn new(content: DeliveryContent) -> Self {
        Self { content, attempts: 0 }
    }
}
