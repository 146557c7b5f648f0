//! A CA that its owner authorises in DNS, and takes back by deleting the record (`docs/protocols/dns.md`): real nodes, the
//! lab's DNS, real sockets, nothing imported.

use std::time::{Duration, Instant};

use parallax_core::Decision::{Distrusted, Trusted};
use parallax_core::{Policy, Rule, Tlsa};
use parallax_lab::{Answer, Ca, Stage};

use crate::ground::{Ends, Service};

/// Short, so that the test is.
const TTL: Duration = Duration::from_secs(4);

/// A node rests two seconds between looks, and a loaded machine takes its time for a check.
const SLACK: Duration = Duration::from_secs(30);

async fn ends_now(service: &Service<'_>) -> Ends {
    let report = service.checker(Policy::default()).report(&service.id).await;
    assert!(report.dropped.is_empty() && report.missing.is_empty(), "{:#}", report.to_json());
    (report.verdict.decision, report.verdict.rule)
}

/// Checks until the verdict is `wanted`, with a new checker each time; how long after `changed` the last check that
/// ended otherwise began.
async fn wait_for(service: &Service<'_>, wanted: Ends, changed: Instant) -> Duration {
    let mut latest_other = Duration::ZERO;
    loop {
        let began = changed.elapsed();
        let ends = ends_now(service).await;
        if ends == wanted {
            return latest_other;
        }
        latest_other = began;
        assert!(began < TTL + SLACK, "{} still ends in {ends:?}", service.host);
    }
}

async fn revokes(number: u8, host: &str, publish: impl Fn(&Service<'_>, &Ca), take_back: impl Fn(&Service<'_>)) {
    let stage = Stage::open().await.unwrap();
    let ca = Ca::root("Example University").unwrap();
    let service = Service::new(&stage, host, number);
    let _site = service.open(&service.issued_by(&ca)).await;
    publish(&service, &ca);
    assert_eq!(ends_now(&service).await, (Trusted, Rule::Corroborated), "{host}");

    take_back(&service);
    let changed = Instant::now();
    let latest = wait_for(&service, (Distrusted, Rule::Revoked), changed).await;
    assert!(latest <= TTL + Duration::from_secs(3), "{host}: a check that began after {latest:?} still trusted");
    assert_eq!(ends_now(&service).await, (Distrusted, Rule::Revoked), "{host} stays revoked");
}

fn authorise(service: &Service<'_>, at: &str, ca: &Ca) {
    service.lab().dns().set(at, Answer::ca_auth([ca.key()]).with_ttl(4)).unwrap();
}

#[tokio::test]
async fn row_9_deleting_the_ca_auth_record_revokes_within_its_time_to_live() {
    let at = "_ca-auth.revoked.example";
    revokes(
        1,
        "revoked.example",
        |service, ca| authorise(service, at, ca),
        |service| {
            service.lab().dns().remove(at).unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn row_9_deleting_the_record_of_the_parent_revokes_what_is_below_it() {
    let at = "_ca-auth.parent.example";
    revokes(
        2,
        "www.parent.example",
        |service, ca| authorise(service, at, ca),
        |service| {
            service.lab().dns().remove(at).unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn row_9_deleting_the_tlsa_record_revokes_too() {
    let at = |service: &Service<'_>| format!("_{}._tcp.{}", service.lab().port(), service.host);
    let publish = |service: &Service<'_>, ca: &Ca| {
        let tlsa: Tlsa = format!("2 1 1 {}", ca.key()).parse().unwrap();
        service.lab().dns().set(&at(service), Answer::tlsa([tlsa]).with_ttl(4)).unwrap();
    };
    revokes(3, "dane.example", publish, |service| service.lab().dns().remove(&at(service)).unwrap()).await;
}

#[tokio::test]
async fn a_view_is_told_again_while_its_record_lives() {
    let stage = Stage::open().await.unwrap();
    let ca = Ca::root("Example University").unwrap();
    let service = Service::new(&stage, "steady.example", 4);
    let site = service.open(&service.issued_by(&ca)).await;
    service.lab().dns().set("_ca-auth.steady.example", Answer::ca_auth([ca.key()]).with_ttl(300)).unwrap();
    assert_eq!(ends_now(&service).await, (Trusted, Rule::Corroborated));
    let before = site.connections();
    assert_eq!(ends_now(&service).await, (Trusted, Rule::Corroborated));
    assert_eq!(site.connections(), before + 1, "the user looked again, the nodes had no reason to");
}
