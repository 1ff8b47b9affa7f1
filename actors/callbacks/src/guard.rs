//! Which addresses callbacks may reach: clients choose the URLs and must not reach what only this machine can reach.
//!
//! The guard is part of the resolver: the addresses that were checked are those that are connected to, so a name that
//! later resolves to another address gains nothing. An address in the URL itself passes no resolver and is checked before
//! the post, as is the port. Redirects are not followed and no proxy is used.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::settings::CallbackSettings;

/// Why a URL is refused. The text does not contain the address: clients read it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RefusedUrl {
    #[error(
        "the URL leads to an internal address (loopback, private, link-local, reserved, or this machine's own), which \
         is refused; to allow it, the operator sets `allow_internal = true` under [callbacks]"
    )]
    Internal,
    #[error("the URL leads to a cloud's metadata service, which is always refused")]
    Metadata,
    #[error("the URL leads to an address that the operator has denied (callbacks.deny)")]
    Denied,
    #[error("the URL's port is refused: the operator allows the ports {0} (callbacks.ports)")]
    Port(String),
}

/// Checks URLs and addresses by the operator's settings.
#[derive(Debug)]
pub(crate) struct Guard {
    allow_internal: bool,
    deny: Vec<IpNet>,
    ports: Vec<u16>,
}

impl Guard {
    pub(crate) fn new(settings: &CallbackSettings) -> Self {
        Self { allow_internal: settings.allow_internal, deny: settings.deny.clone(), ports: settings.ports.clone() }
    }

    /// Checks the port, and an address in the URL itself: no resolver sees it.
    pub(crate) fn check_url(&self, url: &Url) -> Result<(), RefusedUrl> {
        let port_allowed = url.port_or_known_default().is_some_and(|port| self.ports.contains(&port));
        if !self.ports.is_empty() && !port_allowed {
            let ports: Vec<_> = self.ports.iter().map(u16::to_string).collect();
            return Err(RefusedUrl::Port(ports.join(", ")));
        }
        match url.host() {
            Some(Host::Ipv4(ip)) => self.check(ip.into()),
            Some(Host::Ipv6(ip)) => self.check(ip.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    fn check(&self, ip: IpAddr) -> Result<(), RefusedUrl> {
        let embedded = match ip {
            IpAddr::V4(_) => None,
            IpAddr::V6(ip) => embedded_v4(ip).map(IpAddr::V4),
        };
        for ip in [Some(ip), embedded].into_iter().flatten() {
            if METADATA.contains(&ip) {
                return Err(RefusedUrl::Metadata);
            }
            if self.deny.iter().any(|net| net.contains(&ip)) {
                return Err(RefusedUrl::Denied);
            }
            if !self.allow_internal && (is_internal(ip) || is_own(ip)) {
                return Err(RefusedUrl::Internal);
            }
        }
        Ok(())
    }
}

/// The metadata services that give a machine's credentials to whoever asks from it: AWS, Azure, Google and many others;
/// AWS's credentials of tasks; Azure's host; Alibaba; Oracle; and the IPv6 addresses of AWS, Google and link-local ones.
const METADATA: [IpAddr; 8] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
];

/// Whether an address is of one of this machine's interfaces: the kernel sends from an own address to itself. Connecting
/// a UDP socket sends nothing.
fn is_own(ip: IpAddr) -> bool {
    const DISCARD_PORT: u16 = 9;
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let source = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((ip, DISCARD_PORT))?;
        socket.local_addr()
    };
    // Without a route there it is no own address.
    source().is_ok_and(|source| source.ip() == ip)
}

/// Whether an address is no ordinary one on the internet: loopback, private, link-local, shared (carrier-grade NAT),
/// multicast, broadcast, documentation and reserved ranges.
fn is_internal(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_internal_v4(ip),
        IpAddr::V6(ip) => is_internal_v6(ip),
    }
}

fn is_internal_v4(ip: Ipv4Addr) -> bool {
    // IANA's IPv4 special-purpose registry, and multicast.
    matches!(
        ip.octets(),
        [0 | 10 | 127 | 224.., ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18..=19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

fn is_internal_v6(ip: Ipv6Addr) -> bool {
    if let Some(embedded) = embedded_v4(ip) {
        return is_internal_v4(embedded);
    }
    match ip.segments() {
        // The IETF's own ranges (Teredo among them) and documentation.
        [0x2001, ..=0x01ff | 0x0db8, ..] | [0x3fff, ..=0x0fff, ..] => true,
        // Only 2000::/3 is global unicast; all other addresses are loopback, local, multicast or reserved.
        [first, ..] => !(0x2000..=0x3fff).contains(&first),
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, NAT64, 6to4.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

/// Resolves names as the machine does.
pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A resolver that removes the addresses that the guard refuses. If none is left, the first refusal is the error.
pub(crate) struct GuardedResolver {
    pub(crate) names: Arc<dyn Resolve>,
    pub(crate) guard: Arc<Guard>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, guard) = (Arc::clone(&self.names), Arc::clone(&self.guard));
        Box::pin(async move {
            let (mut allowed, mut refusal) = (Vec::new(), None);
            for address in names.resolve(name).await? {
                match guard.check(address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(refused) => refusal = refusal.or(Some(refused)),
                }
            }
            match refusal {
                Some(refused) if allowed.is_empty() => Err(refused.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use url::Url;

    use super::{Guard, RefusedUrl, is_internal, is_own};
    use crate::settings::CallbackSettings;

    fn guard() -> Guard {
        Guard::new(&CallbackSettings::default())
    }

    #[test]
    fn this_machines_addresses_are_its_own() {
        // Where there is no network, loopback remains.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let own = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()).map(|address| address.ip());
        for ip in [own.unwrap_or("127.0.0.1".parse().unwrap()), "127.0.0.1".parse().unwrap()] {
            assert!(is_own(ip), "{ip}");
        }
        for ip in ["192.0.2.1", "8.8.8.8", "2606:4700::1111"] {
            assert!(!is_own(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn metadata_services_are_refused_on_every_cloud_and_in_every_notation() {
        let settings = CallbackSettings { allow_internal: true, ..CallbackSettings::default() };
        for host in [
            "169.254.169.254",
            "2852039166",
            "169.254.170.2",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "[fd00:ec2::254]",
            "[fd20:ce::254]",
            "[fe80::a9fe:a9fe]",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a83f:8110]",
        ] {
            let url = Url::parse(&format!("http://{host}/latest")).unwrap();
            assert_eq!(Guard::new(&settings).check_url(&url), Err(RefusedUrl::Metadata), "{host}");
        }
    }

    #[test]
    fn internal_addresses_are_distinguished_from_those_on_the_internet() {
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "3fff::1",
            "4000::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(is_internal(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "3fff:1000::1",
        ] {
            assert!(!is_internal(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn an_address_in_the_url_is_recognised_in_every_notation() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
            "https://user@169.254.169.254:8443/x",
        ] {
            assert!(guard().check_url(&Url::parse(url).unwrap()).is_err(), "{url}");
        }
        for url in ["http://8.8.8.8/", "https://[2606:4700::1111]/", "https://client.example/127.0.0.1"] {
            assert!(guard().check_url(&Url::parse(url).unwrap()).is_ok(), "{url}");
        }
    }
}
