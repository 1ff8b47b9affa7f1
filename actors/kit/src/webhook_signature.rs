//! The signature of the Standard Webhooks specification (standardwebhooks.com): HMAC-SHA256 over id, time and body.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A signing secret that is not what the specification says: `whsec_` and base64.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing secret is not `whsec_` and base64")]
pub struct BadSecret;

/// The value of `webhook-signature` for a message sent `at_s` seconds after 1970.
///
/// # Errors
///
/// Where the secret is not what the specification says.
pub fn sign(secret: &str, id: &str, at_s: i64, body: &str) -> Result<String, BadSecret> {
    let key = secret.strip_prefix("whsec_").ok_or(BadSecret)?;
    let key = STANDARD.decode(key).map_err(|_| BadSecret)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| BadSecret)?;
    mac.update(format!("{id}.{at_s}.").as_bytes());
    mac.update(body.as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::{BadSecret, sign};

    #[test]
    fn signs_as_the_libraries_of_the_specification_do() {
        // The vector in the tests of the specification's own libraries.
        let signature = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature.as_deref(), Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn a_secret_of_another_form_is_refused() {
        for secret in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_???"] {
            assert_eq!(sign(secret, "msg_1", 0, ""), Err(BadSecret));
        }
    }
}
