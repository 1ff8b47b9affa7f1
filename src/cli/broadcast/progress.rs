//! How far a broadcast is: a bar on a terminal, a sentence elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::text;

/// A bar on standard error, if that is a terminal.
pub(super) fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} lines, {per_sec}, {eta} left {msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// Shows a broadcast as the API does.
pub(super) fn show(bar: &ProgressBar, broadcast: &Value) {
    bar.set_length(number(broadcast, "lines"));
    bar.set_position(number(broadcast, "taken"));
    bar.set_message(text(broadcast, "why").to_owned());
}

/// How far it is, in words.
pub(super) fn sentence(broadcast: &Value) -> String {
    let [taken, accepted, refused] = ["taken", "accepted", "refused"].map(|key| number(broadcast, key));
    let lines = match number(broadcast, "lines") {
        0 => number(broadcast, "loaded"),
        lines => lines,
    };
    let (name, state, why) = (text(broadcast, "name"), text(broadcast, "state"), text(broadcast, "why"));
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!("{name} is {state}{why}; {taken} of {lines} lines taken, {accepted} became SMS, {refused} were refused")
}

fn number(broadcast: &Value, key: &str) -> u64 {
    broadcast.get(key).and_then(Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::sentence;

    #[test]
    fn a_sentence_says_how_far_it_is_and_why_it_waits() {
        let mut broadcast = json!({
            "name": "days", "state": "running", "lines": 10, "loaded": 10, "taken": 4, "accepted": 3, "refused": 1, "why": null,
        });
        assert_eq!(sentence(&broadcast), "days is running; 4 of 10 lines taken, 3 became SMS, 1 were refused");
        broadcast["state"] = json!("paused");
        broadcast["why"] = json!("there is no transport `x`");
        assert!(sentence(&broadcast).starts_with("days is paused: there is no transport `x`; 4 of 10"));
    }
}
