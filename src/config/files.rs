//! Files and environment laid over each other into one tree, which remembers where each value came from.

use std::{collections::BTreeMap, path::PathBuf};

use config::{Config, File, FileFormat, Value as Read, ValueKind};
use serde_json::{Map, Value};
use vumi_kit::kind::Problem;

use super::{EMBEDDED_DEFAULT, SettingsError, SettingsProblem};

/// Variables that begin so are settings; `__` stands between the parts of a key.
const PREFIX: &str = "VUMI__";

pub(super) struct Layers {
    tree: Value,
    /// Key, dotted, to file or variable.
    origins: BTreeMap<String, String>,
    /// Keys that a variable set: their values are text, whatever the setting's type.
    from_environment: BTreeMap<String, String>,
}

impl Layers {
    pub(super) fn read(
        files: &[PathBuf],
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut builder = Config::builder();
        if files.is_empty() {
            builder = builder.add_source(File::from_str(EMBEDDED_DEFAULT, FileFormat::Toml));
        }
        for file in files {
            if !file.exists() {
                return Err(SettingsError(vec![SettingsProblem {
                    origin: Some(file.display().to_string()),
                    key: String::new(),
                    what: "there is no such file; `vumi check` without --settings checks the embedded default"
                        .to_owned(),
                }]));
            }
            if file.is_dir() {
                return Err(SettingsError(vec![SettingsProblem {
                    origin: Some(file.display().to_string()),
                    key: String::new(),
                    what: "is a folder: name a file in it; --settings may be repeated".to_owned(),
                }]));
            }
            builder = builder.add_source(File::from(file.as_path()).format(FileFormat::Toml));
        }
        let read = builder.build().map_err(|error| unreadable(files, &error))?;
        let mut layers = Self { tree: Value::Null, origins: BTreeMap::new(), from_environment: BTreeMap::new() };
        layers.tree = layers.convert("", read.cache);
        for (variable, text) in environment {
            refuse_misspelt(&variable)?;
            if let Some(key) = variable.strip_prefix(PREFIX) {
                layers.overlay(&variable, key, text)?;
            }
        }
        layers.read_secret_files()?;
        Ok(layers)
    }

    pub(super) const fn tree(&self) -> &Value {
        &self.tree
    }

    /// The files that hold secrets: settings files, and those that a key ending in `_file` names.
    pub(super) fn secret_files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        texts("", &self.tree, &mut found);
        let secrets = found.iter().filter(|(key, value)| is_secret(key, value));
        let origins = secrets.filter_map(|(key, _)| self.origin(key).map(PathBuf::from));
        // A variable, or the embedded default, is no file.
        let mut holding: Vec<PathBuf> = origins.filter(|file| file.is_file()).collect();
        holding.sort();
        holding.dedup();
        holding
    }

    /// Where a key's value came from: the file or variable, or that of the nearest table around it.
    pub(super) fn origin(&self, key: &str) -> Option<String> {
        let mut key = key;
        loop {
            if let Some(origin) = self.origins.get(key) {
                return Some(origin.clone());
            }
            if let Some((_, origin)) = self
                .origins
                .iter()
                .find(|(known, _)| known.strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', '['])))
            {
                return Some(origin.clone());
            }
            key = key.rsplit_once(['.', '['])?.0;
        }
    }

    /// An error of serde below `section`, with its origin.
    pub(super) fn wrong(&self, section: &str, wrong: &serde_path_to_error::Error<serde_json::Error>) -> SettingsError {
        let path = wrong.path().to_string();
        let key = match (section, path.as_str()) {
            (section, ".") => section.to_owned(),
            ("", path) => path.to_owned(),
            (section, path) => format!("{section}.{path}"),
        };
        SettingsError(vec![SettingsProblem { origin: self.origin(&key), key, what: wrong.inner().to_string() }])
    }

    fn convert(&mut self, key: &str, read: Read) -> Value {
        if let Some(origin) = read.origin() {
            self.origins.insert(key.to_owned(), origin.to_owned());
        } else if !key.is_empty() && !matches!(read.kind, ValueKind::Table(_) | ValueKind::Array(_)) {
            self.origins.insert(key.to_owned(), "the embedded default".to_owned());
        }
        match read.kind {
            ValueKind::Nil => Value::Null,
            ValueKind::Boolean(b) => b.into(),
            ValueKind::I64(n) => n.into(),
            ValueKind::U64(n) => n.into(),
            ValueKind::I128(n) => i64::try_from(n).map_or(Value::Null, Value::from),
            ValueKind::U128(n) => u64::try_from(n).map_or(Value::Null, Value::from),
            ValueKind::Float(n) => n.into(),
            ValueKind::String(text) => text.into(),
            ValueKind::Array(items) => {
                let convert = |(index, item)| self.convert(&format!("{key}[{index}]"), item);
                items.into_iter().enumerate().map(convert).collect()
            }
            ValueKind::Table(table) => {
                let mut converted = Map::new();
                for (part, item) in table {
                    let value = self.convert(&joined(key, &part), item);
                    converted.insert(part, value);
                }
                Value::Object(converted)
            }
        }
    }

    /// Lays one variable over the tree. A value that replaces a number or a truth value is read as one.
    fn overlay(&mut self, variable: &str, key: &str, text: String) -> Result<(), SettingsError> {
        let mut at = &mut self.tree;
        let mut path = String::new();
        let parts: Vec<String> = key.split("__").map(str::to_lowercase).collect();
        let refuse = |what: &str| {
            let key = parts.join(".");
            Err(SettingsError(vec![SettingsProblem { origin: Some(variable.to_owned()), key, what: what.to_owned() }]))
        };
        for (index, part) in parts.iter().enumerate() {
            let Value::Object(table) = at else {
                return refuse("leads into something that is not a table");
            };
            // A name's `-` can't be written in a variable's name.
            let dashed = part.replace('_', "-");
            let part = if !table.contains_key(part) && table.contains_key(&dashed) { &dashed } else { part };
            path = joined(&path, part);
            let last = index + 1 == parts.len();
            at =
                table.entry(part.clone()).or_insert_with(|| if last { Value::Null } else { Value::Object(Map::new()) });
        }
        if at.is_object() || at.is_array() {
            return refuse("a table or list can't be set by a variable: name one key in it");
        }
        *at = match (&*at, serde_json::from_str::<Value>(&text)) {
            (Value::Number(_), Ok(number @ Value::Number(_))) => number,
            (Value::Bool(_), Ok(truth @ Value::Bool(_))) => truth,
            _ => Value::String(text.clone()),
        };
        self.origins.insert(path.clone(), variable.to_owned());
        self.from_environment.insert(path, text);
        Ok(())
    }

    /// A variable's text for a key that no file has may stand for a number: where `check` refuses the text, the
    /// number is tried.
    pub(super) fn typed(&self, section: &str, mut table: Value, check: impl Fn(&Value) -> Vec<Problem>) -> Value {
        for _ in 0..self.from_environment.len() {
            let Some((pointer, value)) = check(&table).iter().find_map(|problem| {
                let text = self.from_environment.get(&joined(section, &problem.key))?;
                let value: Value = serde_json::from_str(text).ok()?;
                let pointer = format!("/{}", problem.key.replace('.', "/"));
                (table.pointer(&pointer)?.is_string() && !value.is_string()).then_some((pointer, value))
            }) else {
                break;
            };
            if let Some(at) = table.pointer_mut(&pointer) {
                *at = value;
            }
        }
        table
    }

    fn read_secret_files(&mut self) -> Result<(), SettingsError> {
        let mut tree = std::mem::take(&mut self.tree);
        let result = self.read_files_in("", &mut tree);
        self.tree = tree;
        result
    }

    fn read_files_in(&mut self, key: &str, table: &mut Value) -> Result<(), SettingsError> {
        let Value::Object(table) = table else { return Ok(()) };
        let of_files: Vec<String> = table.keys().filter(|part| part.ends_with("_file")).cloned().collect();
        for part in of_files {
            let Some(Value::String(path)) = table.remove(&part) else { continue };
            let whole = joined(key, &part);
            let content = std::fs::read_to_string(&path).map_err(|error| {
                let what = format!("`{path}` can't be read: {error}");
                SettingsError(vec![SettingsProblem { origin: self.origin(&whole), key: whole.clone(), what }])
            })?;
            let target = part.trim_end_matches("_file").to_owned();
            self.origins.insert(joined(key, &target), path);
            table.insert(target, Value::String(content.trim_end_matches(['\r', '\n']).to_owned()));
        }
        for (part, value) in table.iter_mut() {
            let inner = joined(key, part);
            self.read_files_in(&inner, value)?;
        }
        Ok(())
    }
}

/// Whether a key, dotted, holds what nobody else may read; or a URL with a password in it.
fn is_secret(key: &str, value: &str) -> bool {
    let parts: Vec<&str> = key.split('.').collect();
    let named = |part: &str| ["password", "token", "secret", "api_key"].iter().any(|word| part.ends_with(word));
    let in_url = || {
        value.split_once("://").is_some_and(|(_, rest)| {
            let authority = rest.split(['/', '?']).next().unwrap_or_default();
            authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
        })
    };
    parts.last().is_some_and(|part| named(part)) || parts.iter().rev().nth(1) == Some(&"secrets") || in_url()
}

fn texts<'a>(key: &str, value: &'a Value, found: &mut Vec<(String, &'a str)>) {
    match value {
        Value::String(text) => found.push((key.to_owned(), text)),
        Value::Array(items) => items.iter().for_each(|item| texts(key, item, found)),
        Value::Object(table) => table.iter().for_each(|(part, value)| texts(&joined(key, part), value, found)),
        _ => {}
    }
}

pub(super) fn joined(section: &str, key: &str) -> String {
    if section.is_empty() || key.is_empty() { format!("{section}{key}") } else { format!("{section}.{key}") }
}

/// `VUMI_HTTP__BIND` would be left out without a word.
fn refuse_misspelt(variable: &str) -> Result<(), SettingsError> {
    let Some(rest) = variable.strip_prefix("VUMI_") else { return Ok(()) };
    if variable.starts_with(PREFIX) || variable.starts_with("VUMI_TEST_") || !rest.contains("__") {
        return Ok(());
    }
    let what = format!("sets nothing: two underscores follow VUMI, as in {PREFIX}{rest}");
    Err(SettingsError(vec![SettingsProblem { origin: Some(variable.to_owned()), key: String::new(), what }]))
}

/// TOML's errors draw the line they are in; here one line says where and what.
fn unreadable(files: &[PathBuf], error: &config::ConfigError) -> SettingsError {
    let file = match files {
        [one] => Some(one.display().to_string()),
        _ => None,
    };
    let (origin, what) = match error {
        config::ConfigError::FileParse { uri, cause } => {
            let text = cause.to_string();
            let mut lines = text.lines().filter(|line| !line.trim().is_empty());
            let first = lines.next().unwrap_or_default();
            let at = first.strip_prefix("TOML parse error at ").unwrap_or(first);
            let what = lines.next_back().map_or_else(|| at.to_owned(), |last| format!("{at}: {}", last.trim()));
            (file.or_else(|| uri.clone()), what)
        }
        other => (file, other.to_string()),
    };
    SettingsError(vec![SettingsProblem { origin, key: String::new(), what }])
}
