//! Frames on their way to the socket, and the replies that they carry.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use vumi_ssmi_codec::{BadField, ClientCommand, SsmiCommand};

use crate::ussd::CarriedReply;

/// While so many bytes wait to be written, nothing more is read: the server does not read either.
const FULL: usize = 1024 * 1024;

/// The write half of a connection, up to the socket. Positions count bytes since the connection was made.
#[derive(Default)]
pub(super) struct FrameBuffer {
    buffer: BytesMut,
    added: u64,
    written: u64,
    replies: VecDeque<(u64, CarriedReply)>,
}

impl FrameBuffer {
    /// Where the last frame ends.
    pub(super) fn added(&self) -> u64 {
        self.added
    }

    /// How far was written to the socket.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// How many replies are not written whole.
    pub(super) fn unwritten_replies(&self) -> usize {
        self.replies.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.added - self.written >= FULL as u64
    }

    /// Every frame has been written.
    pub(super) fn is_empty(&self) -> bool {
        self.added == self.written
    }

    /// Adds a frame. Answers the characters that were replaced in it.
    pub(super) fn add(&mut self, command: &ClientCommand) -> Result<Vec<char>, BadField> {
        let before = self.buffer.len();
        let replaced = command.encode_into(&mut self.buffer)?;
        self.added += (self.buffer.len() - before) as u64;
        Ok(replaced)
    }

    /// Notes the reply that the frame added last carries.
    pub(super) fn last_carries(&mut self, reply: CarriedReply) {
        self.replies.push_back((self.added, reply));
    }

    /// Takes all frames that wait, to be written at once.
    pub(super) fn take(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }

    /// Counts bytes that were written to the socket. Answers the replies whose frames are written whole.
    pub(super) fn wrote(&mut self, bytes: usize) -> Vec<CarriedReply> {
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

    /// Drops all frames, for the connection is lost. Answers the replies that were not written whole, in their order.
    pub(super) fn clear(&mut self) -> Vec<CarriedReply> {
        std::mem::take(self).replies.into_iter().map(|(_, reply)| reply).collect()
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

    use super::FrameBuffer;
    use crate::ussd::CarriedReply;

    fn add_reply(frames: &mut FrameBuffer, text: &str) {
        let msisdn = "27831234567".to_owned();
        frames
            .add(&ClientCommand::Ussd { msisdn: msisdn.clone(), kind: UssdType::End, message: text.to_owned() })
            .unwrap();
        let (name, at) = (Name::parse("truteq").unwrap(), Timestamp::from_seconds(0));
        let mut message = UserMessage::from_person(&name, TransportType::Ussd, "*1#", &msisdn, at);
        message.content = Some(text.to_owned());
        let person = Msisdn::parse(&msisdn).unwrap();
        let (first_id, replaced) = (String::new(), Vec::new());
        frames.last_carries(CarriedReply { message, person, first_id, ends: true, pushed: false, replaced });
    }

    fn texts(replies: Vec<CarriedReply>) -> Vec<String> {
        replies.into_iter().filter_map(|reply| reply.message.content).collect()
    }

    #[test]
    fn a_reply_is_written_when_its_last_byte_is_and_the_others_are_kept_when_the_connection_is_lost() {
        let mut frames = FrameBuffer::default();
        frames.add(&ClientCommand::LinkCheck).unwrap();
        for text in ["one", "two", "three"] {
            add_reply(&mut frames, text);
        }
        let bytes = frames.take().len();
        let third = "SSMI,110,27831234567,3,three\r".len();
        assert_eq!(texts(frames.wrote(bytes - third - 1)), ["one"]);
        assert_eq!(texts(frames.wrote(third)), ["two"]);
        assert_eq!(texts(frames.wrote(0)), Vec::<String>::new());
        add_reply(&mut frames, "four");
        assert!(!frames.is_empty());
        assert_eq!(texts(frames.clear()), ["three", "four"]);
        assert!(frames.is_empty() && frames.take().is_empty());
    }
}
