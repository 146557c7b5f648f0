//! A lab's own loopback addresses, so that labs run side by side.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use crate::error::LabError;

/// Where labs meet to settle who has which subnet. Outside the range that systems hand out on their own, as are the
/// ports below: else any program's outgoing connection could hold one of them just when a lab needs it.
const CLAIM_PORT: u16 = 20_479;
const FIRST_PORT: u16 = 20_480;
const LAST_PORT: u16 = 32_000;

const LAST_INDEX: u8 = 250;

/// The addresses `127.<network>.<index>.<host>` for one `index`, and one TCP port that is free on all of them.
///
/// Held by the lab and by each of its tasks: it is free again when the last of their sockets is closed.
#[derive(Debug)]
pub(crate) struct Subnet {
    index: u8,
    port: u16,
    _claim: UdpSocket,
    _reserved: TcpListener,
}

impl Subnet {
    /// Claims the first free one.
    pub(crate) fn claim() -> Result<Arc<Self>, LabError> {
        let (index, claim) = first_free()?;
        let address = Ipv4Addr::new(127, 0, index, 1);
        // Each lab begins somewhere else, for fewer clashes on ports that are bound on every address.
        let first = FIRST_PORT + u16::from(index) * 40;
        let (port, reserved) = (first..=LAST_PORT)
            .find_map(|port| TcpListener::bind((address, port)).ok().map(|listener| (port, listener)))
            .ok_or(LabError::NoPort { address, first, last: LAST_PORT })?;
        Ok(Arc::new(Self { index, port, _claim: claim, _reserved: reserved }))
    }

    /// The TCP port that all sites of this lab share: an A record has no place for a port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// An address in one of the lab's networks.
    pub(crate) fn address(&self, network: u8, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, network, self.index, host)
    }
}

fn first_free() -> Result<(u8, UdpSocket), LabError> {
    (1..LAST_INDEX).find_map(|index| claim_index(index).ok()).map_or_else(|| claim_index(LAST_INDEX), Ok)
}

fn claim_index(index: u8) -> Result<(u8, UdpSocket), LabError> {
    let address = Ipv4Addr::new(127, 0, index, 1);
    UdpSocket::bind(SocketAddr::from((address, CLAIM_PORT)))
        .map(|claim| (index, claim))
        .map_err(|source| LabError::NoSubnet { last: address, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_claims_never_share_an_address() {
        let (one, two) = (Subnet::claim().unwrap(), Subnet::claim().unwrap());
        assert_ne!(one.address(20, 1), two.address(20, 1));
        assert_eq!(one.address(20, 1).octets()[..2], two.address(20, 1).octets()[..2]);
    }

    #[test]
    fn the_port_is_kept_from_others_and_free_for_the_lab() {
        let subnet = Subnet::claim().unwrap();
        assert!(TcpListener::bind((Ipv4Addr::UNSPECIFIED, subnet.port())).is_err());
        assert!(TcpListener::bind((subnet.address(20, 7), subnet.port())).is_ok());
    }
}
