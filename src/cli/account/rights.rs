//! `vumi account allow`.

use anyhow::bail;
use clap::{ArgGroup, Args};
use vumi_kit::{
    account::AccountChange,
    address::{Address, CountryCode},
    name::Name,
    network::Network,
    store::Store,
};

use super::{change, find};

/// What an account is allowed; each list replaces the one before.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("limits").required(true).multiple(true)
    .args(["networks", "senders", "transports", "countries", "country_code"]))]
pub(in crate::cli) struct AllowArgs {
    /// The account, by the name that it logs in with
    name: String,
    /// Where it may call from: addresses or networks, such as 203.0.113.9,10.0.0.0/8; or `any`
    #[arg(long, value_delimiter = ',', value_name = "NETWORKS")]
    networks: Vec<String>,
    /// The senders it may use: numbers, short codes or names; or `any`
    #[arg(long, value_delimiter = ',', value_name = "SENDERS")]
    senders: Vec<String>,
    /// The transports it may send over; or `any`
    #[arg(long, value_delimiter = ',', value_name = "TRANSPORTS")]
    transports: Vec<String>,
    /// The countries it may send to, by their codes, such as 27,234; or `any`
    #[arg(long, value_delimiter = ',', value_name = "CODES")]
    countries: Vec<String>,
    /// The country code of recipients that begin with a single 0; or `none`: the transport's
    #[arg(long, value_name = "CODE")]
    country_code: Option<String>,
}

pub(super) async fn allow(store: &Store, args: &AllowArgs, transports: &[String]) -> anyhow::Result<()> {
    let changes = changes(args, transports)?;
    find(store, &args.name).await?;
    for one in changes {
        change(store, &args.name, one).await?;
    }
    Ok(())
}

/// What is to change; or everything that is wrong.
fn changes(args: &AllowArgs, known: &[String]) -> anyhow::Result<Vec<AccountChange>> {
    let mut wrong = Vec::new();
    let transport = |text: &str| {
        let there = known.iter().any(|name| name == text);
        let unknown = || format!("there is no transport `{text}` in these settings; there are: {}", known.join(", "));
        Name::parse(text).ok().filter(|_| there).ok_or_else(unknown)
    };
    let networks = list("--networks", &args.networks, |text| text.parse::<Network>(), &mut wrong);
    let senders = list("--senders", &args.senders, Address::sender, &mut wrong);
    let transports = list("--transports", &args.transports, transport, &mut wrong);
    let countries = list("--countries", &args.countries, CountryCode::parse, &mut wrong);
    let code = match args.country_code.as_deref() {
        None => None,
        Some("none") => Some(None),
        Some(text) => {
            CountryCode::parse(text).map_err(|error| wrong.push(format!("--country-code: {error}"))).ok().map(Some)
        }
    };
    if !wrong.is_empty() {
        bail!("{}; nothing was changed", wrong.join("; "));
    }
    let changes = [
        networks.map(AccountChange::Networks),
        senders.map(AccountChange::Senders),
        transports.map(AccountChange::Transports),
        countries.map(AccountChange::Countries),
        code.map(AccountChange::CountryCode),
    ];
    Ok(changes.into_iter().flatten().collect())
}

/// A list that was given; `any` is an empty one.
fn list<T, E: ToString>(
    option: &str,
    given: &[String],
    read: impl Fn(&str) -> Result<T, E>,
    wrong: &mut Vec<String>,
) -> Option<Vec<T>> {
    match given {
        [] => None,
        [any] if any == "any" => Some(Vec::new()),
        given => {
            let item = |text: &String| {
                read(text.trim()).map_err(|error| wrong.push(format!("{option}: {}", error.to_string()))).ok()
            };
            Some(given.iter().filter_map(item).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AllowArgs, changes};

    fn args() -> AllowArgs {
        let (networks, senders, transports, countries) = Default::default();
        AllowArgs { name: "clinic".to_owned(), networks, senders, transports, countries, country_code: None }
    }

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        let text = |text: &str| vec![text.to_owned()];
        let wrong = AllowArgs {
            networks: text("10.0.0.0/33"),
            senders: text("a name that is too long"),
            transports: text("opreo"),
            countries: vec!["27".to_owned(), "Narnia".to_owned()],
            country_code: Some("0".to_owned()),
            ..args()
        };
        let refused = changes(&wrong, &["opera".to_owned()]).err().unwrap().to_string();
        for named in [
            "--networks",
            "--senders",
            "there are: opera",
            "--countries",
            "Narnia",
            "--country-code",
            "nothing was changed",
        ] {
            assert!(refused.contains(named), "{named}: {refused}");
        }
    }

    #[test]
    fn a_list_replaces_the_one_before_and_any_takes_the_limit_away() {
        let any = AllowArgs { senders: vec!["any".to_owned()], countries: vec!["27".to_owned()], ..args() };
        let said: Vec<String> = changes(&any, &[]).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(said, ["senders: any", "countries: 27"]);
    }
}
