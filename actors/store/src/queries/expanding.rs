//! Which migrations an older vumi can live with, as the database says.

use diesel::prelude::*;

use super::Conn;
use crate::{migrations::MarkedMigrations, schema::expanding_migrations};

impl MarkedMigrations for Conn {
    fn expanding(&mut self) -> Vec<String> {
        // A database from before the table was there says nothing.
        expanding_migrations::table.select(expanding_migrations::version).load(self).unwrap_or_default()
    }

    fn mark_expanding(&mut self, versions: &[String]) -> QueryResult<()> {
        for version in versions {
            diesel::insert_into(expanding_migrations::table)
                .values(expanding_migrations::version.eq(version))
                .on_conflict_do_nothing()
                .execute(self)?;
        }
        Ok(())
    }
}
