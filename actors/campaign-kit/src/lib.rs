//! Writing a campaign: a struct, its settings, and one method that turns what a person sent into a screen.
//!
//! [`WithCampaign::with_campaign`] makes a supervised component of it. The runtime around a campaign
//! - hands it the messages of one person strictly in order, those of different people at the same time;
//! - keeps where each person is ([`Session::state`]) in the store before the answer leaves, so that a restart
//!   or a crash in the midst of a dialogue goes unnoticed;
//! - knows a message that comes twice, and answers it with the same screen;
//! - survives a campaign that panics or takes too long: that one person is told so, the others notice nothing.
//!
//! A campaign lives on one thread, so its futures need not be `Send`. It is called from many dialogues at the same
//! time, so what it shares between them goes into a `Cell`; what must outlive a restart goes into the session.
//! Whoever needs all of actix implements [`vumi_kit::kind::Kind`] instead. `docs/campaigns.md` shows both, and
//! `testing::Phone` tests a campaign without network, database or clock.
//!

mod component;
mod dialogue;
mod person_queue;
mod screen;
mod session;
mod session_store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use component::{CampaignKind, WithCampaign};
#[cfg(any(test, feature = "testing"))]
pub(crate) use dialogue::{Dialogue, person};
pub use screen::{DoesNotFit, Screen, USSD_CHARACTERS};
pub use session::Session;
#[cfg(any(test, feature = "testing"))]
pub(crate) use session_store::{SessionStore, TurnError};

use vumi_kit::{kind::Problem, settings_schema::HumanDuration};

/// A service that answers people over USSD, SMS and whatever else carries text.
#[expect(async_fn_in_trait, reason = "a campaign lives on one arbiter: its futures are polled by one thread")]
pub trait Campaign: Sized + 'static {
    /// As `kind = "..."` names it.
    const NAME: &'static str;

    /// Settings as an operator would write them: TOML, without the table's header and `kind`.
    const EXAMPLE: &'static str;

    /// The keys of its table, without `kind`. Give it `#[serde(deny_unknown_fields)]`.
    type Settings: DeserializeOwned + JsonSchema;

    /// Where a person is in the dialogue, kept between messages as JSON. A dialogue begins with its default. Where
    /// what was kept can't be read any more (the campaign has changed), the person begins anew.
    type State: Serialize + DeserializeOwned + Default;

    /// Makes the campaign, or says what is wrong with its settings. Touches nothing outside: `vumi check` calls it.
    fn new(settings: Self::Settings) -> Result<Self, Vec<Problem>>;

    /// Answers a person. `said` is what the person sent, without surrounding space; `None` at the beginning of a
    /// dialogue: the person has just dialled, or a session was forgotten meanwhile. An SMS that begins a dialogue
    /// is a beginning too, and [`Session::opened_with`] has its text.
    async fn answer(&self, session: &mut Session<Self::State>, said: Option<&str>) -> Screen;

    /// The dialogue is over and not by a [`Screen::end`]: the person hung up, dialled anew, or the network timed
    /// out. A session that is merely forgotten (see [`Limits`]) ends without this.
    async fn ended(&self, session: &mut Session<Self::State>) {
        let _nothing_to_do = session;
    }

    /// How much it takes on at once, and how long it remembers.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// What a person is told, and with what the session is closed, when no answer could be made.
    fn sorry(&self) -> &str {
        "Sorry, something went wrong here. Please try again later."
    }
}

/// How much a campaign takes on at once, and how long it remembers. It can stand in a campaign's settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Messages in work or waiting for their turn, of all people; one more is refused.
    pub at_once: usize,
    /// Messages of one person that wait for the one in work; one more is refused.
    pub waiting_per_person: usize,
    /// How long an answer may take, what it asks the store included. USSD networks give up after 10 to 30 s.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub answer_within: Duration,
    /// When a USSD session is forgotten, from its last message: somewhat later than the transport forgets it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub forget_ussd_after: Duration,
    /// When a dialogue over SMS, or anything else without sessions of its own, is forgotten, from its last message.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub forget_sms_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            at_once: 10_000,
            waiting_per_person: 20,
            answer_within: Duration::from_secs(10),
            forget_ussd_after: Duration::from_secs(360),
            forget_sms_after: Duration::from_secs(24 * 3600),
        }
    }
}

impl Limits {
    /// What is wrong with them, under the key that campaigns give them.
    fn problems(&self) -> Vec<Problem> {
        let nothing_done = [
            ("limits.at_once", self.at_once == 0),
            ("limits.answer_within", self.answer_within.is_zero()),
            ("limits.forget_ussd_after", self.forget_ussd_after.is_zero()),
            ("limits.forget_sms_after", self.forget_sms_after.is_zero()),
        ];
        let zeros = nothing_done.into_iter().filter(|(_, zero)| *zero);
        zeros.map(|(key, _)| Problem::new(key, "it is 0, so nobody would be answered: expected more")).collect()
    }
}
