//! The carriers' protocols: an actor for each.
