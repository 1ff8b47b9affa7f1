//! The sandbox over its sockets: what a transport, a test and an operator see.

mod carriers;
mod http_providers;
mod misbehaviour;
mod rig;
mod ussd;
