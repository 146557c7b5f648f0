//! How one answer compares with another.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{SetAgreement, Told};
use crate::dns::{DnsSet, Dnssec};
use crate::observation::Network;
use crate::record_kind::RecordKind;

/// Whether an answer can be compared at all. That there is no such record is an answer; SERVFAIL is none.
pub(super) fn is_comparable(set: &DnsSet) -> bool {
    set.is_answer() && !set.cut && set.dnssec != Dnssec::Bogus
}

pub(super) fn compare(kind: RecordKind, mine: &Told, other: &Told) -> SetAgreement {
    if !is_comparable(&mine.set) || !is_comparable(&other.set) {
        SetAgreement::NothingSaid
    } else if mine.set.records == other.set.records {
        SetAgreement::Same
    } else if has_other_serial(kind, mine, other) {
        SetAgreement::OtherSerial
    } else if kind.is_address() {
        compare_addresses(kind, &mine.set, &other.set)
    } else {
        SetAgreement::Differs
    }
}

fn compare_addresses(kind: RecordKind, mine: &DnsSet, other: &DnsSet) -> SetAgreement {
    let (my_networks, their_networks) = (networks(mine), networks(other));
    if mine.records.is_empty() || other.records.is_empty() {
        // Resolvers that translate between IPv4 and IPv6 add and remove AAAA records (RFC 6147).
        return if kind == RecordKind::A { SetAgreement::Differs } else { SetAgreement::OtherAddresses };
    }
    if !my_networks.is_empty() && my_networks.is_subset(&their_networks) {
        SetAgreement::SameNetworks
    } else {
        SetAgreement::OtherAddresses
    }
}

fn networks(set: &DnsSet) -> BTreeSet<Network> {
    set.records.iter().filter_map(|record| record.parse::<IpAddr>().ok()).map(Network::of).collect()
}

/// Whether the two are of different states of the zone. Of two SOA records everything but the serial is the same then.
fn has_other_serial(kind: RecordKind, mine: &Told, other: &Told) -> bool {
    if kind == RecordKind::Soa {
        return match (soa(&mine.set), soa(&other.set)) {
            (Some((serial, rest)), Some((another, others))) => serial != another && rest == others,
            _ => false,
        };
    }
    let serial = |told: &Told| told.soa.as_ref().and_then(soa).map(|(serial, _)| serial);
    matches!((serial(mine), serial(other)), (Some(serial), Some(another)) if serial != another)
}

/// The serial of the one SOA record, and what is beside it.
fn soa(set: &DnsSet) -> Option<(u32, Vec<&str>)> {
    let [record] = set.records.as_slice() else { return None };
    let mut fields: Vec<&str> = record.split(' ').collect();
    if fields.len() != 7 {
        return None;
    }
    Some((fields.remove(2).parse().ok()?, fields))
}
