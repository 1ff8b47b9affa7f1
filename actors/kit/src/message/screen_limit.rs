//! How much a screen of a USSD session holds.

/// How much a screen holds, by its alphabet. Networks differ: most take 182 characters, some gateways 160.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScreenLimit {
    /// Characters of the GSM alphabet (3GPP TS 23.038); those of its extension table count twice.
    pub gsm_characters: usize,
    /// UTF-16 units of a screen in any other alphabet; 0: the transport carries none.
    pub ucs2_characters: usize,
}

/// 160 octets of the GSM alphabet, and no other alphabet.
impl Default for ScreenLimit {
    fn default() -> Self {
        Self { gsm_characters: 182, ucs2_characters: 0 }
    }
}

impl ScreenLimit {
    /// The limit that a screen keeps to where both hold.
    #[must_use]
    pub fn smaller(self, other: Self) -> Self {
        Self {
            gsm_characters: self.gsm_characters.min(other.gsm_characters),
            ucs2_characters: self.ucs2_characters.min(other.ucs2_characters),
        }
    }
}
