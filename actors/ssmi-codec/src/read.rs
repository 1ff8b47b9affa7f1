//! Reads lines as commands.

use super::{ClientCommand, Genfields, Password, ServerCommand};

/// A line that can't be read as a command. It shows nothing of the line's content, so it can be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed SSMI line (command {}): {what}", command.map_or("?".to_owned(), |id| id.to_string()))]
pub struct Malformed {
    /// The command's number, as far as it could be read.
    pub command: Option<u32>,
    /// What is wrong.
    pub what: LineFault,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// It does not begin with `SSMI,` and a number.
    #[error("it does not begin with `SSMI,` and a number")]
    NotSsmi,
    /// This direction has no command of that number.
    #[error("there is no command of that number")]
    Unknown,
    /// A field is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field is not a number.
    #[error("{0} is not a number")]
    NotANumber(&'static str),
    /// There are more fields than the command has.
    #[error("it has too many fields")]
    TooManyFields,
    /// The line is longer than any command; it was skipped to its end.
    #[error("it is too long and was skipped")]
    TooLong,
    /// The stream ended within the line.
    #[error("the connection ended within it")]
    CutOff,
}

/// Reads the fields of a line, one after another.
struct LineFields<'a> {
    command: u32,
    rest: Option<&'a [u8]>,
}

impl<'a> LineFields<'a> {
    fn of(line: &'a [u8]) -> Result<Self, Malformed> {
        let not_ssmi = Malformed { command: None, what: LineFault::NotSsmi };
        let rest = line.strip_prefix(b"SSMI,").ok_or(not_ssmi)?;
        let mut fields = Self { command: 0, rest: Some(rest) };
        fields.command = fields.next().and_then(digits).ok_or(not_ssmi)?;
        Ok(fields)
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let (field, rest) = match rest.iter().position(|&b| b == b',') {
            Some(comma) => (rest.get(..comma)?, rest.get(comma + 1..)),
            None => (rest, None),
        };
        self.rest = rest;
        Some(field)
    }

    fn wrong(&self, what: LineFault) -> Malformed {
        Malformed { command: Some(self.command), what }
    }

    fn field(&mut self, name: &'static str) -> Result<String, Malformed> {
        self.next().map(latin1).ok_or_else(|| self.wrong(LineFault::Missing(name)))
    }

    fn number<N: From<u32>>(&mut self, name: &'static str) -> Result<N, Malformed> {
        let field = self.next().ok_or_else(|| self.wrong(LineFault::Missing(name)))?;
        digits(field).map(N::from).ok_or_else(|| self.wrong(LineFault::NotANumber(name)))
    }

    /// The rest of the line, commas included.
    fn text(&mut self, name: &'static str) -> Result<String, Malformed> {
        self.rest.take().map(latin1).ok_or_else(|| self.wrong(LineFault::Missing(name)))
    }

    /// The rest of the line; empty where there is none, as in the message that ends a session.
    fn text_if_any(&mut self) -> String {
        self.rest.take().map(latin1).unwrap_or_default()
    }

    fn end<T>(&self, command: T) -> Result<T, Malformed> {
        if self.rest.is_none() { Ok(command) } else { Err(self.wrong(LineFault::TooManyFields)) }
    }
}

fn digits(field: &[u8]) -> Option<u32> {
    if field.is_empty() {
        return None;
    }
    field.iter().try_fold(0_u32, |number, &b| {
        let digit = b.is_ascii_digit().then(|| u32::from(b - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn latin1(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() => text.to_owned(),
        _ => bytes.iter().map(|&b| char::from(b)).collect(),
    }
}

pub(super) fn client(line: &[u8]) -> Result<ClientCommand, Malformed> {
    use ClientCommand as C;
    let mut f = LineFields::of(line)?;
    let command = match f.command {
        1 => C::Login { username: f.field("username")?, password: Password(f.field("password")?) },
        2 => C::SendSms { validity: f.number("validity")?, msisdn: f.field("msisdn")?, message: f.text("message")? },
        3 => C::LinkCheck,
        4 => C::SendBinarySms {
            validity: f.number("validity")?,
            msisdn: f.field("msisdn")?,
            pid: f.number("pid")?,
            coding: f.number("coding")?,
            hex: f.field("message")?,
        },
        99 => C::Logout,
        110 => C::Ussd { msisdn: f.field("msisdn")?, kind: f.number("type")?, message: f.text("message")? },
        111 => C::Mms {
            msisdn: f.field("msisdn")?,
            subject: f.field("subject")?,
            name: f.field("name")?,
            content: f.text("content")?,
        },
        112 => C::WapPush { msisdn: f.field("msisdn")?, subject: f.field("subject")?, url: f.text("url")? },
        120 => C::ExtendedUssd {
            msisdn: f.field("msisdn")?,
            kind: f.number("type")?,
            genfields: Genfields(f.field("genfields")?),
            message: f.text("message")?,
        },
        600 => C::ImsiLookup { sequence: f.field("sequence")?, msisdn: f.field("msisdn")?, imsi: f.field("imsi")? },
        _ => return Err(f.wrong(LineFault::Unknown)),
    };
    f.end(command)
}

pub(super) fn server(line: &[u8]) -> Result<ServerCommand, Malformed> {
    use ServerCommand as C;
    let mut f = LineFields::of(line)?;
    let command = match f.command {
        100 => C::Seq { msisdn: f.field("msisdn")?, sequence: f.field("sequence")? },
        101 => C::Ack { kind: f.number("type")? },
        102 => C::Nack { kind: f.number("type")? },
        103 => C::Mo { msisdn: f.field("msisdn")?, sequence: f.field("sequence")?, message: f.text("message")? },
        104 => C::DeliveryReport {
            msisdn: f.field("msisdn")?,
            sequence: f.field("sequence")?,
            code: f.number("return code")?,
        },
        105 => C::FreeText { text: f.text("text")? },
        106 => C::BinaryMo {
            msisdn: f.field("msisdn")?,
            sequence: f.field("sequence")?,
            pid: f.number("pid")?,
            coding: f.number("coding")?,
            hex: f.field("message")?,
        },
        107 => C::PremiumMo {
            msisdn: f.field("msisdn")?,
            sequence: f.field("sequence")?,
            destination: f.field("destination")?,
            message: f.text("message")?,
        },
        108 => C::PremiumBinaryMo {
            msisdn: f.field("msisdn")?,
            sequence: f.field("sequence")?,
            pid: f.number("pid")?,
            coding: f.number("coding")?,
            destination: f.field("destination")?,
            hex: f.field("message")?,
        },
        110 => C::Ussd {
            msisdn: f.field("msisdn")?,
            kind: f.number("type")?,
            phase: f.number("phase")?,
            message: f.text_if_any(),
        },
        111 => C::ExtendedUssd {
            msisdn: f.field("msisdn")?,
            kind: f.number("type")?,
            phase: f.number("phase")?,
            genfields: Genfields(f.field("genfields")?),
            message: f.text_if_any(),
        },
        199 => C::RemoteLogout { ip: f.field("ip")? },
        600 => C::ImsiReply {
            sequence: f.field("sequence")?,
            msisdn: f.field("msisdn")?,
            imsi: f.field("imsi")?,
            spid: f.field("spid")?,
        },
        _ => return Err(f.wrong(LineFault::Unknown)),
    };
    f.end(command)
}

#[cfg(test)]
mod tests {
    use super::{LineFault, Malformed, ServerCommand};
    use crate::{Phase, SsmiCommand, UssdType};

    #[test]
    fn the_last_field_takes_the_rest_of_the_line() {
        let mo = ServerCommand::decode(b"SSMI,103,2700000000,1,foo, bar").unwrap();
        let (msisdn, sequence) = ("2700000000".to_owned(), "1".to_owned());
        assert_eq!(mo, ServerCommand::Mo { msisdn, sequence, message: "foo, bar".to_owned() });
    }

    #[test]
    fn genfields_have_labels_and_stay_raw() {
        let line = b"SSMI,111,27831234567,1,2,655011234567890:1::,*120*663*79#";
        let ServerCommand::ExtendedUssd { genfields, kind, phase, .. } = ServerCommand::decode(line).unwrap() else {
            panic!("not an extended USSD message");
        };
        assert_eq!((kind, phase), (UssdType::New, Phase::Two));
        assert_eq!(genfields.0, "655011234567890:1::");
        assert_eq!(genfields.get("imsi"), Some("655011234567890"));
        assert_eq!(genfields.get("subscriber_type"), Some("1"));
        assert_eq!(genfields.get("operator_id"), None);
    }

    #[test]
    fn an_unknown_type_is_kept_as_its_number() {
        let command = ServerCommand::decode(b"SSMI,110,27831234567,42,7,x").unwrap();
        assert!(matches!(command, ServerCommand::Ussd { kind: UssdType::Other(42), phase: Phase::Other(7), .. }));
    }

    #[test]
    fn a_bad_line_says_what_is_wrong_and_shows_nothing_of_it() {
        for (line, command, what) in [
            (&b""[..], None, LineFault::NotSsmi),
            (b"HELLO", None, LineFault::NotSsmi),
            (b"SSMI,x", None, LineFault::NotSsmi),
            (b"SSMI,99999999999", None, LineFault::NotSsmi),
            (b"SSMI,7,a", Some(7), LineFault::Unknown),
            (b"SSMI,110,27831234567", Some(110), LineFault::Missing("type")),
            (b"SSMI,110,27831234567,new,0,x", Some(110), LineFault::NotANumber("type")),
            (b"SSMI,101,1,2", Some(101), LineFault::TooManyFields),
        ] {
            assert_eq!(ServerCommand::decode(line), Err(Malformed { command, what }));
        }
    }
}
