//! `/v1/dns` end to end: real nodes, the lab's DNS on real sockets, and the client that verifies what comes back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::time::Duration;

use parallax_client::{Deadline, Missing};
use parallax_core::{DnsSet, RecordKind};
use parallax_lab::{Answer, Failure, Lab, LabNode};
use parallax_proto::{DnsQuestion, DnsReply, Verified};

const PATIENCE: Duration = Duration::from_secs(30);

async fn ask(node: &LabNode, name: &str, kinds: &[RecordKind]) -> Result<Verified<DnsReply>, Missing> {
    let kinds = kinds.iter().copied().collect();
    let question = DnsQuestion { name: name.parse().unwrap(), kinds, nonce: Some("n".into()) };
    node.vantage_point().unwrap().dns(question, Deadline::within(PATIENCE)).await
}

async fn set(node: &LabNode, name: &str, kind: RecordKind) -> DnsSet {
    ask(node, name, &[kind]).await.unwrap().into_content().answers.remove(&kind).unwrap()
}

#[tokio::test]
async fn a_vantage_point_answers_for_its_own_place() {
    let lab = Lab::start().await.unwrap();
    let (near, far) = (lab.node(21, "eu-west", "RIPE").await.unwrap(), lab.node(22, "us-east", "ARIN").await.unwrap());
    let dns = lab.dns();
    dns.set("shop.example", Answer::mx(&[(20, "b.example"), (10, "A.Example")]).unwrap().with_ttl(300)).unwrap();
    dns.set_towards(lab.network(22), "shop.example", Answer::mx(&[(10, "evil.example")]).unwrap()).unwrap();
    dns.set("www.shop.example", Answer::cname("shop.example").unwrap().with_ttl(60)).unwrap();

    let found = set(&near, "www.Shop.Example.", RecordKind::Mx).await;
    assert_eq!(found.records, ["10 a.example.", "20 b.example."], "one spelling of names");
    assert_eq!((found.rcode.as_str(), found.min_ttl, found.cut), ("NOERROR", Some(60), false));
    assert_eq!(set(&far, "shop.example", RecordKind::Mx).await.records, ["10 evil.example."]);
    let alias = set(&near, "www.shop.example", RecordKind::Cname).await;
    assert_eq!(alias.records, ["shop.example."]);
    let reply = ask(&near, "_ca-auth.shop.example", &[RecordKind::Txt, RecordKind::A]).await.unwrap();
    assert_eq!((reply.content().vantage, reply.content().region.as_deref()), (near.vantage(), Some("eu-west")));
    assert_eq!(reply.content().answers[&RecordKind::Txt].rcode, "NXDOMAIN");
}

#[tokio::test]
async fn a_failure_is_not_an_empty_answer() {
    let lab = Lab::start().await.unwrap();
    let node = lab.node_with(21, "eu-west", "RIPE", |settings| {
        settings.probe.limits.dns = Duration::from_millis(400);
    });
    let node = node.await.unwrap();
    let dns = lab.dns();
    dns.set("there.example", Answer::a([lab.address(30, 1)])).unwrap();
    dns.set("broken.example", Answer::failure(Failure::ServFail)).unwrap();
    dns.set("mute.example", Answer::failure(Failure::Silence)).unwrap();
    dns.set("loop.example", Answer::cname("pool.example").unwrap()).unwrap();
    dns.set("pool.example", Answer::cname("loop.example").unwrap()).unwrap();
    for (name, rcode, answered) in [
        ("there.example", "NOERROR", true),
        ("gone.example", "NXDOMAIN", true),
        ("broken.example", "SERVFAIL", false),
        ("loop.example", "SERVFAIL", false),
        ("mute.example", "TIMEOUT", false),
    ] {
        let found = set(&node, name, RecordKind::Mx).await;
        assert_eq!((found.rcode.as_str(), found.is_answer()), (rcode, answered), "{name}");
        assert_eq!((found.records.len(), found.min_ttl), (0, None), "{name}");
    }
}

#[tokio::test]
async fn an_answer_of_a_thousand_records_comes_whole_and_a_larger_one_says_that_it_was_cut() {
    let lab = Lab::start().await.unwrap();
    let node = lab.node(21, "eu-west", "RIPE").await.unwrap();
    let addresses =
        |count: u16| (0..count).map(|n| std::net::Ipv4Addr::from_bits(0x7f1e_0000 + u32::from(n))).collect::<Vec<_>>();
    lab.dns().set("many.example", Answer::a(addresses(1000))).unwrap();
    lab.dns().set("more.example", Answer::a(addresses(1001))).unwrap();
    lab.dns().set("none.example", Answer::a([])).unwrap();
    for (name, count, cut) in [("many.example", 1000, false), ("more.example", 1000, true), ("none.example", 0, false)]
    {
        let found = set(&node, name, RecordKind::A).await;
        assert_eq!((found.records.len(), found.cut), (count, cut), "{name}");
    }
    // Thirty kilobytes of what JSON writes in five characters each.
    lab.dns().set("wide.example", Answer::txt(&"\u{1}".repeat(30_000))).unwrap();
    let wide = set(&node, "wide.example", RecordKind::Txt).await;
    assert!(wide.cut && wide.records.is_empty(), "one record that is larger than an answer may be");
}

#[tokio::test]
async fn strangers_learn_nothing_of_the_operators_own_names() {
    let lab = Lab::start().await.unwrap();
    lab.dns().set("wiki.corp", Answer::a([lab.address(30, 1)])).unwrap();
    lab.dns().set("example.com", Answer::a([lab.address(30, 2)])).unwrap();
    let closed = lab.node_with(21, "eu-west", "RIPE", |settings| {
        settings.probe.targets = parallax_probe::TargetPolicy::public();
    });
    let closed = closed.await.unwrap();
    let before = lab.dns().queries();
    for name in ["wiki.corp", "intranet", "localhost", "1.0.0.10.in-addr.arpa", "nas.local", "router.home.arpa"] {
        let refused = ask(&closed, name, &[RecordKind::A]).await.unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("status 400") && said.contains("no public name"), "{name}: {said}");
        assert!(!refused.is_dropped(), "it refused, it did not lie");
    }
    assert_eq!(lab.dns().queries(), before, "nobody was asked");
    assert_eq!(set(&closed, "example.com", RecordKind::A).await.records.len(), 1);
    let open = lab.node(22, "eu-west", "RIPE").await.unwrap();
    assert_eq!(set(&open, "wiki.corp", RecordKind::A).await.records.len(), 1, "a lab's node tells all");
}

#[tokio::test]
async fn somebodys_name_servers_are_asked_a_bounded_number_of_times() {
    let lab = Lab::start().await.unwrap();
    let node = lab.node_with(21, "eu-west", "RIPE", |settings| {
        settings.limits.dns_per_domain = parallax_node::Rate::new(1, 5);
    });
    let node = node.await.unwrap();
    let (mut answered, mut busy) = (0, 0);
    for n in 0..40 {
        match ask(&node, &format!("x{n}.victim.example"), &[RecordKind::A]).await {
            Ok(_) => answered += 1,
            Err(Missing::Refused { status: 503, detail }) => {
                assert!(detail.unwrap().contains("this domain"));
                busy += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(answered >= 5 && busy > 0 && lab.dns().queries() <= answered, "{answered} {busy} {}", lab.dns().queries());
    assert!(ask(&node, "x.other.example", &[RecordKind::A]).await.is_ok(), "other domains are still asked about");
}

#[tokio::test]
async fn each_type_counts_as_a_question_of_its_source() {
    let lab = Lab::start().await.unwrap();
    let node = lab.node_with(21, "eu-west", "RIPE", |settings| {
        settings.limits.questions_per_source_network = parallax_node::Rate::new(1, 10);
    });
    let node = node.await.unwrap();
    assert!(ask(&node, "one.example", &[RecordKind::A]).await.is_ok());
    let before = lab.dns().queries();
    match ask(&node, "all.example", &RecordKind::ALL).await {
        Err(Missing::Refused { status: 429, detail }) => assert!(detail.unwrap().contains("each record type counts")),
        other => panic!("{other:?}"),
    }
    assert_eq!(lab.dns().queries(), before, "nobody was asked for what was refused");
}
