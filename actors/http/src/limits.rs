//! What one client, one address, one request may take.

pub(crate) mod call_rates;
pub(crate) mod quotas;
pub(crate) mod send_limits;
