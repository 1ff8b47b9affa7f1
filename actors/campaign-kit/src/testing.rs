//! For tests of campaigns: a [`Phone`] that dials them, without network, database or clock.
//!
//! The phone runs each turn in the code that the running router uses; only the store is a map, and the time stands still.
//! Every state goes through JSON between two messages, as it does in the store.
//!
//! ```
//! use vumi_campaign_kit::{Campaign, Screen, Session};
//! use vumi_campaign_kit::testing::Phone;
//! use vumi_kit::kind::Problem;
//!
//! struct Age;
//!
//! impl Campaign for Age {
//!     const NAME: &'static str = "age";
//!     const EXAMPLE: &'static str = "";
//!     type Settings = serde_json::Map<String, serde_json::Value>;
//!     type State = ();
//!
//!     fn new(_: Self::Settings) -> Result<Self, Vec<Problem>> {
//!         Ok(Self)
//!     }
//!
//!     async fn answer(&self, _: &mut Session<()>, input: Option<&str>) -> Screen {
//!         match input.map(str::parse::<u8>) {
//!             Some(Ok(age)) => Screen::end(format!("{age} is a fine age.")),
//!             _ => Screen::ask("How old are you?"),
//!         }
//!     }
//! }
//!
//! let phone = Phone::new(Age).from("27831234567");
//! assert!(phone.dial("*120#").is_open());
//! assert_eq!(phone.send("forty"), "How old are you?");
//! assert_eq!(phone.send("40"), "40 is a fine age.");
//! ```

pub use crate::rehearsal::PhoneSms;

use std::{cell::RefCell, fmt, rc::Rc, time::Duration};

use tokio::runtime::Builder;

use crate::{
    Campaign, Screen,
    rehearsal::{PersonAct, Rehearsal, Rehearse},
};
use vumi_kit::{clock::Timestamp, message::UserMessage};

/// A person's phone: it dials a campaign, answers its screens and hangs up.
///
/// Its methods panic, which fails the test, where a screen would not fit a USSD phone, and where a campaign panics.
/// It brings a runtime of its own: use it in a plain `#[test]`, not in an async one.
pub struct Phone<C> {
    rehearsal: Rc<Rehearsal<C>>,
    msisdn: String,
    code: RefCell<String>,
    last: RefCell<Option<UserMessage>>,
}

impl<C: Campaign> Phone<C> {
    /// A phone on which everything that is dialled or written to leads to `campaign`.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that has no runtime, or no names, can't go on")]
    pub fn new(campaign: C) -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let now = Timestamp::from_seconds(1_275_000_000);
        let rehearsal = Rehearsal::with(campaign, now, runtime, false).expect("a rehearsal");
        Self::of(Rc::new(rehearsal), "27831234567")
    }

    fn of(rehearsal: Rc<Rehearsal<C>>, msisdn: &str) -> Self {
        Self { rehearsal, msisdn: msisdn.to_owned(), code: RefCell::default(), last: RefCell::default() }
    }

    /// This phone with another number.
    #[must_use]
    pub fn from(mut self, msisdn: &str) -> Self {
        msisdn.clone_into(&mut self.msisdn);
        self
    }

    /// Somebody else's phone: the campaign and everybody's answers are the same.
    #[must_use]
    pub fn another(&self, msisdn: &str) -> Self {
        Self::of(self.rehearsal.clone(), msisdn)
    }

    /// Dials a USSD code, and shows the campaign's first screen.
    #[track_caller]
    pub fn dial(&self, code: &str) -> PhoneScreen {
        self.dial_beyond(code, &[])
    }

    /// Dials beyond the code of the campaign's route: `*120*663*79*1*2#` is the route's code with 1 and 2 beyond it.
    #[track_caller]
    pub fn dial_beyond(&self, code: &str, beyond: &[&str]) -> PhoneScreen {
        code.clone_into(&mut self.code.borrow_mut());
        self.ussd(PersonAct::Dial(code, beyond))
    }

    /// Types an answer into the open USSD session, and shows the next screen.
    #[track_caller]
    pub fn send(&self, text: &str) -> PhoneScreen {
        self.ussd(PersonAct::Answer(&self.code.borrow(), text))
    }

    /// Hangs up.
    #[track_caller]
    pub fn hang_up(&self) {
        let answered = self.turn(&self.rehearsal.message(&self.msisdn, PersonAct::HangUp(&self.code.borrow())));
        assert!(answered.is_none(), "nobody is there any more to be shown {answered:?}");
    }

    /// Sends an SMS to a short code, and shows the SMS that answers it; [`PhoneScreen::is_silent`] if none does.
    #[track_caller]
    pub fn sms(&self, to: &str, text: &str) -> PhoneScreen {
        self.show(self.rehearsal.message(&self.msisdn, PersonAct::Write(to, text)))
    }

    /// Delivers the last message once more, and shows what the campaign answers.
    #[track_caller]
    pub fn repeat(&self) -> PhoneScreen {
        let last = self.last.borrow_mut().take();
        assert!(last.is_some(), "there is no message yet to be repeated");
        last.map_or_else(|| PhoneScreen(Screen::Silence), |message| self.show(message))
    }

    /// The SMS that this phone got or will get beside answers, the first first. Nobody checks them: accounts, rights and quotas
    /// are the running router's.
    #[must_use]
    pub fn sent_sms(&self) -> Vec<PhoneSms> {
        let sent = self.rehearsal.sent_sms();
        sent.into_iter().filter(|(to, _)| *to == self.msisdn).map(|(_, sms)| sms).collect()
    }

    /// Lets time pass, for all phones: sessions expire.
    pub fn wait(&self, time: Duration) {
        self.rehearsal.clock().advance(time);
    }

    /// Restarts the router with this instance of the campaign: only what is stored outlives the old one.
    pub fn restart(&self, campaign: C) {
        self.rehearsal.restart(campaign);
    }

    #[track_caller]
    fn ussd(&self, act: PersonAct<'_>) -> PhoneScreen {
        let shown = self.show(self.rehearsal.message(&self.msisdn, act));
        if let Err(wrong) = shown.0.fits_ussd() {
            assert!(shown.text().is_empty(), "a phone can't show this screen: {wrong}\n{shown}");
        }
        shown
    }

    #[track_caller]
    fn show(&self, message: UserMessage) -> PhoneScreen {
        let screen = self.turn(&message);
        self.last.replace(Some(message));
        PhoneScreen(screen.unwrap_or(Screen::Silence))
    }

    #[track_caller]
    fn turn(&self, message: &UserMessage) -> Option<Screen> {
        let turn = self.rehearsal.turn(message);
        assert!(turn.is_ok(), "no screen could be made: {turn:?}");
        turn.unwrap_or_default()
    }
}

/// What a phone shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneScreen(Screen);

impl PhoneScreen {
    /// The text; empty for no answer.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// Whether the campaign waits for an answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Whether the campaign answered nothing.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.0 == Screen::Silence
    }

    /// Whether the text has these words.
    #[must_use]
    pub fn contains(&self, words: &str) -> bool {
        self.text().contains(words)
    }
}

impl PartialEq<&str> for PhoneScreen {
    fn eq(&self, text: &&str) -> bool {
        self.text() == *text
    }
}

impl fmt::Display for PhoneScreen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests;
