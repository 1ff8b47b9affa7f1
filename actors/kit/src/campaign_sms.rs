//! SMS that a campaign sends beside its answers, now or later: they are SMS of the ledger like a client's.
//!
//! The contract only. Who has the accounts' rights, the chains of middleware and the prices carries it out, and every
//! component gets it in its context.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{
    account::QuotaCharge, address::Address, clock::Timestamp, ledger::IdempotencyKey, name::Name, sms::NewSms,
};

/// For whom, over what and as whom a campaign sends SMS. It can be a part of a campaign's settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignSender {
    /// The account whose SMS they are: its rights and quotas hold.
    #[schemars(example = &"clinic")]
    pub account: String,
    /// The transport that sends them. None: `[[outbound]]` chooses one for each.
    #[schemars(example = &"clickatell")]
    pub transport: Option<Name>,
    /// The sender shown to people.
    #[schemars(example = &"38080")]
    pub from: Address,
}

/// An SMS as a campaign asks for it.
#[derive(Clone, Debug)]
pub struct CampaignSms {
    pub campaign: Name,
    /// By whose account it goes.
    pub sender: CampaignSender,
    pub to: String,
    pub text: String,
    /// Not to be sent before; none: at once.
    pub at: Option<Timestamp>,
}

/// An SMS that may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedSms {
    pub sms: NewSms,
    /// What it takes from the account's quotas; none: they count nothing.
    pub charge: Option<QuotaCharge>,
}

/// An SMS that is kept in one transaction with a turn of a dialogue, once for its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogueSms {
    /// The turn's message and the campaign's name for the step.
    pub key: IdempotencyKey,
    /// What is to be kept.
    pub prepared: PreparedSms,
}

/// How long the ledger recognises a turn's SMS, in seconds.
const KNOWN_FOR_S: u64 = 7 * 24 * 3600;

impl DialogueSms {
    /// An SMS of a step of the turn that answers a message. A turn that is taken twice keeps it once.
    #[must_use]
    pub fn of_turn(campaign: &Name, message_id: &str, step: &str, prepared: PreparedSms) -> Self {
        let mut digest = Sha256::new();
        for part in [prepared.sms.to.as_str(), &prepared.sms.message] {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        let mut of_step = Sha256::new();
        of_step.update(message_id.len().to_le_bytes());
        of_step.update(message_id);
        of_step.update(step);
        let of_step: String = of_step.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let key = IdempotencyKey {
            key: format!("dialogue/{campaign}/{of_step}"),
            request_digest: digest.finalize().to_vec(),
            keep_s: KNOWN_FOR_S,
        };
        Self { key, prepared }
    }
}

/// Why a campaign's SMS can't be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CampaignSmsRefused {
    /// It would be refused again, and why. For the operator: it may name the account.
    #[error("{0}")]
    Never(String),
    /// It may go through later, and why.
    #[error("{0}")]
    Later(String),
}

/// Decides whether a campaign's SMS may be sent, as it is decided of a client's.
#[async_trait]
pub trait PrepareCampaignSms: fmt::Debug + Send + Sync {
    /// The SMS as it is to be kept. It has passed its chain of middleware, and nothing is kept yet.
    async fn prepare(&self, asked: CampaignSms) -> Result<PreparedSms, CampaignSmsRefused>;
}

/// Prepares campaigns' SMS; by default it refuses them all. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct CampaignSmsOffice(Option<Arc<dyn PrepareCampaignSms>>);

impl CampaignSmsOffice {
    /// One that asks this.
    pub fn new(prepares: impl PrepareCampaignSms + 'static) -> Self {
        Self(Some(Arc::new(prepares)))
    }

    /// Prepares an SMS by what the supervisor installed. Errors are those of [`PrepareCampaignSms::prepare`].
    pub async fn prepare(&self, asked: CampaignSms) -> Result<PreparedSms, CampaignSmsRefused> {
        match &self.0 {
            Some(prepares) => prepares.prepare(asked).await,
            None => Err(CampaignSmsRefused::Never("this process sends no SMS for campaigns".to_owned())),
        }
    }
}
