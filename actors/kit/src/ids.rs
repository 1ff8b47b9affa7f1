//! Ids of messages.

/// A fresh message id: 32 hex digits, as the Vumi family writes them; ordered by time.
#[must_use]
pub fn message_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
