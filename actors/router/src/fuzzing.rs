//! For the fuzzer only (feature `fuzzing`, `fuzz/README.md`): how keywords are read.

/// A keyword of a route in the form that keywords are compared in.
#[must_use]
pub fn keyword(word: &str) -> String {
    vumi_kit::keyword::normalized(word)
}

/// What may be meant as the keyword of a text.
pub fn keyword_candidates(text: &str) -> impl Iterator<Item = String> {
    vumi_kit::keyword::candidates(text)
}
