//! What a transport carries beside texts.

use crate::{field_errors::FieldError, name::Name, sms_options::Content};

/// What a transport carries beside texts. An SMS that it can't carry is refused where it is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carries {
    /// Texts that the phone shows at once and does not keep.
    pub flash: bool,
    /// SMS of octets that are no text, such as settings for a phone.
    pub binary: bool,
    /// A user data header before octets.
    pub udh: bool,
    /// Octets with any data coding, as an ESME handed them in.
    pub raw: bool,
}

impl Carries {
    /// What a transport carries that knows texts alone, in every language.
    pub const TEXTS: Self = Self { flash: false, binary: false, udh: false, raw: false };
    /// Texts, flash messages, and octets with or without a header: all that an HTTP client can ask for.
    pub const ALL: Self = Self { flash: true, binary: true, udh: true, raw: false };

    /// Whether the transport can carry an SMS of this content.
    #[must_use]
    pub const fn takes(self, content: &Content) -> bool {
        match content {
            Content::Text => true,
            Content::Flash => self.flash,
            Content::Binary { udh } => self.binary && (self.udh || udh.is_none()),
            Content::Raw { .. } => self.raw,
        }
    }

    /// What is wrong with an SMS that the transport can't carry.
    #[must_use]
    pub fn refusal(self, transport: &Name, content: &Content) -> Option<FieldError> {
        let wrong = |field: &str, what: &str| {
            let detail =
                format!("the transport `{transport}` can't carry {what}: leave `{field}` out, or use another one");
            Some(FieldError::new(field, "", detail))
        };
        match content {
            Content::Flash if !self.flash => wrong("flash", "flash SMS"),
            Content::Binary { .. } if !self.binary => wrong("data", "binary SMS"),
            Content::Binary { udh: Some(_) } if !self.udh => wrong("udh", "user data headers"),
            Content::Raw { .. } if !self.raw => wrong("data_coding", "parts and data codings of an ESME's own"),
            Content::Text | Content::Flash | Content::Binary { .. } | Content::Raw { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Carries;
    use crate::{name::Name, sms_options::Content};

    #[test]
    fn what_can_not_be_carried_is_named_with_the_transport() {
        let transport = Name::parse("opera").unwrap();
        let field = |carries: Carries, content: &Content| carries.refusal(&transport, content).map(|wrong| wrong.field);
        let (octets, header) = (Content::Binary { udh: None }, Content::Binary { udh: Some("00".to_owned()) });
        for content in [&Content::Text, &Content::Flash, &octets, &header] {
            assert_eq!(field(Carries::ALL, content), None);
        }
        assert_eq!(field(Carries::TEXTS, &Content::Text), None);
        assert_eq!(field(Carries::TEXTS, &Content::Flash).as_deref(), Some("flash"));
        assert_eq!(field(Carries::TEXTS, &octets).as_deref(), Some("data"));
        assert_eq!(field(Carries { udh: false, ..Carries::ALL }, &header).as_deref(), Some("udh"));
        let refusal = Carries::TEXTS.refusal(&transport, &Content::Flash).unwrap();
        assert!(refusal.detail.contains("`opera`"), "{refusal:?}");
    }
}
