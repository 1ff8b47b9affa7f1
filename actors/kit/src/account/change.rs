//! One change of an account.

use std::fmt;

use super::{Account, AccountRoles, BudgetUnit, Micros};
use crate::{
    address::{Address, CountryCode},
    audit::AuditActor,
    clock::Timestamp,
    conversation::AccountCodes,
    name::Name,
    network::Network,
    request::{Operation, Writes},
};

/// Changes an account, and notes it in the audit trail. Answers the account as it is then; none: there is none of this name.
#[derive(Clone)]
pub struct ChangeAccount {
    /// The name that the account logs in with.
    pub username: String,
    /// What is to change.
    pub change: AccountChange,
    /// Who changes it, for the audit trail.
    pub by: AuditActor,
}
impl Operation for ChangeAccount {
    type Access = Writes;
    type Answer = Option<Account>;
}

/// What of an account changes. Lists replace the lists before.
#[derive(Clone)]
pub enum AccountChange {
    /// Another password (Argon2id, in PHC form); the former ones are wrong at once.
    Password(String),
    /// Another password, and the one before is right until then.
    RotatePassword(String, Timestamp),
    /// These roles and no others.
    Roles(AccountRoles),
    /// When it expires, if ever.
    Expiry(Option<Timestamp>),
    /// It may not call.
    Lock,
    /// It may call again.
    Unlock,
    /// Nothing is sent for it: from the moment of the answer none of its SMS begins to go out, in whatever process, and none
    /// is accepted. Those that wait end as cancelled, at the latest when their transports would claim them.
    Stop,
    /// SMS are sent for it again.
    Start,
    /// Where it may call from.
    Networks(Vec<Network>),
    /// The senders it may use.
    Senders(Vec<Address>),
    /// The transports it may send over.
    Transports(Vec<Name>),
    /// The countries it may send to.
    Countries(Vec<CountryCode>),
    /// The country of recipients that begin with a single 0.
    CountryCode(Option<CountryCode>),
    /// The codes that it may use for its conversations.
    Codes(AccountCodes),
    /// Recipients that it may send to in a minute; none: no limit.
    RecipientsPerMinute(Option<u32>),
    /// SMS of it that may wait at once; none: no limit.
    MostWaiting(Option<u32>),
    /// A budget of this unit, with this balance.
    SetBudget(BudgetUnit, Micros),
    /// So much more to spend; without a budget nothing changes.
    AddToBudget(Micros),
    /// It may spend without limit, and what it spends is no longer counted.
    NoBudget,
    /// Its ESMEs bind with another password (Argon2id, in PHC form).
    SmppPassword(String),
    /// So many of its ESMEs may be bound at once in each process; without a password nothing changes.
    SmppBinds(Option<u32>),
    /// Its ESMEs may not bind. What they were to be told is gone.
    NoSmpp,
}

impl fmt::Display for AccountChange {
    /// As the audit trail says it: without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = |at: &Timestamp| at.to_seconds_text();
        match self {
            Self::Password(_) => f.write_str("password"),
            Self::RotatePassword(_, at) => write!(f, "password rotated, the former one until {}", until(at)),
            Self::Roles(roles) => write!(f, "roles: {roles}"),
            Self::Expiry(at) => write!(f, "expires: {}", at.as_ref().map_or_else(|| "never".to_owned(), until)),
            Self::Lock => f.write_str("locked"),
            Self::Unlock => f.write_str("unlocked"),
            Self::Stop => f.write_str("stopped"),
            Self::Start => f.write_str("started"),
            Self::Networks(networks) => write!(f, "networks: {}", listed(networks)),
            Self::Senders(senders) => write!(f, "senders: {}", listed(senders)),
            Self::Transports(transports) => write!(f, "transports: {}", listed(transports)),
            Self::Countries(codes) => write!(f, "countries: {}", listed(codes.iter().map(CountryCode::as_str))),
            Self::CountryCode(code) => write!(f, "country code: {}", code.as_ref().map_or("none", CountryCode::as_str)),
            Self::Codes(codes) => write!(f, "codes: {}", codes.to_string().replace('\n', ", ")),
            Self::RecipientsPerMinute(most) => write!(f, "recipients a minute: {}", limit(*most)),
            Self::MostWaiting(most) => write!(f, "SMS waiting: {}", limit(*most)),
            Self::SetBudget(unit, balance) => write!(f, "budget: {balance} {}", unit.as_str()),
            Self::AddToBudget(more) => write!(f, "budget: {more} added"),
            Self::NoBudget => f.write_str("budget: none"),
            Self::SmppPassword(_) => f.write_str("SMPP: another password"),
            Self::SmppBinds(most) => write!(f, "SMPP: binds: {}", limit(*most)),
            Self::NoSmpp => f.write_str("SMPP: none"),
        }
    }
}

fn limit(most: Option<u32>) -> String {
    most.map_or_else(|| "no limit".to_owned(), |most| most.to_string())
}

fn listed(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "any".to_owned() } else { items.join(", ") }
}
