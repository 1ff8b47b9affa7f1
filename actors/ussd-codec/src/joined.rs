//! The inputs of a session that an aggregator sends joined by `*`, all of them in each call.

/// What a call brings that its session did not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinedInput<'t> {
    /// The person's next input. It may hold a `*`: the person can type one.
    Next(&'t str),
    /// The call was made before.
    Repeated,
    /// A call before the last one: it comes late.
    Earlier,
}

/// What is new in the text of a call of an open session, by the text of the call before. Inputs are never taken apart at
/// `*`, so none is replayed and none that holds one is torn.
#[must_use]
pub fn new_input<'t>(before: &str, text: &'t str) -> JoinedInput<'t> {
    if text == before {
        return JoinedInput::Repeated;
    }
    if before.is_empty() {
        return JoinedInput::Next(text);
    }
    if let Some(rest) = text.strip_prefix(before).and_then(|rest| rest.strip_prefix('*')) {
        return JoinedInput::Next(rest);
    }
    if text.is_empty() || before.strip_prefix(text).is_some_and(|rest| rest.starts_with('*')) {
        return JoinedInput::Earlier;
    }
    // Some say joined and send the last input alone.
    JoinedInput::Next(text)
}

/// The inputs before and a further one, joined.
#[must_use]
pub fn with_input(before: &str, input: &str) -> String {
    if before.is_empty() { input.to_owned() } else { format!("{before}*{input}") }
}

/// What a person dialled behind a service's code: `1` and `2` of `*384*123*1*2#` for the service `*384*123#`. None where it
/// is another code.
#[must_use]
pub fn extra_steps(dialled: &str, code: &str) -> Option<Vec<String>> {
    let (dialled, code) = (dialled.strip_suffix('#')?, code.strip_suffix('#')?);
    let rest = dialled.strip_prefix(code)?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    Some(rest.strip_prefix('*')?.split('*').map(str::to_owned).collect())
}
