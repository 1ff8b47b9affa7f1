//! `schema.rs` says what the migrations create.

use std::collections::BTreeSet;

use super::{COLUMNS, Fixture};
use crate::migrate;

#[derive(diesel::QueryableByName)]
struct Column {
    #[diesel(sql_type = diesel::sql_types::Text)]
    table_name: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    r#type: String,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    nullable: bool,
    #[diesel(sql_type = diesel::sql_types::Integer)]
    key: i32,
}

impl Column {
    /// As `declared` writes it.
    fn line(&self) -> String {
        let Self { table_name, name, r#type, nullable, key } = self;
        let kind = match r#type.as_str() {
            "bigint" => "BigInt",
            "integer" => "Integer",
            "text" => "Text",
            other => panic!("{table_name}.{name} is of a type that migrations/README.md does not name: {other}"),
        };
        let kind = if *nullable { format!("Nullable<{kind}>") } else { kind.to_owned() };
        format!("{table_name}.{name}: {kind}, key {key}")
    }
}

/// The columns of `schema.rs`, which consists of `table!` alone.
fn declared() -> BTreeSet<String> {
    let mut columns = BTreeSet::new();
    for table in include_str!("../../schema.rs").split("diesel::table! {").skip(1) {
        let (head, body) = table.split_once(") {").unwrap();
        let (body, _) = body.split_once("\n}").unwrap();
        let (name, keys) = head.split_once(" (").unwrap();
        let keys: Vec<&str> = keys.split(", ").collect();
        for (column, kind) in body.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(" -> ")) {
            let key = keys.iter().position(|key| *key == column).map_or(0, |at| at + 1);
            columns.insert(format!("{}.{column}: {kind}, key {key}", name.trim()));
        }
    }
    columns
}

#[test]
fn the_declared_tables_are_those_that_the_migrations_create() {
    let Some(fixture) = Fixture::new() else { return };
    migrate(&fixture.settings()).unwrap();
    let columns: Vec<Column> = diesel::RunQueryDsl::load(diesel::sql_query(COLUMNS), &mut fixture.connect()).unwrap();
    let own = columns.iter().filter(|column| column.table_name != "__diesel_schema_migrations");
    let migrated: BTreeSet<String> = own.map(Column::line).collect();
    let declared = declared();
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect::<Vec<_>>();
    assert!(declared.len() > 80, "{declared:?}");
    assert_eq!(only(&declared, &migrated), only(&migrated, &declared), "schema.rs alone, the migrated tables alone");
}
