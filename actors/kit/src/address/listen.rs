//! Where a server listens.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer, de::Error};

/// Reads where to listen, in settings: an IP address and a port, or `localhost` and a port.
pub fn listen_address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    let here = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let here = here.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    here.or_else(|| text.parse().ok()).ok_or_else(|| {
        D::Error::custom(format!(
            "`{text}` is no address to listen on: expected an IP address and a port, such as 127.0.0.1:8000, or \
             0.0.0.0:8000 for all of this machine's"
        ))
    })
}
