//! For the fuzzer only (feature `fuzzing`, `fuzz/README.md`): the codec of messages on the broker.

use vumi_kit::{
    message::{Event, UserMessage},
    name::Name,
};

use crate::message_codec;

/// Reads a user message.
#[must_use]
pub fn read_message(body: &[u8]) -> Option<UserMessage> {
    message_codec::read_message(body).ok()
}

/// Writes a user message; none if it can't be written.
#[must_use]
pub fn write_message(message: UserMessage) -> Option<Vec<u8>> {
    message_codec::write_message(message).ok()
}

/// Reads an event of a connector with a transport.
#[must_use]
pub fn read_event(body: &[u8]) -> Option<Event> {
    let transport = Name::parse("transport").ok()?;
    message_codec::read_event(body, &transport).ok()
}

/// Writes an event; none if it can't be written.
#[must_use]
pub fn write_event(event: &Event) -> Option<Vec<u8>> {
    message_codec::write_event(event).ok()
}

/// The id of a message that can't be read, for its nack.
#[must_use]
pub fn unread_id(body: &[u8]) -> Option<String> {
    message_codec::read_unreadable(body).map(|unread| unread.message_id)
}
