//! The kinds of middleware.

pub(crate) mod addresses;
pub(crate) mod block;
pub(crate) mod limit;
pub(crate) mod loop_guard;
pub(crate) mod replace;
pub(crate) mod tag;
pub(crate) mod transliterate;
pub(crate) mod webhook;
