//! The fields of a call or an answer: a JSON object, in which a name that begins with `/` is a pointer.

use serde_json::{Map, Value};

/// Objects within objects that a pointer makes.
const DEEPEST: usize = 8;

/// A field's value, where there is one and it is not null.
pub(crate) fn get<'a>(fields: &'a Value, name: &str) -> Option<&'a Value> {
    let found = if name.starts_with('/') { fields.pointer(name) } else { fields.get(name) };
    found.filter(|value| !value.is_null())
}

/// A field's text, number or truth value, as text.
pub(crate) fn text(fields: &Value, name: &str) -> Option<String> {
    plain(get(fields, name)?)
}

/// A text, number or truth value as text.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Sets a field; a pointer makes the objects that it leads through.
pub(crate) fn set(fields: &mut Map<String, Value>, name: &str, value: Value) {
    let Some(pointer) = name.strip_prefix('/') else {
        fields.insert(name.to_owned(), value);
        return;
    };
    let mut keys: Vec<String> =
        pointer.split('/').take(DEEPEST).map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
    let Some(last) = keys.pop() else { return };
    let mut into = fields;
    for key in keys {
        let within = into.entry(key).or_insert_with(|| Value::Object(Map::new()));
        if !within.is_object() {
            *within = Value::Object(Map::new());
        }
        let Value::Object(object) = within else { return };
        into = object;
    }
    into.insert(last, value);
}
