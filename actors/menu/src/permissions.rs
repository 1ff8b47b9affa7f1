//! What a menu may do and how large it may be: an operator's file may do more than what an account posts.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::collections::BTreeSet;

/// What a menu may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuPermissions {
    /// Which `{{secret.NAME}}` it may use.
    pub secrets: SecretNames,
    /// Whether `fetch` is allowed.
    pub fetch: bool,
    /// Whether `sms` is allowed.
    pub sms: bool,
    pub steps: usize,
    /// The longest file, in bytes.
    pub bytes: usize,
}

/// Which secrets a menu may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretNames {
    /// None: the menu is a client's.
    None,
    /// Any: nobody knows the settings here.
    Any,
    /// Those that the settings have.
    These(BTreeSet<String>),
}

impl Default for MenuPermissions {
    fn default() -> Self {
        Self { secrets: SecretNames::Any, fetch: true, sms: true, steps: 2_000, bytes: 1024 * 1024 }
    }
}

impl MenuPermissions {
    /// Of a menu that a client posts: no secrets, 500 steps, 256 KiB.
    #[must_use]
    pub fn of_a_client() -> Self {
        Self { secrets: SecretNames::None, steps: 500, bytes: 256 * 1024, ..Self::default() }
    }
}

/// The longest text, in characters.
pub(crate) const MAX_TEXT: usize = 2_000;
/// The most options that a question names.
pub(crate) const MAX_OPTIONS: usize = 200;
/// The most lines of a branch, names of a `set` or a `take`, header fields of a `fetch`.
pub(crate) const MAX_LINES: usize = 100;
/// Languages of a menu: each is a map of translations.
pub(crate) const MAX_LANGUAGES: usize = 30;
/// The longest name of a step or value, in characters.
pub(crate) const MAX_NAME: usize = 60;
/// The most problems that are shown of one file.
pub(crate) const MAX_PROBLEMS: usize = 100;
/// The most items of a list, nested ones included, that a `body` or an `example` has.
pub(crate) const MAX_JSON: usize = 2_000;
