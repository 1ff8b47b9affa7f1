//! The `Authorization` header: HTTP Basic (RFC 7617), or a bearer token (RFC 6750).

use actix_web::http::header::HeaderValue;
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use vumi_kit::account::TokenDigest;

/// The longest credentials that are read, in bytes.
const MAX_CREDENTIALS: usize = 1024;

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// A user name and a password.
    Password { user: String, password: String },
    /// A token; by HTTP Basic with a user name.
    Token { user: Option<String>, digest: TokenDigest },
}

impl Credentials {
    /// Reads an `Authorization` header, Basic or Bearer; none where it is neither or is malformed.
    pub(crate) fn of(header: &HeaderValue) -> Option<Self> {
        if let Some(token) = after_scheme(header, "bearer") {
            return Some(Self::Token { user: None, digest: TokenDigest::of(token)? });
        }
        let basic = basic(header)?;
        let (user, password) = basic.split_once(':')?;
        let user = user.to_owned();
        Some(match TokenDigest::of(password) {
            Some(digest) => Self::Token { user: Some(user), digest },
            None => Self::Password { user, password: password.to_owned() },
        })
    }
}

fn after_scheme<'h>(header: &'h HeaderValue, scheme: &str) -> Option<&'h str> {
    let (given, rest) = header.to_str().ok()?.trim().split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// Reads `user:password` out of a header, in UTF-8 or else in Latin-1, as some clients send it.
fn basic(header: &HeaderValue) -> Option<String> {
    let token = after_scheme(header, "basic").filter(|token| token.len() <= 2 * MAX_CREDENTIALS)?;
    let bytes = BASE64.decode(token).ok()?;
    Some(
        String::from_utf8(bytes).unwrap_or_else(|latin_1| latin_1.as_bytes().iter().copied().map(char::from).collect()),
    )
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use base64::Engine;
    use proptest::prelude::*;
    use vumi_kit::account::{TokenDigest, new_token};

    use super::{Credentials, basic};

    #[test]
    fn a_basic_header_is_read_whatever_the_case_of_its_scheme() {
        for header in ["Basic dXNlcm5hbWU6cGFzc3dvcmQ=", "basic  dXNlcm5hbWU6cGFzc3dvcmQ="] {
            assert_eq!(basic(&HeaderValue::from_static(header)).unwrap(), "username:password");
        }
        for header in ["", "Basic", "Basic !!!", "Bearer dXNlcm5hbWU6cGFzc3dvcmQ=", "Basic dXNlcm5hbWU6cGFzc3dvcmQ==="]
        {
            assert_eq!(basic(&HeaderValue::from_static(header)), None, "{header:?}");
        }
    }

    #[test]
    fn credentials_in_latin_1_or_without_padding_are_read_as_those_in_utf_8() {
        for header in ["Basic YW5uYTpww6Rzc3dvcmQ=", "Basic YW5uYTpw5HNzd29yZA==", "Basic YW5uYTpw5HNzd29yZA"] {
            assert_eq!(basic(&HeaderValue::from_static(header)).as_deref(), Some("anna:pässword"), "{header}");
        }
    }

    #[test]
    fn a_token_is_read_as_a_bearers_and_as_a_password_and_nothing_else_is_a_bearers() {
        let token = new_token();
        let digest = TokenDigest::of(&token).unwrap();
        let read = |header: String| Credentials::of(&HeaderValue::try_from(header).unwrap());
        let bearer = Credentials::Token { user: None, digest: digest.clone() };
        assert_eq!(read(format!("Bearer {token}")), Some(bearer));
        let encoded = super::BASE64.encode(format!("clinic:{token}"));
        let user = Some("clinic".to_owned());
        assert_eq!(read(format!("Basic {encoded}")), Some(Credentials::Token { user, digest }));
        for other in ["Bearer", "Bearer x", "Bearer vumi_00", "Basic bm8tY29sb24="] {
            assert_eq!(read(other.to_owned()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(bytes in any::<Vec<u8>>()) {
            if let Ok(header) = HeaderValue::from_bytes(&bytes) {
                let _read = Credentials::of(&header);
            }
        }
    }
}
