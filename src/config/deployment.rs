//! What of the settings a process runs: everything, or what `--only` names. What it leaves out runs in other
//! processes of the same settings, joined by one ledger and, where people are answered, by the broker.

use vumi_amqp::{AmqpSettings, Peers};
use vumi_kit::name::Name;

use super::ComponentConfig;

/// What this process runs. Store and router are everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// Not everything: there are other processes.
    pub part: bool,
    /// The HTTP API and the carriers' webhooks.
    pub http: bool,
    /// Who posts callbacks.
    pub callbacks: bool,
    /// The sandbox's carriers.
    pub sandbox: bool,
    /// Transports.
    pub transports: Vec<Name>,
    /// Campaigns.
    pub campaigns: Vec<Name>,
}

impl Deployment {
    /// What `--only` names, everything where it names nothing; else what is wrong with it.
    pub(super) fn of(
        only: &[String],
        transports: &[ComponentConfig],
        campaigns: &[ComponentConfig],
        sandbox: bool,
    ) -> Result<Self, String> {
        let (transports, campaigns) = (names(transports), names(campaigns));
        if only.is_empty() {
            return Ok(Self { part: false, http: true, callbacks: true, sandbox, transports, campaigns });
        }
        let mut deployment = Self { part: true, ..Self::default() };
        for asked in only.iter().map(|asked| asked.trim()) {
            let found = |prefix: &str, all: &[Name]| {
                asked.strip_prefix(prefix).and_then(|name| all.iter().find(|known| known.as_str() == name)).cloned()
            };
            match asked {
                "http" => deployment.http = true,
                "callbacks" => deployment.callbacks = true,
                "sandbox" if sandbox => deployment.sandbox = true,
                "transports" => deployment.transports.extend(transports.clone()),
                "campaigns" => deployment.campaigns.extend(campaigns.clone()),
                _ => match (found("transport:", &transports), found("campaign:", &campaigns)) {
                    (Some(transport), _) => deployment.transports.push(transport),
                    (None, Some(campaign)) => deployment.campaigns.push(campaign),
                    (None, None) => return Err(unknown(asked, &transports, &campaigns, sandbox)),
                },
            }
        }
        for names in [&mut deployment.transports, &mut deployment.campaigns] {
            names.sort();
            names.dedup();
        }
        Ok(deployment)
    }

    /// Whether it is nothing but the sandbox, which needs no store.
    pub(crate) fn sandbox_alone(&self) -> bool {
        self.sandbox && self.part && !self.http && !self.callbacks && self.components() == 0
    }

    fn components(&self) -> usize {
        self.transports.len() + self.campaigns.len()
    }

    /// Joins this process with the others: the connectors between them, or what is missing.
    pub(super) fn join(
        &self,
        amqp: &mut Option<AmqpSettings>,
        transports: &[ComponentConfig],
        campaigns: &[ComponentConfig],
        skip_queue: bool,
    ) -> Vec<String> {
        if !self.part {
            return Vec::new();
        }
        let (converse_here, converse_elsewhere): (Vec<Name>, Vec<Name>) =
            names(transports.iter().filter(|component| component.kind.converses))
                .into_iter()
                .partition(|name| self.transports.contains(name));
        let campaigns_elsewhere: Vec<Name> =
            names(campaigns).into_iter().filter(|name| !self.campaigns.contains(name)).collect();
        // SMS from people come in by the HTTP front-end, or by a transport that holds conversations.
        let people_here = self.http || !converse_here.is_empty();
        let doors = (!self.http).then(|| "http".to_owned()).into_iter();
        let people_elsewhere: Vec<String> =
            doors.chain(converse_elsewhere.iter().map(|name| format!("transport:{name}"))).collect();
        let Some(settings) = amqp else {
            let mut apart = Vec::new();
            if people_here && !campaigns_elsewhere.is_empty() {
                apart.push(format!("campaigns run in another process ({})", listed(&campaigns_elsewhere)));
            }
            if !people_elsewhere.is_empty() && !self.campaigns.is_empty() {
                let (doors, campaigns) = (people_elsewhere.join(", "), listed(&self.campaigns));
                let what = "messages from people come in by other processes";
                apart.push(format!("{what} ({doors}) for campaigns of this one ({campaigns})"));
            }
            let advice = if skip_queue {
                "VUMI_SKIP_QUEUE leaves [amqp] out, and nothing else joins the two"
            } else {
                "the two are joined by RabbitMQ: add [amqp] with its address, as settings/cluster.example.toml does, or \
                 run both in one process"
            };
            return apart.into_iter().map(|what| format!("{what}: {advice}")).collect();
        };
        if !people_here && self.campaigns.is_empty() && settings.connectors.is_empty() {
            *amqp = None;
            return Vec::new();
        }
        // A table of the settings wins.
        let by_table: Vec<Name> = settings.campaigns().chain(settings.transports()).cloned().collect();
        let derived = |names: Vec<Name>| names.into_iter().filter(|name| !by_table.contains(name)).collect();
        settings.peers = Peers {
            campaigns_here: self.campaigns.clone(),
            campaigns_elsewhere: derived(campaigns_elsewhere),
            transports_here: converse_here,
            transports_elsewhere: derived(converse_elsewhere),
        };
        Vec::new()
    }
}

impl std::fmt::Display for Deployment {
    /// As `--only` would name it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let own = [("http", self.http), ("callbacks", self.callbacks), ("sandbox", self.sandbox)];
        let own = own.into_iter().filter(|(_, runs)| *runs).map(|(name, _)| name.to_owned());
        let transports = self.transports.iter().map(|name| format!("transport:{name}"));
        let campaigns = self.campaigns.iter().map(|name| format!("campaign:{name}"));
        f.write_str(&own.chain(transports).chain(campaigns).collect::<Vec<_>>().join(","))
    }
}

fn names<'a>(components: impl IntoIterator<Item = &'a ComponentConfig>) -> Vec<Name> {
    components.into_iter().map(|component| component.name.clone()).collect()
}

fn listed(names: &[Name]) -> String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

fn unknown(asked: &str, transports: &[Name], campaigns: &[Name], sandbox: bool) -> String {
    if asked == "sandbox" {
        return "these settings have no [sandbox]".to_owned();
    }
    let all = Deployment {
        part: true,
        http: true,
        callbacks: true,
        sandbox,
        transports: transports.to_vec(),
        campaigns: campaigns.to_vec(),
    };
    let all = all.to_string().replace(',', ", ");
    format!("there is no `{asked}` in these settings: one of transports, campaigns, {all}")
}
