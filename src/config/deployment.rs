//! What of the settings a process runs: everything, or what `--only` names. The rest runs in other processes of the
//! same settings. They share one ledger and, where people are answered, the broker.

use vumi_amqp::{AmqpSettings, AmqpTopology, PeerComponents};
use vumi_kit::name::Name;

use super::ComponentConfig;

/// What this process runs. Store and router are everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// Whether there are other processes: this one does not run everything.
    pub part: bool,
    /// The HTTP API and the providers' webhooks.
    pub http: bool,
    /// The SMPP server.
    pub smpp: bool,
    /// The component that posts callbacks.
    pub callbacks: bool,
    /// The sandbox's providers.
    pub sandbox: bool,
    /// The transports that run here.
    pub transports: Vec<Name>,
    /// Of the settings' transports those whose aggregators call: they run in every process with the HTTP front-end.
    pub callers: Vec<Name>,
    /// The campaigns that run here.
    pub campaigns: Vec<Name>,
    /// The connectors on the broker. `None`: this process needs no broker.
    pub amqp: Option<AmqpTopology>,
}

/// What there is to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeploymentParts<'a> {
    /// `[transports.*]`.
    pub(super) transports: &'a [ComponentConfig],
    /// `[campaigns.*]`.
    pub(super) campaigns: &'a [ComponentConfig],
    /// Whether there is a `[sandbox]`.
    pub(super) sandbox: bool,
    /// Whether there is an `[smpp]`.
    pub(super) smpp: bool,
}

impl Deployment {
    /// What `--only` names, or everything if it names nothing. The error says what is wrong with `--only`.
    pub(super) fn of(only: &[String], parts: &DeploymentParts<'_>) -> Result<Self, String> {
        let all = Self::all(parts);
        if only.is_empty() {
            return Ok(Self { part: false, ..all });
        }
        let (transports, campaigns) = (&all.transports, &all.campaigns);
        let mut deployment = Self { part: true, callers: all.callers.clone(), ..Self::default() };
        for asked in only.iter().map(|asked| asked.trim()) {
            let found = |prefix: &str, all: &[Name]| {
                asked.strip_prefix(prefix).and_then(|name| all.iter().find(|known| known.as_str() == name)).cloned()
            };
            match asked {
                "http" => {
                    deployment.http = true;
                    deployment.transports.extend(all.callers.clone());
                }
                "callbacks" => deployment.callbacks = true,
                "smpp" if parts.smpp => deployment.smpp = true,
                "sandbox" if parts.sandbox => deployment.sandbox = true,
                "transports" => {
                    let elsewhere = |name: &&Name| !all.callers.contains(name);
                    deployment.transports.extend(transports.iter().filter(elsewhere).cloned());
                }
                "campaigns" => deployment.campaigns.extend(campaigns.clone()),
                _ => match (found("transport:", transports), found("campaign:", campaigns)) {
                    (Some(transport), _) if all.callers.contains(&transport) => {
                        return Err(format!(
                            "the transport `{transport}` answers calls, and so runs wherever `http` does: ask for `http`"
                        ));
                    }
                    (Some(transport), _) => deployment.transports.push(transport),
                    (None, Some(campaign)) => deployment.campaigns.push(campaign),
                    (None, None) => return Err(unknown(asked, &all)),
                },
            }
        }
        for names in [&mut deployment.transports, &mut deployment.campaigns] {
            names.sort();
            names.dedup();
        }
        Ok(deployment)
    }

    /// Everything there is.
    fn all(parts: &DeploymentParts<'_>) -> Self {
        let DeploymentParts { transports, campaigns, sandbox, smpp } = *parts;
        let callers = names(transports.iter().filter(|transport| transport.kind.takes_calls));
        let (transports, campaigns) = (names(transports), names(campaigns));
        Self { part: true, http: true, smpp, callbacks: true, sandbox, transports, callers, campaigns, amqp: None }
    }

    /// Whether only the sandbox runs, which needs no store.
    pub(crate) fn sandbox_alone(&self) -> bool {
        self.sandbox && self.part && !self.http && !self.smpp && !self.callbacks && self.components() == 0
    }

    fn components(&self) -> usize {
        self.transports.len() + self.campaigns.len()
    }

    /// The connectors of this process: those of the tables and, where `--only` leaves something out, those that join
    /// it with its peers. `None` if it needs no broker. An error for each pair of components that nothing joins.
    pub(super) fn amqp_topology(
        &self,
        amqp: Option<&AmqpSettings>,
        transports: &[ComponentConfig],
        campaigns: &[ComponentConfig],
        skip_queue: bool,
    ) -> Result<Option<AmqpTopology>, Vec<String>> {
        if !self.part {
            return Ok(amqp.map(AmqpTopology::of_tables));
        }
        let peers = self.peers(transports, campaigns);
        // SMS from people come in by the HTTP front-end or by a transport that holds sessions.
        let people_here = self.http || !peers.transports_here.is_empty();
        let Some(settings) = amqp else {
            let apart = self.not_joined(&peers, people_here, skip_queue);
            return if apart.is_empty() { Ok(None) } else { Err(apart) };
        };
        if !people_here && self.campaigns.is_empty() && settings.connectors.is_empty() {
            return Ok(None);
        }
        Ok(Some(AmqpTopology::of_tables(settings).with_peers(peers)))
    }

    fn peers(&self, transports: &[ComponentConfig], campaigns: &[ComponentConfig]) -> PeerComponents {
        let with_sessions =
            names(transports.iter().filter(|transport| (transport.kind.converses)(&transport.settings)));
        let (transports_here, transports_elsewhere) =
            with_sessions.into_iter().partition(|name| self.transports.contains(name));
        let campaigns_elsewhere = names(campaigns).into_iter().filter(|name| !self.campaigns.contains(name)).collect();
        PeerComponents {
            campaigns_here: self.campaigns.clone(),
            campaigns_elsewhere,
            transports_here,
            transports_elsewhere,
            callers: self.callers.clone(),
        }
    }

    /// What can't reach its counterpart without a broker.
    fn not_joined(&self, peers: &PeerComponents, people_here: bool, skip_queue: bool) -> Vec<String> {
        let mut apart = Vec::new();
        if people_here && !peers.campaigns_elsewhere.is_empty() {
            apart.push(format!("campaigns run in another process ({})", listed(&peers.campaigns_elsewhere)));
        }
        let http = (!self.http).then(|| "http".to_owned());
        let apart_from_http = peers.transports_elsewhere.iter().filter(|name| !self.callers.contains(name));
        let transports = apart_from_http.map(|name| format!("transport:{name}"));
        let people_elsewhere: Vec<String> = http.into_iter().chain(transports).collect();
        if !people_elsewhere.is_empty() && !self.campaigns.is_empty() {
            let (parts, campaigns) = (people_elsewhere.join(", "), listed(&self.campaigns));
            let what = "messages from people come in by other processes";
            apart.push(format!("{what} ({parts}) for campaigns of this one ({campaigns})"));
        }
        let advice = if skip_queue {
            "VUMI_SKIP_QUEUE leaves [amqp] out, and nothing else joins the two"
        } else {
            "the two are joined by RabbitMQ: add [amqp] with its address, as settings/cluster.example.toml does, or run \
             both in one process"
        };
        apart.into_iter().map(|what| format!("{what}: {advice}")).collect()
    }
}

impl std::fmt::Display for Deployment {
    /// As it is written after `--only`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let own = [("http", self.http), ("smpp", self.smpp), ("callbacks", self.callbacks), ("sandbox", self.sandbox)];
        let own = own.into_iter().filter(|(_, runs)| *runs).map(|(name, _)| name.to_owned());
        let transports =
            self.transports.iter().filter(|name| !self.callers.contains(name)).map(|name| format!("transport:{name}"));
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

fn unknown(asked: &str, all: &Deployment) -> String {
    if ["sandbox", "smpp"].contains(&asked) {
        return format!("these settings have no [{asked}]");
    }
    let all = all.to_string().replace(',', ", ");
    format!("there is no `{asked}` in these settings: one of transports, campaigns, {all}")
}
