//! An SMPP centre: the server side of SMPP 3.4 (docs/providers/smpp.md), with people's phones behind it.

mod counts;
mod delivery;
mod esme_queue;
mod handsets;
mod inbound;
mod misbehaviour;
mod network;
mod reassembly;
mod receipts;
mod server;
mod session;
mod settings;
mod submissions;
mod taken;
mod text;

pub use handsets::SmscUssdDialect;
pub(crate) use inbound::InboundError;
pub(crate) use misbehaviour::wrong_status;
pub use misbehaviour::{IdForm, ReceiptForm, SmscMisbehaviour};
pub(crate) use network::{ReceiptLimits, SmscNetwork};
pub(crate) use server::serve;
pub use settings::SmscSettings;
