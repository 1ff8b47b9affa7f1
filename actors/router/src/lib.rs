//! The dispatcher: who gets a message.
//!
//! It holds one routing table (address to campaign) and the addresses of the components, and does no I/O: it reads
//! a message, looks up a component and hands over. It waits for nobody: a transport that is full leaves its SMS in
//! the ledger, a campaign that is busy is refused with a reason, and the transport tells the person.
//!
//! A new kind of address goes into `table.rs`; a new message between components into the kit and `actor.rs`.

mod actor;
mod keyword;
mod received_queues;
mod table;

pub use actor::{Router, RouterSettings};
pub use table::{Route, RoutingTable, Unclear};
