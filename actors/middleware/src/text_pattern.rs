//! Regular expressions of the settings: bounded, compiled once.

use regex::{Regex, RegexBuilder};
use vumi_kit::kind::Problem;

/// The most bytes of a compiled expression.
const MAX_COMPILED: usize = 1 << 20;

/// Compiles an expression; one that would take more than [`MAX_COMPILED`] is a problem of the key, as is a wrong one.
pub(crate) fn compiled(key: &str, pattern: &str) -> Result<Regex, Problem> {
    let built = RegexBuilder::new(pattern).size_limit(MAX_COMPILED).build();
    built.map_err(|wrong| Problem::new(key, format!("is no regular expression: {wrong}")))
}
