//! Providers above customers: the order in which regions are handed down, and the circles that must not be.

use super::{AsIndex, Topology, TopologyError};

/// Regions of a topology that names none, as many as there are regional Internet registries.
pub(super) const REGIONS: u8 = 5;

/// All ASes, each after its providers.
pub(super) fn from_the_top(topology: &Topology) -> Result<Vec<AsIndex>, TopologyError> {
    let all = (0..).map(AsIndex).take(topology.len());
    let mut waits_for: Vec<usize> = all.clone().map(|one| topology.providers.of(one).len()).collect();
    let mut order: Vec<AsIndex> = all.filter(|one| topology.providers.of(*one).is_empty()).collect();
    let mut done = 0;
    while let Some(one) = order.get(done).copied() {
        done += 1;
        for customer in topology.customers.of(one) {
            if let Some(waiting) = waits_for.get_mut(customer.place()) {
                *waiting -= 1;
                order.extend((*waiting == 0).then_some(*customer));
            }
        }
    }
    if order.len() == topology.len() { Ok(order) } else { Err(circle(topology, &waits_for)) }
}

/// Whoever still waits has a provider that still waits: going up leads around.
fn circle(topology: &Topology, waits_for: &[usize]) -> TopologyError {
    let waits = |one: &AsIndex| waits_for.get(one.place()).is_some_and(|waiting| *waiting > 0);
    let mut at = (0..).map(AsIndex).take(topology.len()).find(waits);
    let mut way: Vec<AsIndex> = Vec::new();
    let mut met = vec![None; topology.len()];
    while let Some(one) = at {
        if let Some(before) = met.get(one.place()).copied().flatten() {
            way.drain(..before);
            break;
        }
        met.iter_mut().skip(one.place()).take(1).for_each(|met| *met = Some(way.len()));
        way.push(one);
        at = topology.providers.of(one).iter().copied().find(waits);
    }
    TopologyError::ProviderCycle(way.into_iter().map(|one| topology.asn(one)).collect())
}

/// The region of each AS, as [`Topology::read_serial1`] documents.
pub(super) fn regions(topology: &Topology, order: &[AsIndex]) -> Vec<u8> {
    let mut regions = vec![0; topology.len()];
    let customers = |one: &AsIndex| topology.customers.of(*one).len();
    let mut tops: Vec<AsIndex> = order.iter().copied().filter(|one| topology.providers.of(*one).is_empty()).collect();
    tops.sort_by_key(|one| (std::cmp::Reverse(customers(one)), *one));
    for (one, region) in tops.into_iter().zip((0..REGIONS).cycle()) {
        set(&mut regions, one, region);
    }
    for one in order {
        let providers = topology.providers.of(*one);
        if let Some(region) = most_common(providers, &regions) {
            set(&mut regions, *one, region);
        }
    }
    regions
}

fn set(regions: &mut [u8], one: AsIndex, region: u8) {
    if let Some(place) = regions.get_mut(one.place()) {
        *place = region;
    }
}

/// In doubt the region of the first one.
fn most_common(providers: &[AsIndex], regions: &[u8]) -> Option<u8> {
    let of = |one: &AsIndex| regions.get(one.place()).copied();
    let count = |region: &u8| providers.iter().filter(|one| of(one) == Some(*region)).count();
    providers.iter().filter_map(of).rev().max_by_key(count)
}
