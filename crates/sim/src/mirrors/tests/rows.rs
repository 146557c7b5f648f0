//! One test or more for each row that the state machine is built for.

use parallax_core::ServiceId;
use parallax_proto::Signed;
use parallax_proto::mirror::{Answer, Ballot, NoAnswer, Popular, Report, Saved, VOTE_FORMAT, Vote, sign};

use super::super::sites::failed;
use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn hours(world: &mut World, hours: u64) {
    let end = world.engine.now_ms + hours * 3_600_000;
    world.engine.run_until(end).unwrap();
}

/// How many honest mirrors hold that one in that status.
fn held_as(world: &World, who: VantageId, status: Status) -> usize {
    let machines = world.engine.nodes.iter().filter_map(|node| node.machine.as_deref());
    machines.filter(|machine| machine.status(who) == Some(status)).count()
}

fn vantage(world: &World, number: u32) -> VantageId {
    world.engine.nodes[number as usize].identity.vantage
}

#[test]
fn row_11_a_mirror_that_is_down_becomes_inactive_everywhere_and_comes_back() {
    let mut world = World::new(&calm(12));
    world.engine.nodes[3].outages = vec![(3_600_000, 30 * 3_600_000)];
    let down = vantage(&world, 3);
    hours(&mut world, 29);
    assert_eq!(held_as(&world, down, Status::Inactive), 11);
    hours(&mut world, 12);
    assert_eq!(held_as(&world, down, Status::Active), 11);
}

#[test]
fn row_11_a_clock_that_is_wrong_by_a_day_counts_as_no_answer() {
    let known: Vec<_> = (0..9).map(|number| peer(number, START).1).collect();
    let mut alone = Alone::new(&known);
    let wrong = known[0].vantage();
    let mut asked_for_removal = false;
    let popular = [Popular { service: "s1.example".parse().unwrap(), domain: "s1.example".into() }];
    let popular = popular.into_iter().collect();
    let me = Signatory { vantage: alone.identity.vantage, statement_key: alone.identity.statement_key() };
    alone.machine = Federation::new(me, Settings::default(), popular, Arc::new(Cheap), START);
    alone.machine.adopt(known, START);
    while alone.now < START.plus(2 * DAY) && !asked_for_removal {
        let took = Duration::from_millis(20);
        let out = alone.step_answered(|now, action| match action {
            // Its views are of yesterday: no verifier takes them. Its pings work, and the others' views are well.
            Action::Ask { quiz, to, .. } => {
                let answer = Answer { look: failed(START), issued_at: now, view: None };
                let answer = if *to == wrong { Err(NoAnswer::Invalid) } else { Ok(answer) };
                Some(Event::QuizAnswered { quiz: *quiz, answer, took })
            }
            Action::Ping { ping, .. } => Some(Event::PingAnswered { ping: *ping, took: Some(took) }),
            _ => None,
        });
        asked_for_removal |= count(&out, |action| match action {
            Action::AskRemoval { body, .. } => body.contains(&wrong.to_string()),
            _ => false,
        }) > 0;
    }
    assert!(asked_for_removal);
}

#[test]
fn row_12_several_addresses_under_one_id_are_one_mirror() {
    let identity = Identity::new(5);
    let mut descriptor: Descriptor = identity.descriptor(&portrait(5), START);
    descriptor.addresses = vec!["https://20.1.1.1".into(), "https://30.1.1.1:8443".into()];
    let farm = Arc::new(identity.peer_of(&descriptor, START).unwrap());
    assert_eq!(farm.networks().len(), 2);
    let mut alone = Alone::new(&[]);
    alone.join_and_meet(&farm);
    alone.later(DAY);
    let moved = Arc::new(identity.peer(&portrait(6), START.plus(HOUR)).unwrap());
    alone.join_and_meet(&moved);
    assert_eq!(alone.machine.standings().count(), 1);
    assert_eq!(alone.machine.standing(identity.vantage).unwrap().peer.address(), moved.address());
}

#[test]
fn row_13_a_candidate_is_met_tested_for_a_day_and_then_active_everywhere() {
    let mut world = World::new(&calm(16));
    let (identity, newcomer) = peer(77, START);
    let node = super::super::engine::Node::new(identity, Arc::clone(&newcomer), None, 0, 1);
    let number = world.engine.add(node);
    world.engine.newcomers.push(number);
    hours(&mut world, 1);
    world.engine.handle(0, Event::JoinReceived { peer: Arc::clone(&newcomer), hop: Hop::Own }).unwrap();
    hours(&mut world, 20);
    assert_eq!(held_as(&world, newcomer.vantage(), Status::Active), 0, "not before a day of tests");
    // The receiver and the four whom it told.
    assert_eq!(held_as(&world, newcomer.vantage(), Status::Candidate), 5);
    hours(&mut world, 4 * 24);
    assert_eq!(held_as(&world, newcomer.vantage(), Status::Active), 16);
}

#[test]
fn row_13_nobody_is_forwarded_who_was_not_met() {
    let known: Vec<_> = (0..9).map(|number| peer(number, START).1).collect();
    let mut alone = Alone::new(&known);
    let (_, victim) = peer(50, START);
    let out = alone.does(Event::JoinReceived { peer: Arc::clone(&victim), hop: Hop::Own }).unwrap();
    let meet = |action: &Action| match action {
        Action::Meet { meet, address, .. } if *address == victim.address() => Some(*meet),
        _ => None,
    };
    let meet = out.iter().find_map(meet).unwrap();
    let out = alone.does(Event::Met { meet, result: Err(parallax_proto::mirror::Unmet::SomebodyElse) }).unwrap();
    assert_eq!(count(&out, |action| matches!(action, Action::Forward { .. })), 0);
    assert_eq!(alone.status(&victim), None);
    let again = alone.does(Event::JoinReceived { peer: victim, hop: Hop::Own });
    assert!(matches!(again, Err(Refused::TooMany { .. })), "{again:?}");
}

#[test]
fn row_13_sixteen_candidates_a_network_and_the_oldest_goes() {
    let mut alone = Alone::new(&[]);
    let of_one_network = |number: u32| {
        let portrait = Portrait { address: format!("https://40.7.{number}.9"), ..portrait(number) };
        Arc::new(Identity::new(u64::from(number)).peer(&portrait, START).unwrap())
    };
    let joining: Vec<_> = (0..20).map(of_one_network).collect();
    for one in &joining {
        alone.join_and_meet(one);
    }
    assert_eq!(alone.machine.standings().count(), 16);
    assert_eq!(alone.status(&joining[3]), None);
    assert_eq!(alone.status(&joining[4]), Some(Status::Candidate));
    let elsewhere = peer(3, START).1;
    alone.join_and_meet(&elsewhere);
    assert_eq!(alone.machine.standings().count(), 17);
}

fn honest_report(world: &mut World, of: &[u32], service: &ServiceId) -> Report {
    let views = of.iter().map(|number| world.engine.view(*number, service, true).unwrap().signed().clone());
    Report { views: views.collect(), descriptors: Vec::new() }
}

fn report_to(world: &mut World, to: usize, report: Report) -> Result<Vec<Action>, Refused> {
    let now = world.engine.now();
    let mut rng = Pcg64::seed_from_u64(1);
    let mut out = Vec::new();
    let machine = world.engine.nodes[to].machine.as_deref_mut().unwrap();
    machine.handle(Event::ReportReceived { report }, now, &mut rng, &mut out)?;
    Ok(out)
}

#[test]
fn row_15_one_bad_member_voids_a_report_and_only_the_asked_take_one() {
    let mut world = World::new(&Plan { evil: 0.1, ..calm(20) });
    hours(&mut world, 1);
    let service: ServiceId = "s7.example".parse().unwrap();
    let whole = honest_report(&mut world, &[0, 10, 11], &service);
    let not_asked = report_to(&mut world, 12, whole.clone());
    assert_eq!(not_asked.unwrap_err(), Refused::NotAsked);
    let change = |change: fn(&mut Signed)| {
        let mut report = whole.clone();
        change(&mut report.views[2]);
        report
    };
    let tampered = change(|view| view.body = view.body.replace("TLSv1.3", "TLSv1.2"));
    let unsigned = change(|view| view.signature = String::new());
    let cut = change(|view| view.body.truncate(40));
    for bad in [tampered, unsigned, cut] {
        let refused = report_to(&mut world, 10, bad).unwrap_err();
        assert!(matches!(refused, Refused::Void(_) | Refused::Statement(_)), "{refused:?}");
    }
    let confronted = report_to(&mut world, 10, whole.clone()).unwrap();
    assert_eq!(count(&confronted, |action| matches!(action, Action::Ask { .. })), 1, "the liar, and nobody else");
    let again = report_to(&mut world, 10, whole.clone()).unwrap();
    assert!(again.is_empty(), "one look a minute and target");
    hours(&mut world, 1);
    assert!(report_to(&mut world, 10, whole).is_err(), "expired");
}

#[test]
fn row_15_a_report_moves_no_score() {
    let known: Vec<_> = (0..9).map(|number| peer(number, START).1).collect();
    let mut world = World::new(&Plan { evil: 0.1, ..calm(20) });
    drop(known);
    hours(&mut world, 1);
    let service: ServiceId = "s7.example".parse().unwrap();
    let liar = vantage(&world, 0);
    let report = honest_report(&mut world, &[0, 10, 11], &service);
    let before = world.engine.nodes[10].machine.as_deref().unwrap().standing(liar).unwrap();
    report_to(&mut world, 10, report).unwrap();
    let after = world.engine.nodes[10].machine.as_deref().unwrap().standing(liar).unwrap();
    assert_eq!((before.agreement, before.measurements.quizzes), (after.agreement, after.measurements.quizzes));
    assert_eq!(before.measurements.dissents, after.measurements.dissents);
}

#[test]
fn row_16_no_message_carries_a_score() {
    let now = START;
    let removal = Removal { valid_until: now, ..removal(peer(1, now).0.vantage, peer(2, now).0.vantage, "", now) };
    let written = serde_json::to_value(&removal).unwrap();
    let fields: Vec<&String> = written["measurements"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["answered", "dissents", "from", "ping_ms", "quizzes", "response_ms", "to"]);
}

#[test]
fn row_16_an_honest_mirror_that_lies_to_nobody_keeps_its_name_among_sites_with_two_cas() {
    let results = run(&Plan { days: 5, ..calm(30) }, |_| {}).unwrap();
    assert_eq!(results.honest_removals_for_dissent, 0);
}

/// A machine that has noticed a liar and asked for votes.
fn noticed(known: &[(Identity, Arc<Peer>)]) -> (Alone, VantageId, String, Vec<VantageId>) {
    let peers: Vec<_> = known.iter().map(|(_, peer)| Arc::clone(peer)).collect();
    let mut alone = Alone::new(&peers);
    let silent = peers[0].vantage();
    let asks = |action: &Action| matches!(action, Action::AskRemoval { .. });
    let out = alone.run_while_silent(silent, |out, _| count(out, asks) > 0);
    let asked = out.iter().filter_map(|action| match action {
        Action::AskRemoval { body, to, .. } => Some((*to, body.to_string())),
        _ => None,
    });
    let (asked, bodies): (Vec<_>, Vec<_>) = asked.unzip();
    (alone, silent, bodies[0].clone(), asked)
}

fn ballot(by: &Identity, request: &str, subject: VantageId, vote: Ballot, now: Timestamp, quizzes: u32) -> Signed {
    let measurements = Measurements { quizzes, answered: 0, dissents: 0, ..measured(now) };
    let removal = removal_id(&Cheap, request);
    let vantage = by.vantage;
    let format = VOTE_FORMAT.into();
    let valid_until = now.plus(HOUR);
    sign(&Vote { format, vantage, issued_at: now, valid_until, removal, subject, vote, measurements }, &by.statement)
        .unwrap()
}

#[test]
fn row_18_fewer_than_three_votes_or_a_tie_keep_and_a_majority_removes() {
    use Ballot::{Keep, Remove};
    let known: Vec<_> = (0..9).map(|number| peer(number, START)).collect();
    for (votes, quizzes, wanted) in [
        (vec![Remove, Remove], 9, Status::Active),
        (vec![Remove, Remove, Keep, Keep], 9, Status::Active),
        (vec![Remove, Remove, Remove], 9, Status::Inactive),
        (vec![Remove, Remove, Keep], 9, Status::Inactive),
        // Without measurements they are none.
        (vec![Remove, Remove, Remove, Remove, Remove, Remove, Remove], 0, Status::Active),
    ] {
        let (mut alone, subject, request, asked) = noticed(&known);
        assert!((5..=7).contains(&asked.len()));
        for (voter, vote) in asked.iter().zip(&votes) {
            let by = &known.iter().find(|(identity, _)| identity.vantage == *voter).unwrap().0;
            let vote = ballot(by, &request, subject, *vote, alone.now, quizzes);
            alone.does(Event::VoteReceived { vote }).unwrap();
        }
        // Somebody who was not asked has no vote.
        let stranger =
            known.iter().find(|(identity, _)| !asked.contains(&identity.vantage) && identity.vantage != subject);
        if let Some((by, _)) = stranger {
            let vote = ballot(by, &request, subject, Remove, alone.now, 9);
            alone.does(Event::VoteReceived { vote }).unwrap();
        }
        let end = alone.now.plus(12 * HOUR);
        alone.run_while_silent(subject, |_, now| now > end);
        assert_eq!(alone.machine.status(subject), Some(wanted), "{votes:?} {quizzes}");
    }
}

#[test]
fn row_18_false_removers_reach_nothing() {
    let mut world = World::new(&calm(30));
    let remover = peer(500, START);
    let number = world.engine.add(super::super::engine::Node::new(remover.0, remover.1, Some(Evil::Remover), 0, 0));
    let known = Arc::clone(&world.engine.nodes[number as usize].peer);
    for node in &mut world.engine.nodes {
        if let Some(machine) = node.machine.as_deref_mut() {
            machine.adopt([Arc::clone(&known)], START);
        }
    }
    for _ in 0..72 {
        world.engine.attack(0).unwrap();
        hours(&mut world, 1);
    }
    let inactive = world.engine.nodes.iter().filter_map(|node| node.machine.as_deref()).flat_map(|machine| {
        machine
            .statuses()
            .filter(|(_, status)| *status == Status::Inactive)
            .map(|(peer, _)| peer.vantage())
            .collect::<Vec<_>>()
    });
    assert_eq!(inactive.count(), 0);
}

#[test]
fn row_19_a_liar_is_found_out_becomes_inactive_everywhere_is_mended_and_active_again() {
    let mut world = World::new(&Plan { evil: 0.05, ..calm(20) });
    let liar = vantage(&world, 0);
    hours(&mut world, 48);
    assert_eq!(held_as(&world, liar, Status::Inactive), 19);
    world.engine.turn(0, None);
    let identity = world.engine.nodes[0].identity.clone();
    let mended = Arc::new(identity.peer(&portrait(0), world.engine.now()).unwrap());
    world.engine.nodes[0].peer = Arc::clone(&mended);
    for to in 0..20 {
        world.engine.send(to, 1, Event::JoinReceived { peer: Arc::clone(&mended), hop: Hop::Own });
    }
    hours(&mut world, 30);
    assert_eq!(held_as(&world, liar, Status::Active), 19);
}

#[test]
fn row_19_silent_for_ninety_days_is_gone_and_may_join_again() {
    let (_, one) = peer(1, START);
    let mut alone = Alone::new(&[Arc::clone(&one)]);
    alone.later(89 * DAY);
    assert_ne!(alone.status(&one), Some(Status::Gone));
    alone.later(2 * DAY);
    assert_eq!(alone.status(&one), Some(Status::Gone));
    let again = Arc::new(peer(1, START).0.peer(&portrait(1), alone.now).unwrap());
    alone.join_and_meet(&again);
    assert_eq!(alone.status(&one), Some(Status::Candidate));
}

#[test]
fn row_19_what_is_kept_is_taken_up_again() {
    let mut world = World::new(&Plan { evil: 0.1, ..calm(20) });
    hours(&mut world, 48);
    let now = world.engine.now();
    let machine = world.engine.nodes[10].machine.as_deref().unwrap();
    let (mut rng, mut out) = (Pcg64::seed_from_u64(1), Vec::new());
    let mut restored = Alone::new(&[]).machine;
    for standing in machine.standings() {
        let saved = machine.saved(standing.peer.vantage()).unwrap();
        let written = serde_json::to_string(&saved).unwrap();
        let read: Saved = serde_json::from_str(&written).unwrap();
        restored.restore(read, now, &mut rng, &mut out).unwrap();
    }
    for standing in machine.standings() {
        let again = restored.standing(standing.peer.vantage()).unwrap();
        assert_eq!((again.status, again.reason, again.since), (standing.status, standing.reason, standing.since));
        assert_eq!(again.agreement, standing.agreement);
        assert!(standing.status != Status::Inactive || again.retest.is_some());
    }
}

#[test]
fn row_20_health_checks_never_stop() {
    let mut world = World::new(&calm(12));
    for day in 1..=5u64 {
        world.engine.run_until(day * 86_400_000 - 1).unwrap();
        for number in 0..12 {
            assert!(world.engine.watch.sent(number, day - 1) >= 100, "day {day}");
        }
    }
}

#[test]
fn row_20_a_mirror_that_is_honest_to_mirrors_alone_is_caught_by_a_clients_report() {
    let mut world = World::new(&calm(20));
    world.engine.turn(0, Some(Evil::Selective));
    world.engine.nodes[0].machine = None;
    let two_faced = vantage(&world, 0);
    hours(&mut world, 48);
    assert_eq!(held_as(&world, two_faced, Status::Active), 19, "quizzes alone do not find it");
    let service: ServiceId = "s7.example".parse().unwrap();
    let report = honest_report(&mut world, &[0, 10, 11], &service);
    hours(&mut world, 0);
    world.engine.now_ms += 60_000;
    for to in [10, 11] {
        world.engine.report(to, report.clone(), &service).unwrap();
    }
    hours(&mut world, 12);
    assert_eq!(held_as(&world, two_faced, Status::Inactive), 19, "one proof convinces all");
}

/// To whom, and when.
type Sent = (VantageId, Timestamp);

/// A machine with names to ask for, and nine mirrors that answer at once; every ask and ping, with its moment.
fn asks_and_pings(days: u32) -> (Vec<Sent>, Vec<Sent>) {
    let known: Vec<_> = (0..9).map(|number| peer(number, START).1).collect();
    let mut alone = Alone::new(&[]);
    let me = Signatory { vantage: alone.identity.vantage, statement_key: alone.identity.statement_key() };
    let popular = (1..40).map(|number| format!("s{number}.example"));
    let popular = popular.map(|domain| Popular { service: domain.parse().unwrap(), domain }).collect();
    alone.machine = Federation::new(me, Settings::default(), popular, Arc::new(Cheap), START);
    alone.machine.adopt(known.iter().cloned(), START);
    // One of them is under test at times: it is silent every seventh quiz.
    let (mut asks, mut pings, mut turn) = (Vec::new(), Vec::new(), 0);
    while alone.now < START.plus(DAY * days) {
        let took = Duration::from_millis(20);
        alone.step_answered(|now, action| match action {
            Action::Ask { quiz, to, .. } => {
                turn += 1;
                asks.push((*to, now));
                let answer = Answer { look: failed(START), issued_at: now, view: None };
                let silent = *to == known[0].vantage() && turn % 7 == 0;
                let answer = if silent { Err(NoAnswer::Silent) } else { Ok(answer) };
                Some(Event::QuizAnswered { quiz: *quiz, answer, took })
            }
            Action::Ping { ping, to } => {
                pings.push((*to, now));
                Some(Event::PingAnswered { ping: *ping, took: Some(took) })
            }
            _ => None,
        });
    }
    (asks, pings)
}

#[test]
fn row_20_no_ping_tells_a_quiz_from_a_clients_question() {
    let (asks, pings) = asks_and_pings(20);
    assert!(asks.len() > 1_500 && pings.len() > 1_000, "{} quizzes, {} pings", asks.len(), pings.len());
    let minute = Duration::from_secs(60);
    let near = |(to, at): &&Sent| {
        let apart = |other: Timestamp| other.since(*at).max(at.since(other));
        asks.iter().any(|(asked, when)| asked == to && apart(*when) < minute)
    };
    let (beside, all) = (pings.iter().filter(near).count(), pings.len());
    // By chance alone, two minutes of each quiz cover a fiftieth of a day.
    println!("{beside} of {all} pings within a minute of a quiz of the same mirror");
    assert!(beside * 20 < all, "{beside} of {all}");
}

/// A view that the mirror of that number signs now, with a change.
fn view_of(world: &mut World, number: u32, change: impl FnOnce(&mut parallax_proto::View)) -> Signed {
    let service: ServiceId = "s7.example".parse().unwrap();
    let mut view = world.engine.view(number, &service, true).unwrap().content().clone();
    change(&mut view);
    view.sign(&world.engine.nodes[number as usize].identity.statement).unwrap()
}

/// Somebody tells `to` of what the mirror of number 0 signed, and that one signs something else when it is asked.
fn confront(world: &mut World, to: usize, answer: impl Fn(&mut parallax_proto::View)) -> Vec<Action> {
    let lie = view_of(world, 0, |view| {
        let met = view.now.met.as_mut().unwrap();
        let key = parallax_core::Fingerprint::from_bytes([9; 32]);
        (met.key, met.leaf, met.chain, met.path) = (key, key, vec![key], vec![key]);
        view.history.iter_mut().for_each(|span| (span.key, span.leaf) = (key, key));
    });
    let mine = view_of(world, to as u32, |_| {});
    let out = report_to(world, to, Report { views: vec![mine, lie], descriptors: Vec::new() }).unwrap();
    let quiz = out.iter().find_map(|action| if let Action::Ask { quiz, .. } = action { Some(*quiz) } else { None });
    world.engine.now_ms += 60_000;
    let told = view_of(world, 0, answer);
    let by = Signatory { vantage: vantage(world, 0), statement_key: world.engine.nodes[0].identity.statement_key() };
    let view = parallax_proto::View::verify(
        &Cheap,
        &parallax_proto::Expected {
            vantage: by.vantage,
            statement_key: by.statement_key,
            question: &parallax_proto::Question::about("s7.example".parse().unwrap()),
            now: world.engine.now(),
        },
        told,
    );
    let answer = Ok(Answer::of(Arc::new(view.unwrap())));
    let (now, mut out) = (world.engine.now(), Vec::new());
    let machine = world.engine.nodes[to].machine.as_deref_mut().unwrap();
    let event = Event::QuizAnswered { quiz: quiz.unwrap(), answer, took: Duration::from_millis(20) };
    machine.handle(event, now, &mut world.engine.rng, &mut out).unwrap();
    // My own look is not needed for a proof; the round ends without.
    world.engine.now_ms += 60_000;
    let now = world.engine.now();
    let machine = world.engine.nodes[to].machine.as_deref_mut().unwrap();
    machine.handle(Event::Tick, now, &mut world.engine.rng, &mut out).unwrap();
    out
}

/// Everything forgotten half a minute ago.
fn forgotten(view: &mut parallax_proto::View) {
    let mark = view.issued_at.minus(Duration::from_secs(30));
    view.kept_since = Some(mark);
    view.history.iter_mut().for_each(|span| span.first_seen = mark);
}

#[test]
fn row_16_an_operator_who_removes_a_service_is_not_convicted_and_who_forgets_each_time_is() {
    let mut world = World::new(&calm(12));
    hours(&mut world, 2);
    let asks = |out: &[Action]| count(out, |action| matches!(action, Action::AskRemoval { .. }));
    // Without a mark, the look that it signed is missing: that is a lie.
    let mut honest = World::new(&calm(12));
    hours(&mut honest, 2);
    assert_eq!(asks(&confront(&mut honest, 5, |_| {})), 7);

    assert_eq!(asks(&confront(&mut world, 5, forgotten)), 0);
    hours(&mut world, 1);
    assert_eq!(asks(&confront(&mut world, 5, forgotten)), 0, "twice may be chance");
    hours(&mut world, 1);
    let out = confront(&mut world, 5, forgotten);
    assert_eq!(asks(&out), 7, "three times is none");
    // The proof convinces whoever gets it.
    let body = out
        .iter()
        .find_map(|action| if let Action::AskRemoval { body, .. } = action { Some(body.to_string()) } else { None });
    let removal =
        parallax_proto::mirror::sign_body(&world.engine.nodes[5].identity.statement, vantage(&world, 5), body.unwrap());
    let (now, mut out) = (world.engine.now(), Vec::new());
    let machine = world.engine.nodes[8].machine.as_deref_mut().unwrap();
    let event = Event::RemovalAsked { removal: removal.unwrap() };
    machine.handle(event, now, &mut world.engine.rng, &mut out).unwrap();
    let votes = |action: &Action| matches!(action, Action::Vote { body, .. } if body.contains("\"vote\":\"remove\""));
    assert_eq!(count(&out, votes), 1, "{out:?}");
}

#[test]
fn row_18_whose_requests_are_refuted_is_heard_once_a_day() {
    let mut world = World::new(&calm(20));
    hours(&mut world, 1);
    for subject in 1..17 {
        let (now, by) = (world.engine.now(), world.engine.nodes[0].identity.clone());
        let removal = Removal {
            valid_until: now.plus(HOUR * 12),
            ..removal(by.vantage, vantage(&world, subject), "no reason", now)
        };
        let removal = sign(&removal, &by.statement).unwrap();
        world.engine.handle(19, Event::RemovalAsked { removal }).unwrap();
        hours(&mut world, 3);
    }
    let machine = world.engine.nodes[19].machine.as_deref().unwrap();
    let active = machine.statuses().filter(|(_, status)| *status == Status::Active).count();
    assert_eq!(active, 19, "nobody fell");
    println!("{} of 16 requests in two days were refused", world.engine.watch.refused);
    assert!(world.engine.watch.refused >= 10, "{}", world.engine.watch.refused);
}

#[test]
fn row_18_an_operator_drops_a_mirror_and_takes_it_back() {
    use parallax_proto::mirror::Wish;
    let mut world = World::new(&calm(12));
    hours(&mut world, 2);
    let subject = vantage(&world, 3);
    let wish = |world: &mut World, wish| {
        let (now, mut out) = (world.engine.now(), Vec::new());
        let machine = world.engine.nodes[5].machine.as_deref_mut().unwrap();
        machine.handle(Event::OperatorWishes { subject, wish }, now, &mut world.engine.rng, &mut out).map(|()| out)
    };
    assert_eq!(wish(&mut world, Wish::TakeBack).unwrap_err(), Refused::NotDropped(subject));
    // Others are asked, find nothing, and it stays.
    let out = wish(&mut world, Wish::AskOthers).unwrap();
    assert_eq!(count(&out, |action| matches!(action, Action::AskRemoval { .. })), 7);
    assert!(matches!(wish(&mut world, Wish::AskOthers), Err(Refused::NobodyToAsk { .. })), "they are being asked");
    world.engine.handle(5, Event::OperatorWishes { subject, wish: Wish::Drop }).unwrap();
    assert!(matches!(wish(&mut world, Wish::AskOthers), Err(Refused::NotActive(_))));
    hours(&mut world, 30 * 24);
    let status = |world: &World, at: usize| world.engine.nodes[at].machine.as_deref().unwrap().status(subject);
    assert_eq!(status(&world, 5), Some(Status::Inactive), "no test brings it back");
    assert_eq!(held_as(&world, subject, Status::Active), 10, "nobody else's list has changed");
    world.engine.handle(5, Event::OperatorWishes { subject, wish: Wish::TakeBack }).unwrap();
    hours(&mut world, 6);
    assert_eq!(status(&world, 5), Some(Status::Active));
}
