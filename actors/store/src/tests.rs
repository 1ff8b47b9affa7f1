//! The store as the other components use it: one suite, run on each database.

mod checksums;
mod postgres;
mod sqlite;
