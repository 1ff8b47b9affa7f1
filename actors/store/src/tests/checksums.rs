//! A released migration is never edited: databases that ran it would differ from those that run it after the edit.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use sha2::{Digest, Sha256};

const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");

/// The checksum of every migration's file, by its path below `migrations/`.
fn computed() -> BTreeMap<String, String> {
    let mut sums = BTreeMap::new();
    for database in ["postgres", "sqlite"] {
        for migration in fs::read_dir(Path::new(MIGRATIONS).join(database)).unwrap() {
            let migration = migration.unwrap();
            for file in ["up.sql", "down.sql"] {
                let path = format!("{database}/{}/{file}", migration.file_name().to_str().unwrap());
                let digest = Sha256::digest(fs::read(migration.path().join(file)).unwrap());
                let hex = digest.iter().fold(String::new(), |mut hex, byte| {
                    write!(hex, "{byte:02x}").unwrap();
                    hex
                });
                sums.insert(path, hex);
            }
        }
    }
    sums
}

/// `migrations/SHA256SUMS`, as `sha256sum` writes it.
fn released() -> BTreeMap<String, String> {
    let sums = fs::read_to_string(Path::new(MIGRATIONS).join("SHA256SUMS")).unwrap();
    let entries = sums.lines().map(|line| line.split_once("  ").unwrap());
    entries.map(|(sum, path)| (path.to_owned(), sum.to_owned())).collect()
}

#[test]
fn a_released_migration_is_never_edited_and_a_new_one_is_listed() {
    let (computed, released) = (computed(), released());
    for (path, sum) in &released {
        assert_eq!(
            computed.get(path),
            Some(sum),
            "migrations/{path} was edited, renamed or removed: put it back, and write a new migration"
        );
    }
    for path in computed.keys() {
        assert!(released.contains_key(path), "migrations/SHA256SUMS does not list {path}: see migrations/README.md");
    }
}
