//! `[transports.<name>.sms]`: how SMS are written as PDUs.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::kind::Problem;
use vumi_smpp_codec::{Alphabet, parts::Method};

use super::Version;

/// TLVs of the settings.
const MOST_TLVS: usize = 16;

/// How SMS are written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SmsSettings {
    /// What the SMSC reads where data_coding is 0, and what texts are written in that have no other characters. The wrong
    /// one shows in `@ _ $ £ é`. Texts that it lacks are sent in UCS-2. Default gsm7
    pub(crate) alphabet: DefaultAlphabet,
    /// The data_coding of such texts. Default 0
    pub(crate) data_coding: u8,
    /// How a text that does not fit one SMS is sent. Default udh8
    pub(crate) long_texts: LongTexts,
    /// Type of number and numbering plan of senders. None: by the sender, an international number, a short code, a number
    /// of one country or a name.
    pub(crate) source: Option<Numbering>,
    /// The same of recipients.
    pub(crate) destination: Option<Numbering>,
    /// Whether international numbers begin with `+`. Default false
    pub(crate) plus: bool,
    /// Default empty
    pub(crate) service_type: String,
    /// Default 0
    pub(crate) protocol_id: u8,
    /// priority_flag of SMS of low, normal and high priority, 0 to 3. Default [0, 0, 0]
    pub(crate) priority_flags: [u8; 3],
    /// Which receipts are asked for, for every part: 0 none, 1 all, 2 of failures, 3 of successes. Default 1
    pub(crate) registered_delivery: u8,
    /// How the SMSC is told for how long an SMS may be delivered, where its client limited that. Default relative
    pub(crate) validity: Validity,
    /// TLVs that every submit_sm gets, as the SMSC asks for them.
    pub(crate) tlvs: Vec<FixedTlv>,
}

impl Default for SmsSettings {
    fn default() -> Self {
        Self {
            alphabet: DefaultAlphabet::default(),
            data_coding: 0,
            long_texts: LongTexts::default(),
            source: None,
            destination: None,
            plus: false,
            service_type: String::new(),
            protocol_id: 0,
            priority_flags: [0; 3],
            registered_delivery: 1,
            validity: Validity::default(),
            tlvs: Vec::new(),
        }
    }
}

/// What an SMSC reads where data_coding is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DefaultAlphabet {
    /// GSM 03.38, an octet a septet.
    #[default]
    Gsm7,
    /// GSM 03.38, 8 septets in 7 octets.
    Gsm7Packed,
    Ascii,
    /// ISO-8859-1.
    Latin1,
    /// Windows code page 1252.
    Cp1252,
    Utf8,
}

impl DefaultAlphabet {
    /// As the codec takes it.
    pub(crate) const fn alphabet(self) -> Alphabet {
        match self {
            Self::Gsm7 => Alphabet::Gsm7,
            Self::Gsm7Packed => Alphabet::Gsm7Packed,
            Self::Ascii => Alphabet::Ascii,
            Self::Latin1 => Alphabet::Latin1,
            Self::Cp1252 => Alphabet::Cp1252,
            Self::Utf8 => Alphabet::Utf8,
        }
    }
}

/// How a text that does not fit one SMS is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LongTexts {
    /// In parts with a user data header whose reference has 8 bits.
    #[default]
    Udh8,
    /// The same with 16 bits.
    Udh16,
    /// In parts joined by the TLVs sar_*.
    Sar,
    /// In one PDU, in the TLV message_payload.
    Payload,
}

impl LongTexts {
    /// As the codec takes it.
    pub(crate) const fn method(self) -> Method {
        match self {
            Self::Udh8 => Method::Udh8,
            Self::Udh16 => Method::Udh16,
            Self::Sar => Method::Sar,
            Self::Payload => Method::Payload,
        }
    }
}

/// How the SMSC is told for how long an SMS may be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Validity {
    #[default]
    Relative,
    /// As a moment, in UTC.
    Absolute,
    /// Not at all.
    Off,
}

/// A type of number and a numbering plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numbering {
    /// 0 unknown, 1 international, 2 national, 3 network specific (short codes), 5 alphanumeric.
    #[schemars(example = 1)]
    pub(crate) ton: u8,
    /// 0 unknown, 1 the telephone numbering plan (E.164).
    #[schemars(example = 1)]
    pub(crate) npi: u8,
}

/// A TLV of every submit_sm: `tag`, and one of `text`, `c_string`, `hex`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FixedTlv {
    pub(crate) tag: u16,
    /// Octets of ASCII.
    #[serde(default)]
    text: Option<String>,
    /// The same with a NUL at the end.
    #[serde(default)]
    #[schemars(example = &"1101")]
    c_string: Option<String>,
    /// Octets in hex.
    #[serde(default)]
    #[schemars(example = &"0a0b")]
    hex: Option<String>,
}

impl FixedTlv {
    /// Its octets; none: not exactly one form of them is given, or it can't be read.
    pub(crate) fn value(&self) -> Option<Bytes> {
        let ascii = |text: &String| text.is_ascii().then(|| text.clone().into_bytes());
        let octets = match (&self.text, &self.c_string, &self.hex) {
            (Some(text), None, None) => ascii(text)?,
            (None, Some(text), None) => {
                let mut octets = ascii(text)?;
                octets.push(0);
                octets
            }
            (None, None, Some(hex)) => octets_of_hex(hex)?,
            _ => return None,
        };
        (octets.len() <= 255).then(|| octets.into())
    }
}

/// Octets from hex digits.
pub(crate) fn octets_of_hex(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

impl SmsSettings {
    /// What is wrong with them; keys as below the transport's table.
    pub(super) fn check(&self, version: Version) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut expect = |good: bool, key: &str, what: &str| {
            if !good {
                problems.push(Problem::new(format!("sms.{key}"), what));
            }
        };
        let fits = self.service_type.len() <= 5 && self.service_type.is_ascii();
        expect(fits, "service_type", "expected 5 characters of ASCII at the most");
        expect(self.priority_flags.iter().all(|flag| *flag <= 3), "priority_flags", "expected 0 to 3");
        expect(self.registered_delivery <= 0x1f, "registered_delivery", "expected 0 to 31, usually 0 or 1");
        expect(self.tlvs.len() <= MOST_TLVS, "tlvs", "expected 16 TLVs at the most");
        let readable = self.tlvs.iter().all(|tlv| tlv.value().is_some());
        let what = "expected for each a `tag` and one of `text`, `c_string` (ASCII) and `hex`, 255 octets at the most";
        expect(readable, "tlvs", what);
        let with_tlvs = matches!(self.long_texts, LongTexts::Sar | LongTexts::Payload);
        if version == Version::V33 {
            let what = "version 3.3 has no TLVs: use `udh8` or `udh16`";
            expect(!with_tlvs, "long_texts", what);
            expect(self.tlvs.is_empty(), "tlvs", "version 3.3 has none");
        }
        for (key, numbering) in [("source", self.source), ("destination", self.destination)] {
            let good = numbering.is_none_or(|Numbering { ton, npi }| ton <= 6 && npi <= 18);
            expect(good, key, "expected a `ton` of 0 to 6 and an `npi` of 0 to 18");
        }
        problems
    }
}
