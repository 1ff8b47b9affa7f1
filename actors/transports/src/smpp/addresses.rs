//! Numbers and names as SMPP writes them, with their type of number and numbering plan.

use vumi_kit::address::{Address, Msisdn};
use vumi_smpp_codec::{
    Alphabet, PduAddress,
    address::{npi, ton},
    alphabet::packed,
};

use super::settings::{Numbering, SmsSettings};

/// Longer numbers are no short codes.
const LONGEST_SHORT_CODE: usize = 6;

/// A sender. None: it is a name with characters that SMPP can't carry.
pub(super) fn sender(settings: &SmsSettings, from: &Address) -> Option<PduAddress> {
    if from.is_number() {
        return Some(number(settings, settings.source, from.as_str()));
    }
    let Numbering { ton, npi } = settings.source.unwrap_or(Numbering { ton: ton::ALPHANUMERIC, npi: npi::UNKNOWN });
    let name = Alphabet::Latin1.encode(from.as_str()).ok()?;
    Some(PduAddress::new(ton, npi, name))
}

/// A recipient.
pub(super) fn recipient(settings: &SmsSettings, to: &Msisdn) -> PduAddress {
    number(settings, settings.destination, to.as_str())
}

fn number(settings: &SmsSettings, set: Option<Numbering>, digits: &str) -> PduAddress {
    let found = match digits {
        short if short.len() <= LONGEST_SHORT_CODE => Numbering { ton: ton::NETWORK_SPECIFIC, npi: npi::UNKNOWN },
        national if national.starts_with('0') => Numbering { ton: ton::NATIONAL, npi: npi::ISDN },
        _ => Numbering { ton: ton::INTERNATIONAL, npi: npi::ISDN },
    };
    let Numbering { ton, npi } = set.unwrap_or(found);
    let international = found.ton == ton::INTERNATIONAL;
    let written = if settings.plus && international { format!("+{digits}") } else { digits.to_owned() };
    PduAddress::new(ton, npi, written.into_bytes())
}

/// The number or name of a PDU: a name may be Latin-1, or 7-bit octets packed.
pub(super) fn read(address: &PduAddress) -> Option<Address> {
    let octets = &address.addr;
    // No character of Latin-1 has these octets.
    let control = |octet: &u8| matches!(octet, 0..=0x1f | 0x7f..=0x9f);
    let named = address.ton == ton::ALPHANUMERIC && octets.iter().any(control);
    let unpacked = named.then(|| Alphabet::Gsm7.decode(&packed::unpack(octets, 0))).filter(|name| is_name(name));
    Address::inbound(&unpacked.unwrap_or_else(|| Alphabet::Latin1.decode(octets))).ok()
}

/// Whether septets make a name that a person could read.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || " .-_&@".contains(c))
}

#[cfg(test)]
mod tests {
    use vumi_kit::address::{Address, Msisdn};
    use vumi_smpp_codec::PduAddress;

    use super::{super::tests::settings, read, recipient, sender};

    #[test]
    fn senders_and_recipients_get_their_numbering_by_their_form_or_as_set() {
        let auto = settings("").sms;
        let set =
            settings(r#"sms = { source = { ton = 6, npi = 0 }, destination = { ton = 0, npi = 1 }, plus = true }"#).sms;
        for (from, by_form, as_set) in [
            ("27831234567", (1, 1, "27831234567"), (6, 0, "+27831234567")),
            ("0831234567", (2, 1, "0831234567"), (6, 0, "0831234567")),
            ("38080", (3, 0, "38080"), (6, 0, "38080")),
            ("Praekelt", (5, 0, "Praekelt"), (6, 0, "Praekelt")),
        ] {
            let from = Address::sender(from).unwrap();
            for (settings, (ton, npi, written)) in [(&auto, by_form), (&set, as_set)] {
                let expected = PduAddress::new(ton, npi, written.as_bytes().to_vec());
                assert_eq!(sender(settings, &from), Some(expected));
            }
        }
        let to = Msisdn::parse("27831234567").unwrap();
        assert_eq!(recipient(&auto, &to), PduAddress::new(1, 1, &b"27831234567"[..]));
        assert_eq!(recipient(&set, &to), PduAddress::new(0, 1, &b"+27831234567"[..]));
        assert_eq!(sender(&auto, &Address::sender("ΔΔΔΔa").unwrap()), None, "not in Latin-1");
    }

    #[test]
    fn senders_are_read_whatever_they_are() {
        for (ton, octets, expected) in [
            (1, &b"27831234567"[..], Some("27831234567")),
            (1, b"+27831234567", Some("27831234567")),
            (5, b"Praekelt", Some("Praekelt")),
            (5, b"Caf\xe9", Some("Café")),
            // "Vodacom" in packed septets.
            (5, &[0xd6, 0x37, 0x39, 0x3c, 0x7e, 0xb7, 0x01], Some("Vodacom")),
            (0, b"", None),
        ] {
            let read = read(&PduAddress::new(ton, 0, octets));
            assert_eq!(read.as_ref().map(Address::as_str), expected, "{octets:?}");
        }
    }
}
