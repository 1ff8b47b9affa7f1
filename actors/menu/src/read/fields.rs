//! The keys of a map.

use super::MenuReader;
use crate::{
    source::SourcePlace,
    suggest::meant,
    yaml::{MenuContent, MenuNode},
};

/// A map whose keys are taken one by one.
pub(super) struct MapFields<'n> {
    pub(super) place: SourcePlace,
    entries: Vec<(&'n str, &'n MenuNode, &'n MenuNode)>,
}

impl<'n> MapFields<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n MenuNode> {
        self.entries.iter().find(|(name, ..)| *name == key).map(|(_, _, value)| *value)
    }

    pub(super) fn key_place(&self, key: &str) -> SourcePlace {
        self.entries.iter().find(|(name, ..)| *name == key).map_or(self.place, |(_, key, _)| key.place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'n str, &'n MenuNode, &'n MenuNode)> {
        self.entries.iter().copied()
    }

    /// Names the keys that are none of these.
    pub(super) fn only(&self, reader: &MenuReader<'_>, known: &[&str], of: &str) {
        for (name, key, _) in self.iter().filter(|(name, ..)| !known.contains(name)) {
            let shown: String = name.chars().take(60).collect();
            let meant = meant(name, known.iter().copied());
            reader.suggest(key.place, format!("{of} has no key `{shown}`"), meant);
        }
    }
}

impl MenuReader<'_> {
    /// The entries of a map, a key that is there twice once.
    pub(super) fn fields<'n>(&self, node: &'n MenuNode, what: &str) -> Option<MapFields<'n>> {
        let MenuContent::Map(map) = &node.content else {
            self.problem(node.place, format!("{what} is {}: expected a map", node.described()));
            return None;
        };
        let mut seen = std::collections::HashSet::new();
        let mut entries = Vec::with_capacity(map.len());
        for (key, value) in map {
            let Some(name) = key.scalar() else {
                self.problem(key.place, format!("a key of {what} is {}: expected a text", key.described()));
                continue;
            };
            if seen.insert(name.as_str()) {
                entries.push((name.as_str(), key, value));
            } else {
                let shown: String = name.chars().take(60).collect();
                self.problem(key.place, format!("`{shown}` is there twice in {what}: leave one out"));
            }
        }
        Some(MapFields { place: node.place, entries })
    }

    pub(super) fn list<'n>(&self, node: &'n MenuNode, what: &str, most: usize) -> Option<&'n [MenuNode]> {
        match &node.content {
            MenuContent::List(items) if items.len() > most => {
                self.problem(node.place, format!("{what} has {} entries: {most} are the most", items.len()));
                None
            }
            MenuContent::List(items) if items.is_empty() => {
                self.problem(node.place, format!("{what} is empty"));
                None
            }
            MenuContent::List(items) => Some(items),
            _ => {
                self.problem(node.place, format!("{what} is {}: expected a list", node.described()));
                None
            }
        }
    }
}
