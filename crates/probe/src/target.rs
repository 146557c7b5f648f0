//! Which addresses and ports may be looked at.
//!
//! A node connects to where strangers tell it. Every address is judged after resolution and the connection goes to the
//! very address that was judged, so that a name can't lead into the operator's own network.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use parallax_core::DnsName;

use crate::names::is_public;

/// The ports where TLS, STARTTLS and SSH are at home.
const HOME_PORTS: [u16; 21] =
    [22, 25, 110, 143, 389, 443, 465, 587, 636, 853, 990, 993, 995, 3306, 5061, 5222, 5223, 5269, 5432, 6697, 8443];

/// Which addresses and ports may be looked at. The default is [`TargetPolicy::public`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetPolicy {
    any_address: bool,
    /// `None` is any port.
    ports: Option<BTreeSet<u16>>,
    denied: BTreeSet<SocketAddr>,
}

impl TargetPolicy {
    /// Globally routable unicast addresses, at the ports where TLS, STARTTLS and SSH are at home.
    pub fn public() -> Self {
        Self { any_address: false, ports: Some(HOME_PORTS.into()), denied: BTreeSet::new() }
    }

    /// Any address and any port: what a user's own commands and `--allow-private` look at.
    pub fn any() -> Self {
        Self { any_address: true, ports: None, denied: BTreeSet::new() }
    }

    /// These ports instead.
    pub fn with_ports(self, ports: impl IntoIterator<Item = u16>) -> Self {
        Self { ports: Some(ports.into_iter().collect()), ..self }
    }

    /// Any port.
    pub fn with_any_port(self) -> Self {
        Self { ports: None, ..self }
    }

    /// Never these: the addresses that the caller itself listens on. An unspecified address (`0.0.0.0:8443`) stands for
    /// every address of this machine.
    pub fn denied(mut self, own: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.denied.extend(own.into_iter().map(canonical));
        self
    }

    /// Whether this address and port may be looked at.
    pub fn allows(&self, target: SocketAddr) -> bool {
        let target = canonical(target);
        self.allows_port(target.port())
            && (self.any_address || is_global(target.ip()))
            && !self.denied.iter().any(|own| is_own(*own, target))
    }

    /// Whether DNS may be asked about this name: any, or public ones alone.
    pub fn allows_name(&self, name: &DnsName) -> bool {
        self.any_address || is_public(name.as_str())
    }

    /// Whether this port may be looked at.
    pub fn allows_port(&self, port: u16) -> bool {
        self.ports.as_ref().is_none_or(|ports| ports.contains(&port))
    }
}

impl Default for TargetPolicy {
    fn default() -> Self {
        Self::public()
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn is_own(own: SocketAddr, target: SocketAddr) -> bool {
    own.port() == target.port() && (own.ip() == target.ip() || own.ip().is_unspecified() && is_local(target.ip()))
}

/// Only an address of this machine can be bound to; nothing is sent.
fn is_local(address: IpAddr) -> bool {
    address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}

/// Whether an address is globally routable unicast (IANA special-purpose address registries, RFC 6890).
pub(crate) fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..]                      // this network, private, loopback
            | [100, 64..=127, ..]               // shared, carrier-grade NAT (RFC 6598)
            | [169, 254, ..]                    // link-local, cloud metadata
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [192, 0, 0 | 2, _]                // protocol assignments, TEST-NET-1
            | [192, 88, 99, _]                  // 6to4 relays (RFC 7526)
            | [198, 18 | 19, ..]                // benchmarks (RFC 2544)
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [224..=255, ..] // multicast, reserved, broadcast
    )
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => is_global_v4(embedded_v4(segments, 6)), // NAT64 (RFC 6052)
        [0x2002, ..] => is_global_v4(embedded_v4(segments, 1)),                     // 6to4 (RFC 3056)
        [0x2001, 0x0000..=0x01ff, ..] => false, // protocol assignments with Teredo, ORCHID, benchmarks
        [0x2001, 0x0db8, ..] | [0x3fff, 0x0000..=0x0fff, ..] => false, // documentation (RFC 3849, RFC 9637)
        [first, ..] => (0x2000..=0x3fff).contains(&first), // all that IANA has given out for global unicast
    }
}

fn embedded_v4(segments: [u16; 8], at: usize) -> Ipv4Addr {
    let half = |index: usize| segments.get(index).copied().unwrap_or_default().to_be_bytes();
    let ([a, b], [c, d]) = (half(at), half(at + 1));
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str, port: u16) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), port)
    }

    #[test]
    fn only_global_unicast_is_public() {
        let refused = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.255",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
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
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "::127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.1.2.3",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "64:ff9b:1:ffff::8.8.8.8",
            "64:ff9b:0:1::8.8.8.8",
            "100::1",
            "100:0:0:1::1",
            "2001::1",
            "2001:0:4136:e378::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2001:db8:ffff::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "2002:a9fe:a9fe::1",
            "2002:c0a8:1::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "4000::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "feff::1",
            "ff02::1",
            "ff0e::1",
        ];
        let allowed = [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.0.3.1",
            "192.88.98.1",
            "192.167.1.1",
            "192.169.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2002:808:808::1",
            "2606:4700::1111",
            "2a00:1450::1",
            "3ffe::1",
        ];
        assert!(refused.len() >= 60);
        let policy = TargetPolicy::public();
        for address in refused {
            assert!(!policy.allows(at(address, 443)), "{address}");
            assert!(TargetPolicy::any().allows(at(address, 443)), "{address}");
        }
        for address in allowed {
            assert!(policy.allows(at(address, 443)), "{address}");
        }
    }

    #[test]
    fn ports_are_those_where_tls_is_at_home() {
        let public = TargetPolicy::public();
        for port in HOME_PORTS {
            assert!(public.allows(at("8.8.8.8", port)), "{port}");
        }
        for port in [1, 21, 23, 53, 80, 444, 6379, 8080, 9200, 65535] {
            assert!(!public.allows(at("8.8.8.8", port)), "{port}");
            assert!(public.clone().with_any_port().allows(at("8.8.8.8", port)), "{port}");
        }
        assert!(public.clone().with_ports([9999]).allows(at("8.8.8.8", 9999)));
        assert!(!public.with_ports([9999]).allows(at("8.8.8.8", 443)));
    }

    #[test]
    fn own_listeners_are_never_looked_at() {
        let policy = TargetPolicy::any().denied([at("127.0.0.1", 8443), at("0.0.0.0", 9443), at("::", 9444)]);
        for own in ["127.0.0.1", "::ffff:127.0.0.1"] {
            assert!(!policy.allows(at(own, 8443)), "{own}");
            assert!(!policy.allows(at(own, 9443)), "{own}");
            assert!(!policy.allows(at(own, 9444)), "{own}");
        }
        assert!(policy.allows(at("127.0.0.2", 8443)));
        assert!(policy.allows(at("192.0.2.1", 9443)), "not an address of this machine");
    }
}
