//! Whether an account that is logged in may call now, and from there.

use std::net::IpAddr;

use vumi_kit::{account::Account, clock::Timestamp};

use super::authenticator::LogIn;

/// Why a call is refused whose credentials are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAccess {
    Locked,
    Expired(Timestamp),
    TokenExpired(Timestamp),
    Address,
}

impl LogIn {
    /// Why it may not call, if it may not; `client` is the address it calls from.
    pub(crate) fn no_access(&self, client: Option<IpAddr>, now: Timestamp) -> Option<NoAccess> {
        let Account { locked_at, expires_at, networks, .. } = &*self.account;
        let expired = |at: &Timestamp| *at <= now;
        let within = || client.is_some_and(|client| networks.iter().any(|network| network.contains(client)));
        if locked_at.is_some() {
            return Some(NoAccess::Locked);
        }
        if let Some(at) = expires_at.filter(expired) {
            return Some(NoAccess::Expired(at));
        }
        if let Some(at) = self.token.as_ref().and_then(|token| token.expires_at).filter(expired) {
            return Some(NoAccess::TokenExpired(at));
        }
        (!networks.is_empty() && !within()).then_some(NoAccess::Address)
    }
}

impl NoAccess {
    /// What is the matter, and who mends it by which command.
    pub(crate) fn sentence(self, log_in: &LogIn, client: Option<IpAddr>) -> String {
        let name = &log_in.account.username;
        match self {
            Self::Locked => {
                format!("the account `{name}` is locked; the operator unlocks it: `vumi account unlock {name}`")
            }
            Self::Expired(at) => {
                let at = at.to_seconds_text();
                format!(
                    "the account `{name}` expired on {at} UTC; the operator renews it: `vumi account expire {name} DATE`"
                )
            }
            Self::TokenExpired(at) => {
                let (label, at) =
                    (log_in.token.as_ref().map_or("", |token| token.label.as_str()), at.to_seconds_text());
                format!(
                    "the token `{label}` expired on {at} UTC; the operator makes another: `vumi account token add {name}`"
                )
            }
            Self::Address => {
                let from = client.map_or_else(String::new, |client| format!(" ({client})"));
                format!(
                    "the account `{name}` may not call from this address{from}; the operator allows it: `vumi account \
                     allow {name} --networks ...`"
                )
            }
        }
    }

    /// The same for the audit trail.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Locked => "the account is locked",
            Self::Expired(_) => "the account has expired",
            Self::TokenExpired(_) => "the token has expired",
            Self::Address => "not from this address",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vumi_kit::{
        account::{Account, AccountRoles, AccountToken},
        clock::Timestamp,
        name::Name,
    };

    use super::{LogIn, NoAccess};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn log_in(change: impl FnOnce(&mut Account), token_expires_at: Option<Timestamp>) -> LogIn {
        let mut account = Account::unlimited(1, "clinic".to_owned(), String::new(), AccountRoles::CLIENT);
        change(&mut account);
        let label = Name::parse("till").unwrap();
        let token = AccountToken { label, created_at: NOW, expires_at: token_expires_at };
        LogIn { account: Arc::new(account), token: Some(token) }
    }

    #[test]
    fn each_limit_refuses_with_a_sentence_that_names_the_command() {
        let here = Some("203.0.113.9".parse().unwrap());
        let (later, network) = (NOW.plus(std::time::Duration::from_secs(1)), "203.0.113.0/24");
        let open = log_in(
            |account| {
                account.expires_at = Some(later);
                account.networks = vec![network.parse().unwrap()];
            },
            Some(later),
        );
        assert_eq!(open.no_access(here, NOW), None);
        for (closed, client, refused, command) in [
            (
                log_in(|account| account.locked_at = Some(NOW), None),
                here,
                NoAccess::Locked,
                "vumi account unlock clinic",
            ),
            (
                log_in(|account| account.expires_at = Some(NOW), None),
                here,
                NoAccess::Expired(NOW),
                "expire clinic DATE",
            ),
            (log_in(|_| {}, Some(NOW)), here, NoAccess::TokenExpired(NOW), "vumi account token add clinic"),
            (
                log_in(|account| account.networks = vec![network.parse().unwrap()], None),
                Some("198.51.100.1".parse().unwrap()),
                NoAccess::Address,
                "(198.51.100.1)",
            ),
            (
                log_in(|account| account.networks = vec![network.parse().unwrap()], None),
                None,
                NoAccess::Address,
                "allow",
            ),
        ] {
            assert_eq!(closed.no_access(client, NOW), Some(refused));
            let sentence = refused.sentence(&closed, client);
            assert!(sentence.contains(command), "{sentence}");
        }
    }
}
