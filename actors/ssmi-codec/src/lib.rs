//! SSMI, TruTeq's line protocol, version 1.7.5: commands, and the bytes that carry them
//! (`docs/providers/truteq-ssmi.md`).
//!
//! A command is a line `SSMI,<id>,<field>,...` that ends with `\r`, in ISO-8859-1. Fields are not quoted, so only
//! the last one, where it is a text, may hold commas. [`SsmiCommand::encode_into`] never writes a broken frame;
//! [`Codec`] reads a stream of either direction, and returns a malformed line as an item of its own.

mod codec;
mod latin1;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;

pub use codec::{Codec, MAX_LINE};
pub use latin1::{SCREEN_UNITS, screen_units, to_latin1};
pub use read::{LineFault, Malformed};
pub use write::{BadField, EncodedFrame};

/// A command in either direction.
pub trait SsmiCommand: Sized {
    /// Appends the command's frame. Answers the characters that ISO-8859-1 lacks: they were spelled or replaced,
    /// see [`to_latin1`]. A field that would break the frame is refused, and nothing is appended.
    fn encode_into(&self, frames: &mut bytes::BytesMut) -> Result<Vec<char>, BadField>;

    /// Reads a line without its `\r`.
    fn decode(line: &[u8]) -> Result<Self, Malformed>;

    /// The command's frame on its own; see [`SsmiCommand::encode_into`].
    fn encode(&self) -> Result<EncodedFrame, BadField> {
        let mut bytes = bytes::BytesMut::new();
        let replaced = self.encode_into(&mut bytes)?;
        Ok(EncodedFrame { bytes: bytes.freeze(), replaced })
    }
}

/// A numeric field whose known values have names; others are kept as numbers.
macro_rules! numbered {
    ($(#[$doc:meta])* $Number:ident { $($(#[$case_doc:meta])* $Case:ident = $number:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $Number {
            $($(#[$case_doc])* $Case,)+
            /// A value the protocol does not name.
            Other(u32),
        }

        impl From<u32> for $Number {
            fn from(number: u32) -> Self {
                match number {
                    $($number => Self::$Case,)+
                    other => Self::Other(other),
                }
            }
        }

        impl From<$Number> for u32 {
            fn from(value: $Number) -> Self {
                match value {
                    $($Number::$Case => $number,)+
                    $Number::Other(other) => other,
                }
            }
        }
    };
}

numbered! {
    /// What a USSD message does to its session.
    UssdType {
        /// A session begins; the text is the code dialled.
        New = 1,
        /// The session goes on.
        Response = 2,
        /// The session is over.
        End = 3,
        /// The session is over because the person or the service took too long.
        Timeout = 4,
        /// The session was handed on to this service by another one.
        Redirect = 5,
        /// The session was begun by the network.
        NetworkInitiated = 6,
    }
}
numbered! {
    /// The generation of USSD the network speaks.
    Phase {
        /// Not known.
        Unknown = 0,
        /// Phase 1: the person can't answer within a session.
        One = 1,
        /// Phase 2: sessions go back and forth.
        Two = 2,
    }
}
numbered! {
    /// What an acknowledgement answers.
    AckKind {
        /// A login: it was taken.
        Login = 1,
        /// A link check.
        LinkCheck = 2,
    }
}
numbered! {
    /// The protocol identifier of a binary SMS.
    Pid {
        /// A standard SMS.
        Standard = 0,
        /// An enhanced one.
        Enhanced = 15,
    }
}
numbered! {
    /// The data coding of a binary SMS.
    Coding {
        /// 7-bit characters.
        SevenBit = 0,
        /// 8-bit data.
        EightBit = 246,
    }
}
numbered! {
    /// How the delivery of an SMS ended.
    ReturnCode {
        /// It reached the phone.
        Success = 0,
        /// Its validity ran out.
        Expired = 1,
        /// The SIM is full.
        SimFull = 2,
        /// The destination is barred.
        Barred = 3,
        /// There is no such destination.
        Invalid = 4,
        /// The destination is on a blacklist.
        Blacklisted = 5,
    }
}

/// The extra fields of an extended USSD message, `:`-separated. Carriers fill them differently, so the raw text
/// is kept.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Genfields(pub String);

impl Genfields {
    /// The labels, in the order of the protocol.
    pub const LABELS: [&'static str; 5] = ["imsi", "subscriber_type", "operator_id", "session_id", "validity_port"];

    /// The field of a label; none where it is empty or missing.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<&str> {
        self.labelled().find_map(|(known, value)| (known == label).then_some(value))
    }

    /// The fields that are not empty, with their labels.
    pub fn labelled(&self) -> impl Iterator<Item = (&'static str, &str)> {
        Self::LABELS.into_iter().zip(self.0.split(':')).filter(|(_, value)| !value.is_empty())
    }
}

// An IMSI is a person's: it stays out of logs.
impl fmt::Debug for Genfields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Genfields({} bytes)", self.0.len())
    }
}

/// A password in a login; `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// A command of the client, which is the router. Its `Debug` shows numbers and texts of people: for tests, not for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields have the protocol's own names and order")]
pub enum ClientCommand {
    /// 1: user name and password.
    Login { username: String, password: Password },
    /// 2: an SMS; validity in minutes, 0 for the default.
    SendSms { validity: u32, msisdn: String, message: String },
    /// 3: a link check.
    LinkCheck,
    /// 4: a binary SMS.
    SendBinarySms { validity: u32, msisdn: String, pid: Pid, coding: Coding, hex: String },
    /// 99: the end of the connection.
    Logout,
    /// 110: a USSD message: [`UssdType::Response`] keeps the session open, [`UssdType::End`] closes it.
    Ussd { msisdn: String, kind: UssdType, message: String },
    /// 111: an MMS.
    Mms { msisdn: String, subject: String, name: String, content: String },
    /// 112: a WAP push.
    WapPush { msisdn: String, subject: String, url: String },
    /// 120: a USSD message with extra fields.
    ExtendedUssd { msisdn: String, kind: UssdType, genfields: Genfields, message: String },
    /// 600: a request for the owner of an IMSI.
    ImsiLookup { sequence: String, msisdn: String, imsi: String },
}

/// A command of the server, which is TruTeq. Its `Debug` shows numbers and texts of people: for tests, not for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields have the protocol's own names and order")]
pub enum ServerCommand {
    /// 100: the number given to an SMS that was sent.
    Seq { msisdn: String, sequence: String },
    /// 101: an acknowledgement.
    Ack { kind: AckKind },
    /// 102: a refusal.
    Nack { kind: u32 },
    /// 103: an SMS from a person.
    Mo { msisdn: String, sequence: String, message: String },
    /// 104: a delivery report.
    DeliveryReport { msisdn: String, sequence: String, code: ReturnCode },
    /// 105: a text for an operator.
    FreeText { text: String },
    /// 106: a binary SMS from a person.
    BinaryMo { msisdn: String, sequence: String, pid: Pid, coding: Coding, hex: String },
    /// 107: an SMS from a person to a premium number.
    PremiumMo { msisdn: String, sequence: String, destination: String, message: String },
    /// 108: a binary SMS from a person to a premium number.
    PremiumBinaryMo { msisdn: String, sequence: String, pid: Pid, coding: Coding, destination: String, hex: String },
    /// 110: a USSD message.
    Ussd { msisdn: String, kind: UssdType, phase: Phase, message: String },
    /// 111: a USSD message with extra fields.
    ExtendedUssd { msisdn: String, kind: UssdType, phase: Phase, genfields: Genfields, message: String },
    /// 199: the server ends the connection.
    RemoteLogout { ip: String },
    /// 600: the answer to an IMSI lookup.
    ImsiReply { sequence: String, msisdn: String, imsi: String, spid: String },
}
