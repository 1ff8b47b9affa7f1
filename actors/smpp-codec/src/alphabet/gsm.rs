//! GSM 03.38 (3GPP TS 23.038, 6.2.1): the default alphabet and its extension table, an octet a septet.

use super::LacksCharacter;

/// Leads a character of the extension table.
const ESCAPE: u8 = 0x1B;

/// The default alphabet, by septet. The escape's own place holds a blank, which is what it shows as on its own.
const BASIC: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', // 00
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', ' ', 'Æ', 'æ', 'ß', 'É', // 10
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', // 20
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', // 30
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', // 40
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', // 50
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', // 60
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à', // 70
];

/// The extension table.
const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

pub(super) fn encode(text: &str) -> Result<Vec<u8>, LacksCharacter> {
    let mut septets = Vec::with_capacity(text.len());
    for (position, character) in text.chars().enumerate() {
        if let Some(septet) = basic(character) {
            septets.push(septet);
        } else if let Some((septet, _)) = EXTENSION.iter().find(|(_, extended)| *extended == character) {
            septets.extend([ESCAPE, *septet]);
        } else {
            return Err(LacksCharacter { character, position });
        }
    }
    Ok(septets)
}

fn basic(character: char) -> Option<u8> {
    // Where ASCII and the alphabet agree, which is most of a text.
    if matches!(character, ' '..='#' | '%'..='?' | 'A'..='Z' | 'a'..='z') {
        return u8::try_from(character).ok();
    }
    BASIC.iter().position(|basic| *basic == character).and_then(|place| place.try_into().ok())
}

/// An escape without a character of the extension table shows as 23.038 says: the character of the default
/// alphabet, or a blank where there is none.
pub(super) fn decode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut rest = octets.iter();
    while let Some(&octet) = rest.next() {
        if octet != ESCAPE {
            text.push(shown(octet));
            continue;
        }
        let extended = rest.next();
        let found = EXTENSION.iter().find(|(septet, _)| Some(septet) == extended);
        text.push(found.map_or_else(|| extended.map_or(' ', |&octet| shown(octet)), |(_, character)| *character));
    }
    text
}

fn shown(octet: u8) -> char {
    BASIC.get(usize::from(octet)).copied().unwrap_or('\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::{BASIC, ESCAPE, EXTENSION, decode, encode};

    #[test]
    fn every_character_has_its_septets_and_back() {
        for (septet, character) in (0..128_u8).zip(BASIC) {
            let back = if septet == ESCAPE { vec![0x20] } else { vec![septet] };
            assert_eq!(encode(&character.to_string()), Ok(back));
            assert_eq!(decode(&[septet]), character.to_string());
        }
        for (septet, character) in EXTENSION {
            assert_eq!(encode(&character.to_string()), Ok(vec![ESCAPE, septet]));
            assert_eq!(decode(&[ESCAPE, septet]), character.to_string());
        }
    }

    #[test]
    fn an_escape_that_leads_nothing_known_is_shown_as_the_standard_says() {
        assert_eq!(decode(b"\x1ba\x1b"), "a ");
        assert_eq!(decode(b"\x1b\x1bx"), " x");
    }
}
