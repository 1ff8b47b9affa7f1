//! The store as the other rooms use it: one suite, run on each back-end.

mod checksums;
mod postgres;
mod sqlite;
