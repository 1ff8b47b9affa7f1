//! `[[middleware]]`: its entries read, made once to see that they can be, and their names compared with the components'.

use serde_json::Value;
use vumi_amqp::AmqpTopology;
use vumi_kit::{clock::Clock, name::Name};
use vumi_middleware::{MiddlewareContext, MiddlewareSettings, chains};

use super::{ComponentConfig, reader::SettingsReader};

/// Reads the entries, and adds what is wrong with them.
pub(super) fn middleware(
    reader: &mut SettingsReader<'_>,
    entries: Vec<Value>,
    transports: &[ComponentConfig],
    campaigns: &[ComponentConfig],
    elsewhere: Option<&AmqpTopology>,
) -> Vec<MiddlewareSettings> {
    let mut read: Vec<MiddlewareSettings> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        read.extend(reader.read(&format!("middleware[{index}]"), entry));
    }
    let named = |components: &[ComponentConfig]| components.iter().map(|component| component.name.clone()).collect();
    let mut known: [Vec<Name>; 2] = [named(transports), named(campaigns)];
    let [known_transports, known_campaigns] = &mut known;
    known_transports.extend(elsewhere.into_iter().flat_map(AmqpTopology::transports_elsewhere).cloned());
    known_campaigns.extend(elsewhere.into_iter().flat_map(AmqpTopology::campaigns_elsewhere).cloned());
    for (index, entry) in read.iter().enumerate() {
        let of =
            [("transports", &entry.transports, &*known_transports), ("campaigns", &entry.campaigns, &*known_campaigns)];
        for (key, names, known) in of {
            for name in names.iter().filter(|name| !known.contains(name)) {
                let known: Vec<&str> = known.iter().map(Name::as_str).collect();
                let what = format!("`{name}` is not one of {}", known.join(", "));
                reader.add(&format!("middleware[{index}].{key}"), what);
            }
        }
    }
    if let Err(problems) = chains(&read, &MiddlewareContext { clock: Clock::system() }) {
        for problem in problems {
            let (index, key) = problem.key.split_once('.').unwrap_or((&problem.key, ""));
            let key =
                if key.is_empty() { format!("middleware[{index}]") } else { format!("middleware[{index}].{key}") };
            reader.add(&key, problem.what);
        }
    }
    read
}
