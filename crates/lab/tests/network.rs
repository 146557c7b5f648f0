//! Sites, certificates and attackers, met by real TLS clients from addresses of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod support;

use std::io::ErrorKind;
use std::time::Duration;

use parallax_core::CaId;
use parallax_lab::{Behaviour, Ca, Certificate, Lab, Validity};
use rustls::ProtocolVersion;
use support::{browse, chain, connect, look, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_public_certificate_is_good_and_every_bad_one_is_not() {
    let lab = Lab::start().await.unwrap();
    let public = lab.public_ca("Example Trust Services").unwrap();
    let under = public.intermediate().unwrap();
    let private = Ca::root("Example Trust Services").unwrap();
    let (me, at) = (lab.address(20, 1), lab.address(30, 10));
    let site = lab.site(at, &under.issue(&["shop.example"], Validity::current()).unwrap()).await.unwrap();
    let names = &["shop.example"];
    for (certificate, good) in [
        (under.issue(names, Validity::current()).unwrap(), true),
        (public.issue(names, Validity::current()).unwrap(), true),
        (public.issue(names, Validity::current()).unwrap().leaf_only(), true),
        (under.issue(names, Validity::current()).unwrap().leaf_only(), false),
        (under.issue(names, Validity::expired()).unwrap(), false),
        (under.issue(names, Validity::not_yet()).unwrap(), false),
        (under.issue(&["other.example"], Validity::current()).unwrap(), false),
        (private.issue(names, Validity::current()).unwrap(), false),
        (Certificate::self_signed(names, Validity::current()).unwrap(), false),
    ] {
        site.set_certificate(&certificate).unwrap();
        let browsed = browse(me, site.address(), "shop.example", lab.root_certificates()).await;
        assert_eq!(browsed.is_ok(), good, "{certificate:?}: {browsed:?}");
        let looked = look(me, site.address(), "shop.example").await.unwrap();
        assert_eq!(chain(&looked), certificate.chain());
    }
}

#[tokio::test]
async fn what_the_same_ca_means() {
    let lab = Lab::start().await.unwrap();
    let public = lab.public_ca("Example Trust Services").unwrap();
    let private = Ca::root("Example Trust Services").unwrap();
    let names = &["shop.example"];
    let roots = lab.public_roots();
    let ours = public.intermediate().unwrap().issue(names, Validity::current()).unwrap();
    let theirs = public.intermediate().unwrap().issue(names, Validity::current()).unwrap();
    assert_eq!(ours.ca_id(&roots), theirs.ca_id(&roots));
    assert_eq!(ours.ca_id(&roots), CaId::Organisation("Example Trust Services".into()));
    let own = private.issue(names, Validity::current()).unwrap();
    assert_eq!(own.ca_id(&roots), CaId::Key(private.key()));
    assert_eq!(public.issue(names, Validity::current()).unwrap().leaf_only().ca_id(&roots), ours.ca_id(&roots));
    assert_eq!(ours.leaf_only().ca_id(&roots), CaId::Key(ours.key()), "without the intermediate nobody can tell");
    assert_eq!(own.leaf_only().ca_id(&roots), CaId::Key(own.key()));
    let alone = Certificate::self_signed(names, Validity::current()).unwrap();
    assert_eq!(alone.ca_id(&roots), CaId::Key(alone.key()));
    let renewed = private.renew(&own, Validity::current()).unwrap();
    assert_eq!(renewed.key(), own.key());
    assert_ne!(renewed.leaf(), own.leaf());
    assert_eq!(lab.roots_pem().matches("BEGIN CERTIFICATE").count(), 1);
}

#[tokio::test]
async fn versions_and_things_that_are_no_tls_site() {
    let lab = Lab::start().await.unwrap();
    let certificate = Certificate::self_signed(&["shop.example"], Validity::current()).unwrap();
    let me = lab.address(20, 1);
    let site = lab.site(lab.address(30, 10), &certificate).await.unwrap();
    let looked = look(me, site.address(), "shop.example").await.unwrap();
    assert_eq!(version(&looked), ProtocolVersion::TLSv1_3);
    site.behave(Behaviour::tls12(&certificate).unwrap());
    let looked = look(me, site.address(), "shop.example").await.unwrap();
    assert_eq!(version(&looked), ProtocolVersion::TLSv1_2);

    site.behave(Behaviour::plain_http());
    let error = look(me, site.address(), "shop.example").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    site.behave(Behaviour::Cut);
    let error = look(me, site.address(), "shop.example").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error:?}");
    site.behave(Behaviour::Silent);
    let silence = tokio::time::timeout(Duration::from_millis(300), look(me, site.address(), "shop.example")).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!(site.connections(), 5);
    let nobody = connect(me, (lab.address(30, 11), lab.port()).into()).await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_site_serves_a_page_to_those_who_ask() {
    let lab = Lab::start().await.unwrap();
    let certificate = Certificate::self_signed(&["shop.example"], Validity::current()).unwrap();
    let site = lab.site(lab.address(30, 10), &certificate).await.unwrap();
    let mut stream = look(lab.address(20, 1), site.address(), "shop.example").await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n").await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{page}");
}

#[tokio::test]
async fn an_attacker_on_the_path_meddles_with_those_it_is_after_only() {
    let lab = Lab::start().await.unwrap();
    let public = lab.public_ca("Example Trust Services").unwrap();
    let honest = public.issue(&["shop.example"], Validity::current()).unwrap();
    let evil = Ca::root("Evil").unwrap().issue(&["shop.example"], Validity::current()).unwrap();
    let (me, near, far) = (lab.address(20, 1), lab.address(20, 2), lab.address(21, 1));
    let site = lab.hidden_site(&honest).await.unwrap();
    let path = lab.on_path(lab.address(30, 10), &site).await.unwrap();
    let shown = async |source| {
        let looked = look(source, path.address(), "shop.example").await.unwrap();
        chain(&looked).to_vec()
    };

    assert_eq!(shown(me).await, honest.chain());
    path.attack([me], &evil).unwrap();
    assert_eq!(shown(me).await, evil.chain());
    assert_eq!(shown(near).await, honest.chain());
    path.attack([lab.network(20)], &evil).unwrap();
    assert_eq!(shown(near).await, evil.chain());
    assert_eq!(shown(far).await, honest.chain());
    path.meddle([far], &Behaviour::Cut);
    assert!(look(far, path.address(), "shop.example").await.is_err());
    path.relent();
    assert_eq!(shown(me).await, honest.chain());
    assert_eq!(shown(far).await, honest.chain());
    assert_eq!((path.connections_from(me), path.connections_from(far)), (3, 3));
    // Passed on from the address in the middle, so that a site can't tell who is behind it.
    assert_eq!(site.connections_from(lab.address(30, 10)), site.connections());
    assert_eq!(site.connections(), 5);
}

#[tokio::test]
async fn an_attacker_can_take_over_the_address_of_a_site_that_was_open() {
    let lab = Lab::start().await.unwrap();
    let honest = Certificate::self_signed(&["shop.example"], Validity::current()).unwrap();
    let at = lab.address(30, 10);
    let site = lab.site(at, &honest).await.unwrap();
    site.close().await;
    let hidden = lab.hidden_site(&honest).await.unwrap();
    let path = lab.on_path(at, &hidden).await.unwrap();
    let looked = look(lab.address(20, 1), path.address(), "shop.example").await.unwrap();
    assert_eq!(chain(&looked), honest.chain());
}

#[tokio::test]
async fn labs_run_side_by_side_and_leave_nothing_behind() {
    let (one, two) = (Lab::start().await.unwrap(), Lab::start().await.unwrap());
    assert_ne!(one.address(77, 77), two.address(77, 77));
    // An address that no other test opens: one may claim the subnet as soon as it is free.
    let certificate = Certificate::self_signed(&["shop.example"], Validity::current()).unwrap();
    let kept = one.site(one.address(77, 77), &certificate).await.unwrap();
    let other = two.site(two.address(77, 77), &certificate).await.unwrap();
    let (me, dns) = (one.address(20, 1), one.dns().address());
    drop(one);
    tokio::time::timeout(PATIENCE, until_free(kept.address())).await.expect("the site outlived its lab");
    tokio::time::timeout(PATIENCE, until_free(dns)).await.expect("the DNS server outlived its lab");
    assert!(connect(me, kept.address()).await.is_err());
    assert!(look(me, other.address(), "shop.example").await.is_ok(), "the other lab goes on");
}

#[tokio::test]
async fn connections_end_with_their_site() {
    let lab = Lab::start().await.unwrap();
    let site = lab.open(lab.address(30, 10), Behaviour::Silent).await.unwrap();
    let mut stream = connect(lab.address(20, 1), site.address()).await.unwrap();
    while site.connections() == 0 {
        tokio::task::yield_now().await;
    }
    site.close().await;
    let end = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 1])).await.expect("the connection outlived its site");
    assert!(matches!(end, Ok(0) | Err(_)));
}

async fn until_free(address: std::net::SocketAddr) {
    while TcpListener::bind(address).await.is_err() {
        tokio::task::yield_now().await;
    }
}
