//! Conversations: menus that accounts post, kept in the store with their versions.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::{
    collections::HashMap,
    fmt,
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
};

use serde::Serialize;

use crate::{
    account::AccountId,
    address::UssdCode,
    clock::Timestamp,
    name::Name,
    request::{Operation, Reads, Writes},
};

/// The most bytes of a conversation's text.
pub const MOST_CONVERSATION_BYTES: usize = 64 * 1024;

/// The most conversations of an account.
pub const MOST_CONVERSATIONS: usize = 100;

/// The versions of a conversation that are kept, the present one included.
pub const KEPT_VERSIONS: i64 = 20;

/// The longest keyword, in characters.
const LONGEST_KEYWORD: usize = 20;

/// Where people reach a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConversationCode {
    Ussd(UssdCode),
    /// The number that they write to, in digits.
    ShortCode(String),
    /// The first word of what they write, in upper case.
    Keyword(String),
}

/// Why a text is no [`ConversationCode`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is neither a USSD code (*120*663*81#) nor a short code (38080) nor a keyword of one word (WATER)")]
pub struct NotAConversationCode;

impl FromStr for ConversationCode {
    type Err = NotAConversationCode;

    fn from_str(text: &str) -> Result<Self, NotAConversationCode> {
        let text = text.trim();
        if text.starts_with(['*', '#']) {
            return UssdCode::parse(text).map(Self::Ussd).map_err(|_| NotAConversationCode);
        }
        let digits = text.strip_prefix('+').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            return if (2..=15).contains(&digits.len()) {
                Ok(Self::ShortCode(digits.to_owned()))
            } else {
                Err(NotAConversationCode)
            };
        }
        let is_word =
            !text.is_empty() && text.chars().count() <= LONGEST_KEYWORD && text.chars().all(char::is_alphanumeric);
        if is_word { Ok(Self::Keyword(text.to_uppercase())) } else { Err(NotAConversationCode) }
    }
}

impl fmt::Display for ConversationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ussd(code) => code.fmt(f),
            Self::ShortCode(text) | Self::Keyword(text) => f.write_str(text),
        }
    }
}

/// The codes that an account may use for its conversations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccountCodes {
    /// Nothing was said: none, and any for the sandbox's account.
    #[default]
    Unsaid,
    Any,
    Only(Vec<ConversationCode>),
}

impl AccountCodes {
    /// Whether an account may use a code; `sandbox`: it is the sandbox's.
    #[must_use]
    pub fn allow(&self, code: &ConversationCode, sandbox: bool) -> bool {
        match self {
            Self::Unsaid => sandbox,
            Self::Any => true,
            Self::Only(codes) => codes.contains(code),
        }
    }
}

impl FromStr for AccountCodes {
    type Err = NotAConversationCode;

    /// As [`fmt::Display`] writes it.
    fn from_str(text: &str) -> Result<Self, NotAConversationCode> {
        match text {
            "" => Ok(Self::Unsaid),
            "any" => Ok(Self::Any),
            "none" => Ok(Self::Only(Vec::new())),
            lines => lines.lines().map(str::parse).collect::<Result<_, _>>().map(Self::Only),
        }
    }
}

impl fmt::Display for AccountCodes {
    /// `any`, `none`, or a code a line; empty where nothing was said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsaid => Ok(()),
            Self::Any => f.write_str("any"),
            Self::Only(codes) if codes.is_empty() => f.write_str("none"),
            Self::Only(codes) => {
                let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
                f.write_str(&codes.join("\n"))
            }
        }
    }
}

/// A conversation, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub id: i64,
    pub account: AccountId,
    /// The name that the account gave it.
    pub name: Name,
    /// Of its text, counted from 1: new dialogues begin with it.
    pub version: i64,
    pub ussd: Option<ConversationCode>,
    /// What people write to, or begin with.
    pub sms: Option<ConversationCode>,
    /// When its first version was posted.
    pub created_at: Timestamp,
    /// When its present version was.
    pub updated_at: Timestamp,
}

/// Keeps a conversation: a new one, or another version of the one that the account has under this name.
#[derive(Clone, Debug)]
pub struct PutConversation {
    pub account: AccountId,
    /// None: `conversation-<id>`, a new one.
    pub name: Option<Name>,
    /// What people dial; none: what its version before had.
    pub ussd: Option<ConversationCode>,
    /// What people write to; none: what its version before had.
    pub sms: Option<ConversationCode>,
    /// Its text, of [`MOST_CONVERSATION_BYTES`] at the most.
    pub text: String,
    /// Only another version: no new conversation.
    pub replace: bool,
}
impl Operation for PutConversation {
    type Access = Writes;
    type Answer = KeptConversation;
}

/// What came of [`PutConversation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptConversation {
    /// It is kept; whether it is a new one.
    Kept(Conversation, bool),
    /// Another conversation has this code: nothing was kept.
    CodeTaken(ConversationCode),
    /// The account has [`MOST_CONVERSATIONS`]: nothing was kept.
    TooMany,
    /// It was to be replaced, and there is none of this name.
    NotFound,
}

/// The conversations of an account by name; of all accounts by number.
#[derive(Clone, Debug)]
pub struct ListConversations {
    /// The account whose conversations are listed; none: all accounts'.
    pub account: Option<AccountId>,
}
impl Operation for ListConversations {
    type Access = Reads;
    type Answer = Vec<Conversation>;
}

/// Finds a conversation with its present text.
#[derive(Clone, Debug)]
pub struct FindConversation {
    pub account: AccountId,
    pub name: Name,
}
impl Operation for FindConversation {
    type Access = Reads;
    type Answer = Option<(Conversation, String)>;
}

/// Finds the text of a version, while the conversation is there and the version is kept.
#[derive(Clone, Debug)]
pub struct FindConversationVersion {
    pub id: i64,
    pub version: i64,
}
impl Operation for FindConversationVersion {
    type Access = Reads;
    type Answer = Option<String>;
}

/// Removes a conversation with all its versions. Answers whether there was one.
#[derive(Clone, Debug)]
pub struct DeleteConversation {
    pub account: AccountId,
    pub name: Name,
}
impl Operation for DeleteConversation {
    type Access = Writes;
    type Answer = bool;
}

/// Something wrong in a conversation's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConversationProblem {
    /// The line, counted from 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// What is wrong, and what was expected.
    pub detail: String,
}

/// What is wrong with a text, and which campaign a code leads to already.
type TextCheck = dyn Fn(&str) -> Vec<ConversationProblem> + Send + Sync;
type RouteLookup = dyn Fn(&ConversationCode) -> Option<Name> + Send + Sync;

/// What a conversation is checked against before it is kept. By default any text is good and no code is taken.
#[derive(Clone, Default)]
pub struct ConversationRules {
    check: Option<Arc<TextCheck>>,
    routes: Option<Arc<RouteLookup>>,
}

impl ConversationRules {
    /// Rules of the crate that runs conversations, and of the settings' routes.
    pub fn new(
        check: impl Fn(&str) -> Vec<ConversationProblem> + Send + Sync + 'static,
        routes: impl Fn(&ConversationCode) -> Option<Name> + Send + Sync + 'static,
    ) -> Self {
        Self { check: Some(Arc::new(check)), routes: Some(Arc::new(routes)) }
    }

    /// What is wrong with a text. It may take a while: call it on a thread that may block.
    #[must_use]
    pub fn problems(&self, text: &str) -> Vec<ConversationProblem> {
        self.check.as_ref().map_or_else(Vec::new, |check| check(text))
    }

    /// The campaign that the settings lead exactly this code to.
    #[must_use]
    pub fn route_of(&self, code: &ConversationCode) -> Option<Name> {
        self.routes.as_ref().and_then(|routes| routes(code))
    }
}

impl fmt::Debug for ConversationRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConversationRules")
    }
}

/// Where the codes of conversations lead: each to the account whose conversation it is.
#[derive(Clone, Debug, Default)]
pub struct PostedTable {
    ussd: HashMap<String, String>,
    /// Short codes, and keywords in upper case: no short code is a keyword.
    sms: HashMap<String, String>,
}

impl PostedTable {
    /// Adds a code of an account's conversation.
    pub fn insert(&mut self, code: &ConversationCode, account: &str) {
        let codes = if let ConversationCode::Ussd(_) = code { &mut self.ussd } else { &mut self.sms };
        codes.insert(code.to_string(), account.to_owned());
    }
}

/// The codes of the present conversations, as the router knows them. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct PostedRoutes(Arc<RwLock<Arc<PostedTable>>>);

impl PostedRoutes {
    /// Replaces all of them.
    pub fn set(&self, table: PostedTable) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    fn table(&self) -> Arc<PostedTable> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a conversation has this USSD code.
    #[must_use]
    pub fn has_ussd(&self, code: &str) -> bool {
        let table = self.table();
        !table.ussd.is_empty() && table.ussd.contains_key(code)
    }

    /// The account of the conversation with this short code, or keyword in upper case.
    #[must_use]
    pub fn sms_account(&self, code: &str) -> Option<String> {
        self.table().sms.get(code).cloned()
    }
}

/// Counts the changes of conversations so far: another number says that what is remembered of them may be wrong.
#[derive(Clone, Debug)]
pub struct CountConversationChanges;
impl Operation for CountConversationChanges {
    type Access = Reads;
    type Answer = i64;
}

#[cfg(test)]
mod tests {
    use super::{AccountCodes, ConversationCode};

    #[test]
    fn a_code_is_dialled_written_to_or_begins_an_sms() {
        for (text, written) in [
            ("*120*663*81#", Some("*120*663*81#")),
            ("*120*663*81", Some("*120*663*81#")),
            (" 38080 ", Some("38080")),
            ("+38080", Some("38080")),
            ("water", Some("WATER")),
            ("maji2", Some("MAJI2")),
            ("", None),
            ("*#", None),
            ("1", None),
            ("two words", None),
            ("WATER!", None),
            ("a-very-long-keyword-indeed", None),
        ] {
            let read: Option<ConversationCode> = text.parse().ok();
            assert_eq!(read.map(|code| code.to_string()).as_deref(), written, "{text}");
        }
    }

    #[test]
    fn an_account_may_use_what_it_was_granted_and_the_sandboxes_any_until_something_is_said() {
        let code = |text: &str| text.parse::<ConversationCode>().unwrap();
        let codes = |text: &str| text.parse::<AccountCodes>().unwrap();
        for (said, sandbox, allowed) in [
            ("", false, false),
            ("", true, true),
            ("any", false, true),
            ("none", true, false),
            ("38080\nWATER", false, true),
            ("38080", false, false),
        ] {
            assert_eq!(codes(said).allow(&code("Water"), sandbox), allowed, "{said} {sandbox}");
            assert_eq!(codes(said).to_string(), said);
        }
    }
}
