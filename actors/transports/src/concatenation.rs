//! Which part of a longer SMS an SMS from a person is: from its user data header, or from fields that say it.

use vumi_kit::sms::InboundPart;

/// Information elements that join parts: a reference of 8 or 16 bits, the total, the number (3GPP TS 23.040, 9.2.3.24).
const REFERENCE_8: u8 = 0x00;
const REFERENCE_16: u8 = 0x08;

/// Reads a user data header in hexadecimal digits, such as `050003CC0201`. None: it joins no parts, or can't be read;
/// then the SMS is taken as it is.
pub(crate) fn part_of_header(hex: &str) -> Option<InboundPart> {
    let bytes = hex_bytes(hex)?;
    let (length, mut elements) = bytes.split_first()?;
    elements = elements.get(..usize::from(*length))?;
    while let [id, length, rest @ ..] = elements {
        let (data, others) = rest.split_at_checked(usize::from(*length))?;
        match (*id, data) {
            (REFERENCE_8, [reference, total, number]) => {
                return InboundPart::new(format!("{reference:02x}"), *total, *number);
            }
            (REFERENCE_16, [high, low, total, number]) => {
                return InboundPart::new(format!("{high:02x}{low:02x}"), *total, *number);
            }
            _ => elements = others,
        }
    }
    None
}

/// Reads the three facts as fields say them. None: it is no part of several.
pub(crate) fn part_of_fields(reference: &str, total: &str, number: &str) -> Option<InboundPart> {
    let byte = |text: &str| text.trim().parse().ok();
    let reference = reference.trim();
    if reference.is_empty() { None } else { InboundPart::new(reference, byte(total)?, byte(number)?) }
}

fn hex_bytes(hex: &str) -> Option<Vec<u8>> {
    let hex = hex.trim();
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) || !hex.len().is_multiple_of(2) {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vumi_kit::sms::InboundPart;

    use super::{part_of_fields, part_of_header};

    #[test]
    fn a_header_says_which_part_it_is() {
        for (hex, expected) in [
            ("050003CC0201", Some(("cc", 2, 1))),
            ("050003cc0202", Some(("cc", 2, 2))),
            ("0608041F2E0301", Some(("1f2e", 3, 1))),
            // With ports in front of it.
            ("0B0504158A00000003070402", Some(("07", 4, 2))),
            ("060504158A0000", None),
            ("050003CC0101", None),
            ("050003CC0203", None),
            ("050003CC0200", None),
            ("050003CC02", None),
            ("05", None),
            ("+50003CC0201", None),
            ("", None),
            ("é", None),
        ] {
            let expected = expected.map(|(reference, total, number)| InboundPart {
                reference: reference.to_owned(),
                total,
                number,
                waits: None,
            });
            assert_eq!(part_of_header(hex), expected, "{hex}");
        }
    }

    #[test]
    fn fields_say_which_part_it_is() {
        assert!(part_of_fields("7", "2", "1").is_some());
        for (reference, total, number) in
            [("", "2", "1"), ("7", "1", "1"), ("7", "2", "3"), ("7", "x", "1"), ("7", "300", "1")]
        {
            assert_eq!(part_of_fields(reference, total, number), None, "{reference} {total} {number}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(hex in "[0-9a-fA-F]{0,40}|\\PC{0,20}") {
            let _read = part_of_header(&hex);
        }
    }
}
