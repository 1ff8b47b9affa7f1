//! Vumi.
