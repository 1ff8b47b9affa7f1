//! A call of an aggregator: a step of a person's USSD session, whose HTTP response is the next screen. The HTTP front-end hands
//! it to the transport of the same process, which answers it within its own time limit.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use actix::Message;

use crate::webhook::{Unreadable, WebhookAnswer, WebhookRequest};

/// Answers a call. The caller was let in; the transport reads what it says.
#[derive(Debug, Message)]
#[rtype(result = "Result<WebhookAnswer, Unreadable>")]
pub struct AnswerCall {
    pub request: WebhookRequest,
    /// What of the path stands behind the transport's own, without a leading `/`; mostly nothing.
    pub path: String,
}
