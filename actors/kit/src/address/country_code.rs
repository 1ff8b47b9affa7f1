//! The country code by which numbers are read that are written as within a country.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Msisdn;

/// A country code: 1 to 3 digits, without `+`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct CountryCode(String);

/// Why a text is not a [`CountryCode`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a country code: 1 to 3 digits, such as 27")]
pub struct NotACountryCode(String);

impl CountryCode {
    /// Reads a code, with or without a leading `+`.
    pub fn parse(text: &str) -> Result<Self, NotACountryCode> {
        let trimmed = text.trim();
        let digits = trimmed.strip_prefix('+').unwrap_or(trimmed);
        let good =
            (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if good { Ok(Self(digits.to_owned())) } else { Err(NotACountryCode(text.chars().take(40).collect())) }
    }

    /// A number in international form: `00` before it is left out, a single `0` stands for this country. `None` where it
    /// is no MSISDN then.
    #[must_use]
    pub fn international(&self, number: &Msisdn) -> Option<Msisdn> {
        let written = number.as_str();
        let international = match (written.strip_prefix("00"), written.strip_prefix('0')) {
            (Some(rest), _) => rest.to_owned(),
            (None, Some(rest)) => format!("{}{rest}", self.0),
            (None, None) => return Some(number.clone()),
        };
        Msisdn::parse(&international).ok().filter(|number| !number.begins_with_zero())
    }
}

impl TryFrom<String> for CountryCode {
    type Error = NotACountryCode;
    fn try_from(text: String) -> Result<Self, NotACountryCode> {
        Self::parse(&text)
    }
}

impl From<CountryCode> for String {
    fn from(code: CountryCode) -> Self {
        code.0
    }
}

#[cfg(test)]
mod tests {
    use super::{CountryCode, Msisdn};

    #[test]
    fn a_number_of_the_country_becomes_international() {
        let code = CountryCode::parse("+27").unwrap();
        for (written, international) in [
            ("0831234567", Some("27831234567")),
            ("0027831234567", Some("27831234567")),
            ("00447700900123", Some("447700900123")),
            ("27831234567", Some("27831234567")),
            ("38080", Some("38080")),
            ("000831234567", None),
            ("0000", None),
            ("012345678901234", None),
        ] {
            let number = code.international(&Msisdn::parse(written).unwrap());
            assert_eq!(number.as_ref().map(Msisdn::as_str), international, "{written}");
        }
    }

    #[test]
    fn a_country_code_is_one_to_three_digits() {
        assert_eq!(String::from(CountryCode::parse("27").unwrap()), "27");
        for bad in ["", "0", "027", "2720", "ZA", "+"] {
            assert!(CountryCode::parse(bad).is_err(), "{bad}");
        }
    }
}
