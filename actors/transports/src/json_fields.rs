//! A JSON document as a list of fields, as receipts are kept and handed on.

use serde_json::Value;

use crate::json_body::plain;

/// Fields that are taken from a document.
const MOST_FIELDS: usize = 200;

/// The longest name that a field gets, in bytes: what is nested deeper, or under longer names, is left out.
const LONGEST_NAME: usize = 200;

/// The texts, numbers and truth values of a document: a member of its own by its key, a nested one by its pointer.
pub(crate) fn flatten(value: &Value, way: &str, into: &mut Vec<(String, String)>) {
    let mut step = |key: &str, member: &Value| {
        if into.len() >= MOST_FIELDS || way.len() + key.len() >= LONGEST_NAME {
            return;
        }
        let pointer = format!("{way}/{}", key.replace('~', "~0").replace('/', "~1"));
        match plain(member) {
            Some(text) if way.is_empty() => into.push((key.to_owned(), text)),
            Some(text) => into.push((pointer, text)),
            None => flatten(member, &pointer, into),
        }
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, member)| step(key, member)),
        Value::Array(elements) => {
            elements
                .iter()
                .take(MOST_FIELDS)
                .enumerate()
                .for_each(|(index, element)| step(&index.to_string(), element));
        }
        _ => {}
    }
}
