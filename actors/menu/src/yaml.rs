//! YAML as a tree whose nodes know their places. No other file knows the crate that reads YAML.
//!
//! Scalars stay the texts that were written: `Yes`, `031` and `1.50` are no truth value, no octal and no float. Anchors, aliases
//! and merge keys are refused, so a short text can't become a large tree.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Error, Location, Spanned, budget, options};

use crate::source::SourcePlace;

/// The deepest nesting of lists and maps.
const MAX_DEPTH: usize = 24;
/// The most values, keys included.
const MAX_NODES: usize = 100_000;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MenuNode {
    pub(crate) place: SourcePlace,
    pub(crate) content: MenuContent,
    /// Written without quotes and not as a block.
    pub(crate) plain: bool,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MenuContent {
    /// No value: nothing is written, or `null`.
    Empty,
    Scalar(String),
    List(Vec<MenuNode>),
    /// In the order written; a key may be there twice.
    Map(Vec<(MenuNode, MenuNode)>),
}

impl MenuNode {
    /// What it is, for an error.
    pub(crate) const fn described(&self) -> &'static str {
        match self.content {
            MenuContent::Empty => "nothing",
            MenuContent::Scalar(_) => "a text",
            MenuContent::List(_) => "a list",
            MenuContent::Map(_) => "a map",
        }
    }

    pub(crate) const fn scalar(&self) -> Option<&String> {
        match &self.content {
            MenuContent::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

/// Why a text is no YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotYaml {
    pub(crate) place: SourcePlace,
    pub(crate) what: String,
}

/// Reads one YAML document.
pub(crate) fn read_yaml(text: &str) -> Result<MenuNode, NotYaml> {
    let options = options! {
        budget: budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_merge_keys: 0,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_documents: 1,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        merge_keys: serde_saphyr::MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        ignore_binary_tag_for_string: true,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    if text.trim().is_empty() {
        return Ok(MenuNode { place: SourcePlace::START, content: MenuContent::Empty, plain: true });
    }
    match serde_saphyr::from_str_with_options::<Spanned<RawNode>>(text, options) {
        Ok(root) => Ok(node(root, text)),
        Err(error) => Err(NotYaml { place: error.location().map_or(SourcePlace::START, place), what: explain(&error) }),
    }
}

fn place(location: Location) -> SourcePlace {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    SourcePlace { line: number(location.line()), column: number(location.column()) }
}

/// The crate's message without its place, which stands before ours.
fn explain(error: &Error) -> String {
    let message = error.without_snippet().to_string();
    let first = message.lines().next().unwrap_or_default();
    if first.contains("anchor") || first.contains("alias") || first.contains("Anchors") || first.contains("Aliases") {
        return "anchors and aliases (`&name`, `*name`) are no part of menus: write the value out, or put quotes around a \
                text that begins with `*` or `&`"
            .to_owned();
    }
    let words = first.split(" at line ").next().unwrap_or(first);
    let words = words.strip_prefix("error: ").unwrap_or(words);
    let words = words.split_once(": ").filter(|(head, _)| head.starts_with("line ")).map_or(words, |(_, rest)| rest);
    format!("this is no YAML: {}", words.chars().take(300).collect::<String>())
}

/// A value as the crate gives it.
enum RawNode {
    /// As it is written, at its place in the text.
    Written,
    Text(String),
    List(Vec<Spanned<RawNode>>),
    Map(Vec<(Spanned<RawNode>, Spanned<RawNode>)>),
}

impl<'de> Deserialize<'de> for RawNode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = RawNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list or a map")
    }

    fn visit_bool<E>(self, _: bool) -> Result<RawNode, E> {
        Ok(RawNode::Written)
    }

    fn visit_i64<E>(self, _: i64) -> Result<RawNode, E> {
        Ok(RawNode::Written)
    }

    fn visit_u64<E>(self, _: u64) -> Result<RawNode, E> {
        Ok(RawNode::Written)
    }

    fn visit_i128<E>(self, _: i128) -> Result<RawNode, E> {
        Ok(RawNode::Written)
    }

    fn visit_u128<E>(self, _: u128) -> Result<RawNode, E> {
        Ok(RawNode::Written)
    }

    fn visit_f64<E>(self, _: f64) -> Result<RawNode, E> {
        Ok(RawNode::Written)
    }

    fn visit_unit<E>(self) -> Result<RawNode, E> {
        Ok(RawNode::Written)
    }

    fn visit_none<E>(self) -> Result<RawNode, E> {
        Ok(RawNode::Written)
    }

    fn visit_str<E>(self, text: &str) -> Result<RawNode, E> {
        Ok(RawNode::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<RawNode, E> {
        Ok(RawNode::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawNode, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(RawNode::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawNode, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(RawNode::Map(map))
    }
}

fn node(raw: Spanned<RawNode>, source: &str) -> MenuNode {
    let span = raw.referenced.span();
    let bytes = |offset: Option<u64>| offset.and_then(|offset| usize::try_from(offset).ok()).unwrap_or_default();
    let (from, length) = (bytes(span.byte_offset()), bytes(span.byte_len()));
    let written = source.get(from..from.saturating_add(length)).unwrap_or_default();
    let plain = !written.starts_with(['"', '\'', '|', '>']);
    let content = match raw.value {
        RawNode::Written => match written.trim() {
            "" | "~" | "null" | "Null" | "NULL" => MenuContent::Empty,
            text => MenuContent::Scalar(text.to_owned()),
        },
        RawNode::Text(text) => MenuContent::Scalar(text),
        RawNode::List(items) => MenuContent::List(items.into_iter().map(|item| node(item, source)).collect()),
        RawNode::Map(entries) => {
            MenuContent::Map(entries.into_iter().map(|(key, value)| (node(key, source), node(value, source))).collect())
        }
    };
    MenuNode { place: place(raw.referenced), content, plain }
}

#[cfg(test)]
mod tests {
    use super::{MenuContent, MenuNode, read_yaml};

    fn shown(node: &MenuNode) -> String {
        let at = format!("{}:{}", node.place.line, node.place.column);
        match &node.content {
            MenuContent::Empty => format!("{at} -"),
            MenuContent::Scalar(text) => format!("{at} {text:?}"),
            MenuContent::List(items) => format!("{at} [{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
            MenuContent::Map(entries) => {
                let entry = |(key, value): &(MenuNode, MenuNode)| format!("{} => {}", shown(key), shown(value));
                format!("{at} {{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
        }
    }

    #[test]
    fn every_scalar_is_the_text_that_was_written_with_its_place() {
        let text = "a: Yes\nb: [031, 1.50, true, ~, \"x\", 0x1F, 1e3, 2026-01-01, .inf, no]\n\"c\":\n  - d: |\n      one\n      two\n    a: 2\n    a: 3\n";
        assert_eq!(
            shown(&read_yaml(text).unwrap()),
            "1:1 {1:1 \"a\" => 1:4 \"Yes\", 2:1 \"b\" => 2:4 [2:5 \"031\", 2:10 \"1.50\", 2:16 \"true\", 2:22 -, 2:25 \"x\", \
             2:30 \"0x1F\", 2:36 \"1e3\", 2:41 \"2026-01-01\", 2:53 \".inf\", 2:59 \"no\"], 3:1 \"c\" => 4:3 [4:5 {4:5 \"d\" => \
             5:7 \"one\\ntwo\\n\", 7:5 \"a\" => 7:8 \"2\", 8:5 \"a\" => 8:8 \"3\"}]}"
        );
    }

    #[test]
    fn what_is_no_yaml_or_would_grow_is_refused_with_its_place() {
        for (text, line) in [
            ("a: &x [1]\nb: *x\n", 1),
            ("a: 1\nb: *x\n", 2),
            ("a: [1, 2\n", 1),
            ("a: 1\n b: 2\n", 2),
            ("a: {{b}}\nc: }\n", 2),
            ("a: 1\n---\nb: 2\n", 2),
        ] {
            let wrong = read_yaml(text).unwrap_err();
            assert_eq!(wrong.place.line, line, "{text:?}: {}", wrong.what);
            assert!(!wrong.what.contains("line "), "{}", wrong.what);
        }
        assert!(read_yaml(&"[".repeat(100_000)).is_err());
        assert!(read_yaml(&"- ".repeat(100_000)).is_err());
        assert!(read_yaml(&"a\n".repeat(10).replace('a', "- a")).is_ok());
        assert!(read_yaml(&"- a\n".repeat(200_000)).is_err());
        assert_eq!(read_yaml(" \n").unwrap().content, MenuContent::Empty);
    }
}
