//! What became of a message.

/// message_state, and `stat` in the text of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the specification's own names")]
pub enum MessageState {
    Scheduled,
    Enroute,
    Delivered,
    Expired,
    Deleted,
    Undeliverable,
    /// Not final: SMSC use it for "taken".
    Accepted,
    /// Not final.
    Unknown,
    Rejected,
    Skipped,
    /// A number that the specification does not name.
    Other(u8),
}

impl From<u8> for MessageState {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Scheduled,
            1 => Self::Enroute,
            2 => Self::Delivered,
            3 => Self::Expired,
            4 => Self::Deleted,
            5 => Self::Undeliverable,
            6 => Self::Accepted,
            7 => Self::Unknown,
            8 => Self::Rejected,
            9 => Self::Skipped,
            other => Self::Other(other),
        }
    }
}

impl From<MessageState> for u8 {
    fn from(state: MessageState) -> Self {
        match state {
            MessageState::Scheduled => 0,
            MessageState::Enroute => 1,
            MessageState::Delivered => 2,
            MessageState::Expired => 3,
            MessageState::Deleted => 4,
            MessageState::Undeliverable => 5,
            MessageState::Accepted => 6,
            MessageState::Unknown => 7,
            MessageState::Rejected => 8,
            MessageState::Skipped => 9,
            MessageState::Other(other) => other,
        }
    }
}

impl MessageState {
    /// Whether nothing follows it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Delivered | Self::Expired | Self::Deleted | Self::Undeliverable | Self::Rejected | Self::Skipped
        )
    }

    /// The word for `stat` in a receipt's text.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Enroute => "ENROUTE",
            Self::Delivered => "DELIVRD",
            Self::Expired => "EXPIRED",
            Self::Deleted => "DELETED",
            Self::Undeliverable => "UNDELIV",
            Self::Accepted => "ACCEPTD",
            Self::Unknown | Self::Other(_) => "UNKNOWN",
            Self::Rejected => "REJECTD",
            Self::Skipped => "SKIPPED",
        }
    }

    /// Reads a word of a receipt's text, in any case. A number is a message_state, but for `0`: SMSC that write
    /// numbers mean delivered by it. `None` for other words.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        if let Ok(number) = word.parse::<u8>() {
            return Some(if number == 0 { Self::Delivered } else { number.into() });
        }
        Some(match word.to_ascii_uppercase().as_str() {
            "SCHEDULED" => Self::Scheduled,
            "ENROUTE" | "ACKED" | "BUFFRED" | "BUFFERD" | "SUBMITTED" => Self::Enroute,
            "DELIVRD" | "DELIVERED" | "DELIVERD" => Self::Delivered,
            "EXPIRED" => Self::Expired,
            "DELETED" => Self::Deleted,
            "UNDELIV" | "UNDELIVERABLE" | "FAILED" => Self::Undeliverable,
            "ACCEPTD" | "ACCEPTED" => Self::Accepted,
            "UNKNOWN" => Self::Unknown,
            "REJECTD" | "REJECTED" => Self::Rejected,
            "SKIPPED" => Self::Skipped,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::MessageState as S;

    #[test]
    fn states_have_numbers_and_words() {
        let table: [(u8, S, bool, &[&str]); 10] = [
            (0, S::Scheduled, false, &["SCHEDULED"]),
            (1, S::Enroute, false, &["ENROUTE", "ACKED", "BUFFRED", "BUFFERD", "SUBMITTED"]),
            (2, S::Delivered, true, &["DELIVRD", "DELIVERED", "DELIVERD", "delivrd", "0", "2"]),
            (3, S::Expired, true, &["EXPIRED"]),
            (4, S::Deleted, true, &["DELETED"]),
            (5, S::Undeliverable, true, &["UNDELIV", "UNDELIVERABLE", "FAILED", "5"]),
            (6, S::Accepted, false, &["ACCEPTD", "ACCEPTED"]),
            (7, S::Unknown, false, &["UNKNOWN"]),
            (8, S::Rejected, true, &["REJECTD", "REJECTED"]),
            (9, S::Skipped, true, &["SKIPPED"]),
        ];
        for (number, state, last, words) in table {
            assert_eq!((S::from(number), u8::from(state), state.is_final()), (state, number, last));
            assert_eq!(S::from_word(state.word()), Some(state));
            for word in words {
                assert_eq!(S::from_word(word), Some(state), "{word}");
            }
        }
        assert_eq!((S::from(200), u8::from(S::Other(200))), (S::Other(200), 200));
        assert_eq!(S::from_word("LOST"), None);
    }
}
