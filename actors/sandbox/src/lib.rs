//! Carriers for people without one: servers that speak the providers' protocols.
