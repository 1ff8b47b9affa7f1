//! Migrations, whichever the database: which there are, which it has, running them.
//!
//! Those that only add are written down in the database as such, by whoever ran them (`expanding_migrations`). So a vumi of the
//! version before, which does not know them, goes on with the database; one that took something away stops it.

use diesel::{QueryResult, backend::Backend, migration::MigrationVersion};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use crate::error::OpenError;

// The versions of the migrations that take something away.
include!(concat!(env!("OUT_DIR"), "/contracting.rs"));

/// The migrations that a database says an older vumi can live with.
pub(crate) trait MarkedMigrations {
    /// Their versions; none where nobody has written any down.
    fn expanding(&mut self) -> Vec<String>;

    /// Writes down that these versions only add; those that were written down before stay.
    fn mark_expanding(&mut self, versions: &[String]) -> QueryResult<()>;
}

/// The names of those that were not run yet. A database that has one that we don't know is refused, unless that one only adds.
pub(crate) fn pending<DB: Backend>(
    conn: &mut (impl MigrationHarness<DB> + MarkedMigrations),
    known: fn() -> EmbeddedMigrations,
) -> Result<Vec<String>, OpenError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| OpenError::Database(error.to_string());
    let mut unknown = unknown(conn, &known()).map_err(failed)?;
    if !unknown.is_empty() {
        let expanding = conn.expanding();
        unknown.retain(|version| !expanding.contains(version));
    }
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
    let known = versions::<DB>(known)?;
    let applied: Vec<MigrationVersion<'static>> = conn.applied_migrations()?;
    Ok(applied.into_iter().map(|version| version.to_string()).filter(|version| !known.contains(version)).collect())
}

fn versions<DB: Backend>(migrations: &EmbeddedMigrations) -> diesel::migration::Result<Vec<String>> {
    use diesel::migration::MigrationSource;
    let migrations = MigrationSource::<DB>::migrations(migrations)?;
    Ok(migrations.iter().map(|migration| migration.name().version().to_string()).collect())
}

/// Runs those that were not run yet, and answers their names.
pub(crate) fn run<DB: Backend>(
    conn: &mut (impl MigrationHarness<DB> + MarkedMigrations),
    known: fn() -> EmbeddedMigrations,
) -> Result<Vec<String>, OpenError> {
    let pending = pending(conn, known)?;
    if !pending.is_empty() {
        conn.run_pending_migrations(known()).map_err(|error| OpenError::Migration(error.to_string()))?;
        tracing::info!(migrations = pending.join(", "), "the database was migrated");
    }
    // Also where an earlier process ran them and was killed here.
    let marked = conn.expanding();
    let mut unmarked = versions::<DB>(&known()).map_err(|error| OpenError::Migration(error.to_string()))?;
    unmarked.retain(|version| !marked.contains(version) && !CONTRACTING.contains(&version.as_str()));
    if !unmarked.is_empty() {
        conn.mark_expanding(&unmarked).map_err(|error| OpenError::Migration(error.to_string()))?;
    }
    Ok(pending)
}
