//! Ids of messages, and generated secrets.

/// A new message id: 32 hex digits, as the Vumi family writes them; ordered by time.
#[must_use]
pub fn message_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// A new secret: 32 hex digits from the system's source of randomness.
#[must_use]
pub fn secret() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
