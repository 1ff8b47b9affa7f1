//! Middleware: a file for each kind that changes, holds or refuses SMS on their way.
//!
//! The contract is `vumi_kit::middleware`. [`kinds`] lists the kinds; [`chains`] makes them from `[[middleware]]` of the
//! settings. Text matching is linear in the text (no backtracking), and each expression is compiled once.

mod kind;
mod kinds;
mod settings;
mod text_pattern;
mod window_count;

pub use kind::{MiddlewareContext, MiddlewareEntry};
pub use settings::{MiddlewareSettings, chains};

use kind::entry;

/// The kinds, by name.
#[must_use]
pub fn kinds() -> Vec<MiddlewareEntry> {
    vec![
        entry::<kinds::addresses::Addresses>(),
        entry::<kinds::block::Block>(),
        entry::<kinds::limit::Limit>(),
        entry::<kinds::loop_guard::LoopGuard>(),
        entry::<kinds::replace::Replace>(),
        entry::<kinds::tag::Tag>(),
        entry::<kinds::transliterate::Transliterate>(),
        entry::<kinds::webhook::AskingWebhook>(),
    ]
}

#[cfg(test)]
mod tests;
