//! A bootstrap file, lists by consensus, and mirrors whose lists lie (`docs/protocols/mirrors.md`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod liar;

use std::time::{Duration, Instant};

use liar::Liar;
use parallax_client::{BootstrapUrl, Chance, Deadline, KnownMirrors, ListsTold, NoList, NodeVantage};
use parallax_core::{Timestamp, VantageId};
use parallax_lab::{Answer, Lab, LabNode, Site, Validity};
use parallax_node::{BOOTSTRAP, MirrorSettings, Publisher};
use parallax_probe::AwsLc;
use parallax_proto::mirror::{BOOTSTRAP_FORMAT, Bootstrap, BootstrapFile, Pair, Settings, Status};

const PATIENCE: Duration = Duration::from_secs(60);

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap())
}

fn asked(node: &LabNode) -> NodeVantage {
    NodeVantage::new(node.url().clone(), None).unwrap()
}

fn pair(node: &LabNode) -> Pair {
    let address = node.url().host().address().unwrap();
    Pair { address: (address, node.url().port()).into(), vantage: node.vantage() }
}

/// Four mirrors that hold one another for active.
async fn federation(lab: &Lab) -> (Vec<LabNode>, Site) {
    let ca = lab.public_ca("Example Trust Services").unwrap();
    let at = lab.address(100, 10);
    let site = lab.site(at, &ca.issue(&["site.example"], Validity::current()).unwrap()).await.unwrap();
    lab.dns().set("site.example", Answer::a([at]).with_ttl(0)).unwrap();
    let ms = Duration::from_millis;
    let rules = Settings {
        day: ms(1_500),
        visits_each: 1,
        round_time: Duration::from_secs(5),
        own_look_age: ms(1_000),
        candidate_quizzes: 1,
        candidate_time: ms(300),
        list_every: ms(2_000),
        address_rest: ms(2_400),
        meets_a_minute: 600,
        // A loaded machine is no slow mirror.
        most_ping: Duration::from_secs(5),
        most_response: Duration::from_secs(10),
        ..Settings::default()
    };
    let mirror = MirrorSettings {
        rules,
        popular: vec![lab.service("site.example").unwrap()],
        quiz_max_age: Duration::ZERO,
        ..MirrorSettings::default()
    };
    let mut nodes = Vec::new();
    for network in 20..24u8 {
        let region = format!("region-{network}");
        let node = lab.node_with(network, &region, "RIPE", |settings| {
            settings.operator = Some(format!("operator {network}"));
            settings.mirror = mirror.clone();
        });
        nodes.push(node.await.unwrap());
    }
    let deadline = || Deadline::within(PATIENCE);
    for one in &nodes {
        let descriptor = asked(one).fetch("/v1/vantage", 32 * 1024, deadline()).await.unwrap();
        let body = serde_json::to_vec(&descriptor).unwrap();
        for other in nodes.iter().filter(|other| other.vantage() != one.vantage()) {
            // One that another has told of it already rests before it meets the address again.
            drop(asked(other).post("/v1/mirrors", body.clone(), deadline()).await);
        }
    }
    let begun = Instant::now();
    for node in &nodes {
        while asked(node).mirrors(Some(Status::Active), deadline()).await.unwrap().len() < nodes.len() - 1 {
            assert!(begun.elapsed() < PATIENCE, "not all are active");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    (nodes, site)
}

fn publish(node: &LabNode, mirrors: Vec<Pair>) -> Vec<u8> {
    let (issued_at, valid_until) = (now(), now().plus(Duration::from_secs(86_400)));
    let content = Bootstrap { format: BOOTSTRAP_FORMAT.into(), issued_at, valid_until, mirrors };
    let mut file = BootstrapFile::new(&content).unwrap();
    Publisher::open(node.data()).unwrap().sign(&mut file).unwrap();
    serde_json::to_vec(&file).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_3_4_5_22_a_list_by_consensus_whatever_some_lists_say() {
    let lab = Lab::start().await.unwrap();
    let (nodes, _site) = federation(&lab).await;
    // One tells of a hundred thousand; two of one network invent forty of another.
    let flood = Liar::start(lab.address(60, 1), 100_000, lab.address(70, 1)).await;
    let first = Liar::start(lab.address(61, 1), 40, lab.address(71, 1)).await;
    let second = Liar::start(lab.address(61, 2), 40, lab.address(71, 1)).await;
    let mut pairs: Vec<Pair> = [&flood, &first, &second].map(|liar| liar.pair).into();
    pairs.extend(nodes.iter().map(pair));

    let bytes = publish(&nodes[0], pairs);
    std::fs::write(nodes[0].data().join(BOOTSTRAP), &bytes).unwrap();
    let publisher = nodes[0].vantage();
    let node_url = format!("https://{}", nodes[0].url().authority());
    let plain_url = format!("http://{}", nodes[0].http().unwrap());
    for url in [node_url, plain_url] {
        let url: BootstrapUrl = url.parse().unwrap();
        assert_eq!(url.fetch(publisher, Deadline::within(PATIENCE)).await.unwrap(), bytes, "{url:?}");
        let somebody = VantageId::from_bytes([7; 32]);
        let fetched = url.fetch(somebody, Deadline::within(PATIENCE)).await;
        assert!(fetched.is_err() || BootstrapFile::read(&AwsLc, somebody, &bytes, now()).is_err());
    }
    let content = BootstrapFile::read(&AwsLc, publisher, &bytes, now()).unwrap();

    let told = ListsTold::ask(&content.mirrors, true, PATIENCE).await.unwrap();
    assert_eq!((told.asked, told.told, told.networks), (7, 6, 5), "the flood is refused");
    let mut wanted: Vec<VantageId> = nodes.iter().map(LabNode::vantage).collect();
    wanted.sort_unstable();
    assert_eq!(told.agreed.keys().copied().collect::<Vec<_>>(), wanted, "nobody that was invented");
    assert!(told.agreed.values().all(|support| *support == 3), "each is held by the other three: {:?}", told.agreed);
    assert!(first.lists() >= 1 && second.lists() >= 1 && flood.lists() >= 1, "all were asked");

    let mut known = KnownMirrors::nobody(true, &mut Chance);
    let changed = known.take(&told, now(), &mut Chance);
    assert_eq!((changed.came, changed.went, changed.known), (4, 0, 4));
    let again = KnownMirrors::read(&known.to_json().unwrap()).unwrap();
    assert_eq!(again, known);

    // A refresh asks whoever is known, and changes nothing.
    let told = ListsTold::ask(&known.to_ask(&mut Chance), true, PATIENCE).await.unwrap();
    let changed = known.take(&told, now(), &mut Chance);
    assert_eq!((changed.came, changed.went, changed.known), (0, 0, 4));
    assert!(!known.is_due(Duration::from_secs(86_400), now()));
    assert!(known.is_due(Duration::from_secs(86_400), now().plus(Duration::from_secs(90_000))));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_5_lists_are_read_on_to_as_many_pages_as_an_honest_one_has_and_no_further() {
    let lab = Lab::start().await.unwrap();
    let mirrors = Liar::invented(14, lab.address(71, 1));
    let mut told_by = Vec::new();
    for network in 61..64 {
        told_by.push(Liar::paged(lab.address(network, 1), &mirrors).await);
    }
    let pairs: Vec<Pair> = told_by.iter().map(|one| one.pair).collect();
    let told = ListsTold::ask(&pairs, true, PATIENCE).await.unwrap();
    assert_eq!(told.agreed.len(), 12, "a page each");
    assert!(told.agreed.values().all(|support| *support == 3));
    assert_eq!(told_by.iter().map(Liar::lists).collect::<Vec<_>>(), [12, 12, 12], "pages that were asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_too_few_networks_make_no_list() {
    let lab = Lab::start().await.unwrap();
    let mut liars = Vec::new();
    for host in 1..6 {
        liars.push(Liar::start(lab.address(61 + host % 2, host), 40, lab.address(71, 1)).await);
    }
    let pairs: Vec<Pair> = liars.iter().map(|liar| liar.pair).collect();
    let error = ListsTold::ask(&pairs, true, PATIENCE).await.unwrap_err();
    assert_eq!(error, NoList::TooFew { asked: 5, told: 5, networks: 2, why: None });
    let silent = Pair { address: (lab.address(90, 1), 1).into(), vantage: VantageId::from_bytes([1; 32]) };
    let error = ListsTold::ask(&[silent], true, PATIENCE).await.unwrap_err().to_string();
    assert!(error.starts_with("0 of 1 mirrors told their list") && error.contains("it can't be reached"), "{error}");
}
