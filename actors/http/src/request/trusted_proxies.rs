//! The client's address: the connection's peer, or, behind a proxy that the settings trust, the client that the proxy
//! names.
//!
//! A header is believed only as far as trusted proxies wrote it: it is read from its end, past the trusted proxies, to
//! the first address that is not one of them. Anybody may have written what precedes that address.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::{
    HttpRequest,
    http::header::{HOST, HeaderMap, HeaderName},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vumi_front_kit::client_prefix::client_prefix;
use vumi_kit::network::Network;

use crate::connection::track::connection_of;

/// The header in which the trusted proxies name the client. Only one is read: a proxy that writes one of them passes the
/// other on as the client sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, as most proxies write it.
    #[default]
    #[serde(rename = "x-forwarded-for")]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    #[serde(rename = "forwarded")]
    Forwarded,
}

/// The proxies whose header is believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies {
    trusted: Vec<Network>,
    header: ForwardedHeader,
}

impl TrustedProxies {
    pub(crate) fn new(trusted: &[Network], header: ForwardedHeader) -> Self {
        Self { trusted: trusted.to_vec(), header }
    }

    /// Whether an address is a trusted proxy's.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// The client's address; `None` only where there is no connection (in tests).
    pub(crate) fn client_of(&self, request: &HttpRequest) -> Option<IpAddr> {
        Some(self.client_behind(request.peer_addr()?.ip(), request.headers()))
    }

    /// The prefix of the client's address.
    pub(crate) fn client_prefix_of(&self, request: &HttpRequest) -> Option<IpAddr> {
        self.client_of(request).map(client_prefix)
    }

    /// The network of the client's address.
    pub(crate) fn client_network_of(&self, request: &HttpRequest) -> Option<IpAddr> {
        self.client_of(request).map(network_prefix)
    }

    /// Scheme and host under which the client reached this request, for links: a trusted proxy's word, or else the
    /// request's own. `None` where no host is named that may stand in a link.
    pub(crate) fn base_url_of(&self, request: &HttpRequest) -> Option<String> {
        let headers = request.headers();
        let proxied = request.peer_addr().is_some_and(|peer| self.trusts(peer.ip()));
        let named = |what| if proxied { self.named_by_proxy(headers, what) } else { None };
        let own = || connection_of(request).is_some_and(|connection| connection.is_tls());
        let https = named("proto").map_or_else(own, |scheme| scheme == "https");
        let scheme = if https { "https" } else { "http" };
        let host = named("host").or_else(|| Some(headers.get(HOST)?.to_str().ok()?.to_owned()))?;
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
        (!host.is_empty() && host.bytes().all(legal)).then(|| format!("{scheme}://{host}"))
    }

    /// What the nearest proxy says of the client's request: its `proto`, its `host`.
    fn named_by_proxy(&self, headers: &HeaderMap, what: &str) -> Option<String> {
        let name = match self.header {
            ForwardedHeader::XForwardedFor => HeaderName::try_from(format!("x-forwarded-{what}")).ok()?,
            ForwardedHeader::Forwarded => HeaderName::from_static("forwarded"),
        };
        let line = headers.get_all(name).last()?.to_str().ok()?;
        let last = line.rsplit(',').next()?;
        let value = match self.header {
            ForwardedHeader::XForwardedFor => last,
            ForwardedHeader::Forwarded => parameter(last, what)?,
        };
        Some(value.trim().trim_matches('"').to_ascii_lowercase())
    }

    fn client_behind(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let name = match self.header {
            ForwardedHeader::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ForwardedHeader::Forwarded => HeaderName::from_static("forwarded"),
        };
        let lines: Vec<&str> = headers.get_all(name).map(|line| line.to_str().unwrap_or_default()).collect();
        let mut client = peer;
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            if !self.trusts(client) {
                break;
            }
            // Nothing is known beyond a hop that names no address (`unknown`, `_hidden`).
            let Some(address) = self.address_of(hop) else { break };
            client = address;
        }
        client
    }

    fn address_of(&self, hop: &str) -> Option<IpAddr> {
        let node = match self.header {
            ForwardedHeader::XForwardedFor => hop,
            ForwardedHeader::Forwarded => parameter(hop, "for")?,
        };
        address(node.trim().trim_matches('"'))
    }
}

/// A parameter of an element of `Forwarded`.
fn parameter<'h>(element: &'h str, wanted: &str) -> Option<&'h str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then_some(value)
    })
}

/// Parses an address with or without a port; IPv6 with or without brackets.
fn address(node: &str) -> Option<IpAddr> {
    if let Some((inside, _port)) = node.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inside.parse().ok();
    }
    let without_port = || node.rsplit_once(':').and_then(|(host, _port)| host.parse().ok());
    node.parse().ok().or_else(without_port)
}

/// The network that an address most likely shares with others of one owner: a /24 of IPv4, a /64 of IPv6.
fn network_prefix(address: IpAddr) -> IpAddr {
    match client_prefix(address) {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & !0xff).into(),
        v6 @ IpAddr::V6(_) => v6,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use actix_web::test::TestRequest;
    use proptest::prelude::*;
    use serde_json::json;

    use super::{ForwardedHeader, Network, TrustedProxies, address, client_prefix};

    fn trusted_proxies(header: ForwardedHeader) -> TrustedProxies {
        let trusted: Vec<Network> = serde_json::from_value(json!(["10.0.0.0/8", "192.0.2.7", "fd00::/8"])).unwrap();
        TrustedProxies::new(&trusted, header)
    }

    #[track_caller]
    fn assert_client(header: ForwardedHeader, peer: &str, lines: &[(&str, &str)], expected: &str) {
        let mut request = TestRequest::get().peer_addr(format!("{peer}:4000").parse().unwrap());
        for line in lines {
            request = request.append_header(*line);
        }
        let client = trusted_proxies(header).client_prefix_of(&request.to_http_request());
        assert_eq!(client, Some(expected.parse().unwrap()), "{peer} {lines:?}");
    }

    #[test]
    fn the_right_most_address_that_is_no_trusted_proxy_is_the_client() {
        let header = ForwardedHeader::XForwardedFor;
        for (peer, lines, expected) in [
            ("198.51.100.1", vec![], "198.51.100.1"),
            // The peer is no trusted proxy: its header is ignored.
            ("198.51.100.1", vec![("x-forwarded-for", "203.0.113.9")], "198.51.100.1"),
            ("10.1.2.3", vec![("x-forwarded-for", "203.0.113.9")], "203.0.113.9"),
            ("10.1.2.3", vec![("x-forwarded-for", "1.1.1.1, 203.0.113.9, 192.0.2.7")], "203.0.113.9"),
            ("10.1.2.3", vec![("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.9")], "203.0.113.9"),
            ("10.1.2.3", vec![("x-forwarded-for", "203.0.113.9:51234")], "203.0.113.9"),
            // The proxy names no client: its own address counts.
            ("10.1.2.3", vec![("x-forwarded-for", "unknown")], "10.1.2.3"),
            ("10.1.2.3", vec![("x-forwarded-for", "203.0.113.9, nonsense, 10.9.9.9")], "10.9.9.9"),
            ("10.1.2.3", vec![("x-forwarded-for", "10.9.9.9")], "10.9.9.9"),
            // Only the header that the settings name is read.
            ("10.1.2.3", vec![("forwarded", "for=203.0.113.9")], "10.1.2.3"),
            ("[fd00::1]", vec![("x-forwarded-for", "2001:db8:1:2:3:4:5:6")], "2001:db8:1:2::"),
            ("[::ffff:10.1.2.3]", vec![("x-forwarded-for", "203.0.113.9")], "203.0.113.9"),
        ] {
            assert_client(header, peer, &lines, expected);
        }
    }

    #[test]
    fn the_standard_header_is_read_where_the_settings_name_it() {
        let header = ForwardedHeader::Forwarded;
        for (value, expected) in [
            ("for=1.1.1.1, proto=http;For=203.0.113.9;by=10.0.0.1", "203.0.113.9"),
            ("for=\"[2001:db8:1:2:3:4:5:6]:4711\"", "2001:db8:1:2::"),
            ("for=_hidden", "10.1.2.3"),
            ("proto=https", "10.1.2.3"),
        ] {
            assert_client(header, "10.1.2.3", &[("forwarded", value)], expected);
        }
        assert_client(header, "10.1.2.3", &[("x-forwarded-for", "203.0.113.9")], "10.1.2.3");
    }

    #[test]
    fn a_link_has_the_host_that_a_trusted_proxy_names_and_nobody_else() {
        let x = ForwardedHeader::XForwardedFor;
        let (own, public) = ("http://router:8000", "https://sms.example");
        let forwarded = [("x-forwarded-proto", "https"), ("x-forwarded-host", "sms.example")];
        for (header, peer, lines, expected) in [
            (x, "10.1.2.3", &forwarded[..], Some(public)),
            (x, "198.51.100.1", &forwarded, Some(own)),
            (x, "10.1.2.3", &[("forwarded", "proto=https;host=sms.example")], Some(own)),
            (x, "10.1.2.3", &[("x-forwarded-host", "evil.example, sms.example")], Some("http://sms.example")),
            (x, "10.1.2.3", &[("x-forwarded-host", "a>; rel=x")], None),
            (
                ForwardedHeader::Forwarded,
                "10.1.2.3",
                &[("forwarded", "for=1.1.1.1;proto=https;host=\"sms.example\"")],
                Some(public),
            ),
            (ForwardedHeader::Forwarded, "198.51.100.1", &[("forwarded", "proto=https;host=sms.example")], Some(own)),
            (ForwardedHeader::Forwarded, "10.1.2.3", &forwarded, Some(own)),
        ] {
            let mut request = TestRequest::get().peer_addr(format!("{peer}:4000").parse().unwrap());
            request = request.insert_header(("host", "router:8000"));
            for line in lines {
                request = request.append_header(*line);
            }
            let base = trusted_proxies(header).base_url_of(&request.to_http_request());
            assert_eq!(base.as_deref(), expected, "{peer} {lines:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(value in "([0-9a-f.:,;=\"\\[\\] ]|for|\\PC){0,40}") {
            let _address = address(&value);
            for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
                let _address = trusted_proxies(header).address_of(&value);
            }
        }

        #[test]
        fn addresses_of_one_64_bit_network_count_as_one(low in any::<[u64; 2]>()) {
            let at = |low: u64| IpAddr::from(std::net::Ipv6Addr::from_bits((0x2001_0db8 << 96) | u128::from(low)));
            prop_assert_eq!(client_prefix(at(low[0])), client_prefix(at(low[1])));
        }
    }
}
