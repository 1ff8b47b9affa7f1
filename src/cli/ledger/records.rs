//! SMS as records of an export.

use std::collections::HashMap;

use vumi_kit::{
    account::AccountId,
    clock::Timestamp,
    name::Name,
    sms::{Received, Sms},
    sms_options::Content,
};

use super::format::{ExportValue, Record};

/// The names of [`sent`].
pub(super) const SENT: &[&str] = &[
    "id",
    "account",
    "transport",
    "to",
    "from",
    "message",
    "content",
    "segments",
    "priority",
    "state",
    "status",
    "status_display",
    "provider_status",
    "provider_id",
    "attempts",
    "created_at",
    "scheduled_at",
    "expires_at",
    "updated_at",
    "delivered_at",
    "reference",
    "route",
];

/// An SMS to a person.
pub(crate) fn sent(sms: &Sms, accounts: &HashMap<AccountId, String>) -> Record {
    let values: [ExportValue; 22] = [
        sms.id.into(),
        account(sms.account, accounts),
        sms.transport.as_str().into(),
        sms.to.as_str().into(),
        sms.from.as_str().into(),
        (&sms.message).into(),
        content(&sms.content).into(),
        i64::from(sms.segments).into(),
        sms.priority.as_str().into(),
        sms.state.as_str().into(),
        i64::from(i16::from(sms.status)).into(),
        sms.status.display().into(),
        sms.provider_response.as_ref().into(),
        sms.provider_id.as_ref().into(),
        i64::from(sms.attempts).into(),
        time(sms.created_at),
        sms.scheduled_at.map(time).into(),
        time(sms.expires_at),
        time(sms.updated_at),
        sms.delivered_at.map(time).into(),
        sms.reference.as_ref().into(),
        sms.route.as_ref().map(Name::as_str).into(),
    ];
    SENT.iter().copied().zip(values).collect()
}

/// The names of [`received`].
pub(super) const RECEIVED: &[&str] = &[
    "id",
    "account",
    "transport",
    "from",
    "to",
    "message",
    "charset",
    "provider_id",
    "at",
    "created_at",
    "updated_at",
];

/// An SMS from a person.
pub(crate) fn received(received: &Received, accounts: &HashMap<AccountId, String>) -> Record {
    let sms = &received.sms;
    let values: [ExportValue; 11] = [
        received.id.into(),
        received.account.map(|id| account(id, accounts)).into(),
        received.transport.as_str().into(),
        sms.from.as_str().into(),
        sms.to.as_str().into(),
        (&sms.message).into(),
        sms.charset.as_ref().into(),
        sms.provider_id.as_ref().into(),
        sms.at.map(time).into(),
        time(received.created_at),
        time(received.updated_at),
    ];
    RECEIVED.iter().copied().zip(values).collect()
}

/// An account's name; of one that was removed, its number.
fn account(id: AccountId, accounts: &HashMap<AccountId, String>) -> ExportValue {
    accounts.get(&id).map_or_else(|| id.to_string(), Clone::clone).into()
}

/// A time as programs read it.
pub(crate) fn time(at: Timestamp) -> ExportValue {
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").into()
}

const fn content(content: &Content) -> &'static str {
    match content {
        Content::Text => "text",
        Content::Flash => "flash",
        Content::Binary { .. } => "binary",
        Content::Raw { .. } => "raw",
    }
}
