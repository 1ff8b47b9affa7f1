//! What a client may ask of an SMS beside its text and addresses.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

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
    /// What its text is.
    pub content: Content,
    /// Why it is kept and not sent until an operator releases it.
    pub held: Option<String>,
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
}
