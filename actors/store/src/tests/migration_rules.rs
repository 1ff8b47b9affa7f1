//! Migrations only add, so that processes of two neighbouring versions share a database: see migrations/README.md.

use std::{fs, path::Path};

const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");

/// The last one from before the rule.
const BEFORE_THE_RULE: &str = "20261128150000";

/// What takes something from a process that does not know the migration, and why.
const TAKES_AWAY: [(&[&str], &str); 8] = [
    (&["drop table"], "the version before still reads it"),
    (&["drop column"], "the version before still reads it"),
    (&[" rename "], "the version before knows the old name"),
    (&["alter column"], "the version before writes it as it was"),
    (&["add constraint"], "the version before may break it"),
    (&["unique index"], "the version before may break it"),
    (&["create trigger"], "the version before does not expect it"),
    (&["add column", "not null"], "the version before leaves it out: give it a DEFAULT, or allow NULL"),
];

/// The statements of a migration, in lower case, with single spaces and without comments.
fn statements(sql: &str) -> Vec<String> {
    let code: String =
        sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    code.split(';').map(|statement| statement.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()).collect()
}

/// What of a migration takes something away.
fn taken_away(sql: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for statement in statements(sql) {
        let created = |table: &str| sql.to_lowercase().contains(&format!("create table {table} "));
        let on_a_new_table =
            statement.split_once(" on ").is_some_and(|(_, table)| created(table.split([' ', '(']).next().unwrap()));
        for (words, why) in TAKES_AWAY {
            let found = words.iter().all(|word| format!(" {statement} ").contains(word));
            let harmless = (words[0] == "add column" && statement.contains("default"))
                || (words[0] == "unique index" && on_a_new_table);
            if found && !harmless {
                wrong.push(format!("`{statement}`: {why}"));
            }
        }
    }
    wrong
}

/// The version of vumi in which a migration may be run, if it says one.
fn not_before(sql: &str) -> Option<&str> {
    sql.lines().find_map(|line| line.strip_prefix("-- contract: not before ")).map(str::trim)
}

fn parts(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap()).collect()
}

#[test]
fn a_migration_only_adds_or_says_since_which_version_nobody_needs_what_it_takes_away() {
    for database in ["sqlite", "postgres"] {
        for migration in fs::read_dir(Path::new(MIGRATIONS).join(database)).unwrap() {
            let migration = migration.unwrap();
            let name = migration.file_name().into_string().unwrap();
            let sql = fs::read_to_string(migration.path().join("up.sql")).unwrap();
            if name.split('_').next().unwrap() <= BEFORE_THE_RULE {
                continue;
            }
            match not_before(&sql) {
                None => {
                    assert_eq!(taken_away(&sql), Vec::<String>::new(), "{database}/{name}: see migrations/README.md")
                }
                Some(version) => assert!(
                    parts(version) <= parts(env!("CARGO_PKG_VERSION")),
                    "{database}/{name} is not to be run before version {version}"
                ),
            }
        }
    }
}

#[test]
fn what_takes_something_away_is_found_and_what_adds_is_not() {
    for wrong in [
        "DROP TABLE sms",
        "ALTER TABLE sms\n  DROP COLUMN udh",
        "alter table sms rename column said to detail",
        "ALTER TABLE sms ALTER COLUMN udh SET NOT NULL",
        "ALTER TABLE sms ADD COLUMN x TEXT NOT NULL",
        "CREATE UNIQUE INDEX sms_x ON sms (x)",
        "ALTER TABLE sms ADD CONSTRAINT positive CHECK (id > 0)",
    ] {
        assert_eq!(taken_away(&format!("CREATE TABLE a (b TEXT);\n{wrong};")).len(), 1, "{wrong}");
    }
    let adds = "-- DROP TABLE in a comment\nALTER TABLE sms ADD COLUMN x TEXT NOT NULL DEFAULT '';\n\
        ALTER TABLE sms ADD COLUMN y BIGINT; CREATE TABLE new (x TEXT); CREATE UNIQUE INDEX new_x ON new (x);\n\
        CREATE INDEX sms_x ON sms (x); UPDATE sms SET x = ''; DROP INDEX sms_old;";
    assert_eq!(taken_away(adds), Vec::<String>::new());
    assert_eq!(not_before("-- what\n-- contract: not before 0.3.0\nDROP TABLE a;"), Some("0.3.0"));
    assert!(parts("0.10.0") > parts("0.9.1"));
}
