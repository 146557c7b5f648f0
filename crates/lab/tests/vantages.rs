//! Vantage points that are not as they should be: their clock is wrong, or some questions never reach them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::time::Duration;

use parallax_client::{Deadline, Missing, NodeVantage, VantagePoint as _, VantageUrl};
use parallax_core::{PublicCa, ServiceId, Timestamp};
use parallax_lab::{Answer, Lab, LabNode, Site, Unheard, Validity};
use parallax_probe::WallClock;
use parallax_proto::{CLOCK_SKEW, Question, Verified, View};

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A site whose certificate is good in fifty seconds from now, and not before.
async fn site(lab: &Lab) -> (Site, ServiceId) {
    let (ca, at) = (lab.public_ca("Example Trust Services").unwrap(), lab.address(30, 10));
    let now = WallClock::default().now();
    let validity = Validity { not_before: now.plus(Duration::from_secs(50)), not_after: now.plus(HOUR) };
    lab.dns().set("site.example", Answer::a([at])).unwrap();
    let site = lab.site(at, &ca.issue(&["site.example"], validity).unwrap()).await.unwrap();
    (site, lab.service("site.example").unwrap())
}

async fn node(lab: &Lab, network: u8, ahead: i64) -> LabNode {
    lab.node_with(network, "eu-west", "RIPE", |settings| settings.probe.clock = WallClock::ahead_by(ahead))
        .await
        .unwrap()
}

async fn ask(url: &VantageUrl, question: Question, patience: Duration) -> Result<Verified<View>, Missing> {
    NodeVantage::new(url.clone(), None).unwrap().view(question, Deadline::within(patience)).await
}

#[tokio::test]
async fn a_node_stamps_and_judges_by_its_own_clock() {
    let lab = Lab::start().await.unwrap();
    let (_site, service) = site(&lab).await;
    let old =
        Lab::public_ca(&lab, "Another Trust Services").unwrap().issue(&["site.example"], Validity::current()).unwrap();
    let ahead = 60;
    assert!(Duration::from_secs(ahead) < CLOCK_SKEW, "it is believed");
    let [right, wrong] = [node(&lab, 40, 0).await, node(&lab, 41, ahead.cast_signed()).await];
    let mut told = Vec::new();
    for node in [&right, &wrong] {
        let past = lab.past_of(node).saw(&old, lab.address(30, 10), HOUR * 48, HOUR);
        node.remember(&service, past).await.unwrap();
        let before = node.now();
        let view = ask(node.url(), Question::about(service.clone()), PATIENCE).await.unwrap();
        let (view, after) = (view.content(), node.now());
        let within = |at: Timestamp| before <= at && at <= after;
        assert!(within(view.issued_at) && within(view.now.at), "{before} {view:?} {after}");
        assert_eq!(view.history.len(), 2);
        assert!(view.history[0].last_seen <= before.minus(HOUR) && view.history[0].last_seen > before.minus(HOUR * 2));
        assert!(view.kept_since.unwrap() <= before && node.descriptor().issued_at <= before);
        told.push((view.issued_at, view.now.proved().unwrap().public_ca));
    }
    assert_eq!((told[0].1, told[1].1), (PublicCa::NotYetValid, PublicCa::Valid));
    assert!(told[1].0.since(told[0].0) >= Duration::from_secs(ahead));
}

#[tokio::test]
async fn a_node_whose_clock_is_an_hour_wrong_is_not_believed() {
    let lab = Lab::start().await.unwrap();
    let (_site, service) = site(&lab).await;
    for (network, ahead) in [(40, 3600), (41, -3600)] {
        let node = node(&lab, network, ahead).await;
        let why = ask(node.url(), Question::about(service.clone()), PATIENCE).await.map(drop).unwrap_err();
        assert!(matches!(why, Missing::View(_) | Missing::Descriptor(_) | Missing::Certificate(_)), "{ahead}: {why}");
    }
}

/// What a front keeps from a node is answered by silence; all else is answered as ever.
#[tokio::test]
async fn a_front_leaves_second_questions_without_an_answer() {
    let lab = Lab::start().await.unwrap();
    let (site, service) = site(&lab).await;
    let node = node(&lab, 40, 0).await;
    let first = Question::about(service);
    let again = Question { max_age: Duration::ZERO, ..first.clone() };
    let there = Question { address: Some(site.address().ip()), ..again.clone() };
    for (host, unheard) in [
        (2, Unheard { again: true, there: false }),
        (3, Unheard { again: false, there: true }),
        (4, Unheard { again: true, there: true }),
    ] {
        let front = lab.open(lab.address(40, host), node.front(unheard).unwrap()).await.unwrap();
        let url = node.url_at(front.address()).unwrap();
        for (question, lost) in [(&first, false), (&again, unheard.again), (&there, unheard.there)] {
            let patience = if lost { Duration::from_millis(500) } else { PATIENCE };
            let answer = ask(&url, question.clone(), patience).await;
            match (lost, answer) {
                (false, Ok(view)) => assert_eq!(view.content().vantage, node.vantage()),
                (true, Err(why)) => assert_eq!(why, Missing::Timeout),
                (_, answer) => panic!("{unheard:?}, {question:?}: {:?}", answer.map(Verified::into_content)),
            }
        }
        front.close().await;
    }
}
