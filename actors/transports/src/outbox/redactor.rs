//! Removes from a provider's response what may not be kept or shown.

use secrecy::{ExposeSecret, SecretString};

/// The longest response that is kept, in characters; more is of no use to an operator.
const LONGEST: usize = 500;

/// Replaces secrets, as they are and form-encoded, and cuts what is too long.
#[derive(Default)]
pub(super) struct Redactor(Vec<String>);

impl Redactor {
    pub(super) fn of(secrets: &[&SecretString]) -> Self {
        let mut hidden = Vec::new();
        for secret in secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| !secret.is_empty()) {
            let encoded = form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
            if encoded != secret {
                hidden.push(encoded);
            }
            hidden.push(secret.to_owned());
        }
        Self(hidden)
    }

    pub(super) fn redact(&self, mut response: String) -> String {
        for secret in &self.0 {
            if response.contains(secret) {
                response = response.replace(secret, "***");
            }
        }
        if let Some((end, _)) = response.char_indices().nth(LONGEST) {
            response.truncate(end);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::{LONGEST, Redactor};

    #[test]
    fn secrets_are_hidden_as_they_are_and_form_encoded() {
        let secret = SecretString::from("p&ss word");
        let redacted = Redactor::of(&[&secret]).redact("wrong: p&ss word, password=p%26ss+word".to_owned());
        assert_eq!(redacted, "wrong: ***, password=***");
    }

    #[test]
    fn a_long_response_is_cut() {
        assert_eq!(Redactor::default().redact("ä".repeat(2000)).chars().count(), LONGEST);
    }
}
