//! Accounts: who may use the HTTP API.

use crate::request::{Operation, Reads, Writes, store_address};

/// The number of an account.
pub type AccountId = i64;

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
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

store_address! {
    /// The address of the accounts' actor.
    Accounts {
        find: FindAccount,
        create: CreateAccount,
        list: ListAccounts,
        remove: RemoveAccount,
        set_password: SetPassword,
    }
}
