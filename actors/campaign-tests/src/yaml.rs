//! YAML as a tree in which every value knows its place, so that a file can be changed in one place and kept byte for byte in
//! all others.
//!
//! Every scalar is a text: `yes`, `007` and `1.0` stay as they are written. Anchors and aliases are refused.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle};

use crate::problem::TestFileProblem;

/// The largest file that is read, in bytes.
pub const LARGEST_FILE: usize = 4 << 20;

/// How deep lists and maps may lie in each other.
const DEEPEST: usize = 32;

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlNode {
    pub value: YamlValue,
    /// The bytes of the file that it takes. A block scalar begins with its first line's text, after `|`.
    pub bytes: Range<usize>,
    /// The first line is 1.
    pub line: usize,
    /// The first character of a line is 1.
    pub column: usize,
    /// Whether it stands within `[…]` or `{…}`, or is such a list or map.
    pub flow: bool,
}

/// A text, a list or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum YamlValue {
    /// A scalar; `plain` where it has no quotes and is no block. Empty where nothing is written.
    Text {
        /// With escapes and folds carried out.
        text: String,
        /// Neither quoted nor a block.
        plain: bool,
    },
    /// In the file's order.
    List(Vec<YamlNode>),
    /// Keys and values in the file's order; no key is there twice.
    Map(Vec<(YamlNode, YamlNode)>),
}

impl YamlNode {
    /// The text of a scalar.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            YamlValue::Text { text, .. } => Some(text),
            YamlValue::List(_) | YamlValue::Map(_) => None,
        }
    }

    /// The entries of a map.
    #[must_use]
    pub fn map(&self) -> Option<&[(Self, Self)]> {
        match &self.value {
            YamlValue::Map(entries) => Some(entries),
            YamlValue::Text { .. } | YamlValue::List(_) => None,
        }
    }

    /// The value of a key of a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// As "a text", "a list" or "a map", for messages.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        match &self.value {
            YamlValue::Text { text, plain: true } if text.is_empty() => "nothing",
            YamlValue::Text { .. } => "a text",
            YamlValue::List(_) => "a list",
            YamlValue::Map(_) => "a map",
        }
    }

    /// A problem at this place.
    pub fn problem(&self, message: impl Into<String>) -> TestFileProblem {
        TestFileProblem { line: self.line, column: self.column, message: message.into() }
    }

    /// The value as JSON: plain scalars that look like numbers, `true`, `false` and `null` are those.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            YamlValue::Text { text, plain: false } => serde_json::Value::String(text.clone()),
            YamlValue::Text { text, plain: true } if text.is_empty() || text == "~" => serde_json::Value::Null,
            YamlValue::Text { text, plain: true } => {
                let typed = serde_json::from_str(text).ok().filter(|value: &serde_json::Value| !value.is_string());
                typed.unwrap_or_else(|| serde_json::Value::String(text.clone()))
            }
            YamlValue::List(items) => items.iter().map(Self::to_json).collect(),
            YamlValue::Map(entries) => {
                let entry = |(key, value): &(Self, Self)| (key.text().unwrap_or_default().to_owned(), value.to_json());
                serde_json::Value::Object(entries.iter().map(entry).collect())
            }
        }
    }
}

/// Reads a file of one document. An empty one is an empty text.
pub fn read(text: &str) -> Result<YamlNode, TestFileProblem> {
    if text.len() > LARGEST_FILE {
        let message = format!("the file has {} bytes: {LARGEST_FILE} are the most, so split it", text.len());
        return Err(TestFileProblem { line: 1, column: 1, message });
    }
    let mut tree = Tree::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| scan_problem(text, &error))?;
        tree.take(event, &span)?;
    }
    let nothing = YamlValue::Text { text: String::new(), plain: true };
    Ok(tree.root.unwrap_or(YamlNode { value: nothing, bytes: 0..0, line: 1, column: 1, flow: false }))
}

/// The tree as far as it is read.
#[derive(Default)]
struct Tree {
    open: Vec<OpenNode>,
    root: Option<YamlNode>,
}

/// A list or map whose end is not read yet.
struct OpenNode {
    node: YamlNode,
    key: Option<YamlNode>,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), TestFileProblem> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let text = if span.is_empty() && plain { String::new() } else { text.into_owned() };
                let node = self.node(YamlValue::Text { text, plain }, span, false);
                refuse_anchor(&node, anchor)?;
                self.add(node)
            }
            Event::SequenceStart(style, anchor, _) => self.begin(YamlValue::List(Vec::new()), span, style, anchor),
            Event::MappingStart(style, anchor, _) => self.begin(YamlValue::Map(Vec::new()), span, style, anchor),
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(_) => Err(self
                .node(YamlValue::List(Vec::new()), span, false)
                .problem("`*NAME` is not supported: write the value")),
            Event::DocumentStart(..) if self.root.is_some() => {
                let here = self.node(YamlValue::List(Vec::new()), span, false);
                Err(here.problem("a second document begins here: a file holds one"))
            }
            _ => Ok(()),
        }
    }

    fn node(&self, value: YamlValue, span: &Span, flow: bool) -> YamlNode {
        let flow = flow || self.open.last().is_some_and(|above| above.node.flow);
        let bytes = span.byte_range().unwrap_or_default();
        YamlNode { value, bytes, line: span.start.line(), column: span.start.col() + 1, flow }
    }

    fn begin(
        &mut self,
        value: YamlValue,
        span: &Span,
        style: StructureStyle,
        anchor: usize,
    ) -> Result<(), TestFileProblem> {
        let node = self.node(value, span, style == StructureStyle::Flow);
        refuse_anchor(&node, anchor)?;
        if self.open.len() >= DEEPEST {
            return Err(node.problem(format!("lists and maps lie more than {DEEPEST} deep in each other here")));
        }
        self.open.push(OpenNode { node, key: None });
        Ok(())
    }

    fn end(&mut self, span: &Span) -> Result<(), TestFileProblem> {
        let Some(mut ended) = self.open.pop() else { return Ok(()) };
        let last = match &ended.node.value {
            YamlValue::Map(entries) => entries.last().map(|(_, value)| value.bytes.end),
            YamlValue::List(items) => items.last().map(|item| item.bytes.end),
            YamlValue::Text { .. } => None,
        };
        // A block ends with its last value; brackets and braces have an end of their own.
        let own = span.byte_range().filter(|bytes| !bytes.is_empty()).map(|bytes| bytes.end);
        ended.node.bytes.end = own.or(last).unwrap_or(ended.node.bytes.end);
        self.add(ended.node)
    }

    fn add(&mut self, node: YamlNode) -> Result<(), TestFileProblem> {
        let Some(above) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut above.node.value {
            YamlValue::List(items) => items.push(node),
            YamlValue::Map(entries) => match above.key.take() {
                Some(key) => entries.push((key, node)),
                None if node.text().is_none() => return Err(node.problem("a key is a text")),
                None => above.key = Some(node),
            },
            YamlValue::Text { .. } => {}
        }
        Ok(())
    }
}

fn refuse_anchor(node: &YamlNode, anchor: usize) -> Result<(), TestFileProblem> {
    if anchor == 0 { Ok(()) } else { Err(node.problem("`&NAME` is not supported: write the value where it is used")) }
}

/// The first key of a map that is there twice, wherever it is in the tree.
pub fn repeated_key(node: &YamlNode) -> Option<TestFileProblem> {
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        match &node.value {
            YamlValue::Text { .. } => {}
            YamlValue::List(items) => open.extend(items.iter().rev()),
            YamlValue::Map(entries) => {
                let mut known = std::collections::BTreeMap::new();
                for (key, _) in entries {
                    let name = key.text().unwrap_or_default();
                    if let Some(line) = known.insert(name, key.line) {
                        return Some(
                            key.problem(format!("`{name}` is there twice, first in line {line}: leave one out")),
                        );
                    }
                }
                open.extend(entries.iter().rev().map(|(_, value)| value));
            }
        }
    }
    None
}

/// What is not YAML, in words for people who do not write YAML every day.
fn scan_problem(text: &str, error: &ScanError) -> TestFileProblem {
    let (line, column) = (error.marker().line(), error.marker().col() + 1);
    let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let indent = &written[..written.len() - written.trim_start().len()];
    let message = if indent.contains('\t') {
        "a tab begins this line: indent with spaces".to_owned()
    } else if error.info().contains("mapping values are not allowed") {
        "a second `: ` in one line: put the text in quotes".to_owned()
    } else {
        format!("this is not YAML: {}", error.info())
    };
    TestFileProblem { line, column, message }
}

#[cfg(test)]
mod tests {
    use super::{read, repeated_key};

    const FILE: &str = "# é head\nmenu: mothers.yaml # c\ntests:\n  A b:\n    - dial: \"*120#\"\n      see: |\n        Ünë\n        two\n    - {send: [1, 007], kept: {}}\n    - hang_up:\n";

    #[test]
    fn every_value_knows_its_line_column_and_bytes() {
        let tree = read(FILE).unwrap();
        let menu = tree.get("menu").unwrap();
        assert_eq!((menu.text(), menu.line, menu.column), (Some("mothers.yaml"), 2, 7));
        assert_eq!(&FILE[menu.bytes.clone()], "mothers.yaml");
        let test = tree.get("tests").unwrap().get("A b").unwrap();
        let super::YamlValue::List(steps) = &test.value else { panic!("{test:?}") };
        assert_eq!(steps[0].get("see").unwrap().text(), Some("Ünë\ntwo\n"));
        assert!(!steps[0].flow);
        assert_eq!(&FILE[steps[1].bytes.clone()], "{send: [1, 007], kept: {}}");
        assert_eq!(&FILE[steps[1].get("send").unwrap().bytes.clone()], "[1, 007]");
        assert!(steps[1].get("send").unwrap().flow);
        assert_eq!(steps[2].get("hang_up").unwrap().text(), Some(""));
    }

    #[test]
    fn what_is_no_yaml_is_said_with_its_place() {
        for (text, line, words) in [
            ("a: b: c\n", 1, "a second `: `"),
            ("a:\n\tb: 1\n", 2, "a tab"),
            ("a: [1, 2\nb: 3\n", 2, "this is not YAML"),
            ("a: &x 1\nb: *x\n", 1, "`&NAME`"),
            ("a: 1\n---\nb: 2\n", 2, "a second document"),
            ("? [a]\n: 1\n", 1, "a key is a text"),
        ] {
            let wrong = read(text).unwrap_err();
            assert!(wrong.line == line && wrong.message.contains(words), "{text:?}: {wrong}");
        }
        assert!(read(&"[".repeat(1_000)).is_err());
        assert!(read("").unwrap().text().is_some_and(str::is_empty));
    }

    #[test]
    fn a_key_that_is_there_twice_is_found() {
        let wrong = repeated_key(&read("a: 1\nb:\n  c: 1\n  c: 2\n").unwrap()).unwrap();
        assert_eq!((wrong.line, wrong.column), (4, 3));
        assert!(wrong.message.contains("first in line 3"), "{wrong}");
        assert_eq!(repeated_key(&read(FILE).unwrap()), None);
    }

    #[test]
    fn settings_become_json_as_yaml_types_them() {
        let tree = read("a: 1\nb: true\nc: text\nd: \"1\"\ne: [1.5, ~]\nf: 10s\n").unwrap();
        let json = serde_json::json!({ "a": 1, "b": true, "c": "text", "d": "1", "e": [1.5, null], "f": "10s" });
        assert_eq!(tree.to_json(), json);
    }
}
