//! The audit trail: who logged in, and who changed, cancelled or repeated what. Entries are added and never changed; only
//! the sweep removes them, once they are older than `store.keep_audit`.

use std::{fmt, net::IpAddr};

use crate::{
    clock::Timestamp,
    request::{Operation, Reads, Writes},
};

/// Who did something, as a text: `operator NAME`, `account NAME` or `router`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditActor(String);

impl AuditActor {
    /// Somebody at the command line, by the name of their user account of the machine where it is known.
    #[must_use]
    pub fn operator(user: Option<&str>) -> Self {
        Self(user.map_or_else(|| "operator".to_owned(), |user| format!("operator {user}")))
    }

    /// Whoever uses an account of the API.
    #[must_use]
    pub fn account(username: &str) -> Self {
        Self(format!("account {username}"))
    }

    /// The router itself, as its settings say.
    #[must_use]
    pub fn router() -> Self {
        Self("router".to_owned())
    }

    /// Reads what the store keeps.
    #[must_use]
    pub const fn kept(text: String) -> Self {
        Self(text)
    }

    /// As the trail shows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AuditActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditEvent {
    /// The first log-in with a credential from an address within an hour.
    LogIn,
    /// A log-in that was refused: the first from an address for a name and a reason within an hour.
    RefusedLogIn,
    /// An account was made.
    AccountAdded,
    /// An account was changed.
    AccountChanged,
    /// An account was removed.
    AccountRemoved,
    /// A token was added.
    TokenAdded,
    /// A token was removed.
    TokenRemoved,
    /// SMS were cancelled, by an operator or by the account that had sent them.
    Cancelled,
    /// SMS were held back.
    Held,
    /// SMS that were held back may go out.
    Released,
    /// SMS were sent once more.
    Resent,
    /// Callbacks or messages that were given up are tried again.
    Replayed,
    /// A person was taken out of everything that is kept.
    SubscriberErased,
    /// Consent of people was set by an account or an operator, not by the people's own SMS.
    ConsentChanged,
}

impl AuditEvent {
    /// Its name, as operators read it and the store keeps it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LogIn => "log-in",
            Self::RefusedLogIn => "refused log-in",
            Self::AccountAdded => "account added",
            Self::AccountChanged => "account changed",
            Self::AccountRemoved => "account removed",
            Self::TokenAdded => "token added",
            Self::TokenRemoved => "token removed",
            Self::Cancelled => "SMS cancelled",
            Self::Held => "SMS held",
            Self::Released => "SMS released",
            Self::Resent => "SMS resent",
            Self::Replayed => "replayed",
            Self::SubscriberErased => "subscriber erased",
            Self::ConsentChanged => "consent changed",
        }
    }
}

/// Adds an entry to the audit trail.
#[derive(Clone, Debug)]
pub struct RecordAudit {
    /// Who did it: for log-ins the account that was shown, whether it exists or not.
    pub by: AuditActor,
    /// Where they called from.
    pub address: Option<IpAddr>,
    /// The name of the account that it is about.
    pub account: Option<String>,
    /// What the entry is about, which lists show by its name.
    pub event: AuditEvent,
    /// What more there is to say: a token's name, a number of SMS. No secret, no text, no person's number.
    pub detail: String,
}
impl Operation for RecordAudit {
    type Access = Writes;
    type Answer = ();
}

/// An entry of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, by which it is listed.
    pub id: i64,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it, as it was kept: the account may be gone since.
    pub by: AuditActor,
    /// Where they called from.
    pub address: Option<String>,
    /// The account that it is about.
    pub account: Option<String>,
    /// What was done: the name of an [`AuditEvent`].
    pub event: String,
    /// What more there is to say.
    pub detail: String,
}

/// Lists entries, the oldest first.
#[derive(Clone, Debug)]
pub struct ListAudit {
    /// Those from this time on.
    pub since: Option<Timestamp>,
    /// Those about this account.
    pub account: Option<String>,
    /// Time and number of the last one of the page before.
    pub after: Option<(Timestamp, i64)>,
    /// Entries of one page, at the most.
    pub limit: usize,
}
impl Operation for ListAudit {
    type Access = Reads;
    type Answer = Vec<AuditEntry>;
}
