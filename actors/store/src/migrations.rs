//! Migrations, whichever the database: which there are, which it has, running them.

use diesel::{backend::Backend, migration::MigrationVersion};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use crate::error::OpenError;

/// The names of those that were not run yet. A database that knows one that we don't is refused.
pub(crate) fn pending<DB: Backend>(
    conn: &mut impl MigrationHarness<DB>,
    known: fn() -> EmbeddedMigrations,
) -> Result<Vec<String>, OpenError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| OpenError::Database(error.to_string());
    let unknown = unknown(conn, &known()).map_err(failed)?;
    if !unknown.is_empty() {
        return Err(OpenError::Newer { versions: unknown.join(", ") });
    }
    let pending = conn.pending_migrations(known()).map_err(failed)?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

fn unknown<DB: Backend>(
    conn: &mut impl MigrationHarness<DB>,
    known: &EmbeddedMigrations,
) -> diesel::migration::Result<Vec<String>> {
    use diesel::migration::MigrationSource;
    let known = MigrationSource::<DB>::migrations(known)?;
    let applied: Vec<MigrationVersion<'static>> = conn.applied_migrations()?;
    Ok(applied
        .into_iter()
        .filter(|version| !known.iter().any(|migration| migration.name().version() == *version))
        .map(|version| version.to_string())
        .collect())
}

/// Runs those that were not run yet, and answers their names.
pub(crate) fn run<DB: Backend>(
    conn: &mut impl MigrationHarness<DB>,
    known: fn() -> EmbeddedMigrations,
) -> Result<Vec<String>, OpenError> {
    let pending = pending(conn, known)?;
    if !pending.is_empty() {
        conn.run_pending_migrations(known()).map_err(|error| OpenError::Migration(error.to_string()))?;
        tracing::info!(migrations = pending.join(", "), "the database was migrated");
    }
    Ok(pending)
}
