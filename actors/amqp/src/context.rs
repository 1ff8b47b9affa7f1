//! What the front-end gets at its start.

use std::collections::BTreeMap;

use vumi_front_kit::quotas::QuotaKeeper;
use vumi_kit::{
    carries::Carries, clock::Clock, middleware::MiddlewareChains, name::Name, router::RouterAddress,
    sms_fields::SmsTimes, store::Store, transport_settings::TransportSettings,
};

use super::topology::AmqpTopology;

/// What the front-end gets at its start, beside its settings.
#[derive(Clone, Debug)]
pub struct AmqpContext {
    /// Takes messages.
    pub router: RouterAddress,
    /// Holds the ledger and the accounts.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// All transports of the settings, here and elsewhere: a campaign elsewhere may send SMS by each of them.
    pub transports: BTreeMap<Name, SmsTransport>,
    /// How long SMS may wait.
    pub sms_times: SmsTimes,
    /// What SMS pass before they are accepted.
    pub chains: MiddlewareChains,
    /// What the quotas of accounts allow.
    pub quotas: QuotaKeeper,
    /// The connectors of this process.
    pub topology: AmqpTopology,
}

/// What SMS a transport takes.
#[derive(Clone, Debug, Default)]
pub struct SmsTransport {
    /// As what it takes addresses.
    pub addresses: TransportSettings,
    /// What it carries beside texts.
    pub carries: Carries,
}
