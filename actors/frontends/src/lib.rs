//! The doors of the router: HTTP.
