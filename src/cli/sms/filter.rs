//! Which SMS a command means.

use anyhow::bail;
use clap::Args;
use humantime_serde::re::humantime::parse_duration;
use vumi_kit::{
    account::{AccountId, FindAccount},
    address::Msisdn,
    clock::{Clock, Timestamp},
    levers::SmsFilter,
    life::SmsState,
    name::Name,
    sms::SmsId,
    store::{Ask, Store},
};

/// The SMS that fulfil all that is given.
#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// Those with these numbers, as the API answered them
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    id: Vec<SmsId>,
    /// Those of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Of the call whose first SMS has this number
    #[arg(long, value_name = "ID")]
    batch: Option<SmsId>,
    /// Those that this transport sends
    #[arg(long, value_name = "NAME", value_parser = transport)]
    transport: Option<Name>,
    /// In one of these states: accepted, scheduled, held, claimed, submitted, delivered, failed, expired, cancelled, unknown
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    state: Vec<SmsState>,
    /// Those to this number, in international form
    #[arg(long, value_name = "MSISDN", value_parser = person)]
    to: Option<Msisdn>,
    /// Accepted within this time (30m, 2h, 3d), or since this date (YYYY-MM-DD, or with HH:MM:SS, UTC)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    newer: Option<Timestamp>,
    /// Accepted longer ago than this time, or before this date
    #[arg(long, value_name = "TIME", value_parser = moment)]
    older: Option<Timestamp>,
}

impl FilterArgs {
    /// Whether nothing is given: all SMS.
    pub(super) fn is_empty(&self) -> bool {
        let Self { id, account, batch, transport, state, to, newer, older } = self;
        id.is_empty()
            && state.is_empty()
            && account.is_none()
            && batch.is_none()
            && transport.is_none()
            && to.is_none()
            && newer.is_none()
            && older.is_none()
    }

    pub(super) async fn filter(&self, store: &Store) -> anyhow::Result<SmsFilter> {
        if let (Some(newer), Some(older)) = (self.newer, self.older)
            && newer >= older
        {
            bail!("no SMS is both newer than {} and older than {}", newer.to_seconds_text(), older.to_seconds_text());
        }
        let account = match &self.account {
            Some(name) => Some(account(store, name).await?),
            None => None,
        };
        Ok(SmsFilter {
            ids: self.id.clone(),
            account,
            batch: self.batch,
            transport: self.transport.clone(),
            states: self.state.clone(),
            to: self.to.clone(),
            newer: self.newer,
            older: self.older,
        })
    }
}

async fn account(store: &Store, name: &str) -> anyhow::Result<AccountId> {
    match store.accounts.ask(FindAccount { username: name.to_owned() }).await? {
        Some(account) => Ok(account.id),
        None => bail!("there is no account `{name}`; `vumi account list`"),
    }
}

pub(crate) fn transport(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|wrong| wrong.to_string())
}

fn person(text: &str) -> Result<Msisdn, String> {
    Msisdn::parse(text).map_err(|wrong| wrong.to_string())
}

/// A time ago, or a date.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let ago = || parse_duration(text).ok().map(|ago| Clock::system().now().minus(ago));
    Timestamp::parse(text)
        .or_else(ago)
        .ok_or_else(|| "a time such as 30m, 2h or 3d, or a date: YYYY-MM-DD or YYYY-MM-DD HH:MM:SS, UTC".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use vumi_kit::clock::{Clock, Timestamp};

    use super::{FilterArgs, moment};

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        which: FilterArgs,
    }

    #[test]
    fn a_moment_is_a_date_or_a_time_ago() {
        assert_eq!(moment("2026-11-27"), Ok(Timestamp::parse("2026-11-27").unwrap()));
        let hour_ago = moment("1h").unwrap();
        let ago = Clock::system().now().since(hour_ago).as_secs();
        assert!((3600..3660).contains(&ago), "{ago}");
        assert!(moment("yesterday").unwrap_err().contains("30m"));
    }

    #[test]
    fn what_is_wrong_with_a_filter_is_said() {
        for (arguments, expected) in [
            (["--state", "sent"], "the states are accepted"),
            (["--to", "12"], "3 to 15 digits"),
            (["--newer", "soon"], "30m"),
            (["--id", "x"], "invalid"),
        ] {
            let refused = Command::try_parse_from(["sms"].iter().chain(&arguments)).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
        assert!(Command::try_parse_from(["sms"]).unwrap().which.is_empty());
        assert!(!Command::try_parse_from(["sms", "--id", "3,4"]).unwrap().which.is_empty());
    }
}
