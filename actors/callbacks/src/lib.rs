//! Posts events to the clients' URLs.
