//! A screen: what a campaign shows a person.

use serde::{Deserialize, Serialize};

use vumi_kit::{
    message::ScreenLimit,
    text::{Encoding, measure},
};

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

    /// Whether a phone can show it in a USSD session of most networks: [`ScreenLimit::default`].
    pub fn fits_ussd(&self) -> Result<(), DoesNotFit> {
        self.fits(ScreenLimit::default())
    }

    /// Whether a phone can show it in a USSD session of a transport: that of a [`Session`](crate::Session) is its
    /// [`screen_limit`](crate::Session::screen_limit).
    pub fn fits(&self, limit: ScreenLimit) -> Result<(), DoesNotFit> {
        let measured = measure(self.text());
        let most = match measured.encoding {
            Encoding::Ucs2 if limit.ucs2_characters == 0 => return Err(DoesNotFit::Alphabet(measured.forced_ucs2)),
            Encoding::Ucs2 => limit.ucs2_characters,
            Encoding::Gsm7 => limit.gsm_characters,
        };
        if measured.units > most { Err(DoesNotFit::Length { takes: measured.units, most }) } else { Ok(()) }
    }
}

/// Why a text is no USSD screen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoesNotFit {
    /// It is too long.
    #[error("it takes {takes} characters and a USSD screen holds {most}: shorten it")]
    Length {
        /// As many as it takes.
        takes: usize,
        /// As many as fit.
        most: usize,
    },
    /// It has characters that the GSM alphabet lacks.
    #[error("the GSM alphabet of USSD screens lacks {}: write something else", .0.iter().collect::<String>())]
    Alphabet(Vec<char>),
}

#[cfg(test)]
mod tests {
    use vumi_kit::message::ScreenLimit;

    use super::{DoesNotFit, Screen};

    #[test]
    fn a_ussd_screen_is_182_characters_of_the_gsm_alphabet() {
        assert_eq!(Screen::ask("a".repeat(182)).fits_ussd(), Ok(()));
        assert_eq!(Screen::end("a".repeat(183)).fits_ussd(), Err(DoesNotFit::Length { takes: 183, most: 182 }));
        assert_eq!(Screen::ask("€".repeat(92)).fits_ussd(), Err(DoesNotFit::Length { takes: 184, most: 182 }));
        assert_eq!(Screen::ask("it’s").fits_ussd(), Err(DoesNotFit::Alphabet(vec!['’'])));
    }

    #[test]
    fn a_transport_may_hold_less_or_another_alphabet() {
        let gateway = ScreenLimit { gsm_characters: 160, ucs2_characters: 70 };
        assert_eq!(Screen::ask("a".repeat(161)).fits(gateway), Err(DoesNotFit::Length { takes: 161, most: 160 }));
        assert_eq!(Screen::ask("አ".repeat(70)).fits(gateway), Ok(()));
        assert_eq!(Screen::ask("አ".repeat(71)).fits(gateway), Err(DoesNotFit::Length { takes: 71, most: 70 }));
        let both = gateway.smaller(ScreenLimit::default());
        assert_eq!(both, ScreenLimit { gsm_characters: 160, ucs2_characters: 0 });
    }
}
