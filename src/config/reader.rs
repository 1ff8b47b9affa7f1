//! Tables of the layers, read into typed structs.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use vumi_kit::{
    kind::{self, Problem, Registry},
    name::Name,
    transport_settings::TransportSettings,
};

use super::{
    ComponentConfig,
    error::SettingsProblem,
    files::{Layers, joined},
};

/// Reads the layers' tables into typed structs, and collects what is wrong with them.
pub(super) struct SettingsReader<'a> {
    pub(super) layers: &'a Layers,
    pub(super) problems: Vec<SettingsProblem>,
}

impl SettingsReader<'_> {
    /// Reads a table and checks it; one that is left out is an empty one.
    pub(super) fn section<T: DeserializeOwned>(
        &mut self,
        key: &str,
        table: Value,
        check: fn(&T) -> Vec<Problem>,
    ) -> Option<T> {
        let read = self.read(key, table)?;
        self.add_all(key, check(&read));
        Some(read)
    }

    /// As [`Self::section`], for a table some of whose keys had another name, as (old, new): the new one is named.
    pub(super) fn section_renamed<T: DeserializeOwned>(
        &mut self,
        key: &str,
        table: Value,
        keys: &[(&str, &str)],
        check: fn(&T) -> Vec<Problem>,
    ) -> Option<T> {
        let renamed = kind::renamed(&table, keys);
        if renamed.is_empty() {
            return self.section(key, table, check);
        }
        self.add_all(key, renamed);
        None
    }

    /// A table that may be left out; one that is there has to be readable.
    pub(super) fn optional_section<T: DeserializeOwned>(
        &mut self,
        key: &str,
        table: Option<Value>,
        check: fn(&T) -> Vec<Problem>,
    ) -> Option<Option<T>> {
        match table {
            None => Some(None),
            Some(table) => self.section(key, table, check).map(Some),
        }
    }

    /// Reads a table that has nothing to check beyond its types.
    pub(super) fn read<T: DeserializeOwned>(&mut self, key: &str, table: Value) -> Option<T> {
        let table = if table.is_null() { Value::Object(Map::new()) } else { table };
        let table = self.layers.typed(key, table, |table| {
            let read: Result<T, _> = serde_path_to_error::deserialize(table);
            read.err().map(|wrong| Problem::new(wrong.path().to_string(), "")).into_iter().collect()
        });
        match serde_path_to_error::deserialize(&table) {
            Ok(read) => Some(read),
            Err(wrong) => {
                self.problems.extend(self.layers.wrong(key, &wrong).0);
                None
            }
        }
    }

    /// Reads the tables of components, as far as they are right.
    pub(super) fn component_configs(
        &mut self,
        section: &str,
        tables: BTreeMap<String, Value>,
        registry: &Registry,
    ) -> Vec<ComponentConfig> {
        tables.into_iter().filter_map(|(name, table)| self.component_config(section, &name, table, registry)).collect()
    }

    fn component_config(
        &mut self,
        section: &str,
        name: &str,
        table: Value,
        registry: &Registry,
    ) -> Option<ComponentConfig> {
        let key = format!("{section}.{name}");
        let name = Name::parse(name).map_err(|wrong| self.add(&key, wrong.to_string())).ok()?;
        let Value::Object(mut table) = table else {
            self.add(&key, format!("expected a table: [{key}] with `kind = \"...\"`"));
            return None;
        };
        let known = || registry.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
        let kind = match table.remove("kind") {
            Some(Value::String(kind)) => kind,
            _ => {
                self.add(&key, format!("`kind` is missing: one of {}", known()));
                return None;
            }
        };
        let Some(entry) = registry.get(&kind) else {
            self.add(&format!("{key}.kind"), format!("there is no kind `{kind}`: one of {}", known()));
            return None;
        };
        let of_any_kind = if section == "transports" { take(&mut table, &TransportSettings::KEYS) } else { Map::new() };
        let of_any_kind = self.read(&key, Value::Object(of_any_kind));
        let settings = self.layers.typed(&key, Value::Object(table), |settings| (entry.check)(settings));
        let problems = (entry.check)(&settings);
        let good = problems.is_empty();
        self.add_all(&key, problems);
        of_any_kind.filter(|_| good).map(|of_any_kind| ComponentConfig { name, kind: *entry, of_any_kind, settings })
    }

    /// Adds the problems of a table.
    pub(super) fn add_all(&mut self, section: &str, problems: Vec<Problem>) {
        for problem in problems {
            self.add(&joined(section, &problem.key), problem.what);
        }
    }

    /// Adds a problem that is in none of the layers.
    pub(super) fn add_for(&mut self, origin: &str, what: String) {
        self.problems.push(SettingsProblem { origin: Some(origin.to_owned()), key: String::new(), what });
    }

    /// Adds a problem with a key.
    pub(super) fn add(&mut self, key: &str, what: String) {
        let origin = self.layers.origin(key);
        self.problems.push(SettingsProblem { origin, key: key.to_owned(), what });
    }
}

/// Takes these keys out of a table.
fn take(table: &mut Map<String, Value>, keys: &[&str]) -> Map<String, Value> {
    keys.iter().filter_map(|key| table.remove_entry(*key)).collect()
}
