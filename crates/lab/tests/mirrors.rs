//! A client of the federation on real sockets: whom it draws, hedges, disagreement, reports (`docs/protocols/mirrors.md`,
//! *What clients do*).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use parallax_client::{Checker, Federation, KnownMirrors, Noted, Report};
use parallax_core::{Accepted, Decision, OwnWord, Policy, ServiceId, Timestamp, VantageId};
use parallax_lab::{Answer, Behaviour, Ca, Lab, LabNode, Site, Validity};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Nothing here takes this long, unless the machine is loaded.
const PATIENCE: Duration = Duration::from_secs(60);

const USER: u8 = 10;
const SITE: u8 = 100;
const FIRST: u8 = 20;

/// A site, and mirrors of as many networks, operators and regions, each at some distance.
struct World {
    lab: Lab,
    service: ServiceId,
    nodes: Vec<LabNode>,
    places: Vec<Site>,
    known: KnownMirrors,
    _site: Site,
}

impl World {
    async fn start(mirrors: u8) -> Self {
        let lab = Lab::start().await.unwrap();
        let ca = lab.public_ca("Example Trust Services").unwrap();
        let at = lab.address(SITE, 10);
        let site = lab.site(at, &ca.issue(&["shop.example"], Validity::current()).unwrap()).await.unwrap();
        lab.dns().set("shop.example", Answer::a([at])).unwrap();
        let (mut nodes, mut places) = (Vec::new(), Vec::new());
        for number in 0..mirrors {
            let rir = parallax_proto::RIRS[usize::from(number) % 5];
            let trip = Duration::from_millis(10 + u64::from(number));
            let region = format!("region-{}", number % 5);
            let far = lab.far_node(FIRST + number, &region, rir, trip, |settings| {
                settings.operator = Some(format!("operator {number}"));
            });
            let (node, place) = far.await.unwrap();
            nodes.push(node);
            places.push(place);
        }
        let known = lab.known_mirrors(&nodes).await.unwrap();
        let service = lab.service("shop.example").unwrap();
        Self { lab, service, nodes, places, known, _site: site }
    }

    fn checker(&self, change: impl FnOnce(Federation) -> Federation) -> (Checker, Federation) {
        let federation = change(Federation::new(&self.known));
        let builder = self.lab.federated(self.lab.address(USER, 1), federation.clone()).unwrap();
        (builder.timeout(Duration::from_secs(20)).build(), federation)
    }

    fn node(&self, vantage: VantageId) -> &LabNode {
        self.nodes.iter().find(|node| node.vantage() == vantage).unwrap()
    }

    fn place(&self, vantage: VantageId) -> &Site {
        let number = self.nodes.iter().position(|node| node.vantage() == vantage).unwrap();
        &self.places[number]
    }

    /// Reports that a mirror took.
    async fn reports_at(&self, vantage: VantageId) -> u64 {
        let mut stream = TcpStream::connect(self.node(vantage).http().unwrap()).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let taken = answer.lines().filter(|line| line.contains("route=\"/v1/reports\"") && line.contains("\"202\""));
        taken
            .filter(|line| line.contains("_total"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum::<f64>() as u64
    }

    async fn reports(&self) -> u64 {
        let mut sum = 0;
        for node in &self.nodes {
            sum += self.reports_at(node.vantage()).await;
        }
        sum
    }
}

/// On a loaded machine one may be late, and another is asked in its place.
fn first_three(report: &Report) -> Vec<VantageId> {
    let asked = asked(report);
    assert!((3..=5).contains(&asked.len()), "{asked:?}");
    asked[..3].to_vec()
}

fn asked(report: &Report) -> Vec<VantageId> {
    report.mirrors.as_ref().expect("a federation").asked.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_7_15_three_of_different_places_are_asked_the_same_all_day_and_told_what_each_saw() {
    let world = World::start(12).await;
    let (checker, federation) = world.checker(|federation| federation);
    let first = checker.report(&world.service).await;
    assert_eq!(first.verdict.decision, Decision::Trusted, "{:?}", first.verdict);
    let regions: BTreeSet<_> = first_three(&first).iter().map(|one| world.node(*one).descriptor().region).collect();
    assert_eq!(regions.len(), 3, "{regions:?}");
    let mirrors = first.mirrors.clone().unwrap();
    assert_eq!(first.to_json()["mirrors"]["asked"], serde_json::json!(mirrors.asked));

    checker.settle(PATIENCE).await;
    let mut told = 0;
    for vantage in asked(&first) {
        let here = world.reports_at(vantage).await;
        assert!(here <= 1, "nobody is told twice");
        told += here;
    }
    assert!(told >= 3, "{told}");
    assert_eq!(world.reports().await, told, "and nobody else is");
    let noted = federation.take_noted();
    assert_eq!(noted.len(), asked(&first).len());
    for noted in noted.values().filter(|noted| noted.answered != Some(false)) {
        let trip = noted.trip.unwrap();
        assert!(noted.answered == Some(true) && trip >= Duration::from_millis(10), "{noted:?}");
    }

    // What was learnt today is for the draws of tomorrow.
    let mut known = world.known.clone();
    let now: Timestamp = first.views[0].view.content().issued_at;
    assert!(known.note(&noted, now) && known.entries().filter(|(_, one)| one.round_trip().is_some()).count() >= 3);
    let (other, _) = world.checker(|_| Federation::new(&known));
    let again = other.report(&world.service).await;
    assert_eq!(first_three(&again), first_three(&first), "another process, the same day");
    let others: BTreeSet<Vec<VantageId>> = {
        let mut drawn = BTreeSet::new();
        for number in 0..6 {
            let name = format!("host{number}.example");
            drawn.insert(first_three(&checker.report(&world.lab.service(&name).unwrap()).await));
        }
        drawn
    };
    assert!(others.len() > 1, "another name, another draw");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_7_a_silent_mirror_is_hedged_and_the_first_three_usable_answers_count() {
    let world = World::start(8).await;
    let (checker, _) = world.checker(|federation| federation.with_reports(false));
    let drawn = first_three(&checker.report(&world.service).await);
    world.place(drawn[1]).behave(Behaviour::Silent);

    // Three looks are what `unanimous` decides from: it can't do without the hedge.
    let federation = Federation::new(&world.known).with_reports(false);
    let builder = world.lab.federated(world.lab.address(USER, 1), federation.clone()).unwrap();
    let patient = builder.policy(Policy::Unanimous).timeout(PATIENCE).build();
    let begun = Instant::now();
    let report = patient.report(&world.service).await;
    assert!(begun.elapsed() < PATIENCE / 2, "nobody waits for the silent one: {:?}", begun.elapsed());
    assert_eq!(report.verdict.decision, Decision::Trusted, "{:?}", report.verdict);
    let now_asked = asked(&report);
    assert!(now_asked.starts_with(&drawn) && (4..=5).contains(&now_asked.len()), "{now_asked:?}");
    assert!(report.views.iter().all(|view| view.vantage != drawn[1]));

    // Nor does the default policy wait for it, though no memory is long yet.
    let builder = world.lab.federated(world.lab.address(USER, 1), Federation::new(&world.known).with_reports(false));
    let begun = Instant::now();
    let report_by_default = builder.unwrap().timeout(PATIENCE).build().report(&world.service).await;
    assert_eq!(report_by_default.verdict.decision, Decision::Trusted, "{:?}", report_by_default.verdict);
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());

    // It is noted, counts as dead when it was silent three times, and is drawn all the same: silence rolls no dice again.
    patient.settle(PATIENCE).await;
    let noted = federation.take_noted();
    assert_eq!(noted.get(&drawn[1]).and_then(|noted| noted.answered), Some(false), "{noted:?}");
    let mut known = world.known.clone();
    let moment = report.views[0].view.content().issued_at;
    for _ in 0..3 {
        known.note(&noted, moment);
    }
    assert!(known.find(drawn[1]).unwrap().is_dead());
    let (again, _) = world.checker(|_| Federation::new(&known).with_reports(false));
    assert_eq!(first_three(&again.report(&world.service).await), drawn);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_7_a_silent_mirror_costs_its_handshake_and_one_question_more() {
    let world = World::start(8).await;
    let (checker, federation) = world.checker(|federation| federation.with_reports(false));
    let first = checker.report(&world.service).await;
    let drawn = first_three(&first);
    checker.settle(PATIENCE).await;
    let mut known = world.known.clone();
    known.note(&federation.take_noted(), first.views[0].view.content().issued_at);
    world.place(drawn[1]).behave(Behaviour::Silent);

    let mut shortest = Duration::MAX;
    for _ in 0..8 {
        // As a process that begins: no connection stands. Three looks are what this policy decides from.
        let federation = Federation::new(&known).with_reports(false);
        let builder = world.lab.federated(world.lab.address(USER, 1), federation).unwrap();
        let checker = builder.policy(Policy::Unanimous).timeout(PATIENCE).build();
        let begun = Instant::now();
        let report = checker.report(&world.service).await;
        shortest = shortest.min(begun.elapsed());
        assert_eq!(report.verdict.decision, Decision::Trusted, "{:?}", report.verdict);
        assert!((4..=5).contains(&asked(&report).len()), "{:?}", report.mirrors);
    }
    eprintln!("with one of three silent, 10 to 17 ms away: {shortest:?} at the shortest");
    // Two round trips and 50 ms until it is late, three round trips for the other one. The hedge delay alone, which was
    // waited for before, is 250 ms.
    assert!(shortest < Duration::from_millis(250), "{shortest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_7_disagreement_asks_nine() {
    let world = World::start(12).await;
    // One is led to another server, with another key of another CA.
    let other = world.lab.public_ca("Somebody Else").unwrap();
    let elsewhere = world.lab.address(200, 66);
    let _attacker =
        world.lab.site(elsewhere, &other.issue(&["mail.example"], Validity::current()).unwrap()).await.unwrap();
    let honest = world.lab.address(SITE, 11);
    let ca = Ca::root("Its Own CA").unwrap();
    let _site = world.lab.site(honest, &ca.issue(&["mail.example"], Validity::current()).unwrap()).await.unwrap();
    world.lab.dns().set("mail.example", Answer::a([honest]).with_ttl(0)).unwrap();
    let service = world.lab.service("mail.example").unwrap();
    let (probe, _) = world.checker(|federation| federation.with_reports(false));
    let drawn = first_three(&probe.report(&service).await);
    let network = world.node(drawn[0]).address().octets()[1];
    world
        .lab
        .dns()
        .set_towards(world.lab.network(network), "mail.example", Answer::a([elsewhere]).with_ttl(0))
        .unwrap();

    let federation = Federation::new(&world.known).with_reports(false);
    let builder = world.lab.federated(world.lab.address(USER, 1), federation).unwrap();
    let checker = builder.max_age(Duration::ZERO).wait_for_all(true).timeout(PATIENCE).build();
    // A mirror rests for two seconds between looks, and tells of the one before meanwhile.
    let begun = Instant::now();
    let report = loop {
        let report = checker.report(&service).await;
        if report.mirrors.as_ref().unwrap().disagreed {
            break report;
        }
        assert!(begun.elapsed() < PATIENCE, "{:?}", report.verdict);
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let mirrors = report.mirrors.clone().unwrap();
    assert!(mirrors.asked.len() == 9, "{mirrors:?}, {:?}", report.verdict);
    assert!(mirrors.asked.starts_with(&drawn));
    assert_eq!(report.verdict.counts.asked, 9);
    assert_ne!(report.verdict.decision, Decision::Distrusted, "one liar of nine: {:?}", report.verdict);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_resolver_near_me_is_found_out_by_the_federation_alone() {
    let world = World::start(10).await;
    let other = Ca::root("Somebody Else").unwrap();
    let elsewhere = world.lab.address(200, 66);
    let _attacker =
        world.lab.site(elsewhere, &other.issue(&["shop.example"], Validity::current()).unwrap()).await.unwrap();
    world.lab.dns().set_towards(world.lab.network(USER), "shop.example", Answer::a([elsewhere])).unwrap();
    let (checker, _) = world.checker(|federation| federation);
    let report = checker.report(&world.service).await;
    assert_eq!(report.verdict.decision, Decision::Distrusted, "{:?}", report.verdict);
    assert!(report.mirrors.clone().unwrap().disagreed);
    checker.settle(PATIENCE).await;
    let told = u64::try_from(report.views.len()).unwrap();
    assert!(told >= 5 && world.reports().await >= told, "{told} of {}", world.reports().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_15_nobody_is_told_of_what_is_switched_off_of_the_own_word_or_of_private_names() {
    let world = World::start(4).await;
    let (quiet, _) = world.checker(|federation| federation.with_reports(false));
    quiet.report(&world.service).await;

    let report = quiet.report(&world.service).await;
    let key = report.evidence.local().now.proved().unwrap().key;
    let since = Timestamp::from_unix_secs(1_700_000_000);
    let builder = world.lab.federated(world.lab.address(USER, 1), Federation::new(&world.known)).unwrap();
    let word = OwnWord::new([Accepted::Key { service: world.service.clone(), key, since }]);
    let own = builder.own_word(word).timeout(PATIENCE).build();
    assert!(asked(&own.report(&world.service).await).len() >= 3, "they are asked");
    quiet.settle(PATIENCE).await;
    own.settle(PATIENCE).await;
    assert_eq!(world.reports().await, 0, "and not told");

    // The list of a public network: what is not the public's is not even asked about.
    let mut public = world.known.to_json().unwrap();
    let text = String::from_utf8(public.clone()).unwrap().replace("\"allow_private\":true", "\"allow_private\":false");
    public = text.into_bytes();
    let known = KnownMirrors::read(&public).unwrap();
    let builder = world.lab.federated(world.lab.address(USER, 1), Federation::new(&known)).unwrap();
    let checker = builder.timeout(PATIENCE).build();
    for host in ["shop.example", &world.lab.address(SITE, 10).to_string()] {
        let report = checker.report(&world.lab.service(host).unwrap()).await;
        let mirrors = report.mirrors.clone().unwrap();
        assert!(mirrors.is_private && mirrors.asked.is_empty(), "{host}: {mirrors:?}");
        assert_eq!(report.verdict.decision, Decision::Undecided);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_everybody_is_silent_nobody_is_called_dead() {
    let world = World::start(3).await;
    world.places.iter().for_each(|place| place.behave(Behaviour::Cut));
    let (checker, federation) = world.checker(|federation| federation);
    let report = checker.report(&world.service).await;
    assert_eq!(report.verdict.decision, Decision::Undecided);
    checker.settle(PATIENCE).await;
    let noted = federation.take_noted();
    assert_eq!(noted.len(), 3);
    assert!(noted.values().all(|noted| *noted == Noted { trip: None, answered: None }), "{noted:?}");
}
