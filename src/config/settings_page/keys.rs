//! The keys that a schema describes, by name.

use serde_json::{Map, Value};

use super::SHARED;

/// One key of a table.
pub(super) struct Key {
    /// Dotted; `NAME` stands for a name that the operator chooses, `[]` for each item of a list.
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) required: bool,
    pub(super) default: Option<Value>,
    pub(super) example: Option<Value>,
    pub(super) meaning: String,
}

impl Key {
    pub(super) fn last_part(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

/// The keys of a table, those of inner tables dotted.
pub(super) fn keys(schema: &Value, examples: &[Value]) -> Vec<Key> {
    let mut keys = Vec::new();
    collect("", schema, schema.get("default"), examples, &mut keys);
    keys
}

fn collect(prefix: &str, schema: &Value, default: Option<&Value>, examples: &[Value], keys: &mut Vec<Key>) {
    for table in alternatives(schema) {
        let required = table.get("required").and_then(Value::as_array);
        // Of an enum's variants one is given: none of them by itself is required.
        let required = |name: &str| {
            table == schema && required.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(name)))
        };
        for (name, property) in sorted(table.get("properties").and_then(Value::as_object)) {
            let examples: Vec<Value> = examples.iter().filter_map(|example| example.get(name)).cloned().collect();
            let default = default.and_then(|table| table.get(name)).or_else(|| property.get("default"));
            let given = default.filter(|default| !default.is_null()).map(|default| in_hours(property, default));
            let example = own_example(property, table).or(examples.first()).cloned();
            let key = Key {
                name: format!("{prefix}{name}"),
                kind: type_name(property),
                required: required(name),
                example: example.filter(|example| given.as_ref() != Some(example)),
                default: given,
                meaning: if meaning(property).is_empty() { description(table) } else { meaning(property) },
            };
            add(key, property, default, &examples, keys);
        }
    }
}

/// A day as operators write it, `24h`, where serde writes `1day`.
fn in_hours(property: &Value, default: &Value) -> Value {
    let time = unwrapped(property).get("format").and_then(Value::as_str) == Some("duration");
    let days = default
        .as_str()
        .filter(|_| time)
        .and_then(|text| text.strip_suffix("days").or_else(|| text.strip_suffix("day"))?.parse::<u32>().ok());
    days.map_or_else(|| default.clone(), |days| format!("{}h", days * 24).into())
}

/// What the struct itself gives as an example: at the key, or at the enum's variant that the key is.
fn own_example<'a>(property: &'a Value, table: &'a Value) -> Option<&'a Value> {
    property.pointer("/examples/0").or_else(|| table.pointer("/examples/0"))
}

/// Adds a key, or the keys of the table that it is.
fn add(key: Key, property: &Value, default: Option<&Value>, examples: &[Value], keys: &mut Vec<Key>) {
    let shared = SHARED.iter().any(|(name, _)| *name == key.last_part());
    let inner = unwrapped(property);
    let item = inner.get("items").or_else(|| inner.get("additionalProperties"));
    let tables = |schema: &Value| alternatives(unwrapped(schema)).iter().any(|one| one.get("properties").is_some());
    match item.filter(|item| tables(item)) {
        Some(item) => {
            let of_list = inner.get("items").is_some();
            let prefix = format!("{}{}.", key.name, if of_list { "[]" } else { ".NAME" });
            let items = examples.iter().flat_map(|example| match example {
                Value::Array(items) => items.clone(),
                Value::Object(named) => named.values().cloned().collect(),
                _ => Vec::new(),
            });
            let items: Vec<Value> = items.collect();
            keys.push(Key { example: None, default: None, ..key });
            collect(&prefix, unwrapped(item), None, &items, keys);
        }
        None if tables(inner) && !shared => {
            let prefix = format!("{}.", key.name);
            let optional = property.get("anyOf").is_some() || key.required;
            if optional || !key.meaning.is_empty() {
                keys.push(Key { example: None, default: None, ..key });
            }
            collect(&prefix, inner, default, examples, keys);
        }
        None if tables(inner) => keys.push(Key { example: None, default: None, ..key }),
        None => keys.push(key),
    }
}

/// By name, whatever order this build of `serde_json` keeps.
fn sorted(table: Option<&Map<String, Value>>) -> Vec<(&String, &Value)> {
    let mut pairs: Vec<(&String, &Value)> = table.into_iter().flatten().collect();
    pairs.sort_by_key(|(name, _)| *name);
    pairs
}

/// A table, or the tables that stand for an enum's variants.
fn alternatives(schema: &Value) -> Vec<&Value> {
    match schema.get("oneOf").and_then(Value::as_array) {
        Some(variants) => variants.iter().collect(),
        None => vec![schema],
    }
}

/// What an optional value is when it is there.
fn unwrapped(schema: &Value) -> &Value {
    let variants = schema.get("anyOf").and_then(Value::as_array);
    let there = |variant: &&Value| variant.get("type").and_then(Value::as_str) != Some("null");
    variants.and_then(|variants| variants.iter().find(there)).unwrap_or(schema)
}

fn type_name(schema: &Value) -> String {
    let schema = unwrapped(schema);
    let choices = choices(schema);
    if !choices.is_empty() {
        return choices.into_iter().map(|(choice, _)| format!("`{choice}`")).collect::<Vec<_>>().join(" or ");
    }
    let name = match (of_type(schema), schema.get("format").and_then(Value::as_str)) {
        ("string", Some("duration")) => "time".to_owned(),
        ("string", Some("secret")) => "secret text".to_owned(),
        ("string", _) => "text".to_owned(),
        ("integer", _) => "whole number".to_owned(),
        ("number", _) => "number".to_owned(),
        ("boolean", _) => "`true` or `false`".to_owned(),
        ("array", _) => format!("list of {}", item_name(schema.get("items"))),
        ("object", _) => match schema.get("additionalProperties").filter(|inner| inner.is_object()) {
            Some(item) => format!("table of {}", item_name(Some(item))),
            None => "table".to_owned(),
        },
        _ if schema.get("oneOf").is_some() => "table".to_owned(),
        _ => "any value".to_owned(),
    };
    match schema.get("unit").and_then(Value::as_str) {
        Some(unit) => format!("{name}, {unit}"),
        None => name,
    }
}

fn item_name(item: Option<&Value>) -> String {
    let name = item.map_or_else(|| "values".to_owned(), type_name);
    match name.as_str() {
        "text" => "texts".to_owned(),
        "table" => "tables".to_owned(),
        "whole number" => "whole numbers".to_owned(),
        "secret text" => "secret texts".to_owned(),
        _ => name,
    }
}

/// The type; of an optional value that of the value.
fn of_type(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or_default()
        }
        _ => "",
    }
}

/// The texts that an enum takes, each with what it means where the type documents it.
fn choices(schema: &Value) -> Vec<(&str, String)> {
    if let Some(texts) = schema.get("enum").and_then(Value::as_array) {
        return texts.iter().filter_map(Value::as_str).map(|text| (text, String::new())).collect();
    }
    let variants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    variants
        .flat_map(|variant| match variant.get("const").and_then(Value::as_str) {
            Some(text) => vec![(text, description(variant))],
            None if variant.get("enum").is_some() => choices(variant),
            None => Vec::new(),
        })
        .collect()
}

/// A schema's text on one line, safe within Markdown.
pub(super) fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // A `<` outside of code would begin an HTML element.
    let escape =
        |(index, part): (usize, &str)| if index % 2 == 0 { part.replace('<', "&lt;") } else { part.to_owned() };
    text.split('`').enumerate().map(escape).collect::<Vec<_>>().join("`")
}

fn meaning(property: &Value) -> String {
    let own = description(property);
    let inner = unwrapped(property);
    let text = if own.is_empty() { description(inner) } else { own };
    let choices = choices(inner).into_iter().filter(|(_, meaning)| !meaning.is_empty());
    let choices: Vec<String> = choices.map(|(choice, meaning)| format!("`{choice}`: {meaning}")).collect();
    [text].into_iter().chain(choices).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// A value as TOML writes it, on one line.
pub(super) fn toml(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(table) if table.is_empty() => "{}".to_owned(),
        Value::Object(table) => format!("{{ {} }}", pairs(table)),
        other => other.to_string(),
    }
}

fn pairs(table: &Map<String, Value>) -> String {
    let pair = |(key, value): (&String, &Value)| format!("{key} = {}", toml(value));
    sorted(Some(table)).into_iter().map(pair).collect::<Vec<_>>().join(", ")
}
