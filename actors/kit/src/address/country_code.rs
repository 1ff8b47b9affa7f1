//! The country code by which numbers are read that are written as within a country.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Msisdn, country::code_of_country};

/// Countries whose own numbers begin with 0, also after the country code: Benin, Congo, Ivory Coast, Gabon, Italy (its fixed
/// lines), San Marino.
const ZERO_IS_OF_THE_NUMBER: [&str; 6] = ["229", "242", "225", "241", "39", "378"];

/// The longest short code, in digits.
const SHORT_CODE: usize = 6;

/// A country code: 1 to 3 digits, without `+`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct CountryCode(String);

/// Why a text is not a [`CountryCode`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a country code, such as 27, nor the name of a country, such as ZA")]
pub struct NotACountryCode(String);

impl CountryCode {
    /// Reads a code of 1 to 3 digits, with or without a leading `+`; or the name of a country, as ISO 3166 has it (`ZA`).
    pub fn parse(text: &str) -> Result<Self, NotACountryCode> {
        let trimmed = text.trim();
        if let Some(code) = code_of_country(trimmed) {
            return Ok(code);
        }
        let digits = trimmed.strip_prefix('+').unwrap_or(trimmed);
        let good =
            (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if good { Ok(Self(digits.to_owned())) } else { Err(NotACountryCode(text.chars().take(40).collect())) }
    }

    /// The digits, without `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A number in international form: `00` before it is left out, a single `0` stands for this country. One of this country
    /// with a 0 after the code loses that. `None` where it is no MSISDN then.
    #[must_use]
    pub fn international(&self, number: &Msisdn) -> Option<Msisdn> {
        let written = number.as_str();
        let keeps_zero = ZERO_IS_OF_THE_NUMBER.contains(&self.0.as_str());
        let international = match (written.strip_prefix("00"), written.strip_prefix('0')) {
            (Some(rest), _) => rest.to_owned(),
            (None, Some(_)) if keeps_zero => format!("{}{written}", self.0),
            (None, Some(rest)) => format!("{}{rest}", self.0),
            (None, None) => written.to_owned(),
        };
        let national =
            international.strip_prefix(&self.0).filter(|national| !keeps_zero && national.len() > SHORT_CODE);
        let without_zero = national.and_then(|national| national.strip_prefix('0'));
        let international = without_zero.map_or(international.clone(), |national| format!("{}{national}", self.0));
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
            ("270831234567", Some("27831234567")),
            ("00270831234567", Some("27831234567")),
            ("27012", Some("27012")),
            ("000831234567", None),
            ("0000", None),
            ("012345678901234", None),
        ] {
            let number = code.international(&Msisdn::parse(written).unwrap());
            assert_eq!(number.as_ref().map(Msisdn::as_str), international, "{written}");
        }
    }

    #[test]
    fn where_numbers_begin_with_0_themselves_it_stays() {
        let code = CountryCode::parse("CI").unwrap();
        for (written, international) in [("0707070707", "2250707070707"), ("002250707070707", "2250707070707")] {
            let number = code.international(&Msisdn::parse(written).unwrap()).unwrap();
            assert_eq!(number.as_str(), international, "{written}");
        }
    }

    #[test]
    fn a_country_code_is_one_to_three_digits_or_the_name_of_a_country() {
        for text in ["27", "+27", "ZA"] {
            assert_eq!(String::from(CountryCode::parse(text).unwrap()), "27", "{text}");
        }
        for bad in ["", "0", "027", "2720", "ZZ", "za", "+"] {
            assert!(CountryCode::parse(bad).is_err(), "{bad}");
        }
    }
}
