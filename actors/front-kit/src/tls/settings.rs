//! The table of a listener with TLS: `[http.tls]`, `[smpp.tls]`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use vumi_kit::{address::listen_address, kind::Problem, settings_schema::HumanDuration};

/// A listener with TLS 1.2 and 1.3.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The address to listen on with TLS, beside `bind` of the table above without it. None: that `bind` itself speaks TLS,
    /// and nothing is served without.
    #[serde(default, deserialize_with = "optional_address")]
    #[schemars(example = &"0.0.0.0:8443")]
    pub bind: Option<SocketAddr>,
    /// A PEM file with the certificate and those of its authorities, the own one first. Read anew when it changes, and at
    /// SIGHUP.
    #[schemars(with = "String", example = &"/etc/vumi/tls/fullchain.pem")]
    pub certificate: PathBuf,
    /// A PEM file with the certificate's private key.
    #[schemars(with = "String", example = &"/etc/vumi/tls/privkey.pem")]
    pub key: PathBuf,
    /// How long a handshake may take, waiting for its turn included. Default 10s
    #[serde(default = "ten_seconds", with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub handshake_within: Duration,
    /// Handshakes at once: each takes some milliseconds of a core. More wait. Default 64
    #[serde(default = "default_handshakes")]
    pub handshakes: usize,
}

fn optional_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    listen_address(from).map(Some)
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

const fn default_handshakes() -> usize {
    64
}

impl TlsSettings {
    /// What is wrong with them, but for what is in the files; `plain` is the listener beside it.
    #[must_use]
    pub fn check(&self, plain: SocketAddr) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, path) in [("tls.certificate", &self.certificate), ("tls.key", &self.key)] {
            if path.as_os_str().is_empty() {
                problems.push(Problem::new(key, "is empty; expected the path of a PEM file"));
            }
        }
        if self.bind.is_some_and(|bind| bind == plain && bind.port() != 0) {
            problems.push(Problem::new(
                "tls.bind",
                "is the `bind` without TLS, too: leave it out to have TLS there, or choose another port",
            ));
        }
        if self.handshake_within.is_zero() {
            problems.push(Problem::new("tls.handshake_within", "must be longer than 0s"));
        }
        if self.handshakes == 0 {
            problems.push(Problem::new("tls.handshakes", "must be at least 1"));
        }
        problems
    }
}
