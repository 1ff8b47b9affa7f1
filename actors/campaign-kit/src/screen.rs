//! A screen: what a campaign shows a person.

use serde::{Deserialize, Serialize};

use vumi_kit::text::{Encoding, measure};

/// How many characters of the GSM alphabet a USSD screen holds.
pub const USSD_CHARACTERS: usize = 182;

/// What a campaign shows a person, and whether the dialogue goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Screen {
    /// The text; the dialogue goes on.
    Ask(String),
    /// The text; the dialogue is over.
    End(String),
    /// No answer; the dialogue goes on. Only an SMS can go unanswered: a USSD session is closed with an empty text.
    Silence,
}

impl Screen {
    /// Shows the text and waits for the person's input.
    pub fn ask(text: impl Into<String>) -> Self {
        Self::Ask(text.into())
    }

    /// Shows the text and ends the dialogue.
    pub fn end(text: impl Into<String>) -> Self {
        Self::End(text.into())
    }

    /// Shows nothing: an SMS that wants no answer.
    #[must_use]
    pub const fn silence() -> Self {
        Self::Silence
    }

    /// The text; empty for silence.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Ask(text) | Self::End(text) => text,
            Self::Silence => "",
        }
    }

    /// Whether the dialogue goes on.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self, Self::End(_))
    }

    /// Whether a phone can show it in a USSD session: [`USSD_CHARACTERS`] of the GSM alphabet.
    pub fn fits_ussd(&self) -> Result<(), DoesNotFit> {
        let measured = measure(self.text());
        match measured.encoding {
            Encoding::Ucs2 => Err(DoesNotFit::Alphabet(measured.forced_ucs2)),
            Encoding::Gsm7 if measured.units > USSD_CHARACTERS => Err(DoesNotFit::Length(measured.units)),
            Encoding::Gsm7 => Ok(()),
        }
    }
}

/// Why a text is no USSD screen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoesNotFit {
    /// It is too long.
    #[error("it takes {0} characters and a USSD screen holds {USSD_CHARACTERS}: shorten it")]
    Length(usize),
    /// It has characters that the GSM alphabet lacks.
    #[error("the GSM alphabet of USSD screens lacks {}: write something else", .0.iter().collect::<String>())]
    Alphabet(Vec<char>),
}

#[cfg(test)]
mod tests {
    use super::{DoesNotFit, Screen};

    #[test]
    fn a_ussd_screen_is_182_characters_of_the_gsm_alphabet() {
        assert_eq!(Screen::ask("a".repeat(182)).fits_ussd(), Ok(()));
        assert_eq!(Screen::end("a".repeat(183)).fits_ussd(), Err(DoesNotFit::Length(183)));
        assert_eq!(Screen::ask("€".repeat(92)).fits_ussd(), Err(DoesNotFit::Length(184)));
        assert_eq!(Screen::ask("it’s").fits_ussd(), Err(DoesNotFit::Alphabet(vec!['’'])));
    }
}
