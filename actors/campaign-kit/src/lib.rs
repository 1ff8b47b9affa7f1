//! Writing a campaign: a struct, its settings, and one method that turns what a person sent into a screen.
//!
//! [`WithCampaign::with_campaign`] makes a supervised actor of it. The runtime around a campaign
//! - hands it the messages of one person strictly in order, those of different people at the same time;
//! - saves each person's state ([`Session::state`]) in the store before the answer leaves, so that a restart or a crash in
//!   the midst of a dialogue goes unnoticed;
//! - recognises a message that is delivered twice, and answers it with the same screen;
//! - survives a campaign that panics: that one person reads [`Campaign::sorry`], nobody else notices;
//! - answers a person for whom the campaign takes too long with [`Campaign::delayed`], and leaves the dialogue where it was.
//!
//! A campaign lives on one thread, so its futures need not be `Send`. It is called from many dialogues at the same
//! time, so what it shares between them goes into a `Cell`; what must outlive a restart goes into the session.
//! A campaign that needs all of actix implements [`vumi_kit::kind::Kind`] instead. `docs/campaigns.md` shows both, and
//! `testing::Phone` tests a campaign without network, database or clock.

mod component;
mod dialogue;
mod given_up;
#[cfg(any(test, feature = "rehearsal"))]
mod memory_sessions;
mod person_queue;
#[cfg(any(test, feature = "rehearsal"))]
pub mod rehearsal;
mod screen;
mod session;
mod session_store;
mod stored_dialogue;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use component::{CampaignKind, WithCampaign, start_campaign};
pub use screen::{DoesNotFit, Screen};
pub use session::Session;
pub use vumi_kit::{
    campaign_sms::{CampaignSender, CampaignSmsRefused},
    message::ScreenLimit,
};

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

    /// The state of a dialogue, stored between messages as JSON. A dialogue begins with its default. Where a stored state
    /// can't be read any more (the campaign has changed), the person's dialogue begins anew.
    type State: Serialize + DeserializeOwned + Default;

    /// Makes the campaign, or says what is wrong with its settings. Touches nothing outside: `vumi check` calls it.
    fn new(settings: Self::Settings) -> Result<Self, Vec<Problem>>;

    /// Answers a person. `input` is what the person sent, without surrounding space; `None` at the beginning of a dialogue:
    /// the person has just dialled, or the session has expired. An SMS that begins a dialogue is a beginning too, and
    /// [`Session::opened_with`] has its text.
    async fn answer(&self, session: &mut Session<Self::State>, input: Option<&str>) -> Screen;

    /// The dialogue is over and not by a [`Screen::end`]: the person hung up, dialled anew, or the network timed out. A
    /// session that expires (see [`Limits`]) ends without this.
    async fn ended(&self, session: &mut Session<Self::State>) {
        let _nothing_to_do = session;
    }

    /// A person whose dialogue was cut off begins anew: dials again, or comes by another transport (see
    /// [`Campaign::known_by`]). `session.state` is the dialogue's as it was. The screen is shown and the dialogue goes on from
    /// `session.state`: so set there what the next input answers. None: the dialogue begins with a default state, by
    /// [`Campaign::answer`]. What began it is there as at any beginning: [`Session::opened_with`],
    /// [`Session::dialled_inputs`]. How long states wait: [`Limits::keep`].
    async fn resume(&self, session: &mut Session<Self::State>) -> Option<Screen> {
        let _begins_anew = session;
        None
    }

    /// By what a person is known again.
    fn known_by(&self) -> KnownBy {
        KnownBy::Transport
    }

    /// As whom it sends SMS beside its answers ([`Session::send_sms`]); none: it sends none. From the settings of the campaign.
    fn sms_sender(&self) -> Option<&CampaignSender> {
        None
    }

    /// How many messages it takes at once, and when its sessions expire.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// The screen that a person reads for whom an answer takes longer than [`Limits::answer_within`]. The session stays open and
    /// the dialogue where it was, as if the person had not written.
    fn delayed(&self) -> &str {
        "Sorry, that took too long. Nothing is lost: please send your answer again."
    }

    /// What is wrong with it now, for an operator: the campaign shows as degraded. None while all is well.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// The last screen of a session whose turn failed.
    fn sorry(&self) -> &str {
        "Sorry, something went wrong here. Please try again later."
    }
}

/// By what a campaign knows a person again: whose dialogue goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KnownBy {
    /// The transport and the number: a dialogue by USSD and one by SMS are two.
    #[default]
    Transport,
    /// The number alone: what is begun by USSD can be finished by SMS ([`Campaign::resume`]). Who has no number is known by
    /// transport and address.
    Number,
}

/// How many messages a campaign takes at once, and when its sessions expire. It can be a part of a campaign's settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Messages in work or waiting, of all people together; one more is refused.
    pub at_once: usize,
    /// Messages of one person that wait for the one in work; one more is refused.
    pub waiting_per_person: usize,
    /// How long an answer may take, requests to the store included. USSD networks give up after 10 to 30 s.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub answer_within: Duration,
    /// When a USSD session expires, from its last message: somewhat later than the transport's session.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub forget_ussd_after: Duration,
    /// When a dialogue over SMS, or any other network without sessions, expires, from its last message.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub forget_sms_after: Duration,
    /// How long the state of a dialogue that was cut off waits for its person to go on, from the person's last message; longer than the two
    /// above to have any effect. Only for campaigns that let people go on.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub keep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            at_once: 10_000,
            waiting_per_person: 20,
            answer_within: Duration::from_secs(10),
            forget_ussd_after: Duration::from_secs(360),
            forget_sms_after: Duration::from_secs(24 * 3600),
            keep: Duration::ZERO,
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
