//! A PostgreSQL database for a benchmark.

use diesel::{Connection, PgConnection, connection::SimpleConnection};

use crate::harness::free_port;

/// A database of its own, dropped with it.
pub(crate) struct BenchDatabase {
    server: String,
    name: String,
}

impl BenchDatabase {
    pub(crate) fn new() -> Self {
        let server =
            std::env::var("VUMI_BENCH_POSTGRES").unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432".to_owned());
        let name = format!("vumi_bench_{}_{}", std::process::id(), free_port());
        let database = Self { server, name };
        database.as_owner(&format!("CREATE DATABASE {}", database.name));
        database
    }

    fn as_owner(&self, statement: &str) {
        let mut conn = PgConnection::establish(&format!("{}/postgres", self.server)).unwrap();
        conn.batch_execute(statement).unwrap();
    }

    pub(crate) fn settings(&self) -> String {
        format!("\n[store]\nurl = \"{}/{}\"\n", self.server, self.name)
    }
}

impl Drop for BenchDatabase {
    fn drop(&mut self) {
        self.as_owner(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}
