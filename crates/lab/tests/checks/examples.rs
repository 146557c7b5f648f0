//! The worked examples of `docs/protocols/evidence.md` that can be staged.

use parallax_core::Decision::{Distrusted, Trusted, Undecided};
use parallax_core::{Fingerprint, Policy, Record, Rule};
use parallax_lab::{Behaviour, Ca, Stage};

use crate::ground::{DAY, Ends, HOUR, MINUTE, Service, mis_issued};

fn record(ca: impl IntoIterator<Item = Fingerprint>) -> Record {
    Record { ca: ca.into_iter().collect(), ..Record::default() }
}

#[tokio::test]
async fn a_record_that_was_changed_minutes_ago_revokes() {
    let stage = Stage::open().await.unwrap();
    let (own, other) = (Ca::root("Example University").unwrap(), Ca::root("Somebody Else").unwrap());
    let revoked = (Distrusted, Rule::Revoked);
    let cases: [(&str, &Ca, &[&Ca], Ends); 4] = [
        ("replaced", &own, &[&other], revoked),
        ("emptied", &own, &[], revoked),
        ("public-replaced", stage.public_ca(), &[&other], revoked),
        // A public CA needs no record.
        ("public-emptied", stage.public_ca(), &[], (Trusted, Rule::Corroborated)),
    ];
    for (number, (name, ca, now_named, wanted)) in (1..).zip(cases) {
        let service = Service::new(&stage, &format!("{name}.example"), number);
        let certificate = service.issued_by(ca);
        let _site = service.open(&certificate).await;
        service
            .everybody_remembers(|past| {
                let past = past.saw(&certificate, service.address, DAY * 100, MINUTE * 10);
                past.read(record([ca.key()]), DAY * 100, MINUTE * 10)
            })
            .await;
        stage.lab().authorise(&service.host, now_named.iter().copied()).unwrap();
        assert_eq!(service.ends().await, wanted, "{name}");
    }
}

#[tokio::test]
async fn a_new_ca_everywhere_is_undecided_until_time_or_a_record_explains_it() {
    let stage = Stage::open().await.unwrap();
    let new = stage.other_public_ca();
    let change = (Undecided, Rule::GlobalChange);
    let trusted = (Trusted, Rule::Corroborated);

    let young = Service::new(&stage, "young.example", 1);
    let old = young.public();
    let _young = young.open(&young.issued_by(new)).await;
    young.everybody_remembers(|past| past.saw(&old, young.address, DAY * 400, HOUR)).await;
    assert_eq!(young.ends().await, change, "whoever holds the route shows everybody one key");

    let aged = Service::new(&stage, "aged.example", 2);
    let (old, current) = (aged.public(), aged.issued_by(new));
    let _aged = aged.open(&current).await;
    aged.everybody_remembers(|past| {
        past.saw(&old, aged.address, DAY * 400, HOUR * 73).saw(&current, aged.address, HOUR * 73, HOUR)
    })
    .await;
    assert_eq!(aged.ends().await, trusted, "after 72 hours it is known");

    let announced = Service::new(&stage, "announced.example", 3);
    let (old, ca) = (announced.public(), Ca::root("Example University").unwrap());
    let _announced = announced.open(&announced.issued_by(&ca)).await;
    stage.lab().authorise(&announced.host, [&ca]).unwrap();
    announced
        .everybody_remembers(|past| {
            past.saw(&old, announced.address, DAY * 400, HOUR).read(record([ca.key()]), DAY * 2, HOUR)
        })
        .await;
    assert_eq!(announced.ends().await, trusted, "a record that has stood for a day names it");

    let hasty = Service::new(&stage, "hasty.example", 4);
    let (old, ca) = (hasty.public(), Ca::root("Somebody Else").unwrap());
    let _hasty = hasty.open(&hasty.issued_by(&ca)).await;
    stage.lab().authorise(&hasty.host, [&ca]).unwrap();
    hasty
        .everybody_remembers(|past| past.saw(&old, hasty.address, DAY * 400, HOUR).read(record([]), DAY * 400, HOUR))
        .await;
    assert_eq!(hasty.ends().await, change, "a record of this minute may be the thief's own");
}

#[tokio::test]
async fn one_of_five_sees_another_public_ca() {
    let stage = Stage::open().await.unwrap();
    let cases = [(false, (Undecided, Rule::PartialHijack)), (true, (Trusted, Rule::Corroborated))];
    for (number, (remembered, wanted)) in (1..).zip(cases) {
        let service = Service::new(&stage, &format!("one-{remembered}.example"), number);
        let certificate = service.public();
        let site = service.open(&certificate).await;
        let [one, ..] = stage.nodes() else { unreachable!("five nodes") };
        site.set_certificate_towards(one.address(), &mis_issued(&service)).unwrap();
        if remembered {
            service.everybody_remembers(|past| past.saw(&certificate, service.address, DAY * 400, HOUR)).await;
        }
        assert_eq!(service.ends().await, wanted, "remembered: {remembered}");
    }
}

/// The nodes looked an hour ago and would answer from memory; what differs is looked at again before it counts.
#[tokio::test]
async fn a_renewal_since_the_last_look_ends_trusted() {
    let stage = Stage::open().await.unwrap();
    for (number, ca) in (1..).zip([stage.public_ca().clone(), Ca::root("Example University").unwrap()]) {
        let service = Service::new(&stage, &format!("renewed-{number}.example"), number);
        let (old, new) = (service.issued_by(&ca), service.issued_by(&ca));
        let site = service.open(&new).await;
        for node in stage.nodes() {
            node.looked(&service.id, &old, site.address(), HOUR).await.unwrap();
        }
        assert_eq!(service.ends().await, (Trusted, Rule::Corroborated), "{ca:?}");
        for node in stage.nodes() {
            assert!(site.connections_from(node.address()) > 0, "{} has looked again", node.address());
        }
    }
}

#[tokio::test]
async fn what_was_seen_today_stands_in_for_looks_that_fail() {
    let stage = Stage::open().await.unwrap();
    let service = Service::new(&stage, "flaky.example", 1);
    let certificate = service.public();
    let site = service.open(&certificate).await;
    for node in stage.nodes().iter().take(3) {
        site.behave_towards(node.address(), Behaviour::Cut);
    }
    service.everybody_remembers(|past| past.saw(&certificate, service.address, DAY * 10, HOUR * 2)).await;
    assert_eq!(service.ends().await, (Trusted, Rule::Corroborated));

    let private = Service::new(&stage, "intranet.example", 2);
    let certificate = private.issued_by(&Ca::root("Example University").unwrap());
    let site = private.open(&certificate).await;
    site.behave(Behaviour::Cut);
    site.set_certificate_towards(stage.me(), &certificate).unwrap();
    private.everybody_remembers(|past| past.saw(&certificate, private.address, DAY * 30, DAY * 5)).await;
    assert_eq!(private.ends().await, (Undecided, Rule::StablePrivate));
    let accepting = Policy::Evidence { accept_private: true };
    assert_eq!(private.ends_by(accepting).await, (Trusted, Rule::StablePrivate));
}

#[tokio::test]
async fn every_policy_trusts_an_honest_site() {
    let stage = Stage::open().await.unwrap();
    let service = Service::new(&stage, "shop.example", 1);
    let _site = service.open(&service.public()).await;
    let rules = [Rule::Corroborated, Rule::MajorityAgrees, Rule::QuorumHeld, Rule::Unanimous, Rule::MpicCorroborated];
    for (name, rule) in Policy::NAMES.into_iter().zip(rules) {
        assert_eq!(service.ends_by(Policy::named(name).unwrap()).await, (Trusted, rule), "{name}");
    }
}

/// What is written through the store's import is what a node would have written: the next look extends it.
#[tokio::test]
async fn a_written_past_is_told_and_extended_by_the_next_look() {
    let stage = Stage::open().await.unwrap();
    let service = Service::new(&stage, "shop.example", 1);
    let certificate = service.public();
    let _site = service.open(&certificate).await;
    let named = record([certificate.key()]);
    service
        .everybody_remembers(|past| {
            let past = past.saw(&certificate, service.address, DAY * 400, HOUR);
            past.read(named.clone(), DAY * 3, HOUR)
        })
        .await;
    let report = service.checker(Policy::default()).report(&service.id).await;
    assert_eq!(report.views.len(), 5);
    for view in report.views {
        let view = view.view.into_content();
        let [span] = view.history.as_slice() else { panic!("{:?}", view.history) };
        assert_eq!((span.last_seen, span.leaf), (view.now.at, certificate.leaf()));
        assert!(span.held() >= DAY * 400, "{span:?}");
        let records: Vec<_> = view.authority.iter().map(|entry| &entry.record).collect();
        assert_eq!(records, [&named, &record([])], "the record of the past, then the empty one of now");
    }
}
