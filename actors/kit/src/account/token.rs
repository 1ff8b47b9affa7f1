//! API tokens: random secrets by which an account logs in beside its password.
//!
//! A token is random, so that a plain digest of it is enough to know it by: there is nothing to guess, and no slow hash to
//! compute for each call.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use super::Account;
use crate::{
    audit::AuditActor,
    clock::Timestamp,
    name::Name,
    request::{Operation, Reads, Writes},
};

/// What every token begins with: scanners for secrets know it by that, and no password is taken for one.
const PREFIX: &str = "vumi_";
/// The digits of a token: 32 random bytes.
const DIGITS: usize = 64;

/// Makes up a token, to be shown once. The store keeps its digest.
#[must_use]
pub fn new_token() -> String {
    format!("{PREFIX}{}", hex(&rand::random::<[u8; DIGITS / 2]>()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}

/// What a token is known by: its SHA-256, in hex digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TokenDigest(String);

impl TokenDigest {
    /// The digest of a text that looks like a token; none for every other text.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        let is_token =
            digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        is_token.then(|| Self(hex(&Sha256::digest(text))))
    }

    /// Its 64 hex digits, which the store keeps.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name for a token that was given none.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenDigest({}…)", self.short())
    }
}

/// A token, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountToken {
    /// What the operator calls it; an account has each name once.
    pub label: Name,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// Gives an account a token.
#[derive(Clone, Debug)]
pub struct AddToken {
    /// The name that the account logs in with.
    pub username: String,
    /// What it is to be called.
    pub label: Name,
    /// What the token is known by; its text is shown to the operator once and kept nowhere.
    pub digest: TokenDigest,
    /// From then on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Who gives it, for the audit trail.
    pub by: AuditActor,
}
impl AddToken {
    /// The most tokens of one account.
    pub const MOST: usize = 100;
}

/// The result of [`AddToken`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddedToken {
    /// The token logs in from now on.
    Added,
    /// There is no account of that name.
    NoAccount,
    /// It has a token of that name.
    LabelTaken,
    /// It has as many as it may.
    TooMany,
}
impl Operation for AddToken {
    type Access = Writes;
    type Answer = AddedToken;
}

/// Finds the account that a token logs in.
#[derive(Clone, Debug)]
pub struct FindToken {
    /// What the token that was shown is known by.
    pub digest: TokenDigest,
}
impl Operation for FindToken {
    type Access = Reads;
    type Answer = Option<TokenLogIn>;
}

/// An account, and the token that logs it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenLogIn {
    /// The account as the store has it now, also one that is locked or has expired.
    pub account: Arc<Account>,
    /// The token that was shown, also one that has expired.
    pub token: AccountToken,
}

/// The tokens of an account, by name; none: there is no such account.
#[derive(Clone, Debug)]
pub struct ListTokens {
    /// The name that the account logs in with.
    pub username: String,
}
impl Operation for ListTokens {
    type Access = Reads;
    type Answer = Option<Vec<AccountToken>>;
}

/// Removes a token. Answers whether there was one.
#[derive(Clone, Debug)]
pub struct RemoveToken {
    /// The name that the account logs in with.
    pub username: String,
    /// What the operator calls the token.
    pub label: Name,
    /// Who removes it, for the audit trail.
    pub by: AuditActor,
}
impl Operation for RemoveToken {
    type Access = Writes;
    type Answer = bool;
}

#[cfg(test)]
mod tests {
    use super::{TokenDigest, new_token};

    #[test]
    fn a_token_is_known_by_its_digest_and_no_other_text_is_one() {
        let (token, other) = (new_token(), new_token());
        assert_eq!(token.len(), 69);
        assert_eq!(TokenDigest::of(&token), TokenDigest::of(&token));
        assert_ne!(TokenDigest::of(&token), TokenDigest::of(&other));
        assert!(!format!("{:?}", TokenDigest::of(&token)).contains(&token));
        for text in ["", "password", "vumi_", &token[1..], &token[..68], &format!("{token}0"), &token.to_uppercase()] {
            assert_eq!(TokenDigest::of(text), None, "{text}");
        }
    }
}
