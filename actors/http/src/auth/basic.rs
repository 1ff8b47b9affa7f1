//! The `Authorization` header of HTTP Basic (RFC 7617).

use actix_web::http::header::HeaderValue;
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// The longest credentials that are read, in bytes.
const MAX_CREDENTIALS: usize = 1024;

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads `user:password` out of a header, in UTF-8 or else in Latin-1, as some clients send it.
pub(crate) fn credentials(header: &HeaderValue) -> Option<String> {
    let (scheme, token) = header.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("basic") || token.len() > 2 * MAX_CREDENTIALS {
        return None;
    }
    let bytes = BASE64.decode(token).ok()?;
    Some(
        String::from_utf8(bytes).unwrap_or_else(|latin_1| latin_1.as_bytes().iter().copied().map(char::from).collect()),
    )
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::credentials;

    #[test]
    fn a_basic_header_is_read_whatever_the_case_of_its_scheme() {
        for header in ["Basic dXNlcm5hbWU6cGFzc3dvcmQ=", "basic  dXNlcm5hbWU6cGFzc3dvcmQ="] {
            assert_eq!(credentials(&HeaderValue::from_static(header)).unwrap(), "username:password");
        }
        for header in ["", "Basic", "Basic !!!", "Bearer dXNlcm5hbWU6cGFzc3dvcmQ=", "Basic dXNlcm5hbWU6cGFzc3dvcmQ==="]
        {
            assert_eq!(credentials(&HeaderValue::from_static(header)), None, "{header:?}");
        }
    }

    #[test]
    fn credentials_in_latin_1_or_without_padding_are_read_as_those_in_utf_8() {
        for header in ["Basic YW5uYTpww6Rzc3dvcmQ=", "Basic YW5uYTpw5HNzd29yZA==", "Basic YW5uYTpw5HNzd29yZA"] {
            assert_eq!(credentials(&HeaderValue::from_static(header)).as_deref(), Some("anna:pässword"), "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(bytes in any::<Vec<u8>>()) {
            if let Ok(header) = HeaderValue::from_bytes(&bytes) {
                let _read = credentials(&header);
            }
        }
    }
}
