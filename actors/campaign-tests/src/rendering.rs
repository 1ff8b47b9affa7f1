//! Writes texts as YAML.

use crate::test_file::{Expected, LaterSms};

/// The longest text that is written without quotes or in one line.
const LONG: usize = 100;

/// An expectation's value: what stands after `key:`, with the space before it. `indent` is the key's column, from 0; in `flow`
/// everything is one line.
pub(crate) fn value(expected: &Expected, indent: usize, flow: bool) -> String {
    match expected {
        Expected::See(text) | Expected::SeePart(text) | Expected::End(text) => screen(text, indent, flow),
        Expected::Sms(texts) => list(texts.iter().map(|text| quoted(text)), indent, flow),
        Expected::Later(later) => {
            let item = |(at, text): &LaterSms| {
                let at = at.format("%Y-%m-%d %H:%M");
                text.as_ref().map_or_else(|| at.to_string(), |text| format!("{{\"{at}\": {}}}", quoted(text)))
            };
            list(later.iter().map(item), indent, flow)
        }
        Expected::Kept(kept) => {
            let entries: Vec<String> =
                kept.iter().map(|(name, answer)| format!("{}: {}", scalar(name, true), scalar(answer, true))).collect();
            format!(" {{{}}}", entries.join(", "))
        }
    }
}

/// Items in brackets; a line each where they are long.
fn list(items: impl Iterator<Item = String>, indent: usize, flow: bool) -> String {
    let items: Vec<String> = items.collect();
    let one_line = format!(" [{}]", items.join(", "));
    if flow || items.is_empty() || one_line.chars().count() <= LONG {
        return one_line;
    }
    let indent = " ".repeat(indent + 2);
    items.iter().map(|item| format!("\n{indent}- {item}")).collect()
}

/// A screen: a block where it has lines.
fn screen(text: &str, indent: usize, flow: bool) -> String {
    let begins_with_space = text.starts_with([' ', '\t', '\n']);
    let is_block = text.contains('\n') && !flow && !begins_with_space && text.chars().all(is_plain);
    if !is_block {
        return format!(" {}", scalar(text, flow));
    }
    let indent = " ".repeat(indent + 2);
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("\n{indent}{line}") };
    format!(" |{}", text.split('\n').map(line).collect::<String>())
}

/// A character that stands for itself in a block.
fn is_plain(c: char) -> bool {
    c == '\n'
        || !(c.is_control() || ('\u{80}'..='\u{9f}').contains(&c) || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
}

/// A text in one line, in quotes where YAML would read something else.
pub(crate) fn scalar(text: &str, flow: bool) -> String {
    let first = text.chars().next().is_some_and(char::is_alphanumeric);
    let last = text.chars().next_back().is_some_and(|c| !c.is_whitespace() && c != ':');
    let inside = text.chars().all(|c| is_plain(c) && c != '\n' && !(flow && "[]{},".contains(c)));
    let read_otherwise = text.contains(": ") || text.contains(" #") || is_another_type(text);
    if first && last && inside && !read_otherwise && text.chars().count() <= LONG {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Whether other programs than this one would read a word as something else than a text.
fn is_another_type(text: &str) -> bool {
    let number = text.starts_with('0') && text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_digit());
    let word = text.to_ascii_lowercase();
    number || ["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&word.as_str())
}

/// A text in double quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_plain(c) => quoted.push(c),
            c => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Expected, scalar, value};
    use crate::yaml::read;

    #[test]
    fn a_text_is_quoted_where_yaml_would_read_something_else() {
        for (text, written) in [
            ("Durban", "Durban"),
            ("25/9/2026", "25/9/2026"),
            ("*120#", "\"*120#\""),
            ("a: b", "\"a: b\""),
            ("a # b", "\"a # b\""),
            ("ends:", "\"ends:\""),
            ("", "\"\""),
            ("007", "\"007\""),
            ("Yes", "\"Yes\""),
            ("24", "24"),
            ("say \"hi\"", "say \"hi\""),
            ("a\nb", "\"a\\nb\""),
            ("Yébo {x}", "Yébo {x}"),
        ] {
            assert_eq!(scalar(text, false), written);
        }
        assert_eq!(scalar("a, b", true), "\"a, b\"");
    }

    proptest! {
        #[test]
        fn every_text_is_read_as_it_was_written(text in any::<String>(), indent in 0_usize..8, flow in any::<bool>()) {
            let text = crate::test_file::trimmed(&text);
            let written = value(&Expected::See(text.clone()), indent, flow);
            let pad = " ".repeat(indent);
            let file = if flow { format!("{{see:{written}}}\n") } else { format!("{pad}see:{written}\n") };
            let read = read(&file).unwrap_or_else(|problem| panic!("{problem}\n{file}"));
            prop_assert_eq!(crate::test_file::trimmed(read.get("see").and_then(|see| see.text()).unwrap()), text, "{}", file);
        }
    }
}
