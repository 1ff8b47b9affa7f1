//! The front-end on a real broker.

mod connection;
mod fake_ledger;
mod fake_router;
mod fixture;
mod messages;
mod odd;
mod peers;
mod proxy;
mod sms;
mod stop;
mod two_processes;
mod unknown_events;

use vumi_kit::{message::UserMessage, testing::moment};

fn answer(message: &UserMessage, text: &str) -> UserMessage {
    message.reply(Some(text.to_owned()), None, moment())
}
