//! What all requests share.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::Semaphore;
use vumi_front_kit::{log_in_trail::LogInTrail, password::HashError, quotas::QuotaKeeper, token_buckets::TokenBuckets};
use vumi_kit::{
    clock::Clock, conversation::ConversationRules, ledger::SmsOwners, middleware::MiddlewareChains, name::Name,
    outbound::OutboundRoutes, router::RouterAddress, sms_fields::SmsTimes, store::Store,
    transport_board::TransportBoard,
};

use crate::{
    auth::authenticator::Authenticator,
    context::HttpContext,
    limits::{call_rates::CallRates, send_limits::SendLimits},
    request::{
        body::{BodyReader, BufferedBody},
        idempotency::KeysInProgress,
        trusted_proxies::TrustedProxies,
    },
    response::error::ApiError,
    settings::HttpSettings,
    tally::Tally,
    webhooks::protected::ProtectedWebhooks,
};

/// Requests a minute for public pages from one address, `/health/` aside. The page of the API's documentation takes ten.
const PUBLIC_PER_MINUTE: u32 = 300;

/// Bodies of this size and more, in bytes, are parsed on a blocking thread, few at a time.
const LARGE_BODY: usize = 32 * 1024;

/// Large bodies that are parsed at once: each takes up to a core, and some ten times its size in memory.
const MAX_LARGE_READS: usize = 2;

/// The bytes of a body whose sender is not known yet, of all such bodies, and of those from one network: anybody may send
/// one.
const MAX_UNVERIFIED_BODY: usize = 1024 * 1024;
const MAX_UNVERIFIED_BODIES: usize = 8 * 1024 * 1024;
const MAX_UNVERIFIED_OF_NETWORK: usize = 1024 * 1024;

/// The bytes of the bodies that known providers post: neither clients nor strangers take of them.
const MAX_PROVIDERS_BODIES: usize = 16 * 1024 * 1024;

/// What all requests share.
pub(crate) struct ApiState {
    pub(crate) store: Store,
    /// The transports that the API serves, each with its webhooks.
    pub(crate) transports: BTreeMap<Name, ProtectedWebhooks>,
    /// Chooses the transports of SMS that name none.
    pub(crate) routes: Option<OutboundRoutes>,
    pub(crate) conversations: ConversationRules,
    /// The transports that carry USSD.
    with_ussd: Vec<Name>,
    /// Takes USSD that the network is to begin.
    pub(crate) router: RouterAddress,
    /// The campaigns that it may be begun for.
    pub(crate) campaigns: Vec<Name>,
    pub(crate) board: TransportBoard,
    pub(crate) clock: Clock,
    pub(crate) owners: SmsOwners,
    /// Whether the account that a sandbox made is let in.
    pub(crate) sandbox_account: bool,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) authenticator: Authenticator,
    pub(crate) audit: LogInTrail,
    pub(crate) rates: CallRates,
    pub(crate) quotas: QuotaKeeper,
    /// Requests without a log-in, by client prefix.
    pub(crate) public_rate: TokenBuckets<Option<IpAddr>>,
    pub(crate) keys_in_progress: KeysInProgress,
    pub(crate) limits: SendLimits,
    pub(crate) sms_times: SmsTimes,
    pub(crate) chains: MiddlewareChains,
    /// Large bodies that are read at once.
    pub(crate) large_reads: Arc<Semaphore>,
    pub(crate) body_reader: BodyReader,
    /// Reads bodies of providers that are known by a token, a network or a log-in.
    pub(crate) providers_reader: BodyReader,
    /// Reads bodies whose sender is known only once their signature is verified.
    pub(crate) unverified_reader: BodyReader,
    pub(crate) answer_within: Duration,
    pub(crate) idempotency_keep: Duration,
    pub(crate) tally: Arc<Tally>,
}

impl ApiState {
    /// Whether a transport carries USSD.
    pub(crate) fn converses(&self, transport: &Name) -> bool {
        self.with_ussd.contains(transport)
    }

    pub(crate) fn new(context: HttpContext, settings: &HttpSettings) -> Result<Self, HashError> {
        Ok(Self {
            authenticator: Authenticator::new(context.store.accounts.clone(), context.clock.clone(), settings)?,
            audit: LogInTrail::new(context.store.accounts.clone()),
            store: context.store,
            with_ussd: context
                .transports
                .iter()
                .filter(|mount| mount.converses)
                .map(|mount| mount.transport.clone())
                .collect(),
            router: context.router,
            campaigns: context.campaigns,
            transports: context.transports.into_iter().map(|mount| (mount.transport.clone(), mount.into())).collect(),
            routes: context.routes,
            conversations: context.conversations,
            board: context.board,
            clock: context.clock,
            owners: context.owners,
            sms_times: context.sms_times,
            chains: context.chains,
            sandbox_account: context.sandbox_account,
            trusted_proxies: TrustedProxies::new(&settings.trusted_proxies, settings.forwarded_header),
            rates: CallRates::new(&settings.rates),
            quotas: context.quotas,
            public_rate: TokenBuckets::new(PUBLIC_PER_MINUTE),
            keys_in_progress: KeysInProgress::default(),
            large_reads: Arc::new(Semaphore::new(MAX_LARGE_READS)),
            limits: SendLimits { max_segments: settings.max_segments, max_batch: settings.max_batch },
            body_reader: BodyReader::new(settings.max_body, settings.max_bodies, settings.body_within),
            providers_reader: BodyReader::new(
                settings.max_body,
                settings.max_body.max(MAX_PROVIDERS_BODIES),
                settings.body_within,
            ),
            unverified_reader: BodyReader::new(
                settings.max_body.min(MAX_UNVERIFIED_BODY),
                MAX_UNVERIFIED_BODIES,
                settings.body_within,
            )
            .shared(MAX_UNVERIFIED_OF_NETWORK),
            answer_within: settings.answer_within,
            idempotency_keep: settings.idempotency_keep,
            tally: Arc::default(),
        })
    }

    /// Parses a body: a large one on a blocking thread, few at a time, so that it delays no other request and takes a
    /// bounded memory.
    pub(crate) async fn parse<T: Send + 'static>(
        &self,
        body: &BufferedBody,
        parse: impl FnOnce(&str, &Bytes) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        if body.len() < LARGE_BODY {
            return parse(&body.media_type, &body.bytes);
        }
        let failed = || ApiError::Unavailable(1, "the body could not be read now, nothing was kept");
        let permit = Arc::clone(&self.large_reads).acquire_owned().await.map_err(|_| failed())?;
        let (media_type, bytes) = (body.media_type.clone(), body.bytes.clone());
        let parsed = tokio::task::spawn_blocking(move || {
            // Held by the thread that works: a client that closes must not allow another body beside it.
            let _permit = permit;
            parse(&media_type, &bytes)
        });
        parsed.await.map_err(|_| failed())?
    }
}
