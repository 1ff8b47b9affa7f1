//! Whether a call is signed by the provider: an HMAC of the body, or Twilio's signature of the URL and the fields.

use actix_web::{HttpRequest, http::header::CONTENT_TYPE};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use url::form_urlencoded;
use vumi_kit::webhook_access::{HmacAlgorithm, HmacSignature, SignatureEncoding, TwilioSignature, WebhookAccess};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether every signature that the settings ask for is right; `body` as it came.
pub(super) fn is_right(access: &WebhookAccess, request: &HttpRequest, body: &[u8]) -> bool {
    access.hmac.as_ref().is_none_or(|hmac| hmac_is_right(hmac, request, body))
        && access.twilio.as_ref().is_none_or(|twilio| twilio_is_right(twilio, request, body))
}

/// The query is not signed, and an empty body is signed alike in every call.
fn hmac_is_right(settings: &HmacSignature, request: &HttpRequest, body: &[u8]) -> bool {
    if !request.query_string().is_empty() || body.is_empty() {
        return false;
    }
    let Some(signature) = header(request, &settings.header).and_then(|header| header.strip_prefix(&*settings.prefix))
    else {
        return false;
    };
    let signature = match settings.encoding {
        SignatureEncoding::Hex => from_hex(signature),
        SignatureEncoding::Base64 => BASE64.decode(signature).ok(),
    };
    let key = settings.secret.expose_secret().as_bytes();
    signature.is_some_and(|signature| match settings.algorithm {
        HmacAlgorithm::Sha1 => verified::<Hmac<Sha1>>(key, body, &signature),
        HmacAlgorithm::Sha256 => verified::<Hmac<Sha256>>(key, body, &signature),
        HmacAlgorithm::Sha512 => verified::<Hmac<Sha512>>(key, body, &signature),
    })
}

/// Fields of a form that Twilio signed. It sends some dozens.
const MOST_SIGNED_FIELDS: usize = 1_000;

/// <https://www.twilio.com/docs/usage/security>: HMAC-SHA1 of the URL, followed by the sorted fields of a form. Another
/// body is signed by its digest, which the URL carries.
fn twilio_is_right(settings: &TwilioSignature, request: &HttpRequest, body: &[u8]) -> bool {
    let Some(signature) = header(request, "x-twilio-signature").and_then(|header| BASE64.decode(header).ok()) else {
        return false;
    };
    let mut signed = settings.url.trim_end_matches('/').to_owned();
    signed.push_str(request.uri().path_and_query().map_or("/", |path| path.as_str()));
    if is_form(request) {
        // Sorted before anybody is known: of a stranger's fields only so many.
        if body.iter().filter(|byte| **byte == b'&').count() >= MOST_SIGNED_FIELDS {
            return false;
        }
        let mut fields: Vec<_> = form_urlencoded::parse(body).collect();
        fields.sort();
        fields.dedup();
        fields.iter().for_each(|(name, value)| {
            signed.push_str(name);
            signed.push_str(value);
        });
    } else if !body.is_empty() && !names_digest(request.query_string(), body) {
        return false;
    }
    verified::<Hmac<Sha1>>(settings.auth_token.expose_secret().as_bytes(), signed.as_bytes(), &signature)
}

/// Whether the query has the body's SHA-256 as `bodySHA256`.
fn names_digest(query: &str, body: &[u8]) -> bool {
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "bodySHA256");
    named.and_then(|(_, digest)| from_hex(&digest)).is_some_and(|digest| digest[..] == Sha256::digest(body)[..])
}

fn is_form(request: &HttpRequest) -> bool {
    let media_type = header(request, CONTENT_TYPE.as_str()).and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok().map(str::trim)
}

/// In a time that does not tell how much of the signature is right.
fn verified<M: Mac + KeyInit>(key: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    // An HMAC takes a key of any length.
    <M as KeyInit>::new_from_slice(key).is_ok_and(|mac| mac.chain_update(signed).verify_slice(signature).is_ok())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use actix_web::{
        HttpRequest,
        http::{Method, Uri},
        test::TestRequest,
    };
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use vumi_kit::webhook_access::WebhookAccess;

    use super::{BASE64, Engine, Hmac, KeyInit, MOST_SIGNED_FIELDS, Mac, Sha1, from_hex, is_right};

    fn access(table: Value) -> WebhookAccess {
        serde_json::from_value(table).unwrap()
    }

    fn call(path: &str, headers: &[(&str, &str)]) -> HttpRequest {
        let uri: Uri = path.parse().unwrap();
        let request = TestRequest::default().method(Method::POST).uri(&uri.to_string());
        headers.iter().fold(request, |request, header| request.insert_header(*header)).to_http_request()
    }

    /// RFC 4231, test case 2: the key `Jefe`.
    const BODY: &[u8] = b"what do ya want for nothing?";
    const SHA256: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const SHA512: &str = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd\
                          caeab1a34d4a6b4b636e070a38bce737";
    /// RFC 2202, test case 2.
    const SHA1: &str = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";

    #[test]
    fn an_hmac_of_the_body_is_verified_as_the_rfcs_compute_it() {
        let signed = |extra: Value, path: &str, signature: &str, body: &[u8]| {
            let mut hmac = json!({ "header": "X-Signature", "secret": "Jefe" });
            hmac.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            is_right(&access(json!({ "hmac": hmac })), &call(path, &[("x-signature", signature)]), body)
        };
        assert!(signed(json!({}), "/", SHA256, BODY));
        assert!(signed(json!({}), "/", &SHA256.to_uppercase(), BODY));
        assert!(signed(json!({ "algorithm": "sha1" }), "/", SHA1, BODY));
        assert!(signed(json!({ "algorithm": "sha512" }), "/", SHA512, BODY));
        assert!(signed(json!({ "prefix": "sha256=" }), "/", &format!("sha256={SHA256}"), BODY));
        assert!(signed(json!({ "encoding": "base64" }), "/", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=", BODY));
        for (extra, path, signature, body) in [
            (json!({}), "/", SHA256, &b"what do ya want for nothing!"[..]),
            (json!({}), "/", &SHA256[..62], BODY),
            (json!({}), "/", "", BODY),
            (json!({}), "/", "not hex", BODY),
            (json!({ "algorithm": "sha1" }), "/", SHA256, BODY),
            (json!({ "prefix": "sha256=" }), "/", SHA256, BODY),
            // A query is not signed.
            (json!({}), "/?status=4", SHA256, BODY),
        ] {
            assert!(!signed(extra, path, signature, body), "{path} {signature}");
        }
        // HMAC-SHA256 of nothing with this key: whoever saw it once could send any call without a body.
        let of_nothing = "923598ca6d64af2a5dba79dcd021a8a0fe5c5f557519adaaf0ad532d4506dd30";
        assert!(!signed(json!({}), "/", of_nothing, b""));
    }

    /// The example of Twilio's documentation: <https://www.twilio.com/docs/usage/security>.
    const TWILIO_BODY: &str =
        "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";

    fn twilio(path: &str, media_type: &str, signature: &str, body: &str) -> bool {
        let access = access(json!({ "twilio": { "auth_token": "12345", "url": "https://mycompany.com" } }));
        let headers = [("x-twilio-signature", signature), ("content-type", media_type)];
        is_right(&access, &call(path, &headers), body.as_bytes())
    }

    const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

    #[test]
    fn twilios_own_example_is_right_and_every_change_of_it_is_wrong() {
        let (path, signature) = ("/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        assert!(twilio(path, FORM, signature, TWILIO_BODY));
        let moved = TWILIO_BODY.split('&').rev().collect::<Vec<_>>().join("&");
        assert!(twilio(path, FORM, signature, &moved), "in any order");
        for (path, media_type, signature, body) in [
            ("/myapp.php?foo=1&bar=3", FORM, signature, TWILIO_BODY),
            (path, FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B9=", TWILIO_BODY),
            (path, FORM, "", TWILIO_BODY),
            (path, FORM, signature, &TWILIO_BODY.replace("1234&From", "1235&From")),
            // The body must be signed in one way or the other.
            (path, "application/json", signature, "{}"),
        ] {
            assert!(!twilio(path, media_type, signature, body), "{path} {media_type} {signature} {body}");
        }
    }

    #[test]
    fn of_a_form_with_too_many_fields_no_signature_is_right() {
        // Repeated fields are signed once.
        let mac = <Hmac<Sha1> as KeyInit>::new_from_slice(b"12345").unwrap().chain_update("https://mycompany.com/xa");
        let signature = BASE64.encode(mac.finalize().into_bytes());
        for (fields, right) in [(MOST_SIGNED_FIELDS, true), (MOST_SIGNED_FIELDS + 1, false)] {
            assert_eq!(twilio("/x", FORM, &signature, &vec!["a"; fields].join("&")), right, "{fields} fields");
        }
    }

    #[test]
    fn a_json_body_is_signed_by_the_digest_in_twilios_url() {
        // Computed with Python, by the documentation.
        let digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let path = format!("/hook?bodySHA256={digest}");
        let signature = "uQb8qpBpn5xyUbLMM5Pwl4Ui4xw=";
        let right = twilio(&path, "application/json", signature, "{}");
        assert!(right);
        assert!(!twilio(&path, "application/json", signature, "{ }"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,40}") {
            let _read = from_hex(&text);
        }
    }
}
