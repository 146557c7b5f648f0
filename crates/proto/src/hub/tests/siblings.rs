//! Several hubs of one operator: every rule holds over all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Hubs on one queue. What one says, the others hear, unless the queue is cut or the message is lost.
struct Cluster {
    hubs: Vec<World>,
    /// Who heard of whom in this run of theirs.
    met: BTreeSet<(usize, usize)>,
    /// Who is cut off.
    cut: BTreeSet<usize>,
    lose: fn(&Word) -> bool,
}

impl Cluster {
    fn of(hubs: impl IntoIterator<Item = World>) -> Self {
        let mut hubs: Vec<World> = hubs.into_iter().collect();
        for (number, hub) in hubs.iter_mut().enumerate() {
            hub.hub.share(node(number), START);
        }
        let mut all = Self { hubs, met: BTreeSet::new(), cut: BTreeSet::new(), lose: |_| false };
        all.settle();
        all
    }

    fn open(count: usize) -> Self {
        Self::of((0..count).map(|_| World::open()))
    }

    /// Delivers what was said until nobody says anything more.
    fn deliver(&mut self) {
        loop {
            let mut said = Vec::new();
            for (number, hub) in self.hubs.iter_mut().enumerate() {
                said.extend(hub.told.drain(..).map(|(to, word)| (number, to, word)));
            }
            if said.is_empty() {
                return;
            }
            for (from, to, word) in said {
                for hub in 0..self.hubs.len() {
                    let reaches = to.map_or(hub != from, |to| to == node(hub));
                    if reaches && !self.cut.contains(&from) && !self.cut.contains(&hub) && !(self.lose)(&word) {
                        self.hear(hub, from, word.clone());
                    }
                }
            }
        }
    }

    fn hear(&mut self, hub: usize, from: usize, word: Word) {
        // What travels is JSON.
        let word = serde_json::from_str(&serde_json::to_string(&word).unwrap()).unwrap();
        let anew = self.met.insert((hub, from));
        let World { hub: machine, now, rng, .. } = &mut self.hubs[hub];
        machine.told(node(from), anew, word, *now, rng);
        self.hubs[hub].act();
    }

    fn pass(&mut self, time: Duration) {
        let step = Duration::from_millis(50);
        let mut left = time;
        while !left.is_zero() {
            let now = left.min(step);
            self.hubs.iter_mut().for_each(|hub| hub.pass(now));
            self.deliver();
            left -= now;
        }
    }

    /// Everybody has heard of everybody.
    fn settle(&mut self) {
        self.pass(Duration::from_millis(600));
    }

    /// The peers of all hubs answer every look.
    fn all_reply(&mut self) {
        while self.hubs.iter().any(|hub| !hub.looks.is_empty()) {
            self.hubs.iter_mut().for_each(|hub| hub.all_reply(|_| "yes"));
            self.deliver();
        }
    }

    fn ask(&mut self, hub: usize, replies: u16) -> AskId {
        let ask = self.hubs[hub].ask(replies);
        self.deliver();
        ask
    }
}

fn node(number: usize) -> VantageId {
    id(1_000_000 + number as u64)
}

fn three_with_four_each() -> Cluster {
    let mut all = Cluster::open(3);
    for (number, hub) in all.hubs.iter_mut().enumerate() {
        for peer in 0..4 {
            hub.attach((number * 4 + peer + 1) as u64).unwrap();
        }
    }
    all.settle();
    all
}

#[test]
fn a_question_at_one_hub_reaches_the_peers_of_all() {
    let mut all = three_with_four_each();
    for hub in &all.hubs {
        assert_eq!((hub.hub.peers(), hub.hub.shared_peers(), hub.hub.siblings()), (4, 8, 2));
    }
    let ask = all.ask(0, 12);
    assert_eq!(all.hubs.iter().map(|hub| hub.looks.len()).collect::<Vec<_>>(), [4, 4, 4]);
    all.all_reply();
    assert_eq!(all.hubs[0].end_of(ask), Some((counts(12, 12, 0, 0), Ended::Complete)));
    let keys: BTreeSet<_> = all.hubs[0].peers_of(ask).into_iter().collect();
    assert_eq!(keys.len(), 12, "each key once, with its own");
    // Exactly N, wherever they are, and drawn by chance over all.
    let mut drawn = BTreeMap::new();
    for _ in 0..200 {
        let ask = all.ask(1, 3);
        all.all_reply();
        assert_eq!(all.hubs[1].end_of(ask), Some((counts(3, 3, 0, 0), Ended::Complete)));
        all.hubs[1].peers_of(ask).into_iter().for_each(|peer| *drawn.entry(peer).or_insert(0) += 1);
    }
    assert_eq!(drawn.len(), 12);
    assert!(drawn.values().all(|times| (20..90).contains(times)), "of 50 each: {:?}", drawn.values());
    assert!(all.hubs[2].hub.stats().lent > 100, "it lent its peers");
}

#[test]
fn one_key_at_two_hubs_is_one_peer_at_the_later_one() {
    let mut all = Cluster::open(2);
    let first = all.hubs[0].attach_from(1, IpAddr::from([10, 0, 0, 1]), 3).unwrap();
    all.settle();
    let ask = all.ask(0, 1);
    assert_eq!(all.hubs[0].looks.len(), 1);
    let second = all.hubs[1].attach_from(1, IpAddr::from([10, 9, 0, 1]), 3).unwrap();
    all.settle();
    assert_eq!(all.hubs[0].detached, [(first, Detached::Replaced)]);
    assert_eq!((all.hubs[0].hub.peers(), all.hubs[0].hub.shared_peers()), (0, 1));
    assert_eq!(
        all.hubs[0].end_of(ask),
        Some((counts(1, 0, 0, 1), Ended::NobodyLeft)),
        "what it was asked for there is over"
    );
    all.hubs[0].looks.clear();
    let ask = all.ask(0, 5);
    all.all_reply();
    assert_eq!(all.hubs[0].end_of(ask), Some((counts(1, 1, 0, 0), Ended::NobodyLeft)), "one vote");
    // Two of its three looks a minute are spent, whichever hub it comes to.
    all.hubs[0].attach_from(1, IpAddr::from([10, 0, 0, 1]), 3).unwrap();
    all.settle();
    assert_eq!(all.hubs[1].detached, [(second, Detached::Replaced)]);
    assert_eq!((all.hubs[1].hub.peers(), all.hubs[1].hub.shared_peers()), (0, 1));
    let spent: Vec<_> = (0..2).map(|_| all.ask(0, 1)).collect();
    all.all_reply();
    let asked: Vec<_> = spent.into_iter().map(|ask| all.hubs[0].end_of(ask).unwrap().0.asked).collect();
    assert_eq!(asked, [1, 0]);
}

#[test]
fn two_hubs_that_both_just_took_a_key_agree_on_one_place() {
    let mut all = Cluster::open(3);
    for hub in &mut all.hubs {
        hub.attach(1).unwrap();
    }
    all.settle();
    let here: Vec<_> = all.hubs.iter().map(|hub| (hub.hub.peers(), hub.hub.shared_peers())).collect();
    assert_eq!(here, [(0, 1), (0, 1), (1, 0)]);
}

#[test]
fn a_clock_that_is_behind_does_not_lose_who_comes() {
    let mut ahead = World::open();
    ahead.now = START.plus(Duration::from_secs(50));
    let mut all = Cluster::of([ahead, World::open()]);
    all.hubs[0].attach(1).unwrap();
    all.settle();
    all.hubs[1].attach(1).unwrap();
    all.settle();
    let here: Vec<_> = all.hubs.iter().map(|hub| (hub.hub.peers(), hub.hub.shared_peers())).collect();
    assert_eq!(here, [(0, 1), (1, 0)]);
}

#[test]
fn views_of_one_network_are_two_over_all_hubs() {
    let plenty = PerMinute { rate: 1_000_000, burst: 1_000_000 };
    let settings = HubSettings { looks_a_service: plenty, looks_a_network: plenty, ..HubSettings::default() };
    let mut all = Cluster::of((0..3).map(|_| World::new(settings.clone())));
    for (number, hub) in all.hubs.iter_mut().enumerate() {
        for peer in 0..3 {
            hub.attach_from((number * 3 + peer + 1) as u64, IpAddr::from([192, 0, 2, 7]), 600).unwrap();
        }
    }
    all.settle();
    let ask = all.ask(0, 9);
    all.all_reply();
    assert_eq!(all.hubs[0].end_of(ask), Some((counts(2, 2, 0, 0), Ended::NobodyLeft)));
}

#[test]
fn a_network_has_256_places_over_all_hubs() {
    let mut all = Cluster::of((0..2).map(|_| World::new(HubSettings { peers_a_network: 4, ..HubSettings::default() })));
    let from = IpAddr::from([192, 0, 2, 7]);
    for peer in 1..=3 {
        all.hubs[0].attach_from(peer, from, 60).unwrap();
    }
    all.settle();
    all.hubs[1].attach_from(11, from, 60).unwrap();
    assert_eq!(all.hubs[1].attach_from(12, from, 60), Err(Refused::NetworkFull));
}

#[test]
fn an_asker_that_leaves_withdraws_its_question_everywhere() {
    let mut all = Cluster::open(2);
    let connection = all.hubs[1].attach(1).unwrap();
    all.settle();
    let ask = all.ask(0, 1);
    let (_, look) = all.hubs[1].looks.pop().unwrap();
    let World { hub, .. } = &mut all.hubs[0];
    hub.withdraw(ask);
    all.hubs[0].act();
    all.deliver();
    assert_eq!(all.hubs[1].reply((connection, look), "late"), Err(Refused::Unasked));
    assert!(all.hubs[1].told.is_empty(), "nothing is sent for it");
    assert_eq!(all.hubs[0].end_of(ask), None);
}

#[test]
fn a_question_that_is_complete_withdraws_what_it_still_hoped_for() {
    let mut all = Cluster::open(2);
    let slow = all.hubs[1].attach(1).unwrap();
    all.settle();
    let ask = all.ask(0, 1);
    let (_, look) = all.hubs[1].looks.pop().unwrap();
    all.hubs[0].attach(2).unwrap();
    all.pass(Duration::from_millis(2_600));
    assert_eq!(all.hubs[0].looks.len(), 1, "who is slow is replaced, wherever it is");
    all.all_reply();
    assert_eq!(all.hubs[0].end_of(ask), Some((counts(2, 1, 0, 1), Ended::Complete)));
    assert_eq!(all.hubs[1].reply((slow, look), "late"), Err(Refused::Unasked));
}

#[test]
fn a_peer_elsewhere_that_goes_away_or_is_busy_is_replaced_at_once() {
    let mut all = Cluster::open(2);
    let connection = all.hubs[1].attach_from(1, IpAddr::from([10, 0, 0, 1]), 1).unwrap();
    all.settle();
    let ask = all.ask(0, 1);
    assert_eq!(all.hubs[1].looks.len(), 1);
    all.hubs[0].attach(2).unwrap();
    all.hubs[1].looks.clear();
    all.hubs[1].gone(connection);
    all.deliver();
    all.all_reply();
    assert_eq!(all.hubs[0].end_of(ask), Some((counts(2, 1, 0, 1), Ended::Complete)));
    // What a hub spent itself of a peer's looks, another does not know; the peer's own hub says no.
    all.hubs[1].attach_from(3, IpAddr::from([10, 0, 1, 1]), 1).unwrap();
    all.settle();
    let own = all.hubs[1].ask_as(500, World::asking(2, 1)).unwrap();
    all.deliver();
    all.all_reply();
    assert_eq!(all.hubs[1].end_of(own).unwrap().1, Ended::Complete);
    let other = all.hubs[0].ask_as(501, World::asking(2, 2)).unwrap();
    all.deliver();
    all.all_reply();
    assert_eq!(all.hubs[0].end_of(other), Some((counts(2, 1, 0, 1), Ended::NobodyLeft)), "it does not wait");
}

#[test]
fn a_hub_that_dies_takes_its_peers_with_it_and_no_question_waits_for_it() {
    let mut all = three_with_four_each();
    all.cut.insert(2);
    let ask = all.ask(0, 12);
    all.all_reply();
    all.pass(Duration::from_secs(8));
    assert_eq!(all.hubs[0].end_of(ask), Some((counts(12, 8, 0, 4), Ended::NobodyLeft)));
    assert_eq!((all.hubs[0].hub.siblings(), all.hubs[0].hub.shared_peers()), (1, 4));
    // And the one that is cut off serves its own.
    all.hubs[2].looks.clear();
    let alone = all.hubs[2].ask(12);
    all.hubs[2].all_reply(|_| "yes");
    assert_eq!(all.hubs[2].end_of(alone), Some((counts(4, 4, 0, 0), Ended::NobodyLeft)));
    // It comes back, and so do all peers.
    all.cut.clear();
    all.pass(Duration::from_secs(4));
    assert!(all.hubs.iter().all(|hub| hub.hub.peers() == 4 && hub.hub.shared_peers() == 8));
}

#[test]
fn a_hub_that_learns_that_the_queue_is_gone_asks_its_own_at_once() {
    let mut all = Cluster::open(2);
    all.hubs[1].attach(1).unwrap();
    all.settle();
    let ask = all.ask(0, 1);
    all.hubs[0].attach(2).unwrap();
    let World { hub, now, rng, .. } = &mut all.hubs[0];
    hub.alone(*now, rng);
    all.hubs[0].act();
    all.hubs[0].all_reply(|_| "yes");
    assert_eq!(all.hubs[0].end_of(ask), Some((counts(2, 1, 0, 1), Ended::Complete)));
}

#[test]
fn a_hub_that_started_again_is_a_new_one() {
    let mut all = Cluster::open(2);
    all.hubs[1].attach(1).unwrap();
    all.settle();
    let ask = all.ask(0, 1);
    all.hubs[1] = World::open().with_peers([2]);
    all.hubs[1].now = all.hubs[0].now;
    let now = all.hubs[1].now;
    all.hubs[1].hub.share(node(1), now);
    all.met.clear();
    all.pass(Duration::from_secs(3));
    assert_eq!(all.hubs[0].hub.shared_peers(), 1);
    all.all_reply();
    assert_eq!(all.hubs[0].end_of(ask), Some((counts(1, 0, 0, 1), Ended::NobodyLeft)));
}

#[test]
fn one_that_stops_says_so() {
    let mut all = three_with_four_each();
    all.hubs[2].hub.stop();
    all.hubs[2].act();
    all.deliver();
    assert_eq!((all.hubs[0].hub.siblings(), all.hubs[0].hub.shared_peers()), (1, 4));
}

#[test]
fn what_is_lost_is_asked_for_again() {
    let mut all = Cluster::open(2);
    all.lose = |word| matches!(word, Word::News(news) if !news.came.is_empty() || !news.left.is_empty());
    for peer in 1..=450 {
        all.hubs[1].attach(peer).unwrap();
    }
    all.settle();
    assert_eq!(all.hubs[0].hub.shared_peers(), 0);
    all.pass(Duration::from_secs(3));
    assert_eq!(all.hubs[0].hub.shared_peers(), 450, "in three parts");
    let gone: Vec<_> = all.hubs[1].connections.keys().copied().take(100).collect();
    gone.into_iter().for_each(|connection| all.hubs[1].gone(connection));
    all.pass(Duration::from_secs(4));
    assert_eq!(all.hubs[0].hub.shared_peers(), 350);
}

#[test]
fn looks_and_questions_are_counted_over_all_hubs() {
    let settings = HubSettings {
        views_a_network: None,
        looks_a_service: PerMinute { rate: 1, burst: 10 },
        asks_each: PerMinute { rate: 1, burst: 4 },
        ..HubSettings::default()
    };
    let mut all = Cluster::of((0..2).map(|_| World::new(settings.clone())));
    for peer in 1..=10 {
        all.hubs[0].attach(peer).unwrap();
    }
    all.settle();
    for _ in 0..3 {
        all.hubs[0].ask_as(77, World::asking(3, 1)).unwrap();
    }
    all.all_reply();
    all.settle();
    let ask = all.hubs[1].ask_as(77, World::asking(3, 2)).unwrap();
    all.deliver();
    all.all_reply();
    assert_eq!(all.hubs[1].end_of(ask), Some((counts(1, 1, 0, 0), Ended::Limited)), "nine of ten looks were made");
    assert!(
        matches!(all.hubs[1].ask_as(77, World::asking(3, 3)), Err(Refused::TooMany(_))),
        "and three of four questions"
    );
}

#[test]
fn remembered_views_of_peers_elsewhere_count_once_and_never_for_their_own_peer() {
    let mut all = Cluster::open(2);
    all.hubs[1].attach(1).unwrap();
    all.settle();
    let remembered = |nonce| Ask { max_age_secs: 300, ..World::asking(2, nonce) };
    all.hubs[0].ask_as(77, remembered(1)).unwrap();
    all.deliver();
    all.all_reply();
    assert_eq!(all.hubs[0].rows.len(), 1);
    let ask = all.hubs[0].ask_as(77, remembered(2)).unwrap();
    all.deliver();
    all.all_reply();
    assert_eq!(all.hubs[0].end_of(ask), Some((counts(0, 1, 1, 0), Ended::NobodyLeft)));
    let own = all.hubs[0].ask_as(1, remembered(3)).unwrap();
    all.deliver();
    assert_eq!(all.hubs[0].end_of(own), Some((counts(0, 0, 0, 0), Ended::NobodyLeft)));
}

#[test]
fn a_sibling_answers_only_for_what_was_sent_to_it() {
    let mut all = Cluster::open(3);
    all.hubs[1].attach(1).unwrap();
    all.settle();
    let ask = all.ask(0, 1);
    let (_, look) = all.hubs[1].looks.pop().unwrap();
    let forged = |peer| Word::Seen {
        look_id: look.look_id,
        view: Some(view(id(peer), &service(), look.nonce, "forged", all.hubs[0].now)),
    };
    let (right, other) = (forged(1), forged(2));
    all.hear(0, 2, right.clone());
    assert_eq!(all.hubs[0].end_of(ask), None, "another sibling's word is not heard");
    all.hear(0, 1, other);
    assert_eq!(all.hubs[0].end_of(ask), Some((counts(1, 0, 0, 1), Ended::NobodyLeft)), "nor another peer's view");
    all.hear(0, 1, right);
    assert!(all.hubs[0].answers.is_empty());
}

#[test]
fn a_view_that_does_not_answer_is_not_passed_on_by_the_peers_own_hub() {
    let mut all = Cluster::open(2);
    let connection = all.hubs[1].attach(1).unwrap();
    all.settle();
    let ask = all.ask(0, 1);
    let (_, look) = all.hubs[1].looks.pop().unwrap();
    let other = view(id(1), &"other.example".parse().unwrap(), look.nonce, "lie", START);
    let seen = Seen { look_id: look.look_id, view: Some(other), unseen: None };
    assert!(matches!(all.hubs[1].seen(connection, seen), Err(Refused::Malformed(_))));
    all.deliver();
    assert_eq!(all.hubs[0].end_of(ask), Some((counts(1, 0, 0, 1), Ended::NobodyLeft)));
}

#[test]
fn siblings_their_peers_and_what_they_borrow_are_bounded() {
    let mut world = World::open().with_peers([1]);
    world.hub.share(node(0), START);
    for number in 1..200 {
        world.hub.told(node(number), true, Word::News(News::default()), START, &mut world.rng);
    }
    assert_eq!(world.hub.siblings(), 64);
    let look = |number: u64| {
        let mut look_id = [0; 16];
        look_id[..8].copy_from_slice(&number.to_be_bytes());
        Look { look_id: LookId(look_id), service: service(), nonce: Nonce([1; 32]), wait_ms: 5_000 }
    };
    for number in 0..700 {
        world.hub.told(node(1), false, Word::Look { peer: id(1), look: look(number) }, START, &mut world.rng);
    }
    world.act();
    assert_eq!(world.looks.len(), 600, "what the peer offers in a minute");
    let refused = |(_, word): &&(_, Word)| matches!(word, Word::Seen { view: None, .. });
    assert_eq!(world.told.iter().filter(refused).count(), 100);
    // A look under a number in use is refused, and nothing of the first one is lost.
    world.told.clear();
    world.hub.told(node(2), false, Word::Look { peer: id(1), look: look(5) }, START, &mut world.rng);
    world.act();
    assert_eq!(world.told.iter().filter(|(to, _)| *to == Some(node(2))).count(), 1);
    // What is not answered is given up.
    world.told.clear();
    world.pass(Duration::from_millis(5_100));
    assert_eq!(world.told.iter().filter(|(to, _)| *to == Some(node(1))).count(), 600);
}
