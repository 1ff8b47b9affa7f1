//! The status of an SMS, as clients see it and providers report it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The status of an SMS: one scale for all providers, Clickatell's. As a number, on the wire and in the database, it is
/// that of [`i16::from`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "i16", into = "i16")]
pub enum TransportStatus {
    /// 0: accepted by us, waiting to be sent.
    Pending,
    /// 1: the provider does not know the SMS.
    UnknownMessage,
    /// 2: queued at the provider.
    Queued,
    /// 3: at the provider's gateway.
    AtGateway,
    /// 4: on the person's phone.
    Delivered,
    /// 5: failed, something is wrong with the message.
    MessageError,
    /// 6: failed, cancelled.
    Cancelled,
    /// 7: failed, could not be delivered.
    DeliveryError,
    /// 8: the provider accepted it.
    Accepted,
    /// 9: failed, no route to the recipient.
    RoutingError,
    /// 10: failed, its time ran out.
    Expired,
    /// 11: queued at the provider for later delivery.
    QueuedForLater,
    /// 12: failed, the account with the provider has no money.
    OutOfCredit,
    /// 14: failed, the provider's limit of messages is reached.
    LimitExceeded,
    /// A number that has no name; never one of the above where it was made by [`From`].
    Other(i16),
}

impl From<i16> for TransportStatus {
    fn from(number: i16) -> Self {
        match number {
            0 => Self::Pending,
            1 => Self::UnknownMessage,
            2 => Self::Queued,
            3 => Self::AtGateway,
            4 => Self::Delivered,
            5 => Self::MessageError,
            6 => Self::Cancelled,
            7 => Self::DeliveryError,
            8 => Self::Accepted,
            9 => Self::RoutingError,
            10 => Self::Expired,
            11 => Self::QueuedForLater,
            12 => Self::OutOfCredit,
            14 => Self::LimitExceeded,
            other => Self::Other(other),
        }
    }
}

impl From<TransportStatus> for i16 {
    fn from(status: TransportStatus) -> Self {
        match status {
            TransportStatus::Pending => 0,
            TransportStatus::UnknownMessage => 1,
            TransportStatus::Queued => 2,
            TransportStatus::AtGateway => 3,
            TransportStatus::Delivered => 4,
            TransportStatus::MessageError => 5,
            TransportStatus::Cancelled => 6,
            TransportStatus::DeliveryError => 7,
            TransportStatus::Accepted => 8,
            TransportStatus::RoutingError => 9,
            TransportStatus::Expired => 10,
            TransportStatus::QueuedForLater => 11,
            TransportStatus::OutOfCredit => 12,
            TransportStatus::LimitExceeded => 14,
            TransportStatus::Other(other) => other,
        }
    }
}

impl From<TransportStatus> for i32 {
    fn from(status: TransportStatus) -> Self {
        i16::from(status).into()
    }
}

impl TransportStatus {
    /// In words; empty while pending, as clients of the first Vumi expect.
    #[must_use]
    pub const fn display(self) -> &'static str {
        match self {
            Self::Pending => "",
            Self::UnknownMessage => "Message unknown",
            Self::Queued => "Message queued",
            Self::AtGateway => "Delivered to gateway",
            Self::Delivered => "Received by recipient",
            Self::MessageError => "Error with message",
            Self::Cancelled => "User cancelled message delivery",
            Self::DeliveryError => "Error delivering message",
            Self::Accepted => "OK",
            Self::RoutingError => "Routing error",
            Self::Expired => "Message expired",
            Self::QueuedForLater => "Message queued for later delivery",
            Self::OutOfCredit => "Out of credit",
            Self::LimitExceeded => "Maximum MT limit exceeded",
            Self::Other(_) => "Unknown status",
        }
    }

    /// Delivered or failed: only a delivery can still follow.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Delivered
                | Self::MessageError
                | Self::Cancelled
                | Self::DeliveryError
                | Self::RoutingError
                | Self::Expired
                | Self::OutOfCredit
                | Self::LimitExceeded
        )
    }

    /// Whether a report of `self` may replace `current`: a final status stays, and no report takes a step back.
    /// [`Self::Delivered`] replaces any other: an SMS that ended as failed may have arrived all the same.
    #[must_use]
    pub const fn supersedes(self, current: Self) -> bool {
        const fn rank(status: TransportStatus) -> u8 {
            match status {
                TransportStatus::Pending => 0,
                TransportStatus::UnknownMessage => 1,
                TransportStatus::Queued | TransportStatus::QueuedForLater => 2,
                TransportStatus::AtGateway | TransportStatus::Accepted => 3,
                _ => 4,
            }
        }
        if matches!(self, Self::Delivered) {
            return !matches!(current, Self::Delivered);
        }
        !current.is_final() && rank(self) > rank(current)
    }
}

impl fmt::Debug for TransportStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", i16::from(*self), self.display())
    }
}

#[cfg(test)]
mod tests {
    use super::TransportStatus as S;

    #[test]
    fn every_number_stays_the_same_as_a_status() {
        for number in i16::MIN..=i16::MAX {
            assert_eq!(i16::from(S::from(number)), number);
            assert_eq!(matches!(S::from(number), S::Other(_)), S::from(number).display() == "Unknown status");
        }
    }

    #[test]
    fn late_news_never_undoes_a_final_status() {
        assert!(S::Delivered.supersedes(S::AtGateway));
        assert!(S::AtGateway.supersedes(S::Queued));
        assert!(!S::AtGateway.supersedes(S::Delivered));
        assert!(!S::Delivered.supersedes(S::Delivered));
        assert!(!S::DeliveryError.supersedes(S::Delivered));
        assert!(!S::Queued.supersedes(S::AtGateway));
        assert!(!S::RoutingError.supersedes(S::DeliveryError));
    }

    #[test]
    fn what_is_on_the_phone_was_delivered_whatever_was_thought_before() {
        for thought in [S::Pending, S::AtGateway, S::DeliveryError, S::Expired] {
            assert!(S::Delivered.supersedes(thought), "{thought:?}");
        }
    }
}
