//! Networks, as operators write them: who may call, and who may not be called.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error};

/// A single address, or a network such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub struct Network(#[schemars(with = "String")] IpNet);

impl Network {
    /// Whether an address is in it; an IPv4 address may be written as IPv6.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let net = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(Self).map_err(|_| format!("`{text}` is neither an address nor a network such as 10.0.0.0/8"))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Network;

    #[test]
    fn a_network_holds_its_addresses_and_one_that_does_not_parse_is_named() {
        let network: Network = serde_json::from_value(json!("10.0.0.0/8")).unwrap();
        for (address, within) in [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("11.0.0.1", false), ("::1", false)] {
            assert_eq!(network.contains(address.parse().unwrap()), within, "{address}");
        }
        assert_eq!(network.to_string().parse(), Ok(network));
        let error = serde_json::from_value::<Network>(json!("10.0.0.0/33")).unwrap_err().to_string();
        assert!(error.contains("`10.0.0.0/33` is neither an address nor a network"), "{error}");
    }
}
