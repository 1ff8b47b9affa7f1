//! The doors of the router: bytes come in from clients and carriers, the kit's messages go to the other rooms.
//!
//! [`http`] serves the HTTP API; [`amqp`] joins processes, and programs of the Vumi family, over a broker. A front-end knows no carrier and no campaign: a transport declares its webhooks
//! as data and the door mounts them, and what must be kept goes to the store.
//!
//! To add another front-end: a module beside `http` with its settings, `start(wires, settings)`, and an actor
//! that holds a life line, answers `AskHealth` and drains; then one line here.

pub mod amqp;
pub mod http;
