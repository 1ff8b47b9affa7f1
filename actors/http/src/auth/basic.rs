//! The `Authorization` header of HTTP Basic (RFC 7617).

use actix_web::http::header::HeaderValue;
use base64::{Engine, engine::general_purpose::STANDARD};

/// The longest credentials that are read, in bytes.
const MAX_CREDENTIALS: usize = 1024;

/// Reads `user:password` out of a header.
pub(crate) fn credentials(header: &HeaderValue) -> Option<String> {
    let (scheme, token) = header.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("basic") || token.len() > 2 * MAX_CREDENTIALS {
        return None;
    }
    String::from_utf8(STANDARD.decode(token).ok()?).ok()
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
        for header in ["", "Basic", "Basic !!!", "Bearer dXNlcm5hbWU6cGFzc3dvcmQ=", "Basic /w=="] {
            assert_eq!(credentials(&HeaderValue::from_static(header)), None, "{header:?}");
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
