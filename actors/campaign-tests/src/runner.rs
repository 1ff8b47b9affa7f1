//! Holds the dialogues of a test file with a campaign.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use vumi_campaign_kit::{
    Screen,
    rehearsal::{PersonAct, Rehearse},
};
use vumi_kit::clock::Timestamp;

use crate::{
    observed::{Observed, SentSms},
    test_file::{TestAction, TestCase, TestFile},
};

/// The number of the phone of a step that names none.
pub(crate) const USUAL_MSISDN: &str = "27831234567";

/// What is written to where the person has dialled no code.
const USUAL_NUMBER: &str = "38080";

/// A campaign in rehearsal, as a test file needs it.
pub trait TestedCampaign {
    /// The rehearsal that takes the turns.
    fn rehearsal(&self) -> &dyn Rehearse;

    /// From now on a look-up fails; an error in words where the campaign has none of this name.
    fn fail_look_up(&self, name: &str) -> Result<(), String> {
        Err(format!("this campaign has no look-up `{name}` that a test could fail: `away` is for menus"))
    }

    /// What the clock tells in the campaign's time zone; UTC unless it has one.
    fn local(&self, at: Timestamp) -> NaiveDateTime {
        DateTime::<Utc>::from_timestamp_micros(at.micros()).unwrap_or_default().naive_utc()
    }
}

/// Makes the campaign of a test anew for each test.
pub trait CampaignFactory {
    /// A campaign of which nothing is kept, at this time in its time zone; an error in words where there is none.
    fn open(&self, now: NaiveDateTime) -> Result<Box<dyn TestedCampaign>, String>;
}

/// What became of a file's tests.
#[derive(Clone, Debug)]
pub struct FileOutcome {
    /// In the file's order.
    pub tests: Vec<TestOutcome>,
}

impl FileOutcome {
    /// How many tests differ.
    #[must_use]
    pub fn failed(&self, file: &TestFile) -> usize {
        file.tests.iter().zip(&self.tests).filter(|(test, outcome)| !outcome.passed(test)).count()
    }
}

/// What was seen after each step of a test.
#[derive(Clone, Debug)]
pub struct TestOutcome {
    /// One for each step; fewer where a step could not be taken.
    pub observed: Vec<Observed>,
}

impl TestOutcome {
    /// Whether everything was as expected.
    #[must_use]
    pub fn passed(&self, test: &TestCase) -> bool {
        let as_expected = |(step, seen): (&crate::test_file::TestStep, &Observed)| {
            seen.failure.is_none() && step.expectations.iter().all(|one| seen.is(&one.expected))
        };
        self.observed.len() == test.steps.len() && test.steps.iter().zip(&self.observed).all(as_expected)
    }
}

/// Holds every test's dialogue, each with a campaign of its own.
#[must_use]
pub fn run(file: &TestFile, campaigns: &dyn CampaignFactory) -> FileOutcome {
    FileOutcome { tests: file.tests.iter().map(|test| hold(test, file.now, campaigns)).collect() }
}

fn hold(test: &TestCase, now: NaiveDateTime, campaigns: &dyn CampaignFactory) -> TestOutcome {
    let campaign = match campaigns.open(now) {
        Ok(campaign) => campaign,
        Err(failure) => {
            return TestOutcome { observed: vec![Observed { failure: Some(failure), ..Observed::default() }] };
        }
    };
    let mut dialogue = TestDialogue { campaign: &*campaign, phones: BTreeMap::new(), sms_seen: 0 };
    let mut observed = Vec::with_capacity(test.steps.len());
    for step in &test.steps {
        let msisdn = step.from.as_deref().unwrap_or(USUAL_MSISDN);
        let seen = dialogue.take(msisdn, step.action.as_ref());
        let failed = seen.failure.is_some();
        observed.push(seen);
        if failed {
            break;
        }
    }
    TestOutcome { observed }
}

/// A test under way.
struct TestDialogue<'a> {
    campaign: &'a dyn TestedCampaign,
    phones: BTreeMap<String, TestPhone>,
    /// How many SMS of the campaign belong to steps before.
    sms_seen: usize,
}

/// Where a person's phone is.
#[derive(Clone, Default)]
struct TestPhone {
    /// The code of the open USSD session.
    session: Option<String>,
    /// Whether the person wrote last, and did not dial.
    writes: bool,
    screen: Option<Screen>,
}

impl TestDialogue<'_> {
    fn take(&mut self, msisdn: &str, action: Option<&TestAction>) -> Observed {
        let done = self.act(msisdn, action);
        Observed {
            failure: done.err(),
            screen: self.phones.get(msisdn).and_then(|phone| phone.screen.clone()),
            sms: self.new_sms(),
            kept: self.campaign.rehearsal().answers(msisdn),
        }
    }

    /// The SMS that the campaign sent since the last call, whoever gets them.
    fn new_sms(&mut self) -> Vec<SentSms> {
        let sent = self.campaign.rehearsal().sent_sms();
        let new = sent
            .iter()
            .skip(self.sms_seen)
            .map(|(_, sms)| SentSms { at: sms.at.map(|at| self.campaign.local(at)), text: sms.text.clone() });
        let new = new.collect();
        self.sms_seen = sent.len();
        new
    }

    fn act(&mut self, msisdn: &str, action: Option<&TestAction>) -> Result<(), String> {
        match action {
            None => Ok(()),
            Some(TestAction::Dial(code, beyond)) => self.dial(msisdn, code, beyond),
            Some(TestAction::Send(texts)) => texts.iter().try_for_each(|text| self.send(msisdn, text)),
            Some(TestAction::Write(texts)) => texts.iter().try_for_each(|text| self.write(msisdn, text)),
            Some(TestAction::HangUp) => self.hang_up(msisdn),
            Some(TestAction::Wait(time)) => {
                self.campaign.rehearsal().clock().advance(*time);
                Ok(())
            }
            Some(TestAction::Away(names)) => names.iter().try_for_each(|name| self.campaign.fail_look_up(name)),
        }
    }

    fn dial(&mut self, msisdn: &str, code: &str, beyond: &[String]) -> Result<(), String> {
        self.phones.entry(msisdn.to_owned()).or_default().writes = false;
        let beyond: Vec<&str> = beyond.iter().map(String::as_str).collect();
        self.show(msisdn, PersonAct::Dial(code, &beyond), Some(code))
    }

    fn send(&mut self, msisdn: &str, text: &str) -> Result<(), String> {
        let phone = self.phones.entry(msisdn.to_owned()).or_default();
        if phone.writes {
            return self.write(msisdn, text);
        }
        match phone.session.clone() {
            Some(code) => self.show(msisdn, PersonAct::Answer(&code, text), Some(&code)),
            None => Err(format!("`{text}` can't be sent: no session is open, so `dial` or `write` first")),
        }
    }

    fn write(&mut self, msisdn: &str, text: &str) -> Result<(), String> {
        self.phones.entry(msisdn.to_owned()).or_default().writes = true;
        self.show(msisdn, PersonAct::Write(USUAL_NUMBER, text), None)
    }

    fn hang_up(&mut self, msisdn: &str) -> Result<(), String> {
        let phone = self.phones.entry(msisdn.to_owned()).or_default();
        let Some(code) = phone.session.take() else {
            return Err("no session is open that could be hung up".to_owned());
        };
        phone.screen = None;
        self.campaign.rehearsal().act(msisdn, PersonAct::HangUp(&code)).map(|_| ()).map_err(|error| error.to_string())
    }

    /// Takes a turn, and keeps its screen; `session` is the code of the USSD session that it is in.
    fn show(&mut self, msisdn: &str, act: PersonAct<'_>, session: Option<&str>) -> Result<(), String> {
        let shown = self.campaign.rehearsal().act(msisdn, act).map_err(|error| error.to_string());
        let phone = self.phones.entry(msisdn.to_owned()).or_default();
        let screen = shown?.filter(|screen| *screen != Screen::Silence);
        if session.is_some() {
            let open = screen.as_ref().is_some_and(Screen::is_open);
            phone.session = session.filter(|_| open).map(str::to_owned);
        }
        let fits = screen.as_ref().filter(|_| session.is_some()).map_or(Ok(()), fits_ussd);
        phone.screen = screen;
        fits
    }
}

/// Whether a phone can show a screen in a USSD session.
fn fits_ussd(screen: &Screen) -> Result<(), String> {
    screen.fits_ussd().map_err(|wrong| format!("a phone can't show this screen: {wrong}\n{}", screen.text()))
}
