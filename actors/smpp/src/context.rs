//! What the server is given at its start.

use std::collections::BTreeMap;

use vumi_kit::{
    carries::Carries, clock::Clock, middleware::MiddlewareChains, name::Name, outbound::OutboundRoutes,
    price::PriceTable, sms_fields::SmsTimes, store::Store, transport_settings::TransportSettings,
};

/// A transport that ESMEs' SMS may go over.
#[derive(Clone, Debug)]
pub struct EsmeTransport {
    /// What it takes as addresses.
    pub addresses: TransportSettings,
    /// What it carries beside texts.
    pub carries: Carries,
}

/// What the server is given at its start.
#[derive(Clone, Debug)]
pub struct SmppContext {
    /// The store's addresses.
    pub store: Store,
    /// Where timestamps come from.
    pub clock: Clock,
    /// All transports of the settings.
    pub transports: BTreeMap<Name, EsmeTransport>,
    /// How long SMS may wait.
    pub sms_times: SmsTimes,
    /// What segments cost, for budgets in money.
    pub prices: PriceTable,
    /// What SMS pass before they are accepted.
    pub chains: MiddlewareChains,
    /// Chooses the transports of SMS where the settings name none; none: there are no routes.
    pub routes: Option<OutboundRoutes>,
    /// Whether the account that a sandbox made may bind.
    pub sandbox_account: bool,
}
