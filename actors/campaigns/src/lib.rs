//! The services that answer people: an actor for each.
