//! `[[outbound]]`: the lines read, and checked beside the transports that they lead to.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use vumi_kit::{name::Name, outbound::NO_TRANSPORT_NAMES};
use vumi_router::{OutboundRoute, OutboundTable, TransportAbilities};

use super::{ComponentConfig, reader::SettingsReader};

/// Reads the lines. `http`: where the API of this process listens.
pub(super) fn routes(
    reader: &mut SettingsReader<'_>,
    lines: Vec<Value>,
    transports: &[ComponentConfig],
    http: Option<SocketAddr>,
) -> Option<OutboundTable> {
    for transport in transports.iter().filter(|one| NO_TRANSPORT_NAMES.contains(&one.name.as_str())) {
        let what =
            format!("no transport may have one of the names {}: calls of the API do", NO_TRANSPORT_NAMES.join(", "));
        reader.add(&format!("transports.{}", transport.name), what);
    }
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(7 * 24 * 3600));
    let out_of_range = |transport: &&ComponentConfig| {
        transport.of_any_kind.receipts_within.is_some_and(|within| !(least..=most).contains(&within))
    };
    for transport in transports.iter().filter(out_of_range) {
        let key = format!("transports.{}.receipts_within", transport.name);
        reader.add(&key, "expected 1s to 7d, such as `10m`".to_owned());
    }
    let mut read: Vec<OutboundRoute> = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        read.push(reader.read(&format!("outbound[{index}]"), line)?);
    }
    let abilities = transports.iter().map(|transport| TransportAbilities {
        name: &transport.name,
        takes_names: transport.of_any_kind.sender_names,
        carries: (transport.kind.carries)(&transport.settings),
    });
    let abilities: Vec<TransportAbilities<'_>> = abilities.collect();
    for (index, place, transport) in back_to_us(&read, transports, http) {
        let what = format!("goes in a circle: the provider of `{transport}` is this router itself");
        reader.add(&format!("outbound[{index}].transports[{place}].name"), what);
    }
    OutboundTable::new(&read, &abilities)
        .map_err(|problems| {
            for problem in problems {
                let line = format!("outbound[{}]", problem.route);
                let key = if problem.key.is_empty() { line } else { format!("{line}.{}", problem.key) };
                reader.add(&key, problem.what);
            }
        })
        .ok()
}

/// The transports of routes whose provider's URL is our own.
fn back_to_us<'a>(
    lines: &'a [OutboundRoute],
    transports: &'a [ComponentConfig],
    http: Option<SocketAddr>,
) -> impl Iterator<Item = (usize, usize, &'a Name)> {
    let ours = move |name: &Name| {
        let transport = transports.iter().find(|transport| transport.name == *name)?;
        let url = reqwest::Url::parse(&(transport.kind.provider_url)(&transport.settings)?).ok()?;
        let host = url.host_str()?.trim_matches(['[', ']']).replace("localhost", "127.0.0.1");
        let http = http?;
        Some(url.port_or_known_default() == Some(http.port()) && host == http.ip().to_string())
    };
    lines.iter().enumerate().flat_map(move |(index, line)| {
        let named = line.transports.iter().enumerate();
        named.filter_map(move |(place, one)| (ours(&one.name) == Some(true)).then_some((index, place, &one.name)))
    })
}
