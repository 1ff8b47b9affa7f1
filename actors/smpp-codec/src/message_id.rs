//! Message ids: a receipt may spell the id of a response otherwise.
//!
//! Beside each response's id a store keeps its [`lookup_key`], indexed. For a receipt it looks up [`lookup_keys`], and of
//! the rows found takes the one with the least [`Likeness`] whose recipient agrees. A key holds each spelling that
//! differs in case and leading zeros, which a list of spellings could not: paddings have no bound.

use std::fmt::Write as _;

/// Decimal digits of `u64::MAX`, and hexadecimal ones. Longer ids are no numbers here.
const DECIMAL_DIGITS: usize = 20;
const HEX_DIGITS: usize = 16;

/// The base that an SMSC writes ids in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named by the type")]
pub enum Base {
    Decimal,
    Hex,
}

/// How ids are matched: the setting `message_ids`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Matching {
    /// Every [`Likeness`].
    #[default]
    Auto,
    /// The same octets only.
    Exact,
    /// Numbers in these bases; Kannel's msg-id-type is 0 for decimal twice, 1 for a hexadecimal response, 2 for a
    /// hexadecimal receipt, 3 for both. The same octets match too.
    Bases {
        /// Of the id in submit_sm_resp.
        response: Base,
        /// Of the id in the receipt.
        receipt: Base,
    },
}

/// How a receipt's id is like a response's, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Likeness {
    /// The same octets.
    Exact,
    /// The same but for the case of ASCII letters.
    Folded,
    /// Digits that are the same without leading zeros.
    Unpadded,
    /// The response is hexadecimal, the receipt decimal.
    HexToDecimal,
    /// The response is decimal, the receipt hexadecimal.
    DecimalToHex,
}

/// The key of an id: lower case, and without leading zeros where it is a number of at most 16 hexadecimal or 20
/// decimal digits. Nothing else is stripped: zeros of uuids and of longer ids are part of them.
#[must_use]
pub fn lookup_key(id: &str) -> String {
    let folded = id.to_ascii_lowercase();
    if is_number(&folded) { unpadded(&folded).to_owned() } else { folded }
}

/// The keys that the response of a receipt's id may have, in the order of [`Likeness`], each once.
#[must_use]
pub fn lookup_keys(matching: Matching, receipt: &str) -> Vec<String> {
    let mut keys = vec![lookup_key(receipt)];
    let converted = match matching {
        Matching::Exact => [None, None],
        Matching::Auto => [to_hex(receipt), to_decimal(receipt)],
        Matching::Bases { response: Base::Hex, receipt: Base::Decimal } => [to_hex(receipt), None],
        Matching::Bases { response: Base::Decimal, receipt: Base::Hex } => [to_decimal(receipt), None],
        Matching::Bases { .. } => [None, None],
    };
    for key in converted.into_iter().flatten() {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// How a receipt's id is like a response's; `None` where it is not, by the setting.
#[must_use]
pub fn likeness(matching: Matching, response: &str, receipt: &str) -> Option<Likeness> {
    if response == receipt {
        return Some(Likeness::Exact);
    }
    match matching {
        Matching::Exact => None,
        Matching::Auto => same_base(response, receipt)
            .or_else(|| hex_to_decimal(response, receipt))
            .or_else(|| decimal_to_hex(response, receipt)),
        Matching::Bases { response: Base::Hex, receipt: Base::Decimal } => hex_to_decimal(response, receipt),
        Matching::Bases { response: Base::Decimal, receipt: Base::Hex } => decimal_to_hex(response, receipt),
        Matching::Bases { .. } => same_base(response, receipt),
    }
}

fn same_base(response: &str, receipt: &str) -> Option<Likeness> {
    if response.eq_ignore_ascii_case(receipt) {
        return Some(Likeness::Folded);
    }
    (lookup_key(response) == lookup_key(receipt)).then_some(Likeness::Unpadded)
}

fn hex_to_decimal(response: &str, receipt: &str) -> Option<Likeness> {
    (to_hex(receipt)? == lookup_key(response)).then_some(Likeness::HexToDecimal)
}

fn decimal_to_hex(response: &str, receipt: &str) -> Option<Likeness> {
    (to_decimal(receipt)? == lookup_key(response)).then_some(Likeness::DecimalToHex)
}

/// A decimal id in hexadecimal.
fn to_hex(id: &str) -> Option<String> {
    if id.len() > DECIMAL_DIGITS || !is_decimal(id) {
        return None;
    }
    let mut hex = String::new();
    write!(hex, "{:x}", id.parse::<u64>().ok()?).ok()?;
    Some(hex)
}

/// A hexadecimal id in decimal.
fn to_decimal(id: &str) -> Option<String> {
    if id.len() > HEX_DIGITS || !is_hex(id) {
        return None;
    }
    Some(u64::from_str_radix(id, 16).ok()?.to_string())
}

fn is_number(id: &str) -> bool {
    (id.len() <= HEX_DIGITS && is_hex(id)) || (id.len() <= DECIMAL_DIGITS && is_decimal(id))
}

fn is_decimal(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|octet| octet.is_ascii_digit())
}

fn is_hex(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|octet| octet.is_ascii_hexdigit())
}

/// One zero stays of an id of zeros.
fn unpadded(id: &str) -> &str {
    let digits = id.trim_start_matches('0');
    if digits.is_empty() && !id.is_empty() { "0" } else { digits }
}

#[cfg(test)]
mod tests {
    use super::{Base, Likeness as L, Matching as M, likeness, lookup_key, lookup_keys};

    const UUID: &str = "0972660a-81cd-4e0f-8f57-2c7f2b0f3a11";

    /// What a store does: an indexed lookup, then the likeness.
    fn found(matching: M, response: &str, receipt: &str) -> Option<L> {
        let listed = lookup_keys(matching, receipt).contains(&lookup_key(response));
        let likeness = likeness(matching, response, receipt);
        assert!(listed || likeness.is_none(), "{response} {receipt}: a match that the lookup would miss");
        likeness
    }

    #[test]
    fn auto_finds_every_likeness_seen() {
        let table = [
            ("abc", "abc", Some(L::Exact)),
            ("10C8F40D", "10c8f40d", Some(L::Folded)),
            ("123", "0000000123", Some(L::Unpadded)),
            ("00000123", "123", Some(L::Unpadded)),
            ("000", "0", Some(L::Unpadded)),
            ("10C8F40D", "281605133", Some(L::HexToDecimal)),
            ("39f99dd5", "0972660181", Some(L::HexToDecimal)),
            ("812FC7470000001B", "9308878062554710043", Some(L::HexToDecimal)),
            ("281605133", "10c8f40d", Some(L::DecimalToHex)),
            ("9308878062554710043", "812fc7470000001b", Some(L::DecimalToHex)),
            ("12abcdef", "0000000012ABCDEF", Some(L::Unpadded)),
            ("12abcdef", "00000000012ABCDEF", None),
            ("FFFFFFFFFFFFFFFF", "18446744073709551615", Some(L::HexToDecimal)),
            ("FFFFFFFFFFFFFFFF", "18446744073709551616", None),
            ("10C8F40D", "281605134", None),
            (UUID, UUID, Some(L::Exact)),
            (UUID, UUID.trim_start_matches('0'), None),
            ("0972660a81cd4e0f8f572c7f2b0f3a11", "972660a81cd4e0f8f572c7f2b0f3a11", None),
            ("SAR-2347039245475-1eedf843-2-1", "SAR-2347039245475-1eedf843-2-1", Some(L::Exact)),
            ("0118Z-0122I-2309U-57DGB", "118Z-0122I-2309U-57DGB", None),
            ("01234567890123456789012", "1234567890123456789012", None),
            ("", "0", None),
        ];
        for (response, receipt, likeness) in table {
            assert_eq!(found(M::Auto, response, receipt), likeness, "{response} {receipt}");
        }
    }

    #[test]
    fn settings_narrow_what_matches() {
        let hex_response = M::Bases { response: Base::Hex, receipt: Base::Decimal };
        let hex_receipt = M::Bases { response: Base::Decimal, receipt: Base::Hex };
        let hex_both = M::Bases { response: Base::Hex, receipt: Base::Hex };
        let table = [
            (M::Exact, "10C8F40D", "10c8f40d", None),
            (M::Exact, "10C8F40D", "10C8F40D", Some(L::Exact)),
            (hex_response, "10C8F40D", "281605133", Some(L::HexToDecimal)),
            (hex_response, "10C8F40D", "0281605133", Some(L::HexToDecimal)),
            (hex_response, "281605133", "10C8F40D", None),
            (hex_receipt, "281605133", "10C8F40D", Some(L::DecimalToHex)),
            (hex_receipt, "10C8F40D", "281605133", None),
            (hex_both, "10C8F40D", "0010c8f40d", Some(L::Unpadded)),
            (hex_both, "10C8F40D", "281605133", None),
        ];
        for (matching, response, receipt, likeness) in table {
            assert_eq!(found(matching, response, receipt), likeness, "{matching:?} {response} {receipt}");
        }
    }

    #[test]
    fn keys_come_in_the_order_of_likeness() {
        assert_eq!(lookup_keys(M::Auto, "0012"), ["12", "c", "18"]);
        assert_eq!(lookup_keys(M::Auto, "7"), ["7"]);
        assert_eq!(lookup_keys(M::Auto, UUID), [UUID]);
    }
}
