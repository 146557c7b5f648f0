//! One visit as it is, before any evidence is gathered: who is shown what at which address, and what each vantage point
//! has met before. It can be staged with real servers, resolvers and nodes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parallax_core::{MAX_NETWORKS, Outcome, ServiceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::names::{Attack, Chain, EventKind, SiteClass, VisitId};
use super::world::Region;

/// Seconds before the moment of the visit.
pub type Ago = u32;

/// One visit. Certificates, records and addresses are places in its lists; times are seconds before its moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Which visit of which run.
    pub visit: VisitId,
    /// How the site is built.
    pub class: SiteClass,
    /// What happened, and how long ago it began.
    pub event: Option<(EventKind, Ago)>,
    /// Who attacks, with what certificate (where one is shown), and since when.
    pub attack: Option<(Attack, Option<Chain>, Ago)>,
    /// Whom the key that the user meets belongs to. No policy reads it.
    pub truth: Truth,
    /// The true time of the visit.
    pub moment: Timestamp,
    /// What is checked.
    pub service: ServiceId,
    /// The regions of the world.
    pub regions: Arc<[Region]>,
    /// Certificates that anybody is shown or remembers.
    pub certificates: Vec<Certificate>,
    /// Addresses that anybody is led to.
    pub addresses: Vec<Address>,
    /// What DNS ever authorised; the first is the empty record.
    pub records: Vec<KeyRecord>,
    /// The user.
    pub user: Party,
    /// What the user's own look meets.
    pub met: Sight,
    /// The asked vantage points.
    pub vantages: Vec<Vantage>,
}

/// Whom a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truth {
    /// The owner of the site.
    Owner,
    /// Somebody else.
    Stranger,
    /// The user meets no key.
    NoKey,
}

/// A CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ca {
    /// A public one, by number. Its leaves are signed by one of a few intermediates.
    Public(u8),
    /// One that no browser knows, by number.
    Private(u16),
}

/// A certificate, by what tells it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whose it is.
    pub owner: Truth,
    /// The key, by number.
    pub key: u16,
    /// Who signed it.
    pub ca: Ca,
    /// Which of the intermediates of a public CA.
    pub intermediate: u8,
    /// Whether it is one for the service's name.
    pub for_this_name: bool,
    /// Valid from.
    pub issued: Ago,
    /// Valid for so many seconds from then.
    pub life: u32,
}

/// An address: IPv4, port 443.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The network (IPv4 /16), by number.
    pub network: u8,
    /// The host in it.
    pub host: u8,
}

impl Address {
    /// `10.network.0.host:443`.
    pub fn socket(self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::new(10, self.network, 0, self.host), 443))
    }
}

/// What DNS authorises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// CAs (`TLSA 2 1 1`, `_ca-auth`), by their root's key.
    pub cas: Vec<Ca>,
    /// Server keys (`TLSA 3 1 1`).
    pub keys: Vec<u16>,
}

/// Where a party stands and what its clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The region, by its place in the world.
    pub region: u8,
    /// The AS, by its place in the topology, where one was consulted.
    pub autonomous_system: Option<u32>,
    /// Seconds by which its clock is ahead.
    pub clock_ahead: i32,
    /// Whether an attacker answers it in the site's place.
    pub captured: bool,
}

/// What a server, or whoever answers in its place, shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// A certificate, and proof of its key.
    Certificate(u16),
    /// None; the look ends like this.
    Nothing(Outcome),
}

/// What DNS answers a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The first of the addresses it gives.
    pub first: u8,
    /// How many follow each other in [`Scenario::addresses`]; 0 when the lookup failed.
    pub count: u8,
    /// The record; `None` when the lookup failed.
    pub record: Option<u8>,
    /// The record is signed, and the signature holds.
    pub secure: bool,
}

/// A look: what DNS said, where it led, and what was shown there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// What DNS said.
    pub dns: Answer,
    /// The address connected to; `None` when DNS gave none.
    pub address: Option<u8>,
    /// What was shown.
    pub shown: Shown,
}

/// A vantage point that is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vantage {
    /// Where it stands.
    pub party: Party,
    /// It gives no answer.
    pub silent: bool,
    /// It lies: all that is said of it here is what it says.
    pub lies: bool,
    /// The newest look from before the visit, if it saw something and is not older than a day: what it answers first.
    pub kept: Option<(Ago, Sight)>,
    /// What it meets when it looks now.
    pub now: Sight,
    /// What it is shown now at the address that the user reached.
    pub there: Shown,
    /// Asked to look anew, it does not answer in time.
    pub again_lost: bool,
    /// Asked to look at the user's address, it does not answer in time.
    pub there_lost: bool,
    /// What it remembers of certificates, in the order of first sight.
    pub past: Vec<Span>,
    /// What it remembers of records, in the order of first sight.
    pub past_records: Vec<RecordSpan>,
}

/// A certificate, met from then to then without a gap longer than 48 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The certificate.
    pub certificate: u16,
    /// Where it was met, newest first, one address for each network.
    pub places: Places,
    /// First look that met it.
    pub first: Ago,
    /// Newest look before the visit that met it.
    pub last: Ago,
}

/// At most eight addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    count: u8,
    addresses: [u8; MAX_NETWORKS],
}

impl Places {
    /// One address.
    pub(crate) fn one(address: u8) -> Self {
        let mut places = Self::default();
        places.push(address);
        places
    }

    /// Adds an address while there is room.
    pub(crate) fn push(&mut self, address: u8) {
        if let Some(free) = self.addresses.get_mut(usize::from(self.count)) {
            *free = address;
            self.count += 1;
        }
    }

    /// The addresses.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        self.addresses.iter().take(usize::from(self.count)).copied()
    }
}

/// A record, read from then to then without a gap longer than 48 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSpan {
    /// The record.
    pub record: u8,
    /// First look that read it.
    pub first: Ago,
    /// Newest look before the visit that read it.
    pub last: Ago,
}
