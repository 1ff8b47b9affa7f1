//! What no table can be checked for by itself: names, routes, bounds that depend on each other, and what runs here.

use std::time::Duration;

use serde_json::Value;
use vumi_amqp::{AmqpSettings, AmqpTopology};
use vumi_http::HttpSettings;
use vumi_kit::{
    name::Name,
    price::{PriceSettings, PriceTable},
};
use vumi_router::{Route, RoutingTable};
use vumi_smpp::SmppSettings;

use super::{ComponentConfig, Deployment, RESERVED, deployment::DeploymentParts, reader::SettingsReader};

/// Everybody knows the password of the sandbox's account.
pub(super) fn sandbox_stays_inside(reader: &mut SettingsReader<'_>, http: &HttpSettings) {
    let tls = http.tls.as_ref().and_then(|tls| tls.bind).map(|bind| ("http.tls.bind", bind));
    for (key, bind) in [("http.bind", http.bind)].into_iter().chain(tls).filter(|(_, bind)| !bind.ip().is_loopback()) {
        let what = format!(
            "{bind} can be reached from outside, and [sandbox] makes an account whose password everybody knows: bind to \
             127.0.0.1, or remove [sandbox]"
        );
        reader.add(key, what);
    }
}

/// Under a lease that is too short for its calls a transport would send nothing. The one that needs most is named.
pub(super) fn lease(reader: &mut SettingsReader<'_>, lease: Duration, transports: &[ComponentConfig]) {
    let needs = transports.iter().map(|component| ((component.kind.least_lease)(&component.settings), component));
    let Some((least, component)) = needs.max_by_key(|(least, _)| *least).filter(|(least, _)| lease < *least) else {
        return;
    };
    let what = format!(
        "{lease:?} is too short for `transports.{}.outbox.call_limit`: expected {least:?} or more, or a shorter limit",
        component.name
    );
    reader.add("store.lease", what);
}

/// What the supervisor cuts off it would not have had.
pub(super) fn drain(reader: &mut SettingsReader<'_>, http: Duration, supervisor: Duration) {
    if http > supervisor {
        let what = format!(
            "{http:?} is longer than `supervisor.drain`, {supervisor:?}, which cuts it off: expected no more than that"
        );
        reader.add("http.drain_within", what);
    }
}

/// A name is a connector's: one transport or one campaign, and none of the router's own parts.
pub(super) fn distinct(
    reader: &mut SettingsReader<'_>,
    transports: &[ComponentConfig],
    campaigns: &[ComponentConfig],
    deployment: &Deployment,
    elsewhere: Option<&AmqpTopology>,
) {
    for name in elsewhere.into_iter().flat_map(|amqp| amqp.campaigns_elsewhere().chain(amqp.transports_elsewhere())) {
        if deployment.transports.contains(name) || deployment.campaigns.contains(name) {
            let what = format!("`{name}` lives in this process: it can't live behind the broker too");
            reader.add("amqp.connectors", what);
        }
    }
    for campaign in campaigns.iter().filter(|campaign| transports.iter().any(|other| other.name == campaign.name)) {
        let what = "a transport has that name already: give one of the two another".to_owned();
        reader.add(&format!("campaigns.{}", campaign.name), what);
    }
    for (section, components) in [("transports", transports), ("campaigns", campaigns)] {
        for component in components.iter().filter(|component| RESERVED.contains(&component.name.as_str())) {
            let what = format!("the name is taken by a part of vumi itself: {}", RESERVED.join(", "));
            reader.add(&format!("{section}.{}", component.name), what);
        }
    }
}

pub(super) fn routes(
    reader: &mut SettingsReader<'_>,
    routes: Vec<Value>,
    campaigns: &[ComponentConfig],
    elsewhere: Option<&AmqpTopology>,
) -> Option<RoutingTable> {
    let named = campaigns.iter().map(|campaign| &campaign.name);
    let known: Vec<&Name> = named.chain(elsewhere.into_iter().flat_map(AmqpTopology::campaigns_elsewhere)).collect();
    let mut read: Vec<Route> = Vec::new();
    for (index, route) in routes.into_iter().enumerate() {
        read.push(reader.read(&format!("routes[{index}]"), route)?);
    }
    for (index, campaign) in RoutingTable::campaigns(&read) {
        if !known.contains(&campaign) {
            let known: Vec<&str> = known.iter().map(|known| known.as_str()).collect();
            let what = format!("there is no campaign `{campaign}`: one of {}", known.join(", "));
            reader.add(&format!("routes[{index}].campaign"), what);
        }
    }
    RoutingTable::new(&read)
        .map_err(|unclear| {
            for one in unclear {
                reader.add(&format!("routes[{}]", one.route), one.what);
            }
        })
        .ok()
}

/// What ESMEs submit must have somewhere to go, and what the supervisor cuts off the server would not have had.
pub(super) fn smpp(
    reader: &mut SettingsReader<'_>,
    smpp: &SmppSettings,
    transports: &[ComponentConfig],
    routed: bool,
    drain: Option<Duration>,
) {
    match &smpp.transport {
        Some(name) if !transports.iter().any(|transport| transport.name == *name) => {
            let known: Vec<&str> = transports.iter().map(|transport| transport.name.as_str()).collect();
            reader.add("smpp.transport", format!("there is no transport `{name}`: one of {}", known.join(", ")));
        }
        None if !routed => {
            let what = "what ESMEs submit has nowhere to go: expected the name of a transport, or [[outbound]] routes";
            reader.add("smpp.transport", what.to_owned());
        }
        Some(_) | None => {}
    }
    if let Some(drain) = drain.filter(|drain| smpp.drain_within > *drain) {
        let own = smpp.drain_within;
        let what = format!(
            "{own:?} is longer than `supervisor.drain`, {drain:?}, which cuts it off: expected no more than that"
        );
        reader.add("smpp.drain_within", what);
    }
}

/// Reads `[[price]]`; none where a line is wrong, which the reader has noted.
pub(super) fn prices(reader: &mut SettingsReader<'_>, lines: Vec<Value>) -> Option<PriceTable> {
    let mut read: Vec<PriceSettings> = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        read.push(reader.read(&format!("price[{index}]"), line)?);
    }
    PriceTable::new(&read)
        .map_err(|wrong| {
            for one in wrong {
                reader.add(&format!("price[{}].{}", one.line, one.key), one.what);
            }
        })
        .ok()
}

/// What runs here, and how it is joined with what does not.
pub(super) fn deployment(
    reader: &mut SettingsReader<'_>,
    only: &[String],
    parts: &DeploymentParts<'_>,
    amqp: Option<Option<&AmqpSettings>>,
    skip_queue: bool,
) -> Deployment {
    let mut deployment = Deployment::of(only, parts).unwrap_or_else(|wrong| {
        reader.add_for("--only", wrong);
        Deployment::default()
    });
    deployment.amqp = amqp.flatten().map(AmqpTopology::of_tables);
    if let Some(amqp) = amqp
        && reader.problems.is_empty()
    {
        match deployment.amqp_topology(amqp, parts.transports, parts.campaigns, skip_queue) {
            Ok(topology) => deployment.amqp = topology,
            Err(apart) => apart.into_iter().for_each(|what| reader.add_for("--only", what)),
        }
    }
    deployment
}
