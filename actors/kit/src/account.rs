//! Accounts: who may use the HTTP API.

use std::{fmt, str::FromStr};

use crate::request::{Operation, Reads, Writes, store_address};

/// The number of an account.
pub type AccountId = i64;

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountRole {
    /// Sends SMS, reads their status, sets callbacks.
    Client,
    /// Calls the webhooks of transports: brings receipts and SMS from people.
    Carrier,
}

impl AccountRole {
    /// Every role, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::Client, Self::Carrier];

    /// Its name, as operators write it and the store keeps it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
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
    carrier: bool,
}

impl AccountRoles {
    /// The role of most accounts.
    pub const CLIENT: Self = Self { client: true, carrier: false };
    /// Every role.
    pub const ALL: Self = Self { client: true, carrier: true };

    /// Whether a role is among them.
    #[must_use]
    pub const fn has(self, role: AccountRole) -> bool {
        match role {
            AccountRole::Client => self.client,
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

/// An account as the store keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// The name it logs in with.
    pub username: String,
    /// Argon2id, in PHC form.
    pub password_hash: String,
    /// Made by the sandbox's settings: the router does not start with one on an address others can reach.
    pub sandbox: bool,
    /// What it may do.
    pub roles: AccountRoles,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({}, {:?})", self.id, self.username)
    }
}

/// Finds an account by its name.
#[derive(Clone, Debug)]
pub struct FindAccount {
    /// The name.
    pub username: String,
}
impl Operation for FindAccount {
    type Access = Reads;
    type Answer = Option<Account>;
}

/// Creates an account; an existing name is [`crate::store::StoreError::Exists`].
#[derive(Clone)]
pub struct CreateAccount {
    /// The name.
    pub username: String,
    /// Argon2id, in PHC form.
    pub password_hash: String,
    /// See [`Account::sandbox`].
    pub sandbox: bool,
    /// What it may do.
    pub roles: AccountRoles,
}
impl Operation for CreateAccount {
    type Access = Writes;
    type Answer = Account;
}

/// All accounts, by name.
#[derive(Clone, Debug)]
pub struct ListAccounts;
impl Operation for ListAccounts {
    type Access = Reads;
    type Answer = Vec<Account>;
}

/// Removes an account; its SMS stay in the ledger. Answers whether there was one.
#[derive(Clone, Debug)]
pub struct RemoveAccount {
    /// The name.
    pub username: String,
}
impl Operation for RemoveAccount {
    type Access = Writes;
    type Answer = bool;
}

/// Changes an account's password. Answers whether there is such an account.
#[derive(Clone)]
pub struct SetPassword {
    /// The name.
    pub username: String,
    /// Argon2id, in PHC form.
    pub password_hash: String,
}
impl Operation for SetPassword {
    type Access = Writes;
    type Answer = bool;
}

/// Gives an account these roles and no others. Answers whether there is such an account.
#[derive(Clone, Debug)]
pub struct SetRoles {
    /// The name.
    pub username: String,
    /// What it may do from now on.
    pub roles: AccountRoles,
}
impl Operation for SetRoles {
    type Access = Writes;
    type Answer = bool;
}

store_address! {
    /// The address of the accounts' actor.
    Accounts {
        find: FindAccount,
        create: CreateAccount,
        list: ListAccounts,
        remove: RemoveAccount,
        set_password: SetPassword,
        set_roles: SetRoles,
    }
}

#[cfg(test)]
mod tests {
    use super::{AccountRole, AccountRoles};

    #[test]
    fn roles_are_read_as_they_are_written_and_an_unknown_one_allows_nothing() {
        for roles in [AccountRoles::default(), AccountRoles::CLIENT, AccountRoles::ALL] {
            assert_eq!(AccountRoles::parse(&roles.to_string()), roles);
        }
        assert_eq!(AccountRoles::ALL.to_string(), "client,carrier");
        assert_eq!(AccountRoles::parse("admin, carrier").to_string(), "carrier");
        assert!("Client".parse::<AccountRole>().unwrap_err().contains("client or carrier"));
    }
}
