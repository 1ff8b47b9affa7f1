//! How USSD goes over SMPP: each gateway has a profile of its own.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vumi_kit::{
    kind::Problem,
    settings_schema::HumanDuration,
    text::{Encoding, measure},
};

use crate::ussd::{DialogueSettings, DialogueTexts};

/// The 7-bit characters of a screen.
pub(in crate::smpp) const SCREEN_SEPTETS: usize = 182;

/// USSD over the sessions of the transport.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::smpp) struct SmppUssdSettings {
    /// How the gateway knows a dialogue, and how one ends.
    pub(in crate::smpp) profile: UssdProfile,
    /// The service_type of screens, 5 characters at the most; empty where the gateway wants none. Default USSD
    #[serde(default = "default_service_type")]
    pub(in crate::smpp) service_type: String,
    /// Where the code stands that a person dialled. Default short_message
    #[serde(default)]
    pub(in crate::smpp) code_in: CodeIn,
    /// The ussd_service_op of the last screen, where it is not the profile's: such as 0x11 with `mica`.
    #[serde(default)]
    #[schemars(example = &0x11)]
    pub(in crate::smpp) end_op: Option<u8>,
    /// The data_coding of screens. Default sms
    #[serde(default)]
    pub(in crate::smpp) data_coding: ScreenCoding,
    /// How long a session stays open after the last message in it. Default 300s
    #[serde(default = "default_lifetime", with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub(in crate::smpp) lifetime: Duration,
    /// Sessions open at once; further people are asked to try again later. Default 100000
    #[serde(default = "default_max_sessions")]
    pub(in crate::smpp) max_sessions: usize,
    /// Messages on their way to the router at once; more are put off with 0x64. Default 2000
    #[serde(default = "default_window")]
    pub(in crate::smpp) window: usize,
    /// Replies that may wait for the connection or to be answered. Default 10000
    #[serde(default = "default_queue")]
    pub(in crate::smpp) queue: usize,
    /// Screens that one reply may fill; a longer one is refused. Default 9
    #[serde(default = "default_max_pages")]
    pub(in crate::smpp) max_pages: usize,
    /// What people read where no campaign answers.
    #[serde(default)]
    pub(in crate::smpp) texts: DialogueTexts,
}

/// A gateway's way with dialogues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::smpp) enum UssdProfile {
    /// By the book: the dialogue is the first octet of its_session_info.
    Spec,
    /// Tata: 15 bits of its_session_info; the last bit ends it.
    Tata,
    /// 6D: as `tata`, and op 0x17 ends it.
    #[serde(rename = "6d")]
    SixD,
    /// Mica: the dialogue is user_message_reference; op 0x17 ends it.
    Mica,
    /// The gateway names no dialogue (Huawei): it is the person's number.
    None,
}

/// A field of the message that begins a dialogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::smpp) enum CodeIn {
    #[default]
    ShortMessage,
    DestinationAddr,
}

/// How screens name their alphabet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::smpp) enum ScreenCoding {
    /// As SMS do: `sms.data_coding` in `sms.alphabet`, and 8.
    #[default]
    Sms,
    /// As cell broadcast does: 0x0F and 0x48.
    Cbs,
}

fn default_service_type() -> String {
    "USSD".to_owned()
}

const fn default_lifetime() -> Duration {
    Duration::from_secs(300)
}

const fn default_max_sessions() -> usize {
    100_000
}

const fn default_window() -> usize {
    2_000
}

const fn default_queue() -> usize {
    10_000
}

const fn default_max_pages() -> usize {
    9
}

impl SmppUssdSettings {
    /// How dialogues are held.
    pub(in crate::smpp) fn dialogues(&self) -> DialogueSettings {
        DialogueSettings {
            lifetime: self.lifetime,
            max_sessions: self.max_sessions,
            window: self.window,
            queue: self.queue,
            max_pages: self.max_pages,
            texts: self.texts.clone(),
        }
    }

    /// What is wrong with them.
    pub(in crate::smpp) fn check(&self) -> Vec<Problem> {
        let mut problems = self.dialogues().check();
        let text = |byte: u8| (0x20..0x7f).contains(&byte);
        if self.service_type.len() > 5 || !self.service_type.bytes().all(text) {
            problems.push(Problem::new("service_type", "expected 5 characters of ASCII at the most"));
        }
        let fits = |text: &str, most: usize| {
            let measured = measure(text);
            measured.encoding == Encoding::Gsm7 && measured.units <= most
        };
        problems.extend(self.texts.check(fits, SCREEN_SEPTETS, "the GSM alphabet"));
        problems.into_iter().map(|problem| Problem::new(format!("ussd.{}", problem.key), problem.what)).collect()
    }
}

/// Without the table nothing is held.
pub(in crate::smpp) fn no_dialogues() -> DialogueSettings {
    DialogueSettings {
        lifetime: default_lifetime(),
        max_sessions: 1,
        window: default_window(),
        queue: default_queue(),
        max_pages: default_max_pages(),
        texts: DialogueTexts::default(),
    }
}
