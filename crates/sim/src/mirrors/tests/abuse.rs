//! What abuse costs the network, as numbers.

use parallax_core::ServiceId;
use parallax_proto::mirror::{Proof, Report, StatementError, sign, sign_body};

use super::*;

fn service() -> ServiceId {
    "s7.example".parse().unwrap()
}

/// A mirror that does not exist at an address whose owner knows nothing of it, and a view that it signs.
fn at_a_victim(world: &World, number: u32, address: &str) -> (Identity, Arc<Peer>) {
    let identity = Identity::new(7_000_000 + u64::from(number));
    let portrait = Portrait { address: address.into(), ..portrait(number) };
    let peer = identity.peer(&portrait, world.engine.now()).unwrap();
    (identity, Arc::new(peer))
}

fn report_with_stranger(world: &mut World, to: u32, stranger: &(Identity, Arc<Peer>)) -> Report {
    let mine = world.engine.view(to, &service(), true).unwrap();
    let mut forged = mine.content().clone();
    forged.vantage = stranger.0.vantage;
    let forged = forged.sign(&stranger.0.statement).unwrap();
    Report { views: vec![mine.signed().clone(), forged], descriptors: vec![stranger.1.signed().clone()] }
}

#[test]
fn row_17_reports_that_name_a_victim_bring_it_one_probe_from_the_whole_network() {
    let mut world = World::new(&calm(60));
    world.engine.run_until(3_600_000).unwrap();
    for number in 0..5 {
        let stranger = at_a_victim(&world, number, "https://66.7.8.9");
        for to in 0..60 {
            let report = report_with_stranger(&mut world, to, &stranger);
            world.engine.report(to, report, &service()).unwrap();
        }
    }
    let end = world.engine.now_ms + 3_600_000;
    world.engine.run_until(end).unwrap();
    assert_eq!(world.engine.probes_of_victims, 1, "300 reports of 5 identities to 60 mirrors");
}

#[test]
fn join_floods_at_one_victim_cost_it_one_handshake_an_hour_from_each_mirror_that_is_asked() {
    let known: Vec<_> = (0..9).map(|number| peer(number, START).1).collect();
    let mut alone = Alone::new(&known);
    let world = World::new(&calm(8));
    let mut meets = 0;
    for number in 0..1_000 {
        let (_, stranger) = at_a_victim(&world, number, "https://66.7.8.9");
        let out = alone.does(Event::JoinReceived { peer: stranger, hop: Hop::Own }).unwrap_or_default();
        meets += count(&out, |action| matches!(action, Action::Meet { .. }));
    }
    assert_eq!(meets, 1);
}

#[test]
fn join_floods_from_everywhere_are_met_three_a_minute_and_bounded() {
    let known: Vec<_> = (0..9).map(|number| peer(number, START).1).collect();
    let mut alone = Alone::new(&known);
    let (mut meets, mut refused) = (0, 0);
    for number in 0..2_000 {
        let (_, stranger) = peer(10_000 + number, START);
        match alone.does(Event::JoinReceived { peer: stranger, hop: Hop::Own }) {
            Ok(out) => meets += count(&out, |action| matches!(action, Action::Meet { .. })),
            Err(Refused::TooMany { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(meets <= 3, "{meets}");
    assert!(refused >= 1_700, "{refused}");
    let out = alone.later(Duration::from_secs(600));
    let meets = count(&out, |action| matches!(action, Action::Meet { .. }));
    assert!((27..=33).contains(&meets), "{meets} in ten minutes");
}

#[test]
fn a_flood_of_removals_stays_within_the_budget() {
    let mut world = World::new(&calm(40));
    let mut requests = 0;
    for round in 0..24u64 {
        for by in 0..40usize {
            let identity = world.engine.nodes[by].identity.clone();
            let subject = world.engine.nodes[(by + 1 + round as usize) % 40].identity.vantage;
            let now = world.engine.now();
            let removal = removal(identity.vantage, subject, "no reason", now);
            let removal = sign(&removal, &identity.statement).unwrap();
            for to in 0..40 {
                requests += 1;
                world.engine.send(to, 1, Event::RemovalAsked { removal: removal.clone() });
            }
        }
        world.engine.run_until((round + 1) * 3_600_000).unwrap();
    }
    let most = (0..40).map(|number| world.engine.watch.sent(number, 0)).max().unwrap();
    println!("{requests} false requests for removal: {most} messages of the busiest mirror that day");
    assert!(most < 5_000, "{most}");
}

#[test]
fn forged_replayed_and_misdirected_removals_are_refused_by_name() {
    let known: Vec<_> = (0..9).map(|number| peer(number, START)).collect();
    let peers: Vec<_> = known.iter().map(|(_, peer)| Arc::clone(peer)).collect();
    let mut alone = Alone::new(&peers);
    let now = alone.now;
    let removal = |by: &Identity, subject: VantageId| removal(by.vantage, subject, "", now);
    let (asker, subject) = (&known[0].0, known[1].0.vantage);
    let good = sign(&removal(asker, subject), &asker.statement).unwrap();
    let forged = sign(&removal(asker, subject), &known[2].0.statement).unwrap();
    let out = alone.does(Event::RemovalAsked { removal: forged });
    assert!(out.unwrap_err().to_string().contains("signature does not match"));
    let about_me = sign(&removal(asker, alone.identity.vantage), &asker.statement).unwrap();
    assert_eq!(alone.does(Event::RemovalAsked { removal: about_me }).unwrap_err(), Refused::Myself);
    let stranger = peer(100, START).0;
    let unknown = sign(&removal(&stranger, subject), &stranger.statement).unwrap();
    assert_eq!(alone.does(Event::RemovalAsked { removal: unknown }).unwrap_err(), Refused::Unknown(stranger.vantage));
    let sent = alone.machine.sent_today();
    alone.does(Event::RemovalAsked { removal: good.clone() }).unwrap();
    for _ in 0..100 {
        alone.does(Event::RemovalAsked { removal: good.clone() }).unwrap();
    }
    assert_eq!(alone.machine.sent_today(), sent, "a hundred replays send nothing");
    alone.now = now.plus(Duration::from_secs(2 * 3600));
    let late = alone.does(Event::RemovalAsked { removal: good }).unwrap_err();
    assert!(late.to_string().contains("is a clock wrong?"), "{late}");
}

#[test]
fn a_mirror_that_changes_its_key_is_believed_with_both_for_five_minutes_and_then_with_the_new_one() {
    let known: Vec<_> = (0..9).map(|number| peer(number, START)).collect();
    let peers: Vec<_> = known.iter().map(|(_, peer)| Arc::clone(peer)).collect();
    let mut alone = Alone::new(&peers);
    let old = &known[0].0;
    let new = old.rekeyed(1_000_000, 1);
    let ask = |by: &Identity, now: Timestamp, reason: &str| {
        let removal = removal(by.vantage, known[1].0.vantage, reason, now);
        Event::RemovalAsked { removal: sign(&removal, &by.statement).unwrap() }
    };
    alone.now = START.plus(Duration::from_secs(3600));
    // A signature by a key that is not known: the newest descriptor is fetched once, and the request judged again.
    let mut out = Vec::new();
    let event = ask(&new, alone.now, "new");
    assert!(alone.machine.handle(event, alone.now, &mut alone.rng, &mut out).is_err());
    let meets: Vec<MeetId> = out
        .iter()
        .filter_map(|action| if let Action::Meet { meet, .. } = action { Some(*meet) } else { None })
        .collect();
    assert_eq!(meets.len(), 1);
    let renewed = Arc::new(new.peer(&portrait(0), alone.now).unwrap());
    alone.does(Event::Met { meet: meets[0], result: Ok(renewed) }).unwrap();
    assert!(alone.does(ask(old, alone.now, "old")).is_ok());
    assert!(alone.does(ask(&new, alone.now, "new again")).is_ok());
    alone.now = alone.now.plus(Duration::from_secs(301));
    assert!(alone.does(ask(old, alone.now, "too late")).is_err());
    assert!(alone.does(ask(&new, alone.now, "in time")).is_ok());
}

#[test]
fn two_descriptors_of_one_moment_make_a_mirror_inactive() {
    let (identity, one) = peer(1, START);
    let mut alone = Alone::new(&[Arc::clone(&one)]);
    let other = Arc::new(identity.peer(&portrait(2), START).unwrap());
    let mut out = Vec::new();
    let join = Event::JoinReceived { peer: other, hop: Hop::Own };
    let refused = alone.machine.handle(join, alone.now, &mut alone.rng, &mut out).unwrap_err();
    assert_eq!(refused, Refused::TwoDescriptors(identity.vantage));
    assert_eq!(alone.status(&one), Some(Status::Inactive));
    let older = Arc::new(identity.peer(&portrait(1), START.minus(Duration::from_secs(60))).unwrap());
    let refused = alone.does(Event::JoinReceived { peer: older, hop: Hop::Own }).unwrap_err();
    assert!(matches!(refused, Refused::Older { .. }));
}

/// Two views of one moment with different keys, by the subject's own key.
fn proof_of(world: &mut World, subject: u32) -> Proof {
    let one = world.engine.view(subject, &service(), true).unwrap();
    let mut other = one.content().clone();
    let met = other.now.met.as_mut().unwrap();
    met.key = parallax_core::Fingerprint::from_bytes([7; 32]);
    let node = &world.engine.nodes[subject as usize];
    let other = other.sign(&node.identity.statement).unwrap();
    Proof { descriptor: node.peer.signed().clone(), one: one.signed().clone(), other, also: Vec::new() }
}

/// Hands the same request for removal to everybody, and waits for half a day.
fn ask_all(world: &mut World, proof: &Proof) {
    let (now, subject) = (world.engine.now(), world.engine.nodes[0].identity.vantage);
    let identity = world.engine.nodes[10].identity.clone();
    let removal =
        Removal { proof: Some(proof.clone()), ..removal(identity.vantage, subject, "it contradicts itself", now) };
    let removal = sign(&removal, &identity.statement).unwrap();
    (1..20).for_each(|to| world.engine.send(to, 1, Event::RemovalAsked { removal: removal.clone() }));
    let end = world.engine.now_ms + 12 * 3_600_000;
    world.engine.run_until(end).unwrap();
}

fn inactive_at(world: &World, subject: u32) -> usize {
    let subject = world.engine.nodes[subject as usize].identity.vantage;
    let machines = world.engine.nodes.iter().filter_map(|node| node.machine.as_deref());
    machines.filter(|machine| machine.status(subject) == Some(Status::Inactive)).count()
}

#[test]
fn row_19_who_lies_again_while_it_is_inactive_waits_longer_but_a_day_s_lies_count_once() {
    const DAY: u64 = 86_400_000;
    let mut world = World::new(&calm(20));
    world.engine.run_until(DAY / 24).unwrap();
    let first = proof_of(&mut world, 0);
    ask_all(&mut world, &first);
    world.engine.run_until(4 * DAY).unwrap();
    // The second time it waits for four days. Whatever else it signed on the day of its fall makes that no longer.
    let second = proof_of(&mut world, 0);
    ask_all(&mut world, &second);
    let same_day = proof_of(&mut world, 0);
    ask_all(&mut world, &same_day);
    assert!(inactive_at(&world, 0) >= 18);
    world.engine.run_until(19 * DAY / 2).unwrap();
    assert_eq!(inactive_at(&world, 0), 0, "four days and the tests are over");
    // The third time for sixteen; on the third day of them it still lies, to clients of somebody who took it back.
    let third = proof_of(&mut world, 0);
    ask_all(&mut world, &third);
    world.engine.run_until(12 * DAY).unwrap();
    let later = proof_of(&mut world, 0);
    ask_all(&mut world, &later);
    world.engine.run_until(28 * DAY).unwrap();
    assert!(inactive_at(&world, 0) >= 18, "thirty days from the last lie");
    ask_all(&mut world, &later);
    world.engine.run_until(44 * DAY).unwrap();
    assert_eq!(inactive_at(&world, 0), 0, "the same two views do not count again");
}

#[test]
fn a_proof_removes_once_and_is_not_replayed_against_who_was_mended() {
    let mut world = World::new(&calm(20));
    world.engine.run_until(3_600_000).unwrap();
    let proof = proof_of(&mut world, 0);
    let subject = world.engine.nodes[0].identity.vantage;
    let inactive = |world: &World| {
        let machines = world.engine.nodes.iter().filter_map(|node| node.machine.as_deref());
        machines.filter(|machine| machine.status(subject) == Some(Status::Inactive)).count()
    };
    let ask = |world: &mut World, proof: &Proof| {
        let now = world.engine.now();
        let identity = world.engine.nodes[10].identity.clone();
        let removal =
            Removal { proof: Some(proof.clone()), ..removal(identity.vantage, subject, "it contradicts itself", now) };
        let removal = sign(&removal, &identity.statement).unwrap();
        (1..20).for_each(|to| world.engine.send(to, 1, Event::RemovalAsked { removal: removal.clone() }));
        let end = world.engine.now_ms + 12 * 3_600_000;
        world.engine.run_until(end).unwrap();
    };
    let mut forged = proof.clone();
    forged.other.body = forged.other.body.replace("0707", "0808");
    ask(&mut world, &forged);
    assert_eq!(inactive(&world), 0, "what the subject did not sign proves nothing");
    ask(&mut world, &proof);
    assert!(inactive(&world) >= 18);
    world.engine.run_until(4 * 86_400_000).unwrap();
    assert_eq!(inactive(&world), 0, "it answers well, and is active again");
    ask(&mut world, &proof);
    assert_eq!(inactive(&world), 0, "the same two views");
}

#[test]
fn the_hash_stands_for_the_body() {
    assert_ne!(removal_id(&Cheap, "a"), removal_id(&Cheap, "b"));
    assert_ne!(Cheap.sha256(b"ab"), Cheap.sha256(b"ba"));
}

/// Who answers nothing keeps nobody waiting for longer than a round may take, and wakes nobody twice for it.
#[test]
fn a_round_that_nobody_answers_ends_by_its_own_deadline() {
    let known: Vec<_> = (0..9).map(|number| peer(number, START).1).collect();
    let mut alone = Alone::new(&known);
    let asked = alone.step();
    assert!(asked.iter().any(|action| matches!(action, Action::Ping { .. })), "{asked:?}");
    let end = START.plus(Settings::default().round_time);
    assert_eq!(alone.machine.deadline(), Some(end), "nothing else is due for hours");
    assert!(alone.step().is_empty());
    assert!(alone.machine.deadline().unwrap() > end.plus(Duration::from_secs(60)));
}

/// A proof that can't be read is refused where it would count, and costs the asker its share of the day; nobody falls.
#[test]
fn a_proof_that_can_not_be_read_is_refused() {
    let known: Vec<_> = (0..9).map(|number| peer(number, START)).collect();
    let peers: Vec<_> = known.iter().map(|(_, peer)| Arc::clone(peer)).collect();
    let mut alone = Alone::new(&peers);
    let (by, subject) = (&known[0].0, known[1].0.vantage);
    let mut ask = |number: u64| {
        let at = START.minus(Duration::from_millis(number));
        let removal = removal(by.vantage, subject, "two views that can't both be true", at);
        let body = serde_json::to_string(&removal).unwrap().replacen('{', "{\"proof\":{\"one\":7},", 1);
        let signed = sign_body(&by.statement, by.vantage, body).unwrap();
        alone.does(Event::RemovalAsked { removal: signed }).unwrap_err()
    };
    let share = u64::from(Settings::default().removals_each);
    for number in 0..share {
        let refused = ask(number);
        assert!(matches!(refused, Refused::Statement(StatementError::Malformed(_))), "{refused}");
    }
    assert!(matches!(ask(share), Refused::TooMany { .. }));
    assert_eq!(alone.machine.status(subject), Some(Status::Active));
}
