//! What a client may ask of an SMS beside its text and addresses.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, esme::ReceiptRequest};

/// One for all SMS of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmsOptions {
    /// How urgent they are: of a transport's SMS those of a higher priority go first.
    pub priority: Priority,
    /// Not to be sent before.
    pub send_at: Option<Timestamp>,
    /// How long it may wait, from acceptance or from [`Self::send_at`]; at the most as long as the router tries.
    pub validity: Option<Duration>,
    /// The client's own name for it.
    pub reference: Option<String>,
    /// Where its events are posted, beside the account's callbacks.
    pub callback_url: Option<String>,
    /// The receipts that an ESME asks for; what an ESME submits has no [`Self::callback_url`].
    pub receipts: Option<ReceiptRequest>,
    /// What its text is.
    pub content: Content,
    /// Why it is kept and not sent until an operator releases it.
    pub held: Option<String>,
    /// What it is sent for.
    pub occasion: Occasion,
}

impl SmsOptions {
    /// Those of an SMS that asks for nothing and is held, and why.
    #[must_use]
    pub fn held(why: String) -> Arc<Self> {
        Arc::new(Self { held: Some(why), ..Self::default() })
    }

    /// None: what an SMS has that asks for nothing.
    #[must_use]
    pub fn none() -> Arc<Self> {
        static NONE: LazyLock<Arc<SmsOptions>> = LazyLock::new(Arc::default);
        NONE.clone()
    }
}

/// What an SMS is sent for: how far its person's consent and quiet hours hold it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Occasion {
    /// Nobody asked for it at this moment.
    #[default]
    Unasked,
    /// It answers what its person just did: quiet hours do not hold it back, consent does.
    Answer,
    /// It confirms that its person is out or in, or answers their call for help: nothing holds it back.
    ConsentAnswer,
}

/// Which SMS of a transport go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// What may wait: newsletters.
    Low,
    /// What asks for nothing.
    #[default]
    Normal,
    /// What somebody waits for: one-time passwords.
    High,
}

impl Priority {
    /// All of them, the last ones first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// As requests and settings spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// What the text of an SMS is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// A text that the phone keeps.
    #[default]
    Text,
    /// A text that the phone shows at once and does not keep.
    Flash,
    /// Octets, which the SMS's text names in hex.
    Binary {
        /// The user data header, in hex.
        udh: Option<String>,
    },
    /// Octets as an ESME handed them in, which the SMS's text names in hex: a part of a longer text, or what has a data
    /// coding of its own. One SMS, which goes out as it is.
    Raw {
        /// SMPP's `data_coding`. With 0 an octet holds a septet of the GSM alphabet (3GPP TS 23.038), whatever the ESME's own
        /// default is.
        data_coding: u8,
        /// SMPP's `protocol_id`.
        protocol_id: u8,
        /// The user data header, in hex.
        udh: Option<String>,
    },
}

impl Content {
    /// Whether it is a text that people read; else the SMS's text names octets in hex.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Flash)
    }
}
