//! Commands to their frames.

use bytes::{BufMut, Bytes, BytesMut};

use super::{ClientCommand, Malformed, ServerCommand, SsmiCommand, latin1::to_latin1};

/// A command's frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedFrame {
    /// All bytes, `\r` included.
    pub bytes: Bytes,
    /// Characters of its text that ISO-8859-1 lacks: spelled or replaced.
    pub replaced: Vec<char>,
}

/// A field that would break its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} of an SSMI command can't hold a comma, a line break or a character beyond ISO-8859-1")]
pub struct BadField {
    /// Its name.
    pub field: &'static str,
}

/// Appends one frame, and removes it again where a field turns out bad.
struct Frame<'a> {
    frames: &'a mut BytesMut,
    begin: usize,
    replaced: Vec<char>,
    bad: Option<BadField>,
}

impl<'a> Frame<'a> {
    fn new(frames: &'a mut BytesMut, id: u32) -> Self {
        let begin = frames.len();
        frames.put_slice(b"SSMI");
        Self { frames, begin, replaced: Vec::new(), bad: None }.number(id)
    }

    fn number(self, number: impl Into<u32>) -> Self {
        let mut digits = [0; 10];
        let mut rest = number.into();
        let mut count = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            count += 1;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.frames.put_u8(b',');
        self.frames.put_slice(digits.get(digits.len() - count..).unwrap_or_default());
        self
    }

    fn field(mut self, name: &'static str, value: &str) -> Self {
        self.frames.put_u8(b',');
        for c in value.chars() {
            match u8::try_from(c) {
                Ok(byte) if !matches!(byte, b',' | b'\r' | b'\n') => self.frames.put_u8(byte),
                _ => {
                    self.bad.get_or_insert(BadField { field: name });
                    break;
                }
            }
        }
        self
    }

    fn text(mut self, text: &str) -> Self {
        let (text, replaced) = to_latin1(text);
        self.frames.put_u8(b',');
        if text.is_ascii() {
            self.frames.put_slice(text.as_bytes());
        } else {
            self.frames.extend(text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')));
        }
        self.replaced = replaced;
        self
    }

    fn end(self) -> Result<Vec<char>, BadField> {
        if let Some(bad) = self.bad {
            self.frames.truncate(self.begin);
            return Err(bad);
        }
        self.frames.put_u8(b'\r');
        Ok(self.replaced)
    }
}

fn begin<'a>(frames: &'a mut BytesMut) -> impl FnOnce(u32) -> Frame<'a> {
    move |id| Frame::new(frames, id)
}

impl SsmiCommand for ClientCommand {
    fn encode_into(&self, frames: &mut BytesMut) -> Result<Vec<char>, BadField> {
        let frame = begin(frames);
        match self {
            // A password is no text: a spelling of it would be another password.
            Self::Login { username, password } => frame(1).field("username", username).field("password", &password.0),
            Self::SendSms { validity, msisdn, message } => {
                frame(2).number(*validity).field("msisdn", msisdn).text(message)
            }
            Self::LinkCheck => frame(3),
            Self::SendBinarySms { validity, msisdn, pid, coding, hex } => {
                frame(4).number(*validity).field("msisdn", msisdn).number(*pid).number(*coding).field("message", hex)
            }
            Self::Logout => frame(99),
            Self::Ussd { msisdn, kind, message } => frame(110).field("msisdn", msisdn).number(*kind).text(message),
            Self::Mms { msisdn, subject, name, content } => {
                frame(111).field("msisdn", msisdn).field("subject", subject).field("name", name).text(content)
            }
            Self::WapPush { msisdn, subject, url } => {
                frame(112).field("msisdn", msisdn).field("subject", subject).text(url)
            }
            Self::ExtendedUssd { msisdn, kind, genfields, message } => {
                frame(120).field("msisdn", msisdn).number(*kind).field("genfields", &genfields.0).text(message)
            }
            Self::ImsiLookup { sequence, msisdn, imsi } => {
                frame(600).field("sequence", sequence).field("msisdn", msisdn).field("imsi", imsi)
            }
        }
        .end()
    }

    fn decode(line: &[u8]) -> Result<Self, Malformed> {
        super::read::client(line)
    }
}

impl SsmiCommand for ServerCommand {
    fn encode_into(&self, frames: &mut BytesMut) -> Result<Vec<char>, BadField> {
        let frame = begin(frames);
        match self {
            Self::Seq { msisdn, sequence } => frame(100).field("msisdn", msisdn).field("sequence", sequence),
            Self::Ack { kind } => frame(101).number(*kind),
            Self::Nack { kind } => frame(102).number(*kind),
            Self::Mo { msisdn, sequence, message } => {
                frame(103).field("msisdn", msisdn).field("sequence", sequence).text(message)
            }
            Self::DeliveryReport { msisdn, sequence, code } => {
                frame(104).field("msisdn", msisdn).field("sequence", sequence).number(*code)
            }
            Self::FreeText { text } => frame(105).text(text),
            Self::BinaryMo { msisdn, sequence, pid, coding, hex } => frame(106)
                .field("msisdn", msisdn)
                .field("sequence", sequence)
                .number(*pid)
                .number(*coding)
                .field("message", hex),
            Self::PremiumMo { msisdn, sequence, destination, message } => frame(107)
                .field("msisdn", msisdn)
                .field("sequence", sequence)
                .field("destination", destination)
                .text(message),
            Self::PremiumBinaryMo { msisdn, sequence, pid, coding, destination, hex } => frame(108)
                .field("msisdn", msisdn)
                .field("sequence", sequence)
                .number(*pid)
                .number(*coding)
                .field("destination", destination)
                .field("message", hex),
            Self::Ussd { msisdn, kind, phase, message } => {
                frame(110).field("msisdn", msisdn).number(*kind).number(*phase).text(message)
            }
            Self::ExtendedUssd { msisdn, kind, phase, genfields, message } => frame(111)
                .field("msisdn", msisdn)
                .number(*kind)
                .number(*phase)
                .field("genfields", &genfields.0)
                .text(message),
            Self::RemoteLogout { ip } => frame(199).field("ip", ip),
            Self::ImsiReply { sequence, msisdn, imsi, spid } => {
                frame(600).field("sequence", sequence).field("msisdn", msisdn).field("imsi", imsi).field("spid", spid)
            }
        }
        .end()
    }

    fn decode(line: &[u8]) -> Result<Self, Malformed> {
        super::read::server(line)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{BadField, ClientCommand, SsmiCommand};
    use crate::{Password, UssdType};

    fn frame(command: &ClientCommand) -> Vec<u8> {
        command.encode().unwrap().bytes.to_vec()
    }

    #[test]
    fn frames_look_as_the_protocol_says() {
        let login = ClientCommand::Login { username: "me".into(), password: Password("pw".into()) };
        assert_eq!(frame(&login), b"SSMI,1,me,pw\r");
        assert_eq!(frame(&ClientCommand::LinkCheck), b"SSMI,3\r");
        let reply =
            ClientCommand::Ussd {
                msisdn: "27831234567".into(), kind: UssdType::Response, message: "a, é\r\nb".into()
            };
        assert_eq!(frame(&reply), b"SSMI,110,27831234567,2,a, \xe9\nb\r");
    }

    #[test]
    fn a_bad_field_is_refused_and_leaves_no_bytes() {
        let mut frames = BytesMut::from(&b"before\r"[..]);
        for username in ["a,b", "a\rb", "a\nb", "ł"] {
            let login = ClientCommand::Login { username: username.into(), password: Password("x".into()) };
            assert_eq!(login.encode_into(&mut frames), Err(BadField { field: "username" }));
        }
        assert_eq!(&frames[..], b"before\r");
    }

    #[test]
    fn a_password_is_not_shown() {
        let login = ClientCommand::Login { username: "me".into(), password: Password("s3cret".into()) };
        assert!(!format!("{login:?}").contains("s3cret"));
    }
}
