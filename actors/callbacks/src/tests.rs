//! The actor against servers on loopback and a store in memory.

mod client_server;
mod delivery_store;
mod posting;
