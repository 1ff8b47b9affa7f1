//! The dispatcher: one routing table, no I/O.
