//! An SMS: its status scale, what a client hands in, what the ledger keeps, what a transport gets to send.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{account::AccountId, address::Msisdn, clock::Timestamp, name::Name, text::keepable};

/// The number of a sent SMS in the ledger; clients see it as `id`, Clickatell as `climsgid`.
pub type SmsId = i64;

/// The number of a received SMS in the ledger.
pub type ReceivedId = i64;

/// Where an SMS is: one scale for all providers, Clickatell's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransportStatus(pub i16);

impl TransportStatus {
    /// Here, waiting to be sent.
    pub const PENDING: Self = Self(0);
    /// Queued at the provider.
    pub const QUEUED: Self = Self(2);
    /// At the provider's gateway.
    pub const AT_GATEWAY: Self = Self(3);
    /// On the person's phone.
    pub const DELIVERED: Self = Self(4);
    /// Failed: something about the message.
    pub const MESSAGE_ERROR: Self = Self(5);
    /// Failed: could not be delivered.
    pub const DELIVERY_ERROR: Self = Self(7);
    /// Failed: no route to the recipient.
    pub const ROUTING_ERROR: Self = Self(9);
    /// Failed: its time ran out.
    pub const EXPIRED: Self = Self(10);
    /// Failed: the account with the provider has no money.
    pub const OUT_OF_CREDIT: Self = Self(12);

    /// In words; empty while pending, as clients of the first Vumi expect.
    #[must_use]
    pub const fn display(self) -> &'static str {
        match self.0 {
            0 => "",
            1 => "Message unknown",
            2 => "Message queued",
            3 => "Delivered to gateway",
            4 => "Received by recipient",
            5 => "Error with message",
            6 => "User cancelled message delivery",
            7 => "Error delivering message",
            8 => "OK",
            9 => "Routing error",
            10 => "Message expired",
            11 => "Message queued for later delivery",
            12 => "Out of credit",
            14 => "Maximum MT limit exceeded",
            _ => "Unknown status",
        }
    }

    /// No later news can change it: delivered or failed.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self.0, 4 | 5 | 6 | 7 | 9 | 10 | 12 | 14)
    }

    /// Whether news of `self` may replace `current`: never a final status, and never a step back. But what is on the
    /// phone was delivered, whatever was thought before: an SMS that ended as failed may have arrived all the same.
    #[must_use]
    pub const fn supersedes(self, current: Self) -> bool {
        const fn rank(status: TransportStatus) -> u8 {
            match status.0 {
                0 => 0,
                1 => 1,
                2 | 11 => 2,
                3 | 8 => 3,
                _ => 4,
            }
        }
        if self.0 == Self::DELIVERED.0 {
            return current.0 != Self::DELIVERED.0;
        }
        !current.is_final() && rank(self) > rank(current)
    }
}

impl fmt::Debug for TransportStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.display())
    }
}

/// An SMS handed in, to be kept and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSms {
    /// Whose it is.
    pub account: AccountId,
    /// The transport that is to send it.
    pub transport: Name,
    /// The recipient.
    pub to: Msisdn,
    /// The sender shown to the recipient.
    pub from: Msisdn,
    /// The text.
    pub message: String,
}

/// An SMS as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sms {
    /// Its number.
    pub id: SmsId,
    /// Whose it is.
    pub account: AccountId,
    /// The transport that sends it.
    pub transport: Name,
    /// The recipient.
    pub to: Msisdn,
    /// The sender shown to the recipient.
    pub from: Msisdn,
    /// The text.
    pub message: String,
    /// Where it is.
    pub status: TransportStatus,
    /// What the provider last said of it, as it said it.
    pub provider_said: Option<String>,
    /// The provider's id for it.
    pub provider_id: Option<String>,
    /// How often it was submitted, or tried to be.
    pub attempts: i32,
    /// When it reached the phone.
    pub delivered_at: Option<Timestamp>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When anything about it last changed.
    pub updated_at: Timestamp,
}

/// An SMS on its way to a transport: claimed, committed, to be submitted once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its number in the ledger.
    pub id: SmsId,
    /// The recipient.
    pub to: Msisdn,
    /// The sender shown to the recipient.
    pub from: Msisdn,
    /// The text.
    pub message: String,
    /// Attempts made before.
    pub attempts: i32,
    /// Attempts that may have been made and whose result nobody knows (a lost answer, a crash): above 0, ask the
    /// provider first where it can be asked.
    pub unsure: i32,
    /// Since when it was due as it was claimed: its place in the line, should it be given back untried.
    pub due_at: Timestamp,
    /// Until when the claim holds; a submission not begun by then belongs to whoever claims it next.
    pub lease_until: Timestamp,
    /// After this moment it is not tried again.
    pub give_up_at: Timestamp,
}

/// What came of submitting an SMS: the provider's answer as a decision, never an HTTP library's error.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// The provider has it.
    Accepted {
        /// Its id there, where the provider gives one.
        provider_id: Option<String>,
        /// [`TransportStatus::QUEUED`] or [`TransportStatus::AT_GATEWAY`].
        status: TransportStatus,
        /// What it said.
        said: String,
    },
    /// Not now, though nothing is wrong with the SMS: unreachable, time-out, 5xx, garbage.
    Retry {
        /// What went wrong.
        said: String,
        /// The answer, not the submission, may have been lost: it may have arrived.
        unsure: bool,
    },
    /// Too fast: the whole transport should pause.
    Throttled {
        /// For how long, where the provider said.
        retry_after_s: Option<u64>,
        /// What it said.
        said: String,
    },
    /// Never: something about this SMS.
    Rejected {
        /// The failure on the scale.
        status: TransportStatus,
        /// The provider's reason.
        said: String,
    },
    /// No SMS can pass until an operator mends something: credentials, credit, the account.
    Misconfigured {
        /// The provider's reason.
        said: String,
    },
}

/// A delivery receipt, read from a provider's form into ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's id for the SMS.
    pub provider_id: Option<String>,
    /// Our number for the SMS, where the provider hands it back. With both ids given, both must match.
    pub sms: Option<SmsId>,
    /// The recipient, where one provider id covers several.
    pub to: Option<Msisdn>,
    /// Its status on our scale.
    pub status: TransportStatus,
    /// When the provider says it happened.
    pub at: Option<Timestamp>,
    /// Every field as the provider sent it, in its order: kept, and handed on to callbacks.
    pub fields: Vec<(String, String)>,
}

impl Receipt {
    /// The same with no text that can't be kept: what a provider tells is not refused for a NUL in it.
    #[must_use]
    pub fn keepable(self) -> Self {
        let fields = self.fields.into_iter().map(|(name, value)| (keepable(name), keepable(value))).collect();
        Self { provider_id: self.provider_id.map(keepable), fields, ..self }
    }
}

/// An SMS from a person, read from a provider's form into ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundSms {
    /// The person.
    pub from: Msisdn,
    /// The short code or number they wrote to.
    pub to: Msisdn,
    /// What they wrote.
    pub message: String,
    /// The character set the provider named.
    pub charset: Option<String>,
    /// The provider's id for it; with the transport's name it tells a repeated one.
    pub provider_id: Option<String>,
    /// When the provider got it.
    pub at: Option<Timestamp>,
}

impl InboundSms {
    /// The same with no text that can't be kept: what a person writes is not refused for a NUL in it.
    #[must_use]
    pub fn keepable(self) -> Self {
        let (charset, provider_id) = (self.charset.map(keepable), self.provider_id.map(keepable));
        Self { message: keepable(self.message), charset, provider_id, ..self }
    }
}

/// An SMS from a person as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub id: ReceivedId,
    /// Whose it is.
    pub account: AccountId,
    /// The transport that brought it.
    pub transport: Name,
    /// Its id as a message between rooms.
    pub message_id: String,
    /// What it says and of whom.
    pub sms: InboundSms,
    /// The provider sent it before; nothing was stored, posted or routed a second time.
    pub repeated: bool,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When anything about it last changed.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::TransportStatus as S;

    #[test]
    fn late_news_never_undoes_a_final_status() {
        assert!(S::DELIVERED.supersedes(S::AT_GATEWAY));
        assert!(S::AT_GATEWAY.supersedes(S::QUEUED));
        assert!(!S::AT_GATEWAY.supersedes(S::DELIVERED));
        assert!(!S::DELIVERED.supersedes(S::DELIVERED));
        assert!(!S::DELIVERY_ERROR.supersedes(S::DELIVERED));
        assert!(!S::QUEUED.supersedes(S::AT_GATEWAY));
        assert!(!S::ROUTING_ERROR.supersedes(S::DELIVERY_ERROR));
    }

    #[test]
    fn what_is_on_the_phone_was_delivered_whatever_was_thought_before() {
        for thought in [S::PENDING, S::AT_GATEWAY, S::DELIVERY_ERROR, S::EXPIRED] {
            assert!(S::DELIVERED.supersedes(thought), "{thought:?}");
        }
    }
}
