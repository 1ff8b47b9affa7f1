//! The fields of a provider's form: which are required, and what character set their bytes are in.

use std::fmt::Write as _;

use percent_encoding::percent_decode;
use vumi_kit::{
    address::Msisdn,
    webhook::{Unreadable, WebhookRequest},
};

/// The fields of a call, query and form body alike.
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Fields {
    pub(crate) fn of(request: &WebhookRequest) -> Self {
        Self(request.parameters())
    }

    /// The first value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A field that must be there.
    pub(crate) fn require(&self, name: &str) -> Result<&str, Unreadable> {
        self.get(name).ok_or_else(|| Unreadable::new(name, "is required"))
    }

    /// An MSISDN or short code that must be there.
    pub(crate) fn require_msisdn(&self, name: &str) -> Result<Msisdn, Unreadable> {
        Msisdn::parse(self.require(name)?).map_err(|error| Unreadable::new(name, error.to_string()))
    }
}

/// The bytes of a field as they were before form-encoding: for those not in UTF-8.
pub(crate) fn raw_field(request: &WebhookRequest, name: &str) -> Option<Vec<u8>> {
    let in_body: &[u8] = if request.content_type == "application/x-www-form-urlencoded" { &request.body } else { b"" };
    let pairs = [request.query.as_bytes(), in_body];
    let mut pairs = pairs.iter().flat_map(|text| text.split(|byte| *byte == b'&'));
    pairs.find_map(|pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let key = unescape(halves.next()?);
        (key == name.as_bytes()).then(|| unescape(halves.next().unwrap_or_default()))
    })
}

/// The bytes behind URL-escaped ones.
pub(crate) fn unescape(encoded: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

/// Text in a named character set; `None` for one that is not known or bytes that are not in it.
pub(crate) fn in_charset(bytes: &[u8], charset: &str) -> Option<String> {
    match charset.trim().to_ascii_uppercase().as_str() {
        "UTF-16BE" | "UCS-2" => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            rest.is_empty().then(|| String::from_utf16(&units).ok()).flatten()
        }
        // Some senders say ISO-8859-1 and send UTF-8; text that is both is UTF-8 in practice.
        "ISO-8859-1" | "LATIN1" | "WINDOWS-1252" => match std::str::from_utf8(bytes) {
            Ok(text) => Some(text.to_owned()),
            Err(_) => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        },
        "" | "UTF-8" | "UTF8" | "US-ASCII" => String::from_utf8(bytes.to_vec()).ok(),
        _ => None,
    }
}

/// Hexadecimal UTF-16BE.
pub(crate) fn hex_utf16(text: &str) -> String {
    let mut hex = String::with_capacity(text.len() * 4);
    for unit in text.encode_utf16() {
        // Writing to a String can't fail.
        let _written = write!(hex, "{unit:04x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use vumi_kit::webhook::WebhookRequest;

    use super::{in_charset, raw_field};

    #[test]
    fn bytes_are_read_in_the_character_set_that_was_named() {
        assert_eq!(in_charset(&[0x04, 0x1f, 0xd8, 0x3d, 0xde, 0x00], "utf-16be").as_deref(), Some("П😀"));
        assert_eq!(in_charset(b"caf\xe9", "ISO-8859-1").as_deref(), Some("café"));
        assert_eq!(in_charset("café".as_bytes(), "ISO-8859-1").as_deref(), Some("café"));
        assert_eq!(in_charset(b"x", "UTF-16BE"), None);
        assert_eq!(in_charset(b"x", "EBCDIC"), None);
    }

    #[test]
    fn a_field_is_found_in_the_query_or_the_body() {
        let request = WebhookRequest {
            query: "a=1&b=x+y%00".to_owned(),
            content_type: "application/x-www-form-urlencoded".to_owned(),
            body: "c=%FF".into(),
            ..WebhookRequest::default()
        };
        assert_eq!(raw_field(&request, "b").as_deref(), Some(&b"x y\0"[..]));
        assert_eq!(raw_field(&request, "c").as_deref(), Some(&b"\xff"[..]));
        assert_eq!(raw_field(&request, "d"), None);
    }
}
