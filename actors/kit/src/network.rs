//! Networks, as operators write them: who may call, and who may not be called.

use std::net::IpAddr;

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

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let net = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let wanted = |_| D::Error::custom(format!("`{text}` is neither an address nor a network such as 10.0.0.0/8"));
        net.map(Self).map_err(wanted)
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
        let error = serde_json::from_value::<Network>(json!("10.0.0.0/33")).unwrap_err().to_string();
        assert!(error.contains("`10.0.0.0/33` is neither an address nor a network"), "{error}");
    }
}
