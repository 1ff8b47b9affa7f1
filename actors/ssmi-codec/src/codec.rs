//! Reads a stream of bytes as commands.

use std::{io, marker::PhantomData};

use bytes::{Buf, BytesMut};
use tokio_util::codec::Decoder;

use super::{LineFault, Malformed, SsmiCommand};

/// The longest line that a codec reads by default, in bytes.
pub const MAX_LINE: usize = 16 * 1024;

/// Reads commands of one direction from a stream. A malformed line is an `Err` *item*: the caller logs, counts and skips
/// it, and the stream goes on behind it.
#[derive(Debug)]
pub struct Codec<C> {
    max_line: usize,
    /// Bytes at the front of the buffer known to hold no `\r`.
    searched: usize,
    /// Inside a line that is too long, and was reported.
    skipping: bool,
    reads: PhantomData<fn() -> C>,
}

impl<C> Default for Codec<C> {
    fn default() -> Self {
        Self::with_max_line(MAX_LINE)
    }
}

impl<C> Codec<C> {
    /// A codec that skips lines of more than `max_line` bytes.
    #[must_use]
    pub const fn with_max_line(max_line: usize) -> Self {
        Self { max_line, searched: 0, skipping: false, reads: PhantomData }
    }
}

impl<C: SsmiCommand> Codec<C> {
    /// The next command, or the next malformed line; `None` until more bytes come. What it reads is removed from
    /// the front of the buffer.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Option<Result<C, Malformed>> {
        loop {
            let unsearched = buffer.get(self.searched..).unwrap_or_default();
            let Some(end) = unsearched.iter().position(|&b| b == b'\r').map(|found| self.searched + found) else {
                return self.wait_for_more(buffer);
            };
            self.searched = 0;
            if std::mem::take(&mut self.skipping) {
                buffer.advance(end + 1);
                continue;
            }
            let line = buffer.get(..end).unwrap_or_default();
            let command = if end > self.max_line {
                Err(Malformed { command: None, what: LineFault::TooLong })
            } else {
                // Some servers end a line with `\r\n`: the `\n` then leads the next one.
                C::decode(line.strip_prefix(b"\n").unwrap_or(line))
            };
            buffer.advance(end + 1);
            return Some(command);
        }
    }

    fn wait_for_more(&mut self, buffer: &mut BytesMut) -> Option<Result<C, Malformed>> {
        if !self.skipping && buffer.len() <= self.max_line {
            self.searched = buffer.len();
            return None;
        }
        self.searched = 0;
        buffer.clear();
        let first_time = !std::mem::replace(&mut self.skipping, true);
        first_time.then_some(Err(Malformed { command: None, what: LineFault::TooLong }))
    }
}

impl<C: SsmiCommand> Decoder for Codec<C> {
    type Item = Result<C, Malformed>;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        Ok(self.next(buffer))
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        if let Some(item) = self.next(buffer) {
            return Ok(Some(item));
        }
        let left = buffer.len();
        buffer.clear();
        self.searched = 0;
        Ok((left > 0).then_some(Err(Malformed { command: None, what: LineFault::CutOff })))
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio_util::codec::Decoder;

    use super::{Codec, LineFault, Malformed};
    use crate::{AckKind, ServerCommand};

    const TOO_LONG: Result<ServerCommand, Malformed> = Err(Malformed { command: None, what: LineFault::TooLong });
    const ACK: Result<ServerCommand, Malformed> = Ok(ServerCommand::Ack { kind: AckKind::Login });

    #[test]
    fn a_line_that_is_too_long_is_reported_once_and_skipped() {
        let mut codec = Codec::<ServerCommand>::with_max_line(20);
        let mut buffer = BytesMut::new();
        let mut items = Vec::new();
        for piece in ["SSMI,101,1\rSSMI,105,", &"x".repeat(30), &"y".repeat(30), "\rSSMI,101,1\r"] {
            buffer.extend_from_slice(piece.as_bytes());
            while let Some(item) = codec.next(&mut buffer) {
                items.push(item);
            }
            assert!(buffer.len() <= 20);
        }
        assert_eq!(items, [ACK, TOO_LONG, ACK]);
    }

    #[test]
    fn a_server_that_ends_lines_with_a_line_feed_too_is_understood() {
        let mut buffer = BytesMut::from(&b"SSMI,101,1\r\nSSMI,101,1\r\n"[..]);
        let mut codec = Codec::<ServerCommand>::default();
        assert_eq!(codec.next(&mut buffer), Some(ACK));
        assert_eq!(codec.next(&mut buffer), Some(ACK));
        assert_eq!(codec.next(&mut buffer), None);
    }

    #[test]
    fn a_line_that_the_end_of_the_stream_cuts_off_is_reported() {
        let mut buffer = BytesMut::from(&b"SSMI,101,1\rSSMI,10"[..]);
        let mut codec = Codec::<ServerCommand>::default();
        assert_eq!(codec.decode_eof(&mut buffer).unwrap(), Some(ACK));
        let cut_off = Err(Malformed { command: None, what: LineFault::CutOff });
        assert_eq!(codec.decode_eof(&mut buffer).unwrap(), Some(cut_off));
        assert_eq!(codec.decode_eof(&mut buffer).unwrap(), None);
    }
}
