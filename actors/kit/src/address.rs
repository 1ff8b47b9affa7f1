//! Addresses of people and services: MSISDNs and USSD codes; and where a server listens.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// A phone number or short code: 3 to 15 digits (E.164 without its `+`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Msisdn(String);

/// Why a text is not an [`Msisdn`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an MSISDN: 3 to 15 digits, with or without a leading `+`")]
pub struct NotAnMsisdn(String);

impl Msisdn {
    /// Reads a number as people and providers write it: surrounding white space and one `+` are dropped.
    pub fn parse(text: &str) -> Result<Self, NotAnMsisdn> {
        let trimmed = text.trim();
        let digits = trimmed.strip_prefix('+').unwrap_or(trimmed);
        if (3..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(digits.to_owned()))
        } else {
            Err(NotAnMsisdn(text.chars().take(40).collect()))
        }
    }

    /// The digits, without `+`: the form used inside and in the HTTP API.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// With a leading `+`: the form used on the broker and by some providers.
    #[must_use]
    pub fn with_plus(&self) -> String {
        format!("+{}", self.0)
    }
}

impl TryFrom<String> for Msisdn {
    type Error = NotAnMsisdn;
    fn try_from(text: String) -> Result<Self, NotAnMsisdn> {
        Self::parse(&text)
    }
}

impl From<Msisdn> for String {
    fn from(msisdn: Msisdn) -> Self {
        msisdn.0
    }
}

impl fmt::Display for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// Numbers of people stay out of logs: the last three digits tell two apart.
impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = self.0.get(self.0.len().saturating_sub(3)..).unwrap_or_default();
        write!(f, "Msisdn(…{tail})")
    }
}

/// A USSD code as dialled: `*`, then digits and `*`, then the closing `#`, which providers sometimes leave out.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct UssdCode(String);

/// Why a text is not a [`UssdCode`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a USSD code: `*`, digits and `*`, then `#`, such as *120*663*79#")]
pub struct NotAUssdCode(String);

impl UssdCode {
    /// Reads a code and adds the closing `#` where it is missing.
    pub fn parse(text: &str) -> Result<Self, NotAUssdCode> {
        let trimmed = text.trim();
        let inner = trimmed.strip_suffix('#').unwrap_or(trimmed);
        let good = inner.starts_with(['*', '#'])
            && inner.bytes().any(|b| b.is_ascii_digit())
            && inner.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#')
            && inner.len() <= 100;
        if good { Ok(Self(format!("{inner}#"))) } else { Err(NotAUssdCode(text.chars().take(40).collect())) }
    }

    /// The code, closing `#` included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UssdCode {
    type Error = NotAUssdCode;
    fn try_from(text: String) -> Result<Self, NotAUssdCode> {
        Self::parse(&text)
    }
}

impl From<UssdCode> for String {
    fn from(code: UssdCode) -> Self {
        code.0
    }
}

impl fmt::Display for UssdCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads where to listen, in settings: an IP address and a port, or `localhost` and a port.
pub fn listen_address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    let here = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let here = here.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    here.or_else(|| text.parse().ok()).ok_or_else(|| {
        D::Error::custom(format!(
            "`{text}` is no address to listen on: expected an IP address and a port, such as 127.0.0.1:8000, or \
             0.0.0.0:8000 for all of this machine's"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::{Msisdn, UssdCode};

    #[test]
    fn an_msisdn_is_three_to_fifteen_digits_with_an_optional_plus() {
        assert_eq!(Msisdn::parse("+27123456789").unwrap().as_str(), "27123456789");
        assert_eq!(Msisdn::parse(" 38080 ").unwrap().with_plus(), "+38080");
        for bad in ["", "12", "1234567890123456", "27x3", "++27123", "27 123", "२७१२३"] {
            assert!(Msisdn::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_debugged_msisdn_shows_three_digits_only() {
        assert_eq!(format!("{:?}", Msisdn::parse("27123456789").unwrap()), "Msisdn(…789)");
    }

    #[test]
    fn a_code_gets_its_closing_hash() {
        assert_eq!(UssdCode::parse("*120*663*79").unwrap().as_str(), "*120*663*79#");
        assert_eq!(UssdCode::parse("*120*663*79#").unwrap().as_str(), "*120*663*79#");
        for bad in ["", "#", "*#", "120#", "*12a#", "hello"] {
            assert!(UssdCode::parse(bad).is_err(), "{bad:?}");
        }
    }
}
