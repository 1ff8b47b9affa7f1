//! A menu as it was read: every step, text and expression with its place.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use chrono_tz::Tz;
use serde_json::Value;
use url::Url;
use vumi_kit::{address::CountryCode, mustache::MustacheTemplate};

use crate::{
    answer_format::AnswerFormat,
    condition::Condition,
    schedule::SmsTime,
    source::{MenuSource, Placed, SourcePlace},
    variables::VariableType,
};

/// A menu that was read without a problem: its links lead to steps, its names are known.
#[derive(Clone, Debug)]
pub struct Menu {
    pub source: MenuSource,
    /// Of the text: 16 hex digits. Another text has another version.
    pub version: String,
    /// Which of the two forms it has.
    pub form: MenuForm,
    /// `name`, or the file's name without its ending.
    pub name: String,
    /// The first is the one that the file is written in.
    pub languages: Vec<MenuLanguage>,
    /// Where `phone` answers are from that begin with 0.
    pub country: Option<CountryCode>,
    /// Where its days begin and its times of day are.
    pub timezone: Tz,
    /// The index of the first step.
    pub start: usize,
    /// What happens where a person comes back who was cut off.
    pub resume: ResumePolicy,
    /// How long after a drop a person can go on.
    pub keep: Duration,
    /// The most characters of a screen; `None` for those of the network.
    pub screen: Option<usize>,
    /// What people press beside their answers.
    pub keys: MenuKeys,
    /// In their order, at least one.
    pub steps: Vec<MenuStep>,
    /// Texts in other languages.
    pub translations: Vec<MenuTranslation>,
    /// The values that texts and conditions may name, with what is known of them.
    pub variables: BTreeMap<String, VariableType>,
}

impl Menu {
    /// The index of the step of a name.
    #[must_use]
    pub fn step_index(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.name.value == name)
    }

    /// A text in a language; in the source language where it has no translation.
    #[must_use]
    pub fn text<'m>(&'m self, text: &'m MenuText, language: &str) -> &'m MenuText {
        self.translation(&text.written, language).unwrap_or(text)
    }

    /// The translation of a source text into a language, if there is one.
    #[must_use]
    pub fn translation(&self, written: &str, language: &str) -> Option<&MenuText> {
        self.translations.iter().find(|of| of.language.value == language)?.texts.get(written)
    }
}

/// The forms of a menu's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MenuForm {
    /// A bare list of 2010: steps without names, options shown as `1: a`, answers kept under the question's words.
    List,
    /// A map with named steps.
    Steps,
}

impl MenuForm {
    /// What stands between an option's number and its text.
    #[must_use]
    pub const fn after_number(self) -> &'static str {
        match self {
            Self::List => ": ",
            Self::Steps => ". ",
        }
    }
}

/// A language of a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuLanguage {
    /// As ISO 639 has it: `zu`, `pt-BR`.
    pub code: Placed<String>,
    /// What its speakers call it, in letters that a USSD screen has where the menu does not say otherwise.
    pub name: String,
}

/// What happens where a person comes back who was cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResumePolicy {
    /// The person is asked whether to go on.
    #[default]
    Ask,
    /// The last question is shown again.
    Continue,
    /// The menu begins anew.
    Restart,
}

/// The keys that people press beside their answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuKeys {
    pub more: String,
    /// The page or question before.
    pub back: String,
    pub home: String,
}

impl Default for MenuKeys {
    fn default() -> Self {
        Self { more: "98".to_owned(), back: "0".to_owned(), home: "00".to_owned() }
    }
}

/// The texts of one language.
#[derive(Clone, Debug)]
pub struct MenuTranslation {
    /// One of the menu's languages.
    pub language: Placed<String>,
    /// By the source text.
    pub texts: HashMap<String, MenuText>,
    /// The source texts, as they are written here.
    pub sources: Vec<Placed<String>>,
}

/// A text that people read.
#[derive(Clone, Debug)]
pub struct MenuText {
    /// As it is written, without space around it.
    pub written: String,
    pub place: SourcePlace,
    /// The names of its variables, in the order of the template's.
    pub names: Vec<String>,
    /// How it is rendered.
    pub template: MustacheTemplate<'static>,
}

impl PartialEq for MenuText {
    fn eq(&self, other: &Self) -> bool {
        (&self.written, self.place) == (&other.written, other.place)
    }
}

/// Where a step leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepLink {
    /// The index of the step.
    pub to: usize,
    /// Where it is written.
    pub place: SourcePlace,
}

/// A step of a menu.
#[derive(Clone, Debug, PartialEq)]
pub struct MenuStep {
    /// An answer is known by it. In a list it is `step_1`, ..., or what `save_as` says.
    pub name: Placed<String>,
    /// Under which question its answer is kept: the step's name; in a list `save_as` or the question's words.
    pub kept_as: String,
    pub action: StepAction,
    /// What comes after it where nothing else says so; the step below it if this is `None`.
    pub next: Option<StepLink>,
    /// Whether its screen shows the line of the `back` key.
    pub shows_back: bool,
    /// Its answer is neither logged nor kept beyond the dialogue.
    pub private: bool,
    /// Its answer may be dialled: `*120*663*80*1#`.
    pub shortcut: bool,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum StepAction {
    Question(QuestionStep),
    /// Shows a text; any key goes on.
    Show(MenuText),
    /// Goes where the first condition that holds leads.
    Branch(BranchStep),
    /// Sets values, in order.
    Set(Vec<(Placed<String>, SetValue)>),
    Fetch(Box<FetchStep>),
    /// Sends the person an SMS.
    Sms(SmsStep),
    End(EndStep),
}

impl StepAction {
    /// The key by which the step is known.
    #[must_use]
    pub const fn head(&self) -> &'static str {
        match self {
            Self::Question(_) => "question",
            Self::Show(_) => "show",
            Self::Branch(_) => "branch",
            Self::Set(_) => "set",
            Self::Fetch(_) => "fetch",
            Self::Sms(_) => "sms",
            Self::End(_) => "end",
        }
    }
}

/// A step that asks.
#[derive(Clone, Debug, PartialEq)]
pub struct QuestionStep {
    pub text: MenuText,
    /// What may be answered.
    pub answers: QuestionAnswers,
    /// Shown after an answer that is none; `None` for the menu's own words.
    pub wrong: Option<MenuText>,
    /// How many wrong answers in succession are taken, from 1.
    pub tries: u32,
    /// Where it goes after that; `None` ends the dialogue.
    pub otherwise: Option<StepLink>,
}

/// What may be answered to a question.
#[derive(Clone, Debug, PartialEq)]
pub enum QuestionAnswers {
    /// One of these, by number or words.
    Options(Vec<MenuOption>),
    /// One of the menu's languages, which the dialogue has from then on.
    Languages,
    /// One of a list that was fetched.
    ListOf {
        list: Placed<String>,
        /// A line of an item; its variables are the item's fields.
        show: MenuText,
    },
    Typed(Placed<AnswerFormat>),
}

/// One answer of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct MenuOption {
    pub text: MenuText,
    /// What is kept; the source text where it is `None`.
    pub value: Option<String>,
    /// Where it leads; the step's own way where it is `None`.
    pub next: Option<StepLink>,
    /// It is shown only where this holds.
    pub when: Option<Placed<Condition>>,
}

impl MenuOption {
    /// What is kept of it.
    #[must_use]
    pub fn kept(&self) -> &str {
        self.value.as_deref().unwrap_or(&self.text.written)
    }
}

/// A step that goes where the answers lead.
#[derive(Clone, Debug, PartialEq)]
pub struct BranchStep {
    pub lines: Vec<BranchLine>,
    /// Where it goes if none holds.
    pub otherwise: StepLink,
}

/// A line of a branch.
#[derive(Clone, Debug, PartialEq)]
pub struct BranchLine {
    /// When it is taken.
    pub condition: Placed<Condition>,
    pub link: StepLink,
}

/// What a name is set to.
#[derive(Clone, Debug, PartialEq)]
pub enum SetValue {
    Number(f64),
    /// The value of another name, as it is.
    Copy(Placed<String>),
    Text(MenuText),
}

/// A step that asks a service over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchStep {
    /// The URL, where values are percent-encoded. Its host is fixed.
    pub url: MenuText,
    /// The part of the URL that no value changes.
    pub origin: Url,
    /// How it is asked.
    pub method: FetchMethod,
    /// What is sent as JSON.
    pub body: Option<FetchBody>,
    pub headers: Vec<(Placed<String>, MenuText)>,
    /// How long it may take.
    pub within: Duration,
    /// What is taken from the answer: a name, and a JSON Pointer.
    pub take: Vec<(Placed<String>, Placed<String>)>,
    /// A sample of the answer.
    pub example: Option<Value>,
    /// Where it goes if there is no answer.
    pub otherwise: StepLink,
}

/// The methods of a fetch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FetchMethod {
    #[default]
    Get,
    Post,
    Put,
}

/// JSON whose texts have variables.
#[derive(Clone, Debug, PartialEq)]
pub enum FetchBody {
    /// Null, a number or a truth value.
    Fixed(Value),
    /// The value of a name, as it is: a number stays one.
    Copy(Placed<String>),
    Text(MenuText),
    List(Vec<FetchBody>),
    /// A map, in its order.
    Map(Vec<(String, FetchBody)>),
}

/// A step that sends an SMS.
#[derive(Clone, Debug, PartialEq)]
pub struct SmsStep {
    pub text: MenuText,
    pub time: Placed<SmsTime>,
    /// The sender; the campaign's own where it is `None`.
    pub from: Option<Placed<String>>,
    /// It is not sent where this holds at the step.
    pub unless: Option<Placed<Condition>>,
}

/// Shows a last screen and closes the session.
#[derive(Clone, Debug, PartialEq)]
pub struct EndStep {
    pub text: MenuText,
    /// Whether the person's answers are deleted.
    pub forget: bool,
}
