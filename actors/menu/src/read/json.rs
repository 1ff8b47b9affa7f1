//! JSON that is written as YAML: a sample of an answer, and what is sent.

use serde_json::{Map, Number, Value};

use super::{MenuReader, actions::only_name};
use crate::{
    model::FetchBody,
    permissions::MAX_JSON,
    source::Placed,
    yaml::{MenuContent, MenuNode},
};

impl MenuReader<'_> {
    pub(super) fn json(&self, node: &MenuNode) -> Option<Value> {
        self.is_small(node).then(|| value(node))
    }

    pub(super) fn body(&self, node: &MenuNode) -> Option<FetchBody> {
        if !matches!(node.content, MenuContent::Map(_) | MenuContent::List(_)) {
            self.problem(node.place, format!("`body` is {}: it is sent as JSON, expected a map", node.described()));
            return None;
        }
        self.is_small(node).then(|| self.part(node)).flatten()
    }

    fn part(&self, node: &MenuNode) -> Option<FetchBody> {
        Some(match &node.content {
            MenuContent::Empty => FetchBody::Fixed(Value::Null),
            MenuContent::Scalar(text) => {
                let fixed = scalar(text, node.plain);
                if !fixed.is_string() {
                    return Some(FetchBody::Fixed(fixed));
                }
                let text = self.template(text, node.place, "`body`")?;
                match only_name(&text) {
                    Some(name) => FetchBody::Copy(Placed::new(name, node.place)),
                    None => FetchBody::Text(text),
                }
            }
            MenuContent::List(items) => FetchBody::List(items.iter().filter_map(|item| self.part(item)).collect()),
            MenuContent::Map(entries) => {
                let entry = |(key, value): &(MenuNode, MenuNode)| {
                    Some((key.scalar().cloned().unwrap_or_default(), self.part(value)?))
                };
                FetchBody::Map(entries.iter().filter_map(entry).collect())
            }
        })
    }

    fn is_small(&self, node: &MenuNode) -> bool {
        let small = size(node) <= MAX_JSON;
        if !small {
            self.problem(node.place, format!("this has more than {MAX_JSON} values: shorten it"));
        }
        small
    }
}

fn size(node: &MenuNode) -> usize {
    match &node.content {
        MenuContent::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        MenuContent::Map(entries) => 1 + entries.iter().map(|(_, value)| 1 + size(value)).sum::<usize>(),
        MenuContent::Empty | MenuContent::Scalar(_) => 1,
    }
}

fn value(node: &MenuNode) -> Value {
    match &node.content {
        MenuContent::Empty => Value::Null,
        MenuContent::Scalar(text) => scalar(text, node.plain),
        MenuContent::List(items) => Value::Array(items.iter().map(value).collect()),
        MenuContent::Map(entries) => {
            let entry = |(key, item): &(MenuNode, MenuNode)| (key.scalar().cloned().unwrap_or_default(), value(item));
            Value::Object(entries.iter().map(entry).collect::<Map<_, _>>())
        }
    }
}

/// A number or truth value where it is written without quotes as JSON has it: `031` is a text.
fn scalar(text: &str, plain: bool) -> Value {
    match text {
        "true" if plain => Value::Bool(true),
        "false" if plain => Value::Bool(false),
        _ if plain => text.parse::<Number>().map_or_else(|_| Value::String(text.to_owned()), Value::Number),
        _ => Value::String(text.to_owned()),
    }
}
