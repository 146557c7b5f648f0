//! Corroborated DNS: a user, real nodes, and somebody who poisons what one of them is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use parallax_client::NameReport;
use parallax_core::Decision::{Distrusted, Trusted, Undecided};
use parallax_core::{Decision, NameRule, Policy, RecordKind};
use parallax_lab::{Answer, Failure, Stage};

async fn report(stage: &Stage, name: &str, kind: RecordKind) -> NameReport {
    let checker = stage.checker(stage.me()).unwrap().build();
    checker.resolve(&name.parse().unwrap(), kind).await
}

async fn ends(stage: &Stage, name: &str, kind: RecordKind) -> (Decision, NameRule) {
    let report = report(stage, name, kind).await;
    assert!(report.dropped.is_empty() && report.missing.is_empty(), "{:#}", report.to_json());
    (report.verdict.decision, report.verdict.rule)
}

#[tokio::test]
async fn row_21_the_same_everywhere_is_corroborated_and_a_poisoned_resolver_is_found_out() {
    let stage = Stage::open().await.unwrap();
    let dns = stage.lab().dns();
    let honest = Answer::mx(&[(10, "mail.bank.example")]).unwrap();
    dns.set("bank.example", honest.clone()).unwrap();
    assert_eq!(ends(&stage, "bank.example", RecordKind::Mx).await, (Trusted, NameRule::Corroborated));
    assert_eq!(ends(&stage, "gone.example", RecordKind::Txt).await, (Trusted, NameRule::Corroborated));

    dns.set_towards(stage.me(), "bank.example", Answer::mx(&[(10, "mail.evil.example")]).unwrap()).unwrap();
    let poisoned = report(&stage, "bank.example", RecordKind::Mx).await;
    assert_eq!((poisoned.verdict.decision, poisoned.verdict.rule), (Distrusted, NameRule::DiffersNearMe));
    assert_eq!(poisoned.records(), ["10 mail.evil.example."]);
    assert_eq!(poisoned.verdict.counts.differ, 5);

    dns.set_towards(stage.me(), "bank.example", Answer::failure(Failure::NoSuchName)).unwrap();
    assert_eq!(ends(&stage, "bank.example", RecordKind::Mx).await, (Distrusted, NameRule::Withheld));
    dns.set_towards(stage.me(), "gone.example", Answer::txt("v=spf1 +all")).unwrap();
    assert_eq!(ends(&stage, "gone.example", RecordKind::Txt).await, (Distrusted, NameRule::Invented));
    dns.set_towards(stage.me(), "bank.example", Answer::failure(Failure::ServFail)).unwrap();
    assert_eq!(ends(&stage, "bank.example", RecordKind::Mx).await, (Undecided, NameRule::NoAnswer));
}

#[tokio::test]
async fn a_poisoned_vantage_point_is_outvoted() {
    let stage = Stage::open().await.unwrap();
    let dns = stage.lab().dns();
    dns.set("shop.example", Answer::txt("v=spf1 -all")).unwrap();
    dns.set_towards(stage.lab().network(21), "shop.example", Answer::txt("v=spf1 +all")).unwrap();
    let one = report(&stage, "shop.example", RecordKind::Txt).await;
    assert_eq!((one.verdict.decision, one.verdict.rule), (Trusted, NameRule::Corroborated));
    assert_eq!((one.verdict.counts.agree, one.verdict.counts.differ), (4, 1));
}

#[tokio::test]
async fn answers_by_region_are_ordinary() {
    let stage = Stage::open().await.unwrap();
    let (lab, dns) = (stage.lab(), stage.lab().dns());
    dns.set("video.example", Answer::a([lab.address(30, 1)])).unwrap();
    assert_eq!(ends(&stage, "video.example", RecordKind::A).await, (Trusted, NameRule::Corroborated));
    dns.set_towards(stage.me(), "video.example", Answer::a([lab.address(30, 2)])).unwrap();
    assert_eq!(ends(&stage, "video.example", RecordKind::A).await, (Trusted, NameRule::SameNetworks));
    dns.set_towards(stage.me(), "video.example", Answer::a([lab.address(31, 1)])).unwrap();
    assert_eq!(ends(&stage, "video.example", RecordKind::A).await, (Undecided, NameRule::OtherAddresses));
    let strict = stage.checker(stage.me()).unwrap().policy(Policy::Unanimous).build();
    let strict = strict.resolve(&"video.example".parse().unwrap(), RecordKind::A).await;
    assert_eq!((strict.verdict.decision, strict.verdict.rule), (Distrusted, NameRule::NotUnanimous));
}

#[tokio::test]
async fn a_zone_that_changes_is_no_attack() {
    let stage = Stage::open().await.unwrap();
    let dns = stage.lab().dns();
    dns.set("new.example", Answer::txt("now")).unwrap();
    dns.set("new.example", Answer::soa(8)).unwrap();
    dns.set_towards(stage.me(), "new.example", Answer::txt("before")).unwrap();
    assert_eq!(ends(&stage, "new.example", RecordKind::Txt).await, (Distrusted, NameRule::DiffersNearMe));
    dns.set_towards(stage.me(), "new.example", Answer::soa(7)).unwrap();
    assert_eq!(ends(&stage, "new.example", RecordKind::Txt).await, (Undecided, NameRule::Propagation));
    assert_eq!(ends(&stage, "new.example", RecordKind::Soa).await, (Undecided, NameRule::Propagation));
}

#[tokio::test]
async fn who_is_silent_is_named_and_nobody_asked_is_undecided() {
    let stage = Stage::open().await.unwrap();
    stage.lab().dns().set("bank.example", Answer::txt("x")).unwrap();
    let alone = stage.lab().checker(stage.me(), []).unwrap().build();
    let alone = alone.resolve(&"bank.example".parse().unwrap(), RecordKind::Txt).await;
    assert_eq!((alone.verdict.decision, alone.verdict.rule), (Undecided, NameRule::NotEnough));
    assert_eq!(alone.records(), ["\"x\""]);

    let node = &stage.nodes()[0];
    // Nobody listens there.
    let nowhere = node.url_at((stage.lab().address(40, 1), stage.lab().port()).into()).unwrap();
    let nowhere = parallax_client::NodeVantage::new(nowhere, None).unwrap();
    let checker = stage.lab().checker(stage.me(), &stage.nodes()[1..]).unwrap();
    let checker = checker.vantage(std::sync::Arc::new(nowhere)).build();
    let report = checker.resolve(&"bank.example".parse().unwrap(), RecordKind::Txt).await;
    assert_eq!((report.verdict.decision, report.missing.len()), (Trusted, 1));
    assert_eq!(report.missing[0].vantage, node.vantage());
    // The answer of one node in the name of another is dropped before it is read: the pin holds.
    let other = stage.nodes()[1].url().to_string();
    let (address, _) = other.trim_start_matches("https://").split_once('#').unwrap();
    let masked = node.url_at(address.parse().unwrap()).unwrap();
    let masked = parallax_client::NodeVantage::new(masked, None).unwrap();
    let checker = stage.lab().checker(stage.me(), []).unwrap().vantage(std::sync::Arc::new(masked)).build();
    let report = checker.resolve(&"bank.example".parse().unwrap(), RecordKind::Txt).await;
    assert_eq!((report.dropped.len(), report.verdict.counts.answered), (1, 0));
}
