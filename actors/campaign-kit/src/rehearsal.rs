//! A campaign without network and database, at a time that moves only when it is told to: what the phone of the tests, test
//! files and `vumi menu test` hold their dialogues with.
//!
//! Each turn runs in the code that the running router uses; only the store is a map. Every state goes through JSON between
//! two messages, as it does in the store.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    rc::Rc,
};

use futures_util::FutureExt;
use serde_json::Value;
use tokio::{
    runtime::{Builder, Runtime},
    task::LocalSet,
    time::timeout,
};

use crate::{
    Campaign, Screen,
    dialogue::{Dialogue, person},
    memory_sessions::MemorySessions,
    session_store::{SessionStore, TurnError},
};
use vumi_kit::{
    clock::{Clock, Timestamp},
    kind::{Problem, read_settings},
    message::{SessionEvent, TransportType, UserMessage},
    name::Name,
    sms::NewSms,
};

/// Why a turn of a rehearsal has no screen, in words for the campaign's author.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RehearsalError(String);

/// What a person does to a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonAct<'a> {
    /// Dials the code of the campaign's route, and these inputs beyond it: that begins a USSD session.
    Dial(&'a str, &'a [&'a str]),
    /// Types an answer into the open USSD session of this code.
    Answer(&'a str, &'a str),
    /// Hangs up the USSD session of this code.
    HangUp(&'a str),
    /// Writes an SMS: to this number, this text.
    Write(&'a str, &'a str),
}

/// A campaign in rehearsal, whatever its type. Numbers of people are MSISDNs without `+`.
pub trait Rehearse {
    /// Takes the turn that follows from what a person does. None: nothing is shown, as after hanging up.
    fn act(&self, msisdn: &str, act: PersonAct<'_>) -> Result<Option<Screen>, RehearsalError>;

    /// The campaign's clock, which stands still until it is advanced.
    fn clock(&self) -> &Clock;

    /// What is kept of a person beyond the session: question and answer.
    fn answers(&self, msisdn: &str) -> Vec<(String, String)>;

    /// The SMS that the campaign sent beside its screens, the first first, each with the number it goes to. Nobody checks
    /// them: accounts, rights and quotas are the running router's.
    fn sent_sms(&self) -> Vec<(String, PhoneSms)>;
}

/// An SMS that a campaign sent beside its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneSms {
    pub text: String,
    pub from: String,
    /// When it is to be sent; none: at once.
    pub at: Option<Timestamp>,
}

/// A campaign in rehearsal.
///
/// It brings a runtime of its own: use it outside of async code.
pub struct Rehearsal<C> {
    campaign: RefCell<Rc<C>>,
    pub(crate) memory: Rc<MemorySessions>,
    clock: Clock,
    runtime: Runtime,
    tasks: LocalSet,
    /// Whether a turn may take [`Limits::answer_within`](crate::Limits::answer_within) only.
    hurried: bool,
    pub(crate) messages: Cell<u64>,
    /// The ids of the people's last USSD sessions.
    pub(crate) session_ids: RefCell<BTreeMap<String, String>>,
    names: RehearsalNames,
}

/// A campaign in rehearsal by its settings, without `kind`, or what is wrong with them. Its clock stands at `now`.
pub fn rehearse<C: Campaign>(settings: &Value, now: Timestamp) -> Result<Box<dyn Rehearse>, Vec<Problem>> {
    let campaign = C::new(read_settings(settings).map_err(|problem| vec![problem])?)?;
    match Rehearsal::new(campaign, now) {
        Ok(rehearsal) => Ok(Box::new(rehearsal)),
        Err(error) => Err(vec![Problem::new("", error.to_string())]),
    }
}

/// What the parts of a rehearsal are called.
struct RehearsalNames {
    ussd: Name,
    sms: Name,
    campaign: Name,
}

impl<C: Campaign> Rehearsal<C> {
    /// Of a campaign to which all codes and numbers lead; its clock stands at `now`. A turn may take as long as the campaign's
    /// limits say, in real time. Fails where the machine gives no runtime.
    pub fn new(campaign: C, now: Timestamp) -> Result<Self, RehearsalError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| RehearsalError(format!("no runtime for the campaign: {error}")))?;
        Self::with(campaign, now, runtime, true)
    }

    /// On a given runtime; `hurried` turns may take only as long as the campaign's limits say.
    pub(crate) fn with(campaign: C, now: Timestamp, runtime: Runtime, hurried: bool) -> Result<Self, RehearsalError> {
        let name = |text: &str| Name::parse(text).map_err(|error| RehearsalError(error.to_string()));
        let clock = Clock::held(now);
        let memory = Rc::new(MemorySessions::new(clock.clone()));
        Ok(Self {
            campaign: RefCell::new(Rc::new(campaign)),
            memory,
            clock,
            runtime,
            tasks: LocalSet::new(),
            hurried,
            messages: Cell::new(0),
            session_ids: RefCell::default(),
            names: RehearsalNames { ussd: name("ussd")?, sms: name("sms")?, campaign: name("campaign")? },
        })
    }

    /// Goes on with another instance of the campaign, as after a restart: only what is stored outlives the old one.
    pub fn restart(&self, campaign: C) {
        self.campaign.replace(Rc::new(campaign));
    }

    /// The message that an act of a person becomes; each has an id of its own.
    pub(crate) fn message(&self, msisdn: &str, act: PersonAct<'_>) -> UserMessage {
        let (kind, to, event, text) = match act {
            PersonAct::Dial(code, _) => (TransportType::Ussd, code, Some(SessionEvent::New), None),
            PersonAct::Answer(code, text) => (TransportType::Ussd, code, Some(SessionEvent::Resume), Some(text)),
            PersonAct::HangUp(code) => (TransportType::Ussd, code, Some(SessionEvent::Close), None),
            PersonAct::Write(to, text) => (TransportType::Sms, to, None, Some(text)),
        };
        let transport = if kind == TransportType::Sms { &self.names.sms } else { &self.names.ussd };
        let number = self.messages.get() + 1;
        self.messages.set(number);
        let mut message = UserMessage::from_person(transport, kind, msisdn, to, self.clock.now());
        message.message_id = format!("{number:032x}");
        message.session_event = event;
        message.content = text.map(str::to_owned);
        if kind == TransportType::Ussd {
            let mut ids = self.session_ids.borrow_mut();
            if let PersonAct::Dial(_, beyond) = act {
                ids.insert(msisdn.to_owned(), format!("s{}", number - 1));
                message.dialled_inputs = beyond.iter().map(|input| (*input).to_owned()).collect();
            }
            message.set_session_id(ids.get(msisdn).map(String::as_str).unwrap_or_default());
        }
        message
    }

    /// Takes the turn of a message.
    pub(crate) fn turn(&self, message: &UserMessage) -> Result<Option<Screen>, RehearsalError> {
        let campaign = self.campaign.borrow().clone();
        let limits = campaign.limits();
        let sessions: Rc<dyn SessionStore> = self.memory.clone();
        let dialogue = Dialogue {
            campaign: &*campaign,
            name: &self.names.campaign,
            limits: &limits,
            sessions: &sessions,
            now: self.clock.now(),
            given_up: &[],
            last_message: RefCell::default(),
        };
        let person = person(campaign.known_by(), message);
        let turn = dialogue.turn(&person, message);
        let done = if self.hurried {
            // What a panic leaves half done belongs to this one session.
            let turn = AssertUnwindSafe(turn).catch_unwind();
            match self.tasks.block_on(&self.runtime, async { timeout(limits.answer_within, turn).await }) {
                Ok(Ok(done)) => done,
                Ok(Err(_panic)) => Err(TurnError::Panic),
                Err(_) => Err(TurnError::Timeout(limits.answer_within)),
            }
        } else {
            self.tasks.block_on(&self.runtime, turn)
        };
        done.map_err(|error| RehearsalError(error.to_string()))
    }
}

impl<C: Campaign> Rehearse for Rehearsal<C> {
    fn act(&self, msisdn: &str, act: PersonAct<'_>) -> Result<Option<Screen>, RehearsalError> {
        self.turn(&self.message(msisdn, act))
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn answers(&self, msisdn: &str) -> Vec<(String, String)> {
        self.memory.find_answers(&self.names.campaign, msisdn)
    }

    fn sent_sms(&self) -> Vec<(String, PhoneSms)> {
        let phone_sms = |sms: NewSms| {
            let at = sms.options.send_at;
            (sms.to.as_str().to_owned(), PhoneSms { text: sms.message, from: sms.from.to_string(), at })
        };
        self.memory.sent().into_iter().map(phone_sms).collect()
    }
}
