//! Honest servers.

use std::net::IpAddr;

use parallax_core::{CaId, Outcome, PublicCa};
use parallax_probe::{Limits, ProbeSettings, Prober, Roots, TargetPolicy, sha256};
use rcgen::KeyPair;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::support::{Ca, DnsServer, Server, look, look_at, service, settings, tls_config, tls_server, zone};
use crate::support::{leaf_params, roots_of};

#[tokio::test]
async fn a_public_chain_is_proved_in_both_versions() {
    let root = Ca::root("Example Trust Services");
    let between = root.under("Example Issuing");
    let (leaf, key) = between.issue("site.test");
    for (version, name) in [(&TLS13, "TLSv1.3"), (&TLS12, "TLSv1.2")] {
        let server = tls_server(tls_config(vec![leaf.clone(), between.der()], &key, &[version])).await;
        let settings = ProbeSettings { roots: roots_of(&root), ..settings() };
        let now = look_at(settings, "site.test", server.address).await;
        assert_eq!((now.outcome, now.address), (Outcome::Seen, Some(server.address)), "{name}");
        let met = now.proved().expect("the key was proved");
        assert_eq!(met.protocol, name);
        assert_eq!(met.leaf, sha256(&leaf));
        assert_eq!(met.chain, [sha256(&leaf), sha256(&between.der())]);
        assert_eq!(met.path, [met.key, between.key(), root.key()]);
        assert_eq!(met.issuer_key, Some(between.key()));
        assert_eq!(met.ca_id, CaId::Organisation("Example Trust Services".into()));
        assert_eq!(met.public_ca, PublicCa::Valid);
        assert_eq!(met.names, ["site.test"]);
        assert!(met.leaf_md5.is_some() && met.is_current(now.at));
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_its_own_issuer() {
    let key = KeyPair::generate().unwrap();
    let leaf = leaf_params("127.0.0.1").self_signed(&key).unwrap().der().clone();
    let server = tls_server(tls_config(vec![leaf], &key, &[&TLS13])).await;
    let seen = look(settings(), &server.address.to_string()).await;
    let met = seen.now.proved().expect("the key was proved");
    assert_eq!((met.path.as_slice(), met.issuer_key), ([met.key].as_slice(), Some(met.key)));
    assert_eq!((&met.ca_id, met.public_ca), (&CaId::Key(met.key), PublicCa::UnknownIssuer));
    assert!(met.covers(&service("127.0.0.1:443")));
    let dns = seen.dns;
    assert_eq!((dns.a, dns.aaaa), (Some(vec!["127.0.0.1".parse().unwrap()]), Some(vec![])));
    assert_eq!((dns.ca, dns.tlsa, dns.caa), (Some(vec![]), Some(vec![]), Some(vec![])));
}

#[tokio::test]
async fn ipv6_is_looked_at() {
    let (leaf, key) = Ca::root("Own").issue("::1");
    let server = crate::support::tls_server_at("::1", tls_config(vec![leaf], &key, &[&TLS13])).await;
    let seen = look(settings(), &server.address.to_string()).await;
    assert!(seen.now.proved().is_some_and(|met| met.covers(&service("[::1]:443"))));
    assert_eq!(seen.dns.aaaa, Some(vec!["::1".parse().unwrap()]));
}

/// Another key signs the handshake than the one in the certificate: what a thief of a certificate can do.
#[tokio::test]
async fn a_certificate_without_its_key_is_never_proved() {
    let ca = Ca::root("Victim");
    let (leaf, _) = ca.issue("site.test");
    for thief in [KeyPair::generate().unwrap(), KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()] {
        for version in [&TLS13, &TLS12] {
            let server = tls_server(tls_config(vec![leaf.clone(), ca.der()], &thief, &[version])).await;
            let now = look_at(settings(), "site.test", server.address).await;
            assert!(now.proved().is_none(), "{now:?}");
            assert!(now.met.is_none_or(|met| !met.proved));
        }
    }
}

#[tokio::test]
async fn x509_version_1_is_seen_and_proved() {
    let pem = include_bytes!("../data/x509-v1-chain.pem");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().unwrap();
    let key = KeyPair::from_pem(include_str!("../data/x509-v1-key.pem")).unwrap();
    for version in [&TLS13, &TLS12] {
        let server = tls_server(tls_config(chain.clone(), &key, &[version])).await;
        let now = look_at(settings(), "v1.example.test", server.address).await;
        let met = now.proved().expect("the key was proved");
        assert_eq!(met.public_ca, PublicCa::Invalid);
        assert_eq!(met.path.len(), 2, "its CA signed it");
        assert_eq!(met.issuer_key, met.path.get(1).copied());
    }
}

#[tokio::test]
async fn every_kind_of_key_is_proved() {
    let ca = Ca::root("Own");
    for kind in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let key = KeyPair::generate_for(kind).unwrap();
        let leaf = ca.sign(&leaf_params("site.test"), &key);
        for version in [&TLS13, &TLS12] {
            let server = tls_server(tls_config(vec![leaf.clone()], &key, &[version])).await;
            let now = look_at(settings(), "site.test", server.address).await;
            assert!(now.proved().is_some(), "{kind:?} {version:?}: {now:?}");
        }
    }
}

#[tokio::test]
async fn the_source_address_is_used_for_looks_and_questions() {
    let (leaf, key) = Ca::root("Own").issue("site.test");
    let config = std::sync::Arc::new(tls_config(vec![leaf], &key, &[&TLS13]));
    let (told, mut from) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |_, stream| {
        told.send(stream.peer_addr().unwrap().ip()).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(config.clone());
        async move {
            let _ = acceptor.accept(stream).await;
        }
    })
    .await;
    let dns = DnsServer::start(zone("site.test A 127.0.0.1")).await;
    let source: IpAddr = "127.0.0.77".parse().unwrap();
    let settings = ProbeSettings { resolver: Some(dns.address), source: Some(source), ..settings() };
    let seen = look(settings, &format!("site.test:{}", server.address.port())).await;
    assert_eq!(seen.now.outcome, Outcome::Seen);
    assert_eq!(from.recv().await, Some(source));
    assert!(dns.sources().iter().all(|asker| *asker == source) && !dns.sources().is_empty());
}

#[tokio::test]
async fn the_next_address_only_when_the_first_can_not_be_connected_to() {
    let (leaf, key) = Ca::root("Own").issue("site.test");
    let server = tls_server(tls_config(vec![leaf], &key, &[&TLS13])).await;
    let mute = Server::start_at("127.0.0.3", |_, stream| async move { drop(stream) }).await;
    let port = server.address.port();
    let dns = DnsServer::start(zone("site.test A 127.0.0.2\nsite.test A 127.0.0.1")).await;
    let with_dns = || ProbeSettings { resolver: Some(dns.address), ..settings() };
    let seen = look(with_dns(), &format!("site.test:{port}")).await;
    assert_eq!((seen.now.outcome, seen.now.address), (Outcome::Seen, Some(server.address)));
    assert_eq!(seen.dns.a, Some(vec!["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()]));
    // One that answers badly is where DNS leads: nobody shops around for a better answer.
    let dns = DnsServer::start(zone("site.test A 127.0.0.3\nsite.test A 127.0.0.1")).await;
    let settings = ProbeSettings { resolver: Some(dns.address), ..settings() };
    let seen = look(settings, &format!("site.test:{}", mute.address.port())).await;
    assert_eq!((seen.now.outcome, seen.now.address), (Outcome::Reset, Some(mute.address)));
}

#[tokio::test]
async fn refused_and_not_allowed() {
    // Bound and not listening: refuses for certain, and nobody else gets the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = socket.local_addr().unwrap();
    let now = look_at(settings(), "site.test", closed).await;
    assert_eq!((now.outcome, now.address), (Outcome::Refused, Some(closed)));
    let server = Server::start(|_, _| async {}).await;
    for targets in [
        TargetPolicy::public(),
        TargetPolicy::public().with_any_port(),
        TargetPolicy::any().with_ports([1]),
        TargetPolicy::any().denied([server.address]),
    ] {
        let settings = ProbeSettings { targets, ..settings() };
        let now = look_at(settings.clone(), "site.test", server.address).await;
        assert_eq!((now.outcome, now.address), (Outcome::NotAllowed, None));
        let seen = look(settings, &server.address.to_string()).await;
        assert_eq!(seen.now.outcome, Outcome::NotAllowed);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_node_without_roots_calls_nobody_public() {
    let root = Ca::root("Example Trust Services");
    let (leaf, key) = root.issue("site.test");
    let server = tls_server(tls_config(vec![leaf, root.der()], &key, &[&TLS13])).await;
    let settings = ProbeSettings { roots: Roots::None, ..settings() };
    let met = look_at(settings, "site.test", server.address).await.met.unwrap();
    assert_eq!((met.public_ca, met.ca_id), (PublicCa::UnknownIssuer, CaId::Key(root.key())));
}

#[tokio::test]
async fn one_prober_serves_many_looks_at_once() {
    let (leaf, key) = Ca::root("Own").issue("site.test");
    let server = tls_server(tls_config(vec![leaf], &key, &[&TLS13])).await;
    let limits = Limits { look: std::time::Duration::from_secs(60), ..Limits::default() };
    let prober = Prober::new(ProbeSettings { limits, ..settings() }).unwrap();
    let target = service(&server.address.to_string());
    let looks = (0..50).map(|_| {
        let (prober, target) = (prober.clone(), target.clone());
        tokio::spawn(async move { prober.look(&target).await })
    });
    for look in looks.collect::<Vec<_>>() {
        assert!(look.await.unwrap().now.proved().is_some());
    }
}
