//! What a campaign sends beside its answers is decided here as what a client sends: the account's rights, the chains of
//! middleware, the quotas.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use vumi_kit::{
    account::{Account, FindAccount},
    address::{Address, Msisdn},
    campaign_sms::{CampaignSms, CampaignSmsRefused, PrepareCampaignSms, PreparedSms},
    clock::Clock,
    middleware::MiddlewareChains,
    name::Name,
    outbound::{OutboundRoutes, Routable, RouteChoice},
    sms::NewSms,
    sms_options::{Content, Occasion, SmsOptions},
    store::{Ask, Store, StoreError},
    transport_settings::TransportSettings,
};

use crate::{
    quotas::{QuotaKeeper, QuotaRefusal},
    sending_chain::{NotPassed, SendingChain},
    sms_text::text_error,
};

/// The furthest ahead that a campaign may send, from now.
const SCHEDULE_WITHIN: Duration = Duration::from_secs(400 * 24 * 3600);

/// The most parts of a campaign's SMS.
const MAX_SEGMENTS: u32 = 10;

/// Prepares campaigns' SMS as a client's are: rights of the account, route, middleware, quota.
#[derive(Debug)]
pub struct CampaignSmsDesk {
    /// Where the accounts are.
    pub store: Store,
    /// The transports that send SMS.
    pub transports: BTreeMap<Name, TransportSettings>,
    /// What SMS pass on their way.
    pub chains: MiddlewareChains,
    /// What accounts may send, counted together with what clients send.
    pub quotas: QuotaKeeper,
    /// Who chooses transports; none: the settings have no `[[outbound]]`.
    pub routes: Option<OutboundRoutes>,
    pub clock: Clock,
}

#[async_trait]
impl PrepareCampaignSms for CampaignSmsDesk {
    async fn prepare(&self, asked: CampaignSms) -> Result<PreparedSms, CampaignSmsRefused> {
        let account = self.account(&asked.sender.account).await?;
        if let Some(refused) = account.stopped_error() {
            return Err(never(refused));
        }
        if asked.at.is_some_and(|at| at > self.clock.now().plus(SCHEDULE_WITHIN)) {
            return Err(never("it is to be sent more than 400 days ahead"));
        }
        if let Some(wrong) = text_error(&asked.text, MAX_SEGMENTS) {
            return Err(never(wrong));
        }
        let sms = self.addressed(&account, &asked)?;
        let chain = SendingChain { chains: &self.chains, account: &account.username, max_segments: MAX_SEGMENTS };
        let passed = chain.pass(vec![sms]).await.map_err(not_passed)?;
        let sms = passed.into_iter().next().ok_or_else(|| never("its chain of middleware lost it"))?;
        let charge = self.quotas.charge_one(&account, &sms).map_err(beyond_quota)?;
        Ok(PreparedSms { sms, charge })
    }
}

impl CampaignSmsDesk {
    async fn account(&self, username: &str) -> Result<Account, CampaignSmsRefused> {
        match self.store.accounts.ask_waiting(FindAccount { username: username.to_owned() }).await {
            Ok(Some(account)) => Ok(account),
            Ok(None) => Err(never(format!("there is no account `{username}`: vumi account add {username}"))),
            Err(error @ StoreError::Rejected(_)) => Err(never(error.to_string())),
            Err(error) => Err(CampaignSmsRefused::Later(error.to_string())),
        }
    }

    fn addressed(&self, account: &Account, asked: &CampaignSms) -> Result<NewSms, CampaignSmsRefused> {
        let own = account.rights.country_code.as_ref();
        let mut addresses = match &asked.sender.transport {
            Some(transport) => {
                let known = self.transports.get(transport);
                known.cloned().ok_or_else(|| never(format!("there is no transport `{transport}` for its SMS")))?
            }
            None => TransportSettings::of_any(self.transports.values(), own),
        };
        addresses.country_code = own.cloned().or(addresses.country_code);
        let to = addresses.recipient(&asked.to).map_err(|wrong| never(format!("its recipient: {wrong}")))?;
        let from =
            addresses.sender(asked.sender.from.as_str()).map_err(|wrong| never(format!("its sender: {wrong}")))?;
        let refused = account.rights.sender_error(&from).or_else(|| account.rights.recipient_error(&to));
        if let Some(refused) = refused {
            return Err(never(refused));
        }
        let (transport, route) = self.transport(account, asked, (&to, &from))?;
        if let Some(refused) = account.sending_error(&transport) {
            return Err(never(refused));
        }
        let options = match asked.at {
            // It goes with a screen that the person is looking at.
            None => Arc::new(SmsOptions { occasion: Occasion::Answer, ..SmsOptions::default() }),
            Some(at) => Arc::new(SmsOptions { send_at: Some(at), ..SmsOptions::default() }),
        };
        Ok(NewSms { account: account.id, transport, to, from, message: asked.text.clone(), route, options })
    }

    fn transport(
        &self,
        account: &Account,
        asked: &CampaignSms,
        (to, from): (&Msisdn, &Address),
    ) -> Result<(Name, Option<Box<RouteChoice>>), CampaignSmsRefused> {
        if let Some(transport) = &asked.sender.transport {
            return Ok((transport.clone(), None));
        }
        let Some(routes) = &self.routes else {
            return Err(never("its sender names no `transport`, and there is no [[outbound]] to choose one"));
        };
        let sms = Routable {
            account: &account.username,
            transports: &account.rights.transports,
            to,
            from,
            text: &asked.text,
            content: &Content::Text,
            tag: None,
        };
        let choice = routes.choose(&sms).ok_or_else(|| never("no route of [[outbound]] takes it"))?;
        Ok((choice.transport.clone(), Some(Box::new(choice))))
    }
}

fn never(why: impl Into<String>) -> CampaignSmsRefused {
    CampaignSmsRefused::Never(why.into())
}

fn not_passed(refused: NotPassed) -> CampaignSmsRefused {
    match refused {
        NotPassed::Fields(_) => never("a middleware refuses it"),
        NotPassed::Later => CampaignSmsRefused::Later("a middleware can't say now whether it may be sent".to_owned()),
    }
}

fn beyond_quota(refused: QuotaRefusal) -> CampaignSmsRefused {
    match refused {
        QuotaRefusal::TooMany { per_minute, .. } => {
            never(format!("the account may send to {per_minute} recipients a minute"))
        }
        QuotaRefusal::NoPrice(_) => never("no price is known for its recipient"),
        QuotaRefusal::Over(_) => never("it is beyond the account's quotas"),
        QuotaRefusal::Store(error) => CampaignSmsRefused::Later(error.to_string()),
    }
}
