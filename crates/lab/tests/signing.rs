//! The lab's signatures under the validator of the product.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::Ipv4Addr;

use parallax_core::{DnsAnswers, Dnssec, Fingerprint};
use parallax_lab::{Answer, Lab, Signatures};
use parallax_probe::{ProbeSettings, Prober, Validation};

const KEY: Fingerprint = Fingerprint::from_bytes([7; 32]);

/// What somebody who looks from this address and believes this anchor is told of a name.
async fn told(lab: &Lab, source: Ipv4Addr, anchor: &str, name: &str) -> DnsAnswers {
    let dnssec = Validation::anchors(anchor).unwrap();
    let settings = ProbeSettings { dnssec, ..lab.probe_settings(source).unwrap() };
    Prober::new(settings).unwrap().look(&lab.service(name).unwrap()).await.dns
}

/// A lab with a name and its records, and who asks for it from two networks.
async fn lab() -> (Lab, [Ipv4Addr; 2]) {
    let lab = Lab::start().await.unwrap();
    let site = lab.address(30, 10);
    for name in ["shop.example", "bare.example", "deep.in.example", "*.wild.example"] {
        lab.dns().set(name, Answer::a([site])).unwrap();
    }
    lab.dns().set("www.example", Answer::cname("shop.example").unwrap()).unwrap();
    lab.dns().set("lost.example", Answer::cname("gone.example").unwrap()).unwrap();
    let record = format!("2 1 1 {KEY}").parse().unwrap();
    lab.publish_tlsa("shop.example", [record]).unwrap();
    let askers = [lab.address(20, 1), lab.address(21, 1)];
    (lab, askers)
}

#[tokio::test]
async fn what_is_there_is_signed_and_so_is_what_is_not() {
    let (lab, [me, _]) = lab().await;
    let anchor = lab.dns().anchor();
    let site = Some(vec![lab.address(30, 10)]);
    for (name, a, ca) in [
        ("shop.example", site.clone(), vec![KEY]),
        ("bare.example", site.clone(), vec![]),
        ("deep.in.example", site.clone(), vec![]),
        // Above a name that is there, and with no records of its own.
        ("in.example", Some(vec![]), vec![]),
        ("gone.example", Some(vec![]), vec![]),
        ("any.wild.example", site.clone(), vec![]),
        ("www.example", site, vec![]),
        ("lost.example", Some(vec![]), vec![]),
    ] {
        let dns = told(&lab, me, &anchor, name).await;
        assert_eq!((dns.dnssec, &dns.a, &dns.ca), (Dnssec::Secure, &a, &Some(ca)), "{name}: {dns:?}");
        assert_eq!(dns.aaaa, Some(vec![]), "{name}");
    }
}

#[tokio::test]
async fn what_is_not_signed_is_proved_to_be_so_and_believed_as_ever() {
    let (lab, [me, far]) = lab().await;
    let dns = lab.dns();
    dns.sign_towards(me, "shop.example", Signatures::Absent).unwrap();
    dns.sign("bare.example", Signatures::Absent).unwrap();
    for (source, name, dnssec, ca) in [
        (me, "shop.example", Dnssec::Insecure, vec![KEY]),
        (far, "shop.example", Dnssec::Secure, vec![KEY]),
        (me, "bare.example", Dnssec::Insecure, vec![]),
        (far, "bare.example", Dnssec::Insecure, vec![]),
    ] {
        let told = told(&lab, source, &dns.anchor(), name).await;
        assert_eq!((told.dnssec, told.ca), (dnssec, Some(ca)), "{name} from {source}");
        assert_eq!(told.a, Some(vec![lab.address(30, 10)]));
    }
    dns.treat_alike();
    assert_eq!(told(&lab, me, &dns.anchor(), "shop.example").await.dnssec, Dnssec::Secure);
}

/// Neither a record nor its absence is believed whose signature does not hold.
#[tokio::test]
async fn a_forged_signature_is_found_out() {
    let (lab, [me, far]) = lab().await;
    let dns = lab.dns();
    for name in ["shop.example", "bare.example"] {
        dns.sign_towards(me, name, Signatures::Forged).unwrap();
        let (mine, theirs) = (told(&lab, me, &dns.anchor(), name).await, told(&lab, far, &dns.anchor(), name).await);
        assert_eq!((mine.dnssec, mine.ca, mine.a), (Dnssec::Bogus, None, None), "{name}");
        assert_eq!(theirs.dnssec, Dnssec::Secure, "{name}");
    }
}

#[tokio::test]
async fn the_key_of_another_lab_proves_nothing() {
    let ((lab, [me, _]), other) = (lab().await, Lab::start().await.unwrap());
    let dns = told(&lab, me, &other.dns().anchor(), "shop.example").await;
    assert_eq!((dns.dnssec, dns.ca, dns.a), (Dnssec::Bogus, None, None));
}
