//! The migrations are embedded by a macro, which does not notice a new one by itself. Which of them take something away is
//! written in their text, `-- contract: not before VERSION` (migrations/README.md): their list is made here.

use std::{env, fs, io, path::Path};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=../../migrations");
    let mut contracting: Vec<String> = Vec::new();
    for migration in fs::read_dir("../../migrations/sqlite")? {
        let migration = migration?;
        let up = fs::read_to_string(migration.path().join("up.sql"))?;
        if up.lines().any(|line| line.starts_with("-- contract: not before ")) {
            let name = migration.file_name().to_string_lossy().into_owned();
            contracting.extend(name.split('_').next().map(str::to_owned));
        }
    }
    contracting.sort_unstable();
    let list = format!("const CONTRACTING: &[&str] = &{contracting:?};\n");
    let out = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(Path::new(&out).join("contracting.rs"), list)
}
