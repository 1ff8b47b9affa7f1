//! The code that a person dials.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

#[cfg(test)]
mod tests {
    use super::UssdCode;

    #[test]
    fn a_code_gets_its_closing_hash() {
        assert_eq!(UssdCode::parse("*120*663*79").unwrap().as_str(), "*120*663*79#");
        assert_eq!(UssdCode::parse("*120*663*79#").unwrap().as_str(), "*120*663*79#");
        for bad in ["", "#", "*#", "120#", "*12a#", "hello"] {
            assert!(UssdCode::parse(bad).is_err(), "{bad:?}");
        }
    }
}
