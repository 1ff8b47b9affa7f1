//! What the front-ends share, whatever protocol their clients speak.
//!
//! | where | what |
//! |---|---|
//! | `password`, `login_limiter` | Argon2id, and how many passwords may be tried |
//! | `token_buckets`, `recipient_rates`, `quotas` | how much a client may send |
//! | `log_in_trail`, `client_prefix` | log-ins in the audit trail; what limits count as one client |
//! | `sms_text`, `sending_chain` | what may be sent, and what middleware makes of it |
//! | `campaign_sms` | what campaigns send beside their answers |
//! | `tls` | a certificate that is read anew when its files change; handshakes |

pub mod campaign_sms;
pub mod client_prefix;
pub mod log_in_trail;
pub mod login_limiter;
pub mod password;
pub mod quotas;
pub mod recipient_rates;
pub mod sending_chain;
pub mod sms_text;
pub mod tls;
pub mod token_buckets;
