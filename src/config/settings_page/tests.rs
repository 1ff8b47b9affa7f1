//! The page is complete, and the file is the page.

use serde_json::Value;

use super::{SHARED, example, keys::keys, settings_page};
use crate::builtin;

#[test]
fn the_page_of_settings_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == settings_page(&builtin()), "docs/settings.md is stale: `make docs` writes it");
}

#[test]
fn every_key_has_a_meaning_and_either_a_default_or_an_example() {
    let page = settings_page(&builtin());
    let rows: Vec<Vec<&str>> =
        page.lines().filter(|line| line.starts_with("| `")).map(|line| line.split(" | ").collect()).collect();
    assert!(rows.len() > 120, "{} keys", rows.len());
    let lacking: Vec<&Vec<&str>> = rows
        .iter()
        .filter(|row| {
            let [key, kind, default, example, meaning] = row[..] else { return true };
            let tables = kind.contains("table") || SHARED.iter().any(|(shared, _)| key.contains(shared));
            let choices = kind.starts_with('`') || kind == "secret text";
            let shown = tables || choices || default.starts_with('`') || !example.is_empty();
            meaning.trim_end_matches(" |").is_empty() || !shown
        })
        .collect();
    assert!(lacking.is_empty(), "{lacking:#?}");
}

#[test]
fn every_key_of_a_kinds_example_is_a_key_of_the_page() {
    let kinds = builtin();
    for kind in kinds.transports.iter().chain(kinds.campaigns.iter()) {
        let schema = (kind.schema)().to_value();
        let known = keys(&schema, &[]);
        let Some(Value::Object(table)) = example(kind.example) else { panic!("{}: no TOML", kind.name) };
        for key in table.keys() {
            assert!(known.iter().any(|one| one.name.split(['.', '[']).next() == Some(key)), "{}: {key}", kind.name);
        }
    }
}
