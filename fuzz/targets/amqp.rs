//! The family's messages and events on the broker. What is read is written, and reads as the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vumi_amqp::fuzzing::{read_event, read_message, unread_id, write_event, write_message};

fuzz_target!(|body: &[u8]| {
    if let Some(message) = read_message(body) {
        let written = write_message(message.clone()).expect("what was read can be written");
        assert_eq!(read_message(&written), Some(message));
    }
    if let Some(event) = read_event(body) {
        let written = write_event(&event).expect("what was read can be written");
        assert_eq!(read_event(&written), Some(event));
    }
    assert!(unread_id(body).is_none_or(|id| !id.is_empty()));
});
