//! Frames on their way to the socket, and the replies whose frames they are.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use vumi_kit::{address::Msisdn, message::UserMessage};
use vumi_ssmi_codec::{BadField, ClientCommand, Command};

/// Reading stops while so many bytes wait to be written: the server does not read either.
const FULL: usize = 1024 * 1024;

/// A campaign's reply that was put into a frame.
pub(super) struct Reply {
    pub(super) message: UserMessage,
    pub(super) person: Msisdn,
    /// The session it belongs to.
    pub(super) first_id: String,
    /// The session ends with this frame.
    pub(super) ends: bool,
    /// Characters that the wire's character set lacks.
    pub(super) replaced: Vec<char>,
}

/// The write half of a connection, up to the socket. Positions count bytes since the connection was made.
#[derive(Default)]
pub(super) struct Wire {
    /// Logged in.
    pub(super) up: bool,
    buffer: BytesMut,
    framed: u64,
    written: u64,
    replies: VecDeque<(u64, Reply)>,
}

impl Wire {
    /// How far frames were added, in bytes since the connection was made.
    pub(super) fn framed(&self) -> u64 {
        self.framed
    }

    /// How far they were written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// How many replies wait to be written.
    pub(super) fn replies(&self) -> usize {
        self.replies.len()
    }

    pub(super) fn has_room(&self) -> bool {
        self.framed - self.written < FULL as u64
    }

    /// Everything framed has been written.
    pub(super) fn idle(&self) -> bool {
        self.framed == self.written
    }

    /// Adds a frame. Answers the characters that were replaced in it.
    pub(super) fn frame(&mut self, command: &ClientCommand) -> Result<Vec<char>, BadField> {
        let before = self.buffer.len();
        let replaced = command.encode_into(&mut self.buffer)?;
        self.framed += (self.buffer.len() - before) as u64;
        Ok(replaced)
    }

    /// The last frame added carries this reply.
    pub(super) fn carries(&mut self, reply: Reply) {
        self.replies.push_back((self.framed, reply));
    }

    /// All frames that wait, to be written in one go.
    pub(super) fn take(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }

    /// So many more bytes are on the socket. Answers the replies that are there whole.
    pub(super) fn wrote(&mut self, bytes: usize) -> Vec<Reply> {
        self.written += bytes as u64;
        let mut whole = Vec::new();
        while let Some((end, reply)) = self.replies.pop_front() {
            if end > self.written {
                self.replies.push_front((end, reply));
                break;
            }
            whole.push(reply);
        }
        whole
    }

    /// The connection is gone. Answers the replies that were not written whole, in their order.
    pub(super) fn lose(&mut self) -> Vec<Reply> {
        let lost = std::mem::take(self);
        lost.replies.into_iter().map(|(_, reply)| reply).collect()
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::{
        address::Msisdn,
        clock::Timestamp,
        message::{TransportType, UserMessage},
        name::Name,
    };
    use vumi_ssmi_codec::{ClientCommand, UssdType};

    use super::{Reply, Wire};

    fn frame(wire: &mut Wire, text: &str) {
        let msisdn = "27831234567".to_owned();
        wire.frame(&ClientCommand::Ussd { msisdn: msisdn.clone(), kind: UssdType::End, message: text.to_owned() })
            .unwrap();
        let (name, at) = (Name::parse("truteq").unwrap(), Timestamp::from_seconds(0));
        let mut message = UserMessage::from_person(&name, TransportType::Ussd, "*1#", &msisdn, at);
        message.content = Some(text.to_owned());
        let person = Msisdn::parse(&msisdn).unwrap();
        wire.carries(Reply { message, person, first_id: String::new(), ends: true, replaced: Vec::new() });
    }

    fn texts(replies: Vec<Reply>) -> Vec<String> {
        replies.into_iter().filter_map(|reply| reply.message.content).collect()
    }

    #[test]
    fn a_reply_is_written_when_its_last_byte_is_and_the_others_are_kept_when_the_connection_is_lost() {
        let mut wire = Wire { up: true, ..Wire::default() };
        wire.frame(&ClientCommand::LinkCheck).unwrap();
        for text in ["one", "two", "three"] {
            frame(&mut wire, text);
        }
        let bytes = wire.take().len();
        let third = "SSMI,110,27831234567,3,three\r".len();
        assert_eq!(texts(wire.wrote(bytes - third - 1)), ["one"]);
        assert_eq!(texts(wire.wrote(third)), ["two"]);
        assert_eq!(texts(wire.wrote(0)), Vec::<String>::new());
        frame(&mut wire, "four");
        assert!(!wire.idle());
        assert_eq!(texts(wire.lose()), ["three", "four"]);
        assert!(!wire.up && wire.idle() && wire.take().is_empty());
    }
}
