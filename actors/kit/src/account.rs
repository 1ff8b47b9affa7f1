//! Accounts: who may use the HTTP API, what each may do, and how much of it.

mod change;
mod quota;
mod role;
mod sending_rights;
mod token;

use std::fmt;

pub use self::{
    change::{AccountChange, ChangeAccount},
    quota::{AccountQuotas, Budget, BudgetUnit, Micros, OverQuota, QuotaCharge},
    role::{AccountRole, AccountRoles},
    sending_rights::SendingRights,
    token::{
        AccountToken, AddToken, AddedToken, FindToken, ListTokens, RemoveToken, TokenDigest, TokenLogIn, new_token,
    },
};
use crate::{
    audit::{AuditActor, ListAudit, RecordAudit},
    clock::Timestamp,
    conversation::{
        AccountCodes, CountConversationChanges, DeleteConversation, FindConversation, FindConversationVersion,
        ListConversations, PutConversation,
    },
    name::Name,
    network::Network,
    request::{Operation, Reads, Writes, store_address},
};

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
    /// The password before the last rotation, which is right for a while longer.
    pub former_password: Option<FormerPassword>,
    /// Made by the sandbox's settings: the router does not start with one on an address others can reach.
    pub sandbox: bool,
    /// What it may do.
    pub roles: AccountRoles,
    /// From then on it may not call.
    pub expires_at: Option<Timestamp>,
    /// Since when it may not call.
    pub locked_at: Option<Timestamp>,
    /// Since when nothing is sent for it.
    pub stopped_at: Option<Timestamp>,
    /// Where it may call from; empty: from anywhere.
    pub networks: Vec<Network>,
    /// As whom, over what and to whom it may send.
    pub rights: SendingRights,
    /// How much it may send.
    pub quotas: AccountQuotas,
    /// How its ESMEs bind; none: they may not.
    pub smpp: Option<SmppAccess>,
    /// The codes that it may use for its conversations.
    pub codes: AccountCodes,
}

/// How an account's ESMEs bind.
#[derive(Clone, PartialEq, Eq)]
pub struct SmppAccess {
    /// Argon2id, in PHC form: of a password that is good for SMPP only, since SMPP has room for 8 characters.
    pub password_hash: String,
    /// Binds at once, in each process; none: as many as `smpp.binds_per_account`.
    pub most_binds: Option<u32>,
}

impl fmt::Debug for SmppAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmppAccess({:?} binds)", self.most_binds)
    }
}

/// A password that was replaced and is right for a while longer.
#[derive(Clone, PartialEq, Eq)]
pub struct FormerPassword {
    /// Argon2id, in PHC form.
    pub hash: String,
    /// From then on it is wrong.
    pub until: Timestamp,
}

impl fmt::Debug for FormerPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FormerPassword(until {:?})", self.until)
    }
}

impl Account {
    /// An account without any limit.
    #[must_use]
    pub fn unlimited(id: AccountId, username: String, password_hash: String, roles: AccountRoles) -> Self {
        Self {
            id,
            username,
            password_hash,
            former_password: None,
            sandbox: false,
            roles,
            expires_at: None,
            locked_at: None,
            stopped_at: None,
            networks: Vec::new(),
            rights: SendingRights::default(),
            quotas: AccountQuotas::default(),
            smpp: None,
            codes: AccountCodes::default(),
        }
    }

    /// Why nothing is sent for it over a transport, if nothing is.
    #[must_use]
    pub fn sending_error(&self, transport: &Name) -> Option<String> {
        self.stopped_error().or_else(|| self.rights.transport_error(transport))
    }

    /// Why nothing is sent for it over any transport, if nothing is.
    #[must_use]
    pub fn stopped_error(&self) -> Option<String> {
        self.stopped_at.map(|_| account_stopped(&self.username))
    }
}

/// Why nothing is sent for a stopped account, for its client.
#[must_use]
pub fn account_stopped(name: &str) -> String {
    format!(
        "the account `{name}` is stopped, nothing is sent for it; the operator starts it again: `vumi account start {name}`"
    )
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
    /// Who makes it, for the audit trail.
    pub by: AuditActor,
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

/// Removes an account with its tokens; its SMS stay in the ledger. Answers whether there was one.
#[derive(Clone, Debug)]
pub struct RemoveAccount {
    /// The name.
    pub username: String,
    /// Who removes it, for the audit trail.
    pub by: AuditActor,
}
impl Operation for RemoveAccount {
    type Access = Writes;
    type Answer = bool;
}

/// Counts the changes of accounts and tokens so far, whoever made them: another number says that what is remembered of
/// accounts may be wrong.
#[derive(Clone, Debug)]
pub struct CountAccountChanges;
impl Operation for CountAccountChanges {
    type Access = Reads;
    type Answer = i64;
}

store_address! {
    /// The address of the accounts' actor.
    Accounts {
        find: FindAccount,
        create: CreateAccount,
        list: ListAccounts,
        remove: RemoveAccount,
        change: ChangeAccount,
        count_changes: CountAccountChanges,
        add_token: AddToken,
        find_token: FindToken,
        list_tokens: ListTokens,
        remove_token: RemoveToken,
        record_audit: RecordAudit,
        list_audit: ListAudit,
        put_conversation: PutConversation,
        list_conversations: ListConversations,
        find_conversation: FindConversation,
        find_conversation_version: FindConversationVersion,
        delete_conversation: DeleteConversation,
        count_conversation_changes: CountConversationChanges,
    }
}
