//! The writer's surroundings: its queue, its configuration, its health. The writer itself uses the connection of a database,
//! so it is compiled with `queries/` (`queries/writer.rs`).

pub(crate) mod commands;
pub(crate) mod config;
pub(crate) mod health;
pub(crate) mod queue;
