//! Who may call a transport's webhooks: settings that the HTTP front-end enforces.

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{kind::Problem, network::Network, settings_schema::Secret};

/// The table `webhooks` of a transport: how its provider proves who it is. Of `token`, `hmac`, `twilio` and `networks`
/// each that is set must be right. Without `token` the provider calls `/api/v1/sms/NAME/...`, with it
/// `/api/v1/hooks/NAME/TOKEN/...`. In place of `token`, `hmac` and `twilio` an account of role `carrier` may call by
/// HTTP Basic.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookAccess {
    /// The secret part of the path that the provider calls: 16 to 128 letters, digits, `-` and `_`. `openssl rand -hex 16`
    /// makes one.
    #[schemars(with = "Option<Secret>")]
    pub token: Option<SecretString>,
    /// The provider signs each body with a secret. A call with a query, or without a body, is not signed, and refused.
    pub hmac: Option<HmacSignature>,
    /// The provider signs each call as Twilio does.
    pub twilio: Option<TwilioSignature>,
    /// The addresses that the provider calls from, such as `["203.0.113.0/24"]`: others are refused, whatever else they
    /// show. Behind a proxy `http.trusted_proxies` says whose word about the address is believed.
    #[schemars(example = ["203.0.113.0/24"])]
    pub networks: Vec<Network>,
    /// The accounts of role `carrier` that may call by HTTP Basic. Default: every one.
    #[schemars(example = ["clickatell-hooks"])]
    pub users: Option<Vec<String>>,
}

/// `webhooks.hmac`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HmacSignature {
    /// The header with the signature.
    #[schemars(example = &"x-signature")]
    pub header: String,
    /// The secret that the provider and this router know.
    #[schemars(with = "Secret")]
    pub secret: SecretString,
    /// `sha256`, `sha1` or `sha512`. Default `sha256`.
    #[serde(default)]
    pub algorithm: HmacAlgorithm,
    /// `hex` or `base64`. Default `hex`.
    #[serde(default)]
    pub encoding: SignatureEncoding,
    /// What stands before the signature in the header, such as `sha256=`. Default: nothing.
    #[serde(default)]
    pub prefix: String,
}

/// The hash of an HMAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HmacAlgorithm {
    /// SHA-1, which some providers still use; as an HMAC it is not broken.
    Sha1,
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignatureEncoding {
    /// Hexadecimal, in any case.
    #[default]
    Hex,
    /// Base64, with or without padding.
    Base64,
}

/// `webhooks.twilio`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwilioSignature {
    /// The account's auth token.
    #[schemars(with = "Secret")]
    pub auth_token: SecretString,
    /// What stands before `/api/v1/` in the URL that Twilio is given: Twilio signs the URL as it knows it.
    #[schemars(example = &"https://sms.example.com")]
    pub url: String,
}

/// The characters of a token; it stands in a path as it is.
const TOKEN_LENGTHS: std::ops::RangeInclusive<usize> = 16..=128;

impl WebhookAccess {
    /// Whether the provider can prove who it is without an account.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.token.is_some() || self.is_signed() || !self.networks.is_empty()
    }

    /// Whether calls are signed.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.hmac.is_some() || self.twilio.is_some()
    }

    /// What is wrong with it, as keys of the transport's table. Pure.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let is_token = |token: &str| {
            TOKEN_LENGTHS.contains(&token.len())
                && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let short = |secret: &SecretString| secret.expose_secret().is_empty();
        let mut problems = Vec::new();
        if self.token.as_ref().is_some_and(|token| !is_token(token.expose_secret())) {
            let what = "expected 16 to 128 letters, digits, `-` and `_`: `openssl rand -hex 16` makes one";
            problems.push(Problem::new("webhooks.token", what));
        }
        if let Some(hmac) = &self.hmac {
            if short(&hmac.secret) {
                problems.push(Problem::new("webhooks.hmac.secret", "is empty; the provider shows it"));
            }
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if hmac.header.is_empty() || !hmac.header.bytes().all(is_name) {
                problems.push(Problem::new("webhooks.hmac.header", "expected a header's name, such as x-signature"));
            }
        }
        if let Some(twilio) = &self.twilio {
            if short(&twilio.auth_token) {
                problems.push(Problem::new("webhooks.twilio.auth_token", "is empty; Twilio's console shows it"));
            }
            if !twilio.url.starts_with("https://") && !twilio.url.starts_with("http://") {
                problems.push(Problem::new("webhooks.twilio.url", "expected https://... as Twilio is given it"));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::WebhookAccess;

    fn wrong_keys(table: serde_json::Value) -> Vec<String> {
        let access: WebhookAccess = serde_json::from_value(table).unwrap();
        access.check().into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn what_can_prove_nothing_is_named() {
        let none: [&str; 0] = [];
        assert_eq!(wrong_keys(json!({})), none);
        let good = json!({
            "token": "0123456789abcdef", "networks": ["203.0.113.7"],
            "hmac": { "header": "x-signature", "secret": "s" },
            "twilio": { "auth_token": "t", "url": "https://sms.example.com" },
        });
        assert_eq!(wrong_keys(good), none);
        let wrong = json!({
            "token": "short", "hmac": { "header": "x signature", "secret": "" },
            "twilio": { "auth_token": "", "url": "sms.example.com" },
        });
        let keys = ["token", "hmac.secret", "hmac.header", "twilio.auth_token", "twilio.url"];
        assert_eq!(wrong_keys(wrong), keys.map(|key| format!("webhooks.{key}")));
        assert_eq!(wrong_keys(json!({ "token": "0123456789abcde/" })), ["webhooks.token"]);
    }

    #[test]
    fn no_secret_is_shown() {
        let access: WebhookAccess = serde_json::from_value(json!({ "token": "0123456789abcdef" })).unwrap();
        assert!(!format!("{access:?}").contains("0123456789abcdef"));
    }
}
