//! Routes on graphs with known answers, and on random ones against a router that keeps whole paths.

use proptest::prelude::*;
use rand::seq::SliceRandom as _;

use super::routes::{Neighbour, Routes};
use super::*;

/// The numbers of those who are captured.
fn captured(text: &str, victim: u32, attacker: u32) -> Vec<u32> {
    let topology = Topology::read_serial1(text).unwrap();
    let capture = topology.hijack(at(&topology, victim), at(&topology, attacker));
    all(&topology).filter(|one| capture.holds(*one)).map(|one| topology.asn(one)).collect()
}

fn at(topology: &Topology, number: u32) -> AsIndex {
    all(topology).find(|one| topology.asn(*one) == number).unwrap()
}

fn all(topology: &Topology) -> impl Iterator<Item = AsIndex> + use<> {
    (0..).map(AsIndex).take(topology.len())
}

/// From an AS to the origin, both included.
fn path(routes: &Routes, from: AsIndex) -> Vec<AsIndex> {
    let mut path = vec![from];
    let mut last = from;
    while let Some(route) = routes.of(last).filter(|route| route.from != Neighbour::Itself) {
        assert!(path.len() <= routes.len(), "{path:?}");
        path.push(route.next);
        last = route.next;
    }
    path
}

#[test]
fn a_customer_is_preferred_to_a_peer_however_far() {
    // 5 reaches 1 over two customers, and 2 over a peer.
    assert_eq!(captured("3|1|-1\n5|3|-1\n5|2|0", 2, 1), [1, 3, 5]);
    assert_eq!(captured("3|1|-1\n5|3|-1\n5|2|0", 1, 2), [2]);
}

#[test]
fn a_peer_is_preferred_to_a_provider_however_far() {
    // 5 reaches 1 over its peer 4 and that one's customer 3; 2 is the provider of 5.
    let text = "4|3|-1\n3|1|-1\n5|4|0\n2|5|-1";
    assert_eq!(captured(text, 2, 1), [1, 3, 4, 5]);
}

#[test]
fn then_the_shorter_path_wins() {
    let text = "5|3|-1\n3|1|-1\n5|2|-1";
    assert_eq!(captured(text, 1, 2), [2, 5]);
    // The same up: 5 has two providers.
    let text = "3|5|-1\n3|1|0\n4|5|-1\n6|4|-1\n6|2|0";
    assert_eq!(captured(text, 2, 1), [1, 3, 5]);
}

#[test]
fn then_the_lower_number_wins_whoever_the_victim_is() {
    let text = "3|1|-1\n4|2|-1\n5|3|-1\n5|4|-1";
    assert_eq!(captured(text, 1, 2), [2, 4]);
    assert_eq!(captured(text, 2, 1), [1, 3, 5]);
    // The order of the lines is no matter.
    assert_eq!(captured("5|4|-1\n4|2|-1\n5|3|-1\n3|1|-1", 1, 2), [2, 4]);
}

#[test]
fn what_came_from_a_peer_or_a_provider_is_told_to_customers_only() {
    // 1 - 2 - 3 are peers in a row: 3 does not hear of 1 through 2, but its customer 4 hears of what 3 knows.
    let topology = Topology::read_serial1("1|2|0\n2|3|0\n2|5|-1\n3|4|-1").unwrap();
    let routes = Routes::propagate(&topology, &[at(&topology, 1)]);
    let reached: Vec<u32> =
        all(&topology).filter(|one| routes.of(*one).is_some()).map(|one| topology.asn(one)).collect();
    assert_eq!(reached, [1, 2, 5]);
    // 6 buys from 1 and from 7: it carries nothing between its providers.
    let topology = Topology::read_serial1("1|6|-1\n7|6|-1").unwrap();
    assert_eq!(Routes::propagate(&topology, &[at(&topology, 1)]).of(at(&topology, 7)), None);
}

#[test]
fn who_is_told_tells_what_it_chose_itself() {
    // 5 prefers the longer way over its customer 3, so its customer 6 has the longer way too, and 8 over 7 is shorter.
    let text = "5|3|-1\n3|4|-1\n4|1|-1\n5|2|0\n5|6|-1\n7|6|-1\n7|2|0";
    assert_eq!(captured(text, 1, 2), [2, 6, 7]);
    let topology = Topology::read_serial1(text).unwrap();
    let routes = Routes::propagate(&topology, &[at(&topology, 1)]);
    let numbers: Vec<u32> = path(&routes, at(&topology, 6)).into_iter().map(|one| topology.asn(one)).collect();
    assert_eq!(numbers, [6, 5, 3, 4, 1]);
}

#[test]
fn nobody_captures_what_is_its_own_or_out_of_reach() {
    let topology = Topology::read_serial1("1|2|-1\n1|3|-1\n8|9|-1").unwrap();
    let [one, two, eight, nine] = [1, 2, 8, 9].map(|number| at(&topology, number));
    let own = topology.hijack(two, two);
    assert_eq!((own.share(), all(&topology).any(|one| own.holds(one))), (0.0, false));
    // The islands: whoever reaches one of the two is captured or not; the victim's island is not.
    let capture = topology.hijack(two, nine);
    assert_eq!([one, two, eight, nine].map(|one| capture.holds(one)), [false, false, true, true]);
    assert_eq!(capture.share(), 1.0 / 3.0);
    let stranger = topology.hijack(two, AsIndex(77));
    assert_eq!((stranger.share(), stranger.holds(one), stranger.holds(AsIndex(77))), (0.0, false, false));
    let everybody = topology.hijack(AsIndex(77), two);
    assert_eq!((everybody.share(), everybody.holds(one), everybody.holds(eight)), (1.0, true, false));
}

/// Links by lot; a provider has always a lower place than its customer, then the numbers are shuffled.
fn random(seed: u64) -> Topology {
    let mut rng = Pcg64::seed_from_u64(seed);
    let len = rng.random_range(2..=8_u32);
    let mut numbers: Vec<u32> = (1..=len).collect();
    numbers.shuffle(&mut rng);
    let mut text = String::new();
    for (place, a) in numbers.iter().enumerate() {
        for b in numbers.iter().skip(place + 1) {
            match rng.random_range(0..5) {
                0 | 1 => text.push_str(&format!("{a}|{b}|-1\n")),
                2 => text.push_str(&format!("{a}|{b}|0\n")),
                _ => {}
            }
        }
    }
    Topology::read_serial1(&format!("1|{}|0\n{text}", len + 1)).unwrap()
}

/// What `of` is to `one`.
fn relation(topology: &Topology, one: AsIndex, of: AsIndex) -> Option<Neighbour> {
    let kinds = [
        (Neighbour::Customer, &topology.customers),
        (Neighbour::Peer, &topology.peers),
        (Neighbour::Provider, &topology.providers),
    ];
    kinds.into_iter().find(|(_, links)| links.of(one).contains(&of)).map(|(kind, _)| kind)
}

/// Up, then at most once across, then down.
fn is_valley_free(topology: &Topology, path: &[AsIndex]) -> bool {
    let steps: Option<Vec<Neighbour>> = path.windows(2).map(|step| relation(topology, step[0], step[1])).collect();
    let Some(steps) = steps else { return false };
    steps.windows(2).all(|step| step[0] == Neighbour::Provider || step[1] == Neighbour::Customer)
}

/// Every AS keeps whole paths, hears its neighbours one after the other in any order, and chooses anew, until nobody
/// changes its mind.
fn reference(topology: &Topology, origins: &[AsIndex], rng: &mut impl Rng) -> Vec<Vec<AsIndex>> {
    let mut chosen: Vec<Vec<AsIndex>> = vec![Vec::new(); topology.len()];
    let mut order: Vec<AsIndex> = all(topology).collect();
    loop {
        order.shuffle(rng);
        let before = chosen.clone();
        for one in &order {
            chosen[one.place()] = choice(topology, origins, &chosen, *one);
        }
        if chosen == before {
            return chosen;
        }
    }
}

fn choice(topology: &Topology, origins: &[AsIndex], chosen: &[Vec<AsIndex>], one: AsIndex) -> Vec<AsIndex> {
    if origins.contains(&one) {
        return vec![one];
    }
    let heard = all(topology).filter_map(|from| {
        let kind = relation(topology, one, from)?;
        let told = &chosen[from.place()];
        let earned = told.len() == 1 || relation(topology, from, *told.get(1)?) == Some(Neighbour::Customer);
        let may_be_told = !told.is_empty() && (earned || kind == Neighbour::Provider) && !told.contains(&one);
        may_be_told.then(|| (kind, told.len(), topology.asn(from), [&[one], told.as_slice()].concat()))
    });
    heard.min().map(|best| best.3).unwrap_or_default()
}

/// All paths without a circle that go up, across and down from `path`'s last AS to one of the origins.
fn paths(topology: &Topology, origins: &[AsIndex], path: &mut Vec<AsIndex>, found: &mut Vec<Vec<AsIndex>>) {
    let last = *path.last().unwrap();
    if origins.contains(&last) {
        found.push(path.clone());
        return;
    }
    for next in all(topology).filter(|next| relation(topology, last, *next).is_some()) {
        if !path.contains(&next) {
            path.push(next);
            if is_valley_free(topology, path) {
                paths(topology, origins, path, found);
            }
            path.pop();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn routes_are_those_that_routers_settle_on(seed: u64) {
        let topology = random(seed);
        let mut rng = Pcg64::seed_from_u64(seed);
        let mut draw = || AsIndex(rng.random_range(0..topology.len() as u32));
        let origins = [draw(), draw()];
        let routes = Routes::propagate(&topology, &origins);
        let settled = reference(&topology, &origins, &mut rng);
        for one in all(&topology) {
            let own = routes.of(one).map(|_| path(&routes, one)).unwrap_or_default();
            prop_assert_eq!(&own, &settled[one.place()], "{:?} of {:?}", one, topology);
            prop_assert_eq!(routes.origin(one), own.last().copied());
        }
    }

    #[test]
    fn of_all_paths_none_is_from_a_better_neighbour(seed: u64) {
        let topology = random(seed);
        let mut rng = Pcg64::seed_from_u64(seed);
        let mut draw = || AsIndex(rng.random_range(0..topology.len() as u32));
        let origins = [draw(), draw()];
        let routes = Routes::propagate(&topology, &origins);
        for one in all(&topology).filter(|one| !origins.contains(one)) {
            let mut found = Vec::new();
            paths(&topology, &origins, &mut vec![one], &mut found);
            let kinds = found.iter().map(|path| (relation(&topology, one, path[1]).unwrap(), path.len() as u32 - 1));
            let best = kinds.min();
            let chosen = routes.of(one).map(|route| (route.from, route.length));
            // A provider tells what it chose itself, which may be longer than what it could have.
            match best {
                Some((Neighbour::Provider, least)) => {
                    let (from, length) = chosen.unwrap();
                    prop_assert!(from == Neighbour::Provider && length >= least);
                }
                best => prop_assert_eq!(chosen, best, "{:?} of {:?}", one, topology),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn on_generated_graphs_all_are_reached_without_valleys_and_by_one(seed: u64) {
        let mut rng = Pcg64::seed_from_u64(seed);
        let parameters = TopologyParameters { ases: rng.random_range(50..800), ..TopologyParameters::default() };
        let topology = Topology::generate(&parameters, &mut rng).unwrap();
        let mut draw = || AsIndex(rng.random_range(0..topology.len() as u32));
        let (victim, attacker) = (draw(), draw());
        let routes = Routes::propagate(&topology, &[victim, attacker]);
        let (capture, turned) = (topology.hijack(victim, attacker), topology.hijack(attacker, victim));
        for one in all(&topology) {
            let path = path(&routes, one);
            prop_assert!(is_valley_free(&topology, &path), "{path:?}");
            prop_assert!([victim, attacker].contains(path.last().unwrap()));
            prop_assert!(victim == attacker || capture.holds(one) != turned.holds(one));
        }
        let both = capture.share() + turned.share();
        prop_assert!(victim == attacker || (both - 1.0).abs() < 1e-9, "{both}");
    }
}

/// `cargo test --release -p parallax-sim how_long -- --ignored --nocapture` prints what one hijack costs.
#[test]
#[ignore = "a measurement"]
fn how_long_a_hijack_takes() {
    for (ases, transit_peers, stub_peers) in [(2_000, 12.0, 1.0), (4_000, 12.0, 1.0), (80_000, 40.0, 2.0)] {
        let parameters = TopologyParameters { ases, transit_peers, stub_peers, ..TopologyParameters::default() };
        let mut rng = Pcg64::seed_from_u64(1);
        let begun = std::time::Instant::now();
        let topology = Topology::generate(&parameters, &mut rng).unwrap();
        let made = begun.elapsed();
        let stubs = topology.stubs();
        let mut draw = || stubs[rng.random_range(0..stubs.len())];
        let pairs: Vec<_> = (0..100).map(|_| (draw(), draw())).collect();
        let begun = std::time::Instant::now();
        let shares: Vec<f64> = pairs.iter().map(|(a, b)| topology.hijack(*a, *b).share()).collect();
        let each = begun.elapsed() / 100;
        let mean = shares.iter().sum::<f64>() / 100.0;
        println!("{ases} ASes, {} links: made in {made:?}, a hijack {each:?}, mean share {mean:.2}", topology.links());
    }
}
