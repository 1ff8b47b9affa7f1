//! TruTeq: the server side of SSMI (docs/providers/truteq-ssmi.md), with a network of handsets behind it.

mod handset_network;
mod router_connection;
mod server;
mod settings;

pub(crate) use handset_network::{HandsetError, HandsetNetwork, HandsetScreen};
pub(crate) use server::serve;
pub use settings::TruteqSettings;
