//! The sandbox over its sockets: what a transport, a test and an operator see.

mod harness;
mod http_providers;
mod misbehaviour;
mod phone;
mod providers;
mod smsc;
mod ussd;
