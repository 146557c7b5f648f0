//! How routes spread: three passes over the links, up, across and down.

use super::{AsIndex, Topology};

/// What every AS has chosen.
#[derive(Debug)]
pub(super) struct Routes {
    chosen: Vec<Option<Route>>,
}

/// One chosen route. The order is that of preference: the smallest is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    pub(super) from: Neighbour,
    /// Links to the origin.
    pub(super) length: u32,
    /// Who it came from; the AS itself where it is the origin.
    pub(super) next: AsIndex,
    origin: AsIndex,
}

/// Who a route came from, the preferred first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Neighbour {
    Itself,
    Customer,
    Peer,
    Provider,
}

impl Routes {
    /// The stable state when all of `origins` announce one prefix.
    ///
    /// There is only one, and each pass is final: no route of a later pass is preferred to one of an earlier.
    pub(super) fn propagate(topology: &Topology, origins: &[AsIndex]) -> Self {
        let mut routes = Self { chosen: vec![None; topology.len()] };
        let earned = routes.climb(topology, origins);
        routes.cross(topology, &earned);
        routes.descend(topology);
        routes
    }

    /// Which origin this AS reaches.
    pub(super) fn origin(&self, one: AsIndex) -> Option<AsIndex> {
        Some(self.of(one)?.origin)
    }

    pub(super) fn of(&self, one: AsIndex) -> Option<Route> {
        self.chosen.get(one.place()).copied().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.chosen.len()
    }

    /// Customers tell their providers, one link further in each round. Returns everybody who has such a route: what may
    /// be told to peers.
    fn climb(&mut self, topology: &Topology, origins: &[AsIndex]) -> Vec<AsIndex> {
        let mut earned: Vec<AsIndex> = Vec::new();
        for origin in origins {
            let route = Route { from: Neighbour::Itself, length: 0, next: *origin, origin: *origin };
            earned.extend(self.offer(*origin, route).then_some(*origin));
        }
        let mut told = 0;
        while let Some(one) = earned.get(told).copied() {
            told += 1;
            self.tell(one, Neighbour::Customer, topology.providers.of(one), |new| earned.push(new));
        }
        earned
    }

    fn cross(&mut self, topology: &Topology, earned: &[AsIndex]) {
        for one in earned {
            self.tell(*one, Neighbour::Peer, topology.peers.of(*one), |_| {});
        }
    }

    /// Everybody tells its customers, the shortest routes first.
    fn descend(&mut self, topology: &Topology) {
        let mut by_length = self.by_length();
        let mut length = 0;
        while length < by_length.len() {
            let mut longer = Vec::new();
            for one in by_length.get(length).into_iter().flatten() {
                self.tell(*one, Neighbour::Provider, topology.customers.of(*one), |new| longer.push(new));
            }
            length += 1;
            match by_length.get_mut(length) {
                Some(known) => known.append(&mut longer),
                None if longer.is_empty() => {}
                None => by_length.push(longer),
            }
        }
    }

    fn by_length(&self) -> Vec<Vec<AsIndex>> {
        let mut by_length: Vec<Vec<AsIndex>> = Vec::new();
        for (one, route) in (0..).map(AsIndex).zip(&self.chosen) {
            let Some(length) = route.map(|route| route.length as usize) else { continue };
            by_length.resize_with(by_length.len().max(length + 1), Vec::new);
            by_length.iter_mut().skip(length).take(1).for_each(|same| same.push(one));
        }
        by_length
    }

    /// `one` tells its own route to `listeners`, to whom it is a `who`; `new` hears of each that had none.
    fn tell(&mut self, one: AsIndex, who: Neighbour, listeners: &[AsIndex], mut new: impl FnMut(AsIndex)) {
        let Some(own) = self.of(one) else { return };
        for listener in listeners {
            if self.offer(*listener, Route { from: who, length: own.length + 1, next: one, ..own }) {
                new(*listener);
            }
        }
    }

    /// Takes the route where it is better; says whether there was none.
    fn offer(&mut self, to: AsIndex, route: Route) -> bool {
        let Some(chosen) = self.chosen.get_mut(to.place()) else { return false };
        let first = chosen.is_none();
        if chosen.is_none_or(|chosen| route < chosen) {
            *chosen = Some(route);
        }
        first
    }
}
