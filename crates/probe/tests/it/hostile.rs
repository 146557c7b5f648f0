//! Servers that misbehave: each ends in its named outcome, in time and in little memory.

use std::time::{Duration, Instant};

use parallax_core::Outcome;
use parallax_probe::{Limits, ProbeSettings};
use rcgen::KeyPair;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Ca, Server, impatient, look_at, outcome_at, settings, tls_config, tls_server};

/// Reads the ClientHello, says this, and closes as a gentleman would.
async fn says(bytes: Vec<u8>) -> Server {
    Server::start(move |_, stream| say(stream, bytes.clone())).await
}

async fn say(mut stream: TcpStream, bytes: Vec<u8>) {
    read_hello(&mut stream).await;
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
    // Until the other side has gone: closing with unread bytes would cut off what was said.
    while stream.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {}
}

async fn read_hello(stream: &mut TcpStream) {
    let mut header = [0; 5];
    if stream.read_exact(&mut header).await.is_ok() {
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        let _ = stream.read_exact(&mut body).await;
    }
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], &u16::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

fn sized(body: &[u8]) -> Vec<u8> {
    message(0, body)[1..].to_vec()
}

fn server_hello(version: u8, suite: u16) -> Vec<u8> {
    message(2, &[&[3, version][..], &[7; 32], &[0], &suite.to_be_bytes(), &[0]].concat())
}

fn certificates(chain: &[CertificateDer<'_>]) -> Vec<u8> {
    let list: Vec<u8> = chain.iter().flat_map(|certificate| sized(certificate)).collect();
    message(11, &sized(&list))
}

fn records(kind: u8, bytes: &[u8]) -> Vec<u8> {
    bytes.chunks(16_000).flat_map(|chunk| record(kind, chunk)).collect()
}

#[tokio::test]
async fn what_is_not_tls() {
    for banner in [
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "220 mail.test ESMTP\r\n",
        "\x00",
        "\u{16}\u{4}",
    ] {
        assert_eq!(outcome_at(settings(), &says(banner.into()).await).await, Outcome::NotTls, "{banner:?}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_first_is_not_tls() {
    let server = Server::start(|_, mut stream| async move {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await;
        say(stream, Vec::new()).await;
    })
    .await;
    assert_eq!(outcome_at(settings(), &server).await, Outcome::NotTls);
}

#[tokio::test]
async fn closed_and_cut() {
    assert_eq!(outcome_at(settings(), &says(vec![]).await).await, Outcome::Reset);
    assert_eq!(outcome_at(settings(), &says(vec![22, 3]).await).await, Outcome::Reset);
    let hello = record(22, &server_hello(3, 0xc02f));
    assert_eq!(outcome_at(settings(), &says(hello).await).await, Outcome::Reset);
    let cut = Server::start(|_, stream| async move { stream.set_zero_linger().unwrap() }).await;
    assert_eq!(outcome_at(settings(), &cut).await, Outcome::Reset);
}

#[tokio::test]
async fn alerts() {
    for (description, outcome, connections) in [
        (112, Outcome::Alert, 1),      // unrecognized_name
        (49, Outcome::Alert, 1),       // access_denied
        (80, Outcome::Alert, 1),       // internal_error
        (47, Outcome::Alert, 2),       // illegal_parameter: perhaps an old one, asked the old way too
        (40, Outcome::Unsupported, 2), // handshake_failure, both ways
        (70, Outcome::Unsupported, 2), // protocol_version, both ways
    ] {
        let server = says(record(21, &[2, description])).await;
        assert_eq!(outcome_at(settings(), &server).await, outcome, "{description}");
        assert_eq!(server.connections(), connections, "{description}");
    }
    // A warning alone is passed over: what comes after it counts.
    assert_eq!(outcome_at(settings(), &says(record(21, &[1, 0])).await).await, Outcome::Reset);
    let more = [record(21, &[1, 0]), record(22, &[0; 100])].concat();
    assert_eq!(outcome_at(settings(), &says(more).await).await, Outcome::Malformed);
}

#[tokio::test]
async fn nonsense_in_the_form_of_tls() {
    for (what, bytes) in [
        ("oversized record", [&[22, 3, 3, 0xff, 0xff][..], &[0; 70_000]].concat()),
        ("empty records", record(22, &[]).repeat(3000)),
        ("warnings without end", record(21, &[1, 90]).repeat(3000)),
        ("unknown message", record(22, &message(99, &[1, 2, 3]))),
        ("application data first", record(23, &[1; 50])),
        ("text after a record", [record(22, &server_hello(3, 0xc02f)), b"HTTP/1.1".to_vec()].concat()),
        ("a message of 16 MB", records(22, &message(2, &vec![0; 0xff_ffff]))),
        ("a ServerHello cut short", record(22, &message(2, &[3, 3, 1]))),
        (
            "no certificate in the list",
            record(22, &[server_hello(3, 0xc02f), certificates(&[]), message(14, &[])].concat()),
        ),
        ("HelloRetryRequests", record(22, &retry()).repeat(50)),
    ] {
        let outcome = outcome_at(settings(), &says(bytes).await).await;
        assert!(matches!(outcome, Outcome::Malformed | Outcome::Unsupported), "{what}: {outcome}");
    }
}

/// RFC 8446 section 4.1.4, asking for P-256.
fn retry() -> Vec<u8> {
    const RANDOM: [u8; 32] = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2,
        0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
    ];
    let extensions = [0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 0x17];
    message(2, &[&[3, 3][..], &RANDOM, &[0, 0x13, 0x01, 0, 0, 12], &extensions].concat())
}

#[tokio::test]
async fn twenty_megabytes_are_not_read() {
    let server = Server::start(|_, mut stream| async move {
        read_hello(&mut stream).await;
        let piece = record(22, &[0; 16_000]);
        for sent in 0..20_000_000 / piece.len() {
            if stream.write_all(&piece).await.is_err() {
                // What the buffers between hold, and no more, was taken.
                assert!(sent * piece.len() < 19_000_000);
                return;
            }
        }
        panic!("all of it was taken");
    })
    .await;
    assert_eq!(outcome_at(settings(), &server).await, Outcome::Malformed);
}

#[tokio::test]
async fn silence_and_tarpits_end_in_time() {
    let silent =
        Server::start(|_, mut stream| async move { while stream.read(&mut [0; 999]).await.is_ok_and(|n| n > 0) {} });
    let drip = Server::start(|_, mut stream| async move {
        read_hello(&mut stream).await;
        let flight = records(22, &message(2, &[0; 5000]));
        for byte in flight {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    });
    for server in [silent.await, drip.await] {
        let started = Instant::now();
        assert_eq!(outcome_at(impatient(), &server).await, Outcome::Timeout);
        assert!(started.elapsed() < Duration::from_secs(15));
    }
}

#[tokio::test]
async fn the_first_byte_has_its_own_limit() {
    let silent =
        Server::start(|_, mut stream| async move { while stream.read(&mut [0; 999]).await.is_ok_and(|n| n > 0) {} })
            .await;
    let limits = Limits { look: Duration::from_secs(300), first_byte: Duration::from_millis(200), ..Limits::default() };
    let started = Instant::now();
    assert_eq!(outcome_at(ProbeSettings { limits, ..settings() }, &silent).await, Outcome::Timeout);
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn chains_too_long_and_certificates_that_are_none() {
    let ca = Ca::root("Own");
    let (leaf, key) = ca.issue("site.test");
    let bits = |count: usize| vec![CertificateDer::from(vec![0x30, 0x00]); count];
    for (what, chain, outcome) in [
        ("32", [vec![leaf.clone()], bits(31)].concat(), Outcome::Seen),
        ("33", [vec![leaf.clone()], bits(32)].concat(), Outcome::Malformed),
        ("1000", [vec![leaf.clone()], bits(999)].concat(), Outcome::Malformed),
        ("broken DER", bits(1), Outcome::Malformed),
        ("empty", vec![CertificateDer::from(vec![])], Outcome::Malformed),
        ("cut short", vec![CertificateDer::from(leaf[..leaf.len() - 1].to_vec())], Outcome::Malformed),
        ("large", vec![CertificateDer::from([&leaf[..], &[0; 60_000]].concat())], Outcome::Malformed),
    ] {
        for version in [&TLS13, &TLS12] {
            let server = tls_server(tls_config(chain.clone(), &key, &[version])).await;
            assert_eq!(outcome_at(settings(), &server).await, outcome, "{what} {version:?}");
        }
    }
}

/// A server of old: it turns the modern ClientHello down, by alert or by answering in its own version, and shows its
/// certificate to one of its time.
#[tokio::test]
async fn old_servers_are_seen_and_not_proved() {
    let ca = Ca::root("Own");
    let (leaf, _) = ca.issue("site.test");
    for (version, name) in [(0, "SSLv3"), (1, "TLSv1.0"), (2, "TLSv1.1"), (3, "TLSv1.2")] {
        let shown = [server_hello(version, 0x002f), certificates(&[leaf.clone(), ca.der()]), message(14, &[])].concat();
        for first in [record(21, &[2, 70]), record(21, &[2, 40]), records(22, &shown)] {
            let shown = records(22, &shown);
            let server =
                Server::start(move |count, stream| say(stream, if count == 0 { first.clone() } else { shown.clone() }))
                    .await;
            let now = look_at(settings(), "site.test", server.address).await;
            assert_eq!(now.outcome, Outcome::Seen, "{name}");
            assert!(now.proved().is_none());
            let met = now.met.unwrap();
            assert_eq!((met.protocol.as_str(), met.proved, met.chain.len()), (name, false, 2));
            assert_eq!(met.issuer_key, Some(ca.key()));
        }
    }
}

#[tokio::test]
async fn hostile_servers_of_old() {
    let many = vec![CertificateDer::from(vec![1]); 1000];
    for (what, second) in [
        ("a thousand certificates", [server_hello(1, 0x002f), certificates(&many)].concat()),
        ("no chain", [server_hello(1, 0x002f), message(14, &[])].concat()),
        ("broken DER", [server_hello(1, 0x002f), certificates(&[CertificateDer::from(vec![1; 500])])].concat()),
        ("without end", [server_hello(1, 0x002f), message(11, &vec![0; 400_000])].concat()),
    ] {
        let server = Server::start(move |count, stream| {
            say(stream, if count == 0 { record(21, &[2, 70]) } else { records(22, &second) })
        })
        .await;
        let outcome = outcome_at(settings(), &server).await;
        assert!(matches!(outcome, Outcome::Unsupported | Outcome::Malformed), "{what}: {outcome}");
        assert_eq!(server.connections(), 2, "{what}");
    }
}

/// Whatever is sent in whatever pieces, a look ends with a name.
#[tokio::test]
async fn noise() {
    let key = KeyPair::generate().unwrap();
    let noise = key.serialize_der().repeat(40);
    for start in 0..40 {
        let bytes = [&[22, 3, 3, 0, 200][..], &noise[start * 3..start * 3 + 2000]].concat();
        assert_ne!(outcome_at(settings(), &says(bytes).await).await, Outcome::Seen);
    }
}
