//! Packed septets (3GPP TS 23.038, 6.1.2): 8 septets in 7 octets, the lowest bits first.

const CR: u8 = 0x0D;

/// How many bits lie between a UDH of `udh` octets and the first septet: it begins at a septet's boundary.
#[must_use]
pub const fn fill_bits(udh: usize) -> u8 {
    match udh * 8 % 7 {
        0 => 0,
        1 => 6,
        2 => 5,
        3 => 4,
        4 => 3,
        5 => 2,
        _ => 1,
    }
}

/// Packs septets behind `fill` zero bits (0 to 6; see [`fill_bits`]). Where 7 bits are left over at the end they are a
/// carriage return, so that nobody reads them as `@`; a text that ends in one at that place gets a second one.
#[must_use]
pub fn pack(septets: &[u8], fill: u8) -> Vec<u8> {
    let fill = fill % 7;
    let bits = usize::from(fill) + septets.len() * 7;
    let ends_in_cr = bits.is_multiple_of(8) && septets.last() == Some(&CR);
    let padding = (bits % 8 == 1 || ends_in_cr).then_some(CR);
    let mut octets = Vec::with_capacity(bits.div_ceil(8) + 1);
    let (mut held, mut count) = (0_u16, fill);
    for septet in septets.iter().copied().chain(padding) {
        held |= u16::from(septet & 0x7F) << count;
        count += 7;
        if count >= 8 {
            octets.push(held.to_le_bytes()[0]);
            held >>= 8;
            count -= 8;
        }
    }
    if count > 0 {
        octets.push(held.to_le_bytes()[0]);
    }
    octets
}

/// Unpacks septets that lie behind `fill` bits (0 to 6). SMPP tells octets, not septets: where the last 7 bits may be
/// padding, a carriage return or `@` there is taken for it. A text that truly ends in `@` at that place loses it.
#[must_use]
pub fn unpack(octets: &[u8], fill: u8) -> Vec<u8> {
    let fill = u32::from(fill % 7);
    let mut septets = Vec::with_capacity(octets.len() * 8 / 7);
    let (mut held, mut count, mut skip) = (0_u32, 0_u32, fill);
    for &octet in octets {
        held |= u32::from(octet) << count;
        count += 8;
        if skip > 0 {
            held >>= skip;
            count -= skip;
            skip = 0;
        }
        while count >= 7 {
            septets.push((held & 0x7F).to_le_bytes()[0]);
            held >>= 7;
            count -= 7;
        }
    }
    if count == 0 && matches!(septets.last(), Some(&(CR | 0))) {
        septets.pop();
    }
    septets
}

#[cfg(test)]
mod tests {
    use super::{fill_bits, pack, unpack};

    #[test]
    fn septets_lie_behind_the_fill_bits_of_their_udh() {
        assert_eq!((fill_bits(0), fill_bits(6), fill_bits(7)), (0, 1, 0));
        // "A" behind a UDH of 6 octets.
        assert_eq!(pack(b"A", fill_bits(6)), [0x82]);
        assert_eq!(unpack(&[0x82], 1), b"A");
    }

    #[test]
    fn seven_bits_left_over_are_a_carriage_return() {
        assert_eq!(pack(b"1234567", 0), [0x31, 0xD9, 0x8C, 0x56, 0xB3, 0xDD, 0x1A]);
        assert_eq!(unpack(&[0x31, 0xD9, 0x8C, 0x56, 0xB3, 0xDD, 0x1A], 0), b"1234567");
        assert_eq!(unpack(&[0x31, 0xD9, 0x8C, 0x56, 0xB3, 0xDD, 0x00], 0), b"1234567");
        assert_eq!(unpack(&pack(b"1234567\r", 0), 0)[..8], *b"1234567\r");
    }
}
