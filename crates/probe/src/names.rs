//! Which names are the public's, and which part of a name somebody registered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parallax_core::DnsName;

use crate::target::is_global;

/// The registrable domain of a name by the public suffix list; the name itself where it has none.
pub fn registrable(name: &DnsName) -> &str {
    registrable_part(name.as_str())
}

pub(crate) fn registrable_part(name: &str) -> &str {
    psl::domain_str(name).unwrap_or(name)
}

/// Whether a name is the public's: it ends in a public suffix, or is the reverse name of a public address. `intranet`,
/// `wiki.corp` and `printer.lan` are not, nor is what a resolver answers by itself (`localhost`, `home.arpa`,
/// `resolver.arpa`).
pub(crate) fn is_public(name: &str) -> bool {
    if name == "arpa" || name.ends_with(".arpa") {
        return reverse_address(name).is_some_and(is_global);
    }
    // Listed so that cookies stop there; no resolver of the public DNS may be asked about it (RFC 7686).
    if name == "onion" || name.ends_with(".onion") {
        return false;
    }
    psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

/// The address whose reverse name this is, when it is that of a whole one (RFC 1035 section 3.5, RFC 3596 section 2.5).
fn reverse_address(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let parts: Vec<u8> = octets.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let [d, c, b, a] = parts.try_into().ok()?;
        return Some(Ipv4Addr::new(a, b, c, d).into());
    }
    let nibbles = name.strip_suffix(".ip6.arpa")?;
    let nibble = |part: &str| u128::from_str_radix(part, 16).ok().filter(|_| part.len() == 1);
    let parts: Vec<u128> = nibbles.split('.').map(nibble).collect::<Option<_>>()?;
    let bits = parts.iter().rev().fold(0, |bits, nibble| bits << 4 | nibble);
    (parts.len() == 32).then(|| Ipv6Addr::from_bits(bits).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_somebodys_own_network_are_not_public() {
        let v6 = |first: &str| format!("{}{first}.ip6.arpa", "0.".repeat(31 - first.matches('.').count()));
        for (name, public) in [
            ("example.com", true),
            ("_ca-auth.www.example.co.uk", true),
            ("com", true),
            ("me.github.io", true),
            ("7.113.0.8.in-addr.arpa", true),
            (&v6("0.0.2.e.4.0.a.2"), true),
            (&v6("8.b.d.0.1.0.0.2"), false),
            ("intranet", false),
            ("localhost", false),
            ("a.localhost", false),
            ("wiki.corp", false),
            ("printer.lan", false),
            ("nas.local", false),
            ("db.internal", false),
            ("router.home.arpa", false),
            ("resolver.arpa", false),
            ("arpa", false),
            ("x.onion", false),
            ("1.0.0.10.in-addr.arpa", false),
            ("1.1.168.192.in-addr.arpa", false),
            ("254.169.254.169.in-addr.arpa", false),
            ("10.in-addr.arpa", false),
            ("1.0.0.10.5.in-addr.arpa", false),
            ("in-addr.arpa", false),
        ] {
            assert_eq!(is_public(name), public, "{name}");
        }
        let public = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.a.2.ip6.arpa";
        assert_eq!(reverse_address(public), "2a00::1".parse().ok());
        assert!(is_public(public));
    }

    #[test]
    fn the_part_that_somebody_registered() {
        for (name, wanted) in [
            ("a.b.example.com", "example.com"),
            ("example.co.uk", "example.co.uk"),
            ("co.uk", "co.uk"),
            ("a.intranet", "a.intranet"),
            ("intranet", "intranet"),
        ] {
            assert_eq!(registrable(&name.parse().unwrap()), wanted);
        }
    }
}
