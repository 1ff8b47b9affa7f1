//! Removes from a provider's response what may not be kept or shown: our own credentials, should the provider repeat them.
//!
//! As they are, they are replaced. Where one is found in some encoding (percent, JSON, XML, base64, hexadecimal, or one
//! within another), nothing of the response is kept.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use percent_encoding::percent_decode;

/// The longest response that is kept, in characters; more is of no use to an operator.
const LONGEST: usize = 500;
/// How much of a response is looked at, in characters.
const LONGEST_READ: usize = 4 * LONGEST;
/// A shorter credential, such as the number of a service, is one only as a word of its own.
const SHORTEST_ANYWHERE: usize = 6;
/// Encodings within encodings.
const DEEPEST: usize = 3;
/// What is kept in place of a response that has a credential in some encoding.
const NOT_KEPT: &str = "not kept: it repeats a credential of this transport";

const ANY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Hides credentials, and cuts what is too long.
#[derive(Default)]
pub(super) struct Redactor(Vec<String>);

impl Redactor {
    pub(super) fn of(credentials: &[&str]) -> Self {
        let mut hidden: Vec<String> = Vec::new();
        for credential in credentials.iter().map(|credential| credential.trim()).filter(|it| !it.is_empty()) {
            let encoded = form_urlencoded::byte_serialize(credential.as_bytes()).collect();
            hidden.extend([credential.to_owned(), encoded]);
        }
        // The longest first: one may be a part of another.
        hidden.sort_by_key(|credential| std::cmp::Reverse(credential.len()));
        hidden.dedup();
        Self(hidden)
    }

    pub(super) fn redact(&self, mut response: String) -> String {
        cut(&mut response, LONGEST_READ);
        for credential in &self.0 {
            response = replaced(&response, credential);
        }
        if !self.0.is_empty() && self.is_encoded_in(response.as_bytes(), DEEPEST) {
            return NOT_KEPT.to_owned();
        }
        cut(&mut response, LONGEST);
        response
    }

    /// Whether a credential is in the text once something in it is decoded.
    fn is_encoded_in(&self, text: &[u8], deepest: usize) -> bool {
        deepest > 0
            && decodings(text).iter().any(|decoded| {
                self.0.iter().any(|credential| find(decoded, credential).is_some())
                    || self.is_encoded_in(decoded, deepest - 1)
            })
    }
}

fn cut(text: &mut String, longest: usize) {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
    }
}

fn replaced(response: &str, credential: &str) -> String {
    let mut shown = String::with_capacity(response.len());
    let mut rest = response;
    while let Some((before, after)) =
        find(rest.as_bytes(), credential).and_then(|at| Some((rest.get(..at)?, rest.get(at + credential.len()..)?)))
    {
        shown.push_str(before);
        shown.push_str("***");
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Where a credential is: anywhere, or as a word of its own if it is short.
fn find(text: &[u8], credential: &str) -> Option<usize> {
    let inside = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let alone = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        !inside(before) && !inside(text.get(at + credential.len()))
    };
    let mut windows = text.windows(credential.len()).enumerate();
    let found = windows
        .find(|(at, window)| *window == credential.as_bytes() && (credential.len() >= SHORTEST_ANYWHERE || alone(*at)));
    found.map(|(at, _)| at)
}

/// What a text says in each encoding that may be in it.
fn decodings(text: &[u8]) -> Vec<Vec<u8>> {
    let mut decoded = Vec::new();
    if text.contains(&b'%') {
        let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        decoded.extend([percent_decode(text).collect(), percent_decode(&spaced).collect()]);
    }
    if text.contains(&b'\\') || text.contains(&b'&') {
        decoded.push(unescaped(text));
    }
    for run in runs(text, |byte| byte.is_ascii_hexdigit()) {
        decoded.extend((0..2).filter_map(|skipped| run.get(skipped..)).map(of_hex));
    }
    for run in runs(text, |byte| byte.is_ascii_alphanumeric() || b"+/-_\r\n".contains(byte)) {
        decoded.extend((0..4).filter_map(|skipped| of_base64(run.get(skipped..)?)));
    }
    decoded
}

/// Stretches of a text that are long enough to hold a credential.
fn runs(text: &[u8], belongs: impl Fn(&u8) -> bool) -> Vec<Vec<u8>> {
    let runs = text.split(|byte| !belongs(byte));
    let plain = runs.map(|run| run.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect::<Vec<_>>());
    plain.filter(|run| run.len() >= SHORTEST_ANYWHERE).collect()
}

fn of_hex(digits: &[u8]) -> Vec<u8> {
    let (pairs, _) = digits.as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().filter_map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Base64 of either alphabet; the end that makes no whole byte is left out.
fn of_base64(letters: &[u8]) -> Option<Vec<u8>> {
    let whole = letters.len() - usize::from(letters.len() % 4 == 1);
    let standard = letters.iter().take(whole).map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    });
    ANY_BASE64.decode(standard.collect::<Vec<u8>>()).ok()
}

/// Without the escapes of JSON and XML.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let mut plain = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(c) = rest.chars().next() {
        let (shown, taken) = escape(rest).unwrap_or((c, c.len_utf8()));
        plain.push(shown);
        rest = rest.get(taken..).unwrap_or_default();
    }
    plain.into_bytes()
}

/// The character that an escape at the beginning of a text stands for, and the escape's length in bytes.
fn escape(text: &str) -> Option<(char, usize)> {
    if let Some(after) = text.strip_prefix('\\') {
        let c = after.chars().next()?;
        return match c {
            'u' => Some((char::from_u32(u32::from_str_radix(after.get(1..5)?, 16).ok()?)?, 6)),
            'n' => Some(('\n', 2)),
            't' => Some(('\t', 2)),
            _ => Some((c, 1 + c.len_utf8())),
        };
    }
    let (name, _) = text.strip_prefix('&')?.split_once(';').filter(|(name, _)| name.len() <= 8)?;
    let number = match name.strip_prefix('#') {
        Some(hex) if hex.starts_with(['x', 'X']) => u32::from_str_radix(hex.get(1..)?, 16).ok(),
        Some(decimal) => decimal.parse().ok(),
        None => None,
    };
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => char::from_u32(number?)?,
    };
    Some((c, name.len() + 2))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::{Engine, LONGEST, NOT_KEPT, Redactor};

    const SECRET: &str = "p&ss <wörd>";

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn credentials_are_hidden_as_they_are_and_form_encoded() {
        let redactor = Redactor::of(&[SECRET, "api-user", "123"]);
        let told = "wrong: p&ss <wörd>, password=p%26ss+%3Cw%C3%B6rd%3E, user api-user, api_id=123, ID: 4123567";
        assert_eq!(redactor.redact(told.to_owned()), "wrong: ***, password=***, user ***, api_id=***, ID: 4123567");
    }

    #[test]
    fn nothing_is_kept_of_a_response_with_a_credential_in_another_encoding() {
        let redactor = Redactor::of(&[SECRET]);
        for told in [
            format!("Basic {}", STANDARD.encode(format!("user:{SECRET}"))),
            format!("Basic {}", STANDARD.encode(format!("u:{SECRET}"))),
            format!("token={}", URL_SAFE_NO_PAD.encode(SECRET)),
            format!("x{}", STANDARD.encode(SECRET)),
            "p%26ss%20%3cw%c3%b6rd%3e".to_owned(),
            "%70%26%73%73%20%3C%77%C3%B6%72%64%3E".to_owned(),
            "{\"said\":\"p\\u0026ss \\u003cw\\u00f6rd>\"}".to_owned(),
            "<said>p&amp;ss &lt;wörd&gt;</said>".to_owned(),
            "<said>p&#38;ss &#x3C;w&#xF6;rd&gt;</said>".to_owned(),
            hex(SECRET),
            hex(SECRET).to_uppercase(),
            format!("0{}", hex(SECRET)),
            format!("auth={}", STANDARD.encode(format!("user:{SECRET}")).replace('=', "%3D")),
            STANDARD.encode(hex(SECRET)),
            STANDARD.encode("p%26ss+%3Cw%C3%B6rd%3E"),
        ] {
            assert_eq!(redactor.redact(told.clone()), NOT_KEPT, "{told}");
        }
    }

    #[test]
    fn other_words_are_kept() {
        let redactor = Redactor::of(&["password1", "vumi", "7", "***"]);
        for told in
            ["ID: 0123456789abcdef0123456789abcdef", "Message queued successfully", "HTTP 500: 100% <b>vumis</b>"]
        {
            assert_eq!(redactor.redact(told.to_owned()), told);
        }
    }

    #[test]
    fn a_long_response_is_cut() {
        assert_eq!(Redactor::default().redact("ä".repeat(9000)).chars().count(), LONGEST);
    }

    proptest! {
        #[test]
        fn no_response_makes_the_redactor_panic(told in "\\PC{0,60}|[%&;#x0-9a-fA-F=+/\\\\u-]{0,60}") {
            let _kept = Redactor::of(&[SECRET, "12"]).redact(told);
        }

        #[test]
        fn a_credential_is_never_kept_in_base64(before in "[a-z:]{0,9}", after in "[a-z:]{0,9}") {
            let told = STANDARD.encode(format!("{before}{SECRET}{after}"));
            prop_assert_eq!(Redactor::of(&[SECRET]).redact(told), NOT_KEPT);
        }
    }
}
