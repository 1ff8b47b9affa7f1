//! What limits count as one client.

use std::net::{IpAddr, Ipv6Addr};

/// The prefix that limits count as one client: an IPv4 address, or the /64 network that one IPv6 customer is given.
#[must_use]
pub fn client_prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}
