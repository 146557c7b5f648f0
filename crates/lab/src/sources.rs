//! Who is asking: answers and behaviour that depend on the source address.

use std::net::{IpAddr, Ipv4Addr};

/// A prefix of IPv4 source addresses: one address (`/32`), or all that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    bits: u32,
    length: u32,
}

impl Prefix {
    /// The addresses that share the first `length` bits (0 to 32; more is 32) with `address`.
    pub fn new(address: Ipv4Addr, length: u8) -> Self {
        let length = u32::from(length).min(32);
        Self { bits: address.to_bits() & mask(length), length }
    }

    /// Whether `address` is one of them. An IPv6 address never is, an IPv4-mapped one is judged as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => address.to_bits() & mask(self.length) == self.bits,
            IpAddr::V6(_) => false,
        }
    }
}

impl From<Ipv4Addr> for Prefix {
    fn from(address: Ipv4Addr) -> Self {
        Self::new(address, 32)
    }
}

fn mask(length: u32) -> u32 {
    u32::MAX.checked_shl(32 - length).unwrap_or(0)
}

/// One thing for everybody, and other things for some. The rule set last wins.
#[derive(Clone, Debug)]
pub(crate) struct BySource<T> {
    everybody: T,
    some: Vec<(Prefix, T)>,
}

impl<T: Clone> BySource<T> {
    pub(crate) fn new(everybody: T) -> Self {
        Self { everybody, some: Vec::new() }
    }

    pub(crate) fn set(&mut self, everybody: T) {
        self.everybody = everybody;
    }

    pub(crate) fn set_towards(&mut self, sources: Prefix, thing: T) {
        self.some.retain(|(known, _)| *known != sources);
        self.some.push((sources, thing));
    }

    pub(crate) fn treat_alike(&mut self) {
        self.some.clear();
    }

    pub(crate) fn towards(&self, source: IpAddr) -> &T {
        self.some.iter().rev().find(|(prefix, _)| prefix.contains(source)).map_or(&self.everybody, |(_, thing)| thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes_contain_what_begins_alike() {
        let network = Prefix::new(Ipv4Addr::new(127, 20, 3, 4), 16);
        assert!(network.contains(ip("127.20.250.1")) && !network.contains(ip("127.21.3.4")));
        assert!(network.contains(ip("::ffff:127.20.0.1")) && !network.contains(ip("::1")));
        let one = Prefix::from(Ipv4Addr::new(127, 20, 3, 4));
        assert!(one.contains(ip("127.20.3.4")) && !one.contains(ip("127.20.3.5")));
        assert!(Prefix::new(Ipv4Addr::new(10, 1, 2, 3), 0).contains(ip("127.0.0.1")));
        assert_eq!(Prefix::new(Ipv4Addr::LOCALHOST, 200), Prefix::from(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn the_rule_set_last_wins() {
        let mut table = BySource::new("all");
        table.set_towards(Prefix::new(Ipv4Addr::new(127, 20, 0, 0), 16), "network");
        table.set_towards(Prefix::from(Ipv4Addr::new(127, 20, 0, 9)), "one");
        assert_eq!(*table.towards(ip("127.20.0.9")), "one");
        assert_eq!(*table.towards(ip("127.20.0.8")), "network");
        assert_eq!(*table.towards(ip("127.21.0.8")), "all");
        table.set_towards(Prefix::new(Ipv4Addr::new(127, 20, 7, 7), 16), "again");
        assert_eq!(*table.towards(ip("127.20.0.9")), "again");
        table.treat_alike();
        assert_eq!(*table.towards(ip("127.20.0.9")), "all");
    }
}
