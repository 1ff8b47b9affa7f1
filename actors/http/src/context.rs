//! What the front-end is given at its start.

use std::net::SocketAddr;

use actix::Recipient;
use vumi_front_kit::quotas::QuotaKeeper;
use vumi_kit::{
    carries::Carries, clock::Clock, conversation::ConversationRules, health::AskParts, ledger::SmsOwners,
    middleware::MiddlewareChains, name::Name, outbound::OutboundRoutes, router::RouterAddress, sms_fields::SmsTimes,
    store::Store, transport_board::TransportBoard, transport_settings::TransportSettings, webhook::Webhook,
    webhook_access::WebhookAccess,
};

/// A transport that the API serves, and the webhooks that its provider calls.
#[derive(Clone, Debug)]
pub struct WebhookMount {
    /// The transport's name in the URLs.
    pub transport: Name,
    /// Mounted below `sms/{transport}/`, and with a token below `hooks/{transport}/{token}/`.
    pub webhooks: Vec<Webhook>,
    /// Whether its aggregator calls `ussd`, and the transport of this process answers.
    pub takes_calls: bool,
    /// Who may call them, beside accounts of role carrier.
    pub access: WebhookAccess,
    /// What it takes as addresses, and in which character set its provider posts.
    pub settings: TransportSettings,
    /// What it carries beside texts.
    pub carries: Carries,
    /// Whether it carries USSD.
    pub converses: bool,
}

/// What the front-end is given at its start.
#[derive(Clone, Debug)]
pub struct HttpContext {
    /// The store's addresses.
    pub store: Store,
    /// Where timestamps come from.
    pub clock: Clock,
    /// Tells whose SMS from people are.
    pub owners: SmsOwners,
    /// The transports that the API serves.
    pub transports: Vec<WebhookMount>,
    /// How long SMS may wait.
    pub sms_times: SmsTimes,
    /// What the quotas of accounts allow.
    pub quotas: QuotaKeeper,
    /// What SMS pass before they are accepted.
    pub chains: MiddlewareChains,
    /// Chooses the transports of SMS that name none; none: there are no routes.
    pub routes: Option<OutboundRoutes>,
    /// What a conversation is checked against before it is kept.
    pub conversations: ConversationRules,
    /// Where receipts are counted.
    pub board: TransportBoard,
    /// Takes USSD that the network is to begin.
    pub router: RouterAddress,
    /// The campaigns that it may be begun for.
    pub campaigns: Vec<Name>,
    /// The supervisor, for `/health/ready`.
    pub parts: Recipient<AskParts>,
    /// Where the sandbox's pages are, for the page at `/`; none without a sandbox.
    pub sandbox: Option<SocketAddr>,
    /// Whether the account that a sandbox made is let in. Everybody knows its password.
    pub sandbox_account: bool,
}
