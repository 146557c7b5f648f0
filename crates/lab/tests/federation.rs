//! Mirrors that know nothing but one another's URLs, and what becomes of one that begins to lie.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::time::{Duration, Instant};

use parallax_client::{Deadline, NodeVantage};
use parallax_core::{ServiceId, VantageId};
use parallax_lab::{Answer, Lab, LabNode, Validity};
use parallax_node::MirrorSettings;
use parallax_proto::mirror::Settings;
use serde_json::Value;

const MIRRORS: u8 = 8;
const NINTH: u8 = 9;
const SITES: u8 = 10;

/// On a machine that has nothing else to do all of it takes half a minute; a loaded one gets more.
const PATIENCE: Duration = Duration::from_secs(120);

/// A day of the federation in a second and a half.
fn compressed(popular: &[ServiceId]) -> MirrorSettings {
    let ms = Duration::from_millis;
    let rules = Settings {
        day: ms(1_500),
        visits_each: 1,
        round_time: Duration::from_secs(5),
        own_look_age: ms(1_000),
        candidate_quizzes: 6,
        candidate_time: ms(3_000),
        suspect_quizzes: 4,
        suspect_time: ms(1_200),
        retest_quizzes: 4,
        retest_time: ms(1_200),
        retest_first: ms(2_000),
        retest_longest: ms(4_000),
        retest_silent: ms(4_000),
        retest_proved: ms(4_000),
        recheck_after: ms(1_000),
        report_rest: ms(1_000),
        vote_time: ms(1_500),
        vote_polls: 10,
        address_rest: ms(2_400),
        list_every: ms(2_000),
        gone_after: Duration::from_secs(3_600),
        name_delay: ms(500),
        persist_every: ms(2_000),
        // A loaded machine is no slow mirror.
        most_ping: Duration::from_secs(5),
        most_response: Duration::from_secs(10),
        ..Settings::default()
    };
    MirrorSettings { rules, popular: popular.to_vec(), quiz_max_age: Duration::ZERO, ..MirrorSettings::default() }
}

/// A lab with sites that quizzes can ask for.
async fn ground() -> (Lab, Vec<parallax_lab::Site>, Vec<ServiceId>) {
    let lab = Lab::start().await.unwrap();
    let ca = lab.public_ca("Example Trust Services").unwrap();
    let (mut sites, mut services) = (Vec::new(), Vec::new());
    for number in 0..SITES {
        let name = format!("site{number}.example");
        let at = lab.address(100 + number, 10);
        sites.push(lab.site(at, &ca.issue(&[&name], Validity::current()).unwrap()).await.unwrap());
        lab.dns().set(&name, Answer::a([at]).with_ttl(0)).unwrap();
        services.push(lab.service(&name).unwrap());
    }
    (lab, sites, services)
}

async fn mirror(lab: &Lab, network: u8, services: &[ServiceId]) -> LabNode {
    let rirs = parallax_proto::RIRS;
    let rir = rirs[usize::from(network) % rirs.len()];
    let region = format!("region-{network}");
    let node = lab.node_with(network, &region, rir, |settings| {
        settings.operator = Some(format!("operator {network}"));
        settings.mirror = compressed(services);
    });
    node.await.unwrap()
}

/// What `parallax mirror join` does: `newcomer`'s descriptor is posted to `to`.
async fn join(newcomer: &LabNode, to: &LabNode) {
    let deadline = || Deadline::within(PATIENCE);
    let descriptor = asked(newcomer).fetch("/v1/vantage", 32 * 1024, deadline()).await.unwrap();
    let body = serde_json::to_vec(&descriptor).unwrap();
    let receipt = asked(to).post_patiently("/v1/mirrors", body, deadline()).await.unwrap();
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt["vantage"], newcomer.vantage().to_string());
}

fn asked(node: &LabNode) -> NodeVantage {
    NodeVantage::new(node.url().clone(), None).unwrap()
}

/// What a mirror says of another; `None` where it does not know it.
async fn about(node: &LabNode, subject: VantageId) -> Option<Value> {
    let answer = asked(node).fetch(&format!("/v1/mirrors/{subject}"), 16 * 1024, Deadline::within(PATIENCE)).await;
    answer.ok().map(|answer| serde_json::from_str(&answer.body).unwrap())
}

/// Waits until each of `nodes` holds `subject` for what it should be; says what they hold when that takes too long.
async fn all_say(nodes: &[&LabNode], subject: VantageId, status: &str) {
    let begun = Instant::now();
    loop {
        let mut said = Vec::new();
        for node in nodes.iter().filter(|node| node.vantage() != subject) {
            said.push(about(node, subject).await);
        }
        if said.iter().all(|said| said.as_ref().is_some_and(|said| said["status"] == status)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "not all say {status}: {said:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_13_16_18_19_a_ninth_mirror_joins_lies_falls_is_mended_and_is_active_again() {
    let (lab, _sites, services) = ground().await;
    let mut nodes = Vec::new();
    for network in 1..=MIRRORS {
        nodes.push(mirror(&lab, network, &services).await);
    }
    let begun = Instant::now();
    let at = |what: &str| eprintln!("{:6.1} s  {what}", begun.elapsed().as_secs_f32());

    // Eight that know nothing but one another's URLs.
    for one in &nodes {
        for other in nodes.iter().filter(|other| other.vantage() != one.vantage()) {
            join(one, other).await;
        }
    }
    let eight: Vec<&LabNode> = nodes.iter().collect();
    for node in &nodes {
        all_say(&eight, node.vantage(), "active").await;
    }
    at("eight mirrors hold one another for active");

    // A ninth joins through one of them, and that one through it.
    let ninth = mirror(&lab, NINTH, &services).await;
    join(&ninth, &nodes[3]).await;
    join(&nodes[3], &ninth).await;
    all_say(&eight, ninth.vantage(), "active").await;
    at("the ninth is active everywhere");

    // It begins to tell of another site than everybody sees.
    let other = parallax_lab::Ca::root("Somebody Else").unwrap();
    let names: Vec<String> = (0..SITES).map(|number| format!("site{number}.example")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let attacker = lab.address(200, 66);
    let _attacker = lab.site(attacker, &other.issue(&all, Validity::current()).unwrap()).await.unwrap();
    for name in &names {
        lab.dns().set_towards(lab.network(NINTH), name, Answer::a([attacker]).with_ttl(0)).unwrap();
    }
    all_say(&eight, ninth.vantage(), "inactive").await;
    at("the ninth is inactive everywhere");
    for node in &eight {
        let said = about(node, ninth.vantage()).await.unwrap();
        assert_eq!(said["reason"], "dissents", "{said}");
        for honest in eight.iter().filter(|honest| honest.vantage() != node.vantage()) {
            let said = about(node, honest.vantage()).await.unwrap();
            assert_eq!(said["status"], "active", "an honest mirror fell: {said}");
        }
    }

    lab.dns().treat_alike();
    all_say(&eight, ninth.vantage(), "active").await;
    at("the ninth is mended and active everywhere");
}
