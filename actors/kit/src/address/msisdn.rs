//! The number of a phone.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

    /// Whether it is written as within a country, or with an international prefix: `0831234567`, `0027831234567`.
    #[must_use]
    pub fn begins_with_zero(&self) -> bool {
        self.0.starts_with('0')
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

#[cfg(test)]
mod tests {
    use super::Msisdn;

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
}
