//! A binary SMS: octets and a user data header in hex (3GPP TS 23.040, 9.2.3.24).

use std::fmt::Write;

/// The most octets of an SMS, its header included.
const MAX_OCTETS: usize = 140;

/// The octets of an SMS with a header of so many; in lower-case hex.
pub(super) fn data(text: &str, header: usize) -> Result<String, String> {
    let octets = octets(text)?;
    match octets.len() + header {
        _ if octets.is_empty() => Err("is empty: give octets in hex, such as `48656c6c6f`".to_owned()),
        ..=MAX_OCTETS => Ok(hex(&octets)),
        all => Err(format!("has {all} octets with `udh`; an SMS has {MAX_OCTETS} at the most")),
    }
}

/// A user data header: its length, and elements that fill it; in lower-case hex.
pub(super) fn user_data_header(text: &str) -> Result<String, String> {
    let octets = octets(text)?;
    let [length, elements @ ..] = octets.as_slice() else {
        return Err("is empty: give a header in hex, such as `06050415811581`, or leave it out".to_owned());
    };
    let given = elements.len();
    if usize::from(*length) != given {
        return Err(format!("its first octet says that {length} follow, and {given} do"));
    }
    if elements.is_empty() || !are_elements(elements) {
        return Err("its elements do not fill it: each is an identifier, a length, and so many octets".to_owned());
    }
    Ok(hex(&octets))
}

/// Whether octets are whole information elements.
fn are_elements(mut octets: &[u8]) -> bool {
    while let [_identifier, length, rest @ ..] = octets {
        let Some(next) = rest.get(usize::from(*length)..) else { return false };
        octets = next;
    }
    octets.is_empty()
}

fn octets(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || "is hex, two digits for each octet, such as `48656c6c6f`".to_owned();
    if text.len() > 4 * MAX_OCTETS || !text.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or_else(wrong);
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => Ok((digit(*high)? << 4) | digit(*low)?),
            _ => Err(wrong()),
        })
        .collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        let _to_memory = write!(text, "{octet:02x}");
        text
    })
}
