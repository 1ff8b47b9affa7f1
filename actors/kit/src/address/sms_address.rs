//! An end of an SMS that need not be a phone: a short code, or a name in place of a number.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Msisdn;
use crate::text::septets;

/// The longest short code, in digits; international numbers are longer.
const LONGEST_SHORT_CODE: usize = 6;
/// The longest name, in septets: what the address field of an SMS holds (3GPP TS 23.040, 9.1.2.5).
const LONGEST_NAME: usize = 11;
/// The longest address of an SMS from outside, in characters: some gateways write more than a name or number.
const LONGEST_INBOUND: usize = 64;

/// An MSISDN or short code, in digits without `+`; or a name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

/// Why a text is no sender.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no sender: an MSISDN or short code of 2 to 15 digits, with or without a leading `+`, or a name of 1 to 11 \
     characters of the GSM alphabet, one of them a letter"
)]
pub struct NotASender(String);

/// Why a text is not the address of an SMS from outside.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no address: 1 to 64 characters, none of them a control character")]
pub struct NotAnAddress;

impl Address {
    /// Reads the sender of an SMS that goes out: a number as people write it, or a name that an SMS can carry.
    pub fn sender(text: &str) -> Result<Self, NotASender> {
        let trimmed = text.trim();
        let number = digits(trimmed).filter(|digits| (2..=15).contains(&digits.len()));
        let name = || is_name(trimmed).then_some(trimmed);
        let address = number.or_else(name).map(|address| Self(address.to_owned()));
        address.ok_or_else(|| NotASender(text.chars().take(40).collect()))
    }

    /// Reads an end of an SMS from outside: whatever a carrier names as its sender is kept.
    pub fn inbound(text: &str) -> Result<Self, NotAnAddress> {
        let trimmed = text.trim();
        let plain = !trimmed.is_empty()
            && trimmed.chars().nth(LONGEST_INBOUND).is_none()
            && !trimmed.chars().any(char::is_control);
        if plain { Ok(Self(digits(trimmed).unwrap_or(trimmed).to_owned())) } else { Err(NotAnAddress) }
    }

    /// The digits without `+`, or the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is an MSISDN or short code.
    #[must_use]
    pub fn is_number(&self) -> bool {
        digits(&self.0) == Some(&self.0)
    }

    /// A number with a leading `+`. A short code and a number that begins with 0 are numbers of one country only, and a
    /// name is none: they stay as they are.
    #[must_use]
    pub fn with_plus(&self) -> String {
        let international = self.is_number() && self.0.len() > LONGEST_SHORT_CODE && !self.0.starts_with('0');
        if international { format!("+{}", self.0) } else { self.0.clone() }
    }

    /// The number to answer to; none where there is only a name.
    #[must_use]
    pub fn msisdn(&self) -> Option<Msisdn> {
        Msisdn::parse(&self.0).ok()
    }
}

/// The digits of a text that has nothing else, but for a leading `+`.
fn digits(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

fn is_name(text: &str) -> bool {
    let shown = |c: char| septets(c).filter(|_| !c.is_control());
    let length = text.chars().try_fold(0, |length, c| Some(length + shown(c)?));
    length.is_some_and(|length| length <= LONGEST_NAME) && text.chars().any(char::is_alphabetic)
}

impl From<Msisdn> for Address {
    fn from(number: Msisdn) -> Self {
        Self(number.into())
    }
}

impl TryFrom<String> for Address {
    type Error = NotASender;
    fn try_from(text: String) -> Result<Self, NotASender> {
        Self::sender(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// Numbers of people stay out of logs: the last three characters tell two apart.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.0.chars().count().saturating_sub(3);
        write!(f, "Address(…{})", self.0.chars().skip(skipped).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn a_sender_is_a_number_a_short_code_or_a_name() {
        for (text, kept) in [
            ("+27123456789", "27123456789"),
            (" 38080 ", "38080"),
            ("42", "42"),
            ("MYCLINIC", "MYCLINIC"),
            ("INFO SMS", "INFO SMS"),
            ("A", "A"),
            ("12345678901", "12345678901"),
            ("Señor Åse 1", "Señor Åse 1"),
            ("4U", "4U"),
            ("+Plus", "+Plus"),
            ("0800123456", "0800123456"),
        ] {
            assert_eq!(Address::sender(text).map(String::from).as_deref(), Ok(kept), "{text}");
        }
        for bad in [
            "",
            " ",
            "7",
            "1234567890123456",
            "++27123",
            "27-12",
            "TWELVELETTER",
            "ELEVEN€LET1",
            "clinic\n1",
            "Клиника",
            "२७१२३",
            "日本",
            "a\u{0}",
        ] {
            assert!(Address::sender(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_a_carrier_names_as_the_sender_is_kept() {
        for (text, kept, number) in [
            ("+27831234567", "27831234567", true),
            ("42", "42", true),
            ("SUPPORT", "SUPPORT", false),
            ("whatsapp:+27831234567", "whatsapp:+27831234567", false),
            ("Клиника и аптека", "Клиника и аптека", false),
        ] {
            let address = Address::inbound(text).unwrap();
            assert_eq!((address.as_str(), address.is_number()), (kept, number), "{text}");
        }
        for bad in ["", "  ", "a\u{0}b", &"x".repeat(65)] {
            assert!(Address::inbound(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_an_international_number_gets_a_plus() {
        for (text, with_plus) in [
            ("27123456780", "+27123456780"),
            ("38080", "38080"),
            ("42", "42"),
            ("INFO SMS", "INFO SMS"),
            ("0800123456", "0800123456"),
        ] {
            assert_eq!(Address::sender(text).unwrap().with_plus(), with_plus);
        }
    }

    #[test]
    fn a_debugged_address_shows_three_characters_only() {
        assert_eq!(format!("{:?}", Address::sender("27123456789").unwrap()), "Address(…789)");
    }
}
