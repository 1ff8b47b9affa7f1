//! Roles: what an account may do.

use std::{fmt, str::FromStr};

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountRole {
    /// Sends SMS, reads their status, sets callbacks.
    Client,
    /// Reads what a client reads, and changes nothing.
    ReadOnly,
    /// Calls the webhooks of transports: brings receipts and SMS from people.
    Carrier,
}

impl AccountRole {
    /// Every role, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Client, Self::ReadOnly, Self::Carrier];

    /// Its name, as operators write it and the store keeps it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::ReadOnly => "read-only",
            Self::Carrier => "carrier",
        }
    }
}

impl FromStr for AccountRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|role| role.as_str() == text);
        named.ok_or_else(|| format!("there is no role `{text}`: {}", Self::ALL.map(Self::as_str).join(" or ")))
    }
}

/// The roles of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountRoles {
    client: bool,
    read_only: bool,
    carrier: bool,
}

impl AccountRoles {
    /// The role of most accounts.
    pub const CLIENT: Self = Self { client: true, read_only: false, carrier: false };
    /// Whoever sends SMS, and also brings receipts and SMS from people.
    pub const CLIENT_AND_CARRIER: Self = Self { client: true, read_only: false, carrier: true };

    /// Whether a role is among them.
    #[must_use]
    pub const fn has(self, role: AccountRole) -> bool {
        match role {
            AccountRole::Client => self.client,
            AccountRole::ReadOnly => self.read_only,
            AccountRole::Carrier => self.carrier,
        }
    }

    /// Reads what `Display` writes. A role that this version does not know allows nothing.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        text.split(',').filter_map(|role| role.trim().parse().ok()).collect()
    }
}

impl FromIterator<AccountRole> for AccountRoles {
    fn from_iter<I: IntoIterator<Item = AccountRole>>(roles: I) -> Self {
        let mut all = Self::default();
        for role in roles {
            match role {
                AccountRole::Client => all.client = true,
                AccountRole::ReadOnly => all.read_only = true,
                AccountRole::Carrier => all.carrier = true,
            }
        }
        all
    }
}

impl fmt::Display for AccountRoles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = AccountRole::ALL.into_iter().filter(|role| self.has(*role)).map(AccountRole::as_str);
        f.write_str(&held.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::{AccountRole, AccountRoles};

    #[test]
    fn roles_are_read_as_they_are_written_and_an_unknown_one_allows_nothing() {
        let every = AccountRoles::from_iter(AccountRole::ALL);
        for roles in [AccountRoles::default(), AccountRoles::CLIENT, AccountRoles::CLIENT_AND_CARRIER, every] {
            assert_eq!(AccountRoles::parse(&roles.to_string()), roles);
        }
        assert_eq!(every.to_string(), "client,read-only,carrier");
        assert_eq!(AccountRoles::parse("admin, carrier").to_string(), "carrier");
        assert!("Client".parse::<AccountRole>().unwrap_err().contains("client or read-only or carrier"));
    }
}
