//! How far an advertisement goes.

/// How many users an advertisement reaches in all.
pub const REACH: usize = 100;

/// The shortest route, in hops.
pub const SHORTEST_ROUTE: usize = 7;

/// The longest.
pub const LONGEST_ROUTE: usize = 20;

/// The routes of one user's advertisement: to how many neighbours, and how many hops from each on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routes {
    /// Neighbours that get it.
    pub count: usize,
    /// Users on each route, the neighbour included.
    pub hops: usize,
}

impl Routes {
    /// Of a user with so many neighbours: as many routes as there are neighbours, as long as the reach allows.
    pub fn of(neighbours: usize) -> Self {
        let count = neighbours.min(REACH / SHORTEST_ROUTE);
        let hops = REACH.checked_div(count).unwrap_or(0).clamp(SHORTEST_ROUTE, LONGEST_ROUTE);
        Self { count, hops }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reach_is_a_hundred_wherever_the_neighbours_allow() {
        for neighbours in 0..2_000 {
            let Routes { count, hops } = Routes::of(neighbours);
            assert!((SHORTEST_ROUTE..=LONGEST_ROUTE).contains(&hops) && count <= neighbours);
            assert!(count * hops <= REACH);
            assert!(neighbours < 5 || count * hops > 90, "{neighbours}: {count} routes of {hops}");
        }
        assert_eq!(Routes::of(1), Routes { count: 1, hops: 20 });
        assert_eq!(Routes::of(10), Routes { count: 10, hops: 10 });
        assert_eq!(Routes::of(1_000), Routes { count: 14, hops: 7 });
    }
}
