//! SSH servers that misbehave. The honest ones are real: `crates/parallax/tests/ssh.rs`.

use std::time::{Duration, Instant};

use parallax_core::{Observation, Outcome};
use parallax_probe::{ProbeSettings, TargetPolicy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Server, impatient, look_at, settings};

const HELLO: &[u8] = b"SSH-2.0-test\r\n";

async fn at(settings: ProbeSettings, server: &Server) -> Observation {
    look_at(settings, "ssh://site.test", server.address).await
}

async fn outcome_at(settings: ProbeSettings, server: &Server) -> Outcome {
    let now = at(settings, server).await;
    assert!(now.met.is_none());
    now.outcome
}

async fn say(mut stream: TcpStream, bytes: Vec<u8>) {
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
    // Until the other side has gone: closing with unread bytes would cut off what was said.
    while stream.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {}
}

async fn says(bytes: impl Into<Vec<u8>>) -> Server {
    let bytes = bytes.into();
    Server::start(move |_, stream| say(stream, bytes.clone())).await
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn packet(message: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (5 + message.len() + 4) % 8) % 8;
    let length = u32::try_from(1 + message.len() + padding).unwrap().to_be_bytes();
    [&length, &[u8::try_from(padding).unwrap()][..], message, &vec![0; padding]].concat()
}

fn kexinit(exchanges: &str, keys: &str) -> Vec<u8> {
    let lists = [exchanges, keys, "aes128-ctr", "aes128-ctr", "hmac-sha1", "hmac-sha1", "none", "none", "", ""];
    let lists: Vec<u8> = lists.iter().flat_map(|list| string(list.as_bytes())).collect();
    packet(&[&[20][..], &[7; 16], &lists, &[0; 5]].concat())
}

#[tokio::test]
async fn what_does_not_speak_ssh() {
    for banner in [
        &b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..],
        b"220 mail.test ESMTP\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46",
        b"welcome",
        b"\0\0\0\x0c",
        b"line\r\nSSH\0-2.0-x\r\n",
        &b"\n".repeat(9000),
        &b"\r\n".repeat(9000),
        &[&b"\n".repeat(9000)[..], HELLO].concat(),
    ] {
        assert_eq!(outcome_at(settings(), &says(banner).await).await, Outcome::NotTls, "{banner:?}");
    }
}

#[tokio::test]
async fn servers_that_turn_us_away_or_are_too_old() {
    for (banner, outcome) in [
        (&b""[..], Outcome::Reset),
        (b"Exceeded MaxStartups\r\n", Outcome::Alert),
        (b"Not allowed at this time\r\n", Outcome::Alert),
        (b"SSH-1.5-old\r\n", Outcome::Unsupported),
        (b"SSH-9.0-new\r\n", Outcome::Unsupported),
        (HELLO, Outcome::Reset),
        (b"take care\r\nSSH-1.99-both\n", Outcome::Reset),
    ] {
        assert_eq!(outcome_at(settings(), &says(banner).await).await, outcome, "{banner:?}");
    }
    let cut = Server::start(|_, stream| async move { stream.set_zero_linger().unwrap() }).await;
    assert_eq!(outcome_at(settings(), &cut).await, Outcome::Reset);
}

#[tokio::test]
async fn nonsense_after_the_greeting() {
    let reply = |parts: &[&[u8]]| {
        let body: Vec<u8> = parts.iter().flat_map(|part| string(part)).collect();
        [kexinit("curve25519-sha256", "ssh-ed25519"), packet(&[&[31][..], &body].concat())].concat()
    };
    let key = [string(b"ssh-ed25519"), string(&[3; 32])].concat();
    let signature = [string(b"ssh-ed25519"), string(&[5; 64])].concat();
    for (what, bytes, outcome) in [
        ("no packet", b"GET / HTTP/1.1\r\n\r\n".to_vec(), Outcome::Malformed),
        ("a huge packet", [&[0xff, 0xff, 0xff, 0xff][..], &[0; 100]].concat(), Outcome::Malformed),
        ("a KEXINIT cut short", packet(&[20; 30]), Outcome::Malformed),
        ("random bytes as KEXINIT", packet(&[&[20][..], &[0xa5; 3000]].concat()), Outcome::Malformed),
        ("another message", packet(&[31, 0, 0, 0, 0]), Outcome::Malformed),
        ("a disconnect", packet(&[&[1, 0, 0, 0, 11][..], &string(b"no"), &string(b"")].concat()), Outcome::Alert),
        ("ignored messages without end", packet(&[2, 0, 0, 0, 0]).repeat(3000), Outcome::Malformed),
        ("no exchange of ours", kexinit("diffie-hellman-group14-sha1", "ssh-ed25519"), Outcome::Unsupported),
        ("no key of ours", kexinit("curve25519-sha256", "ssh-dss"), Outcome::Unsupported),
        ("an empty reply", reply(&[]), Outcome::Malformed),
        ("a point of the wrong length", reply(&[&key, &[9; 31], &signature]), Outcome::Malformed),
        ("a point of small order", reply(&[&key, &[0; 32], &signature]), Outcome::Malformed),
        ("a signature that does not hold", reply(&[&key, &[9; 32], &signature]), Outcome::Malformed),
        (
            "a disconnect at the proof",
            [kexinit("curve25519-sha256", "ssh-ed25519"), packet(&[1, 0, 0, 0, 3])].concat(),
            Outcome::Alert,
        ),
    ] {
        let server = says([HELLO, &bytes].concat()).await;
        assert_eq!(outcome_at(settings(), &server).await, outcome, "{what}");
    }
    let long = says([&b"SSH-2.0-"[..], &[b'x'; 300], b"\r\n"].concat()).await;
    assert_eq!(outcome_at(settings(), &long).await, Outcome::Malformed, "an identification of more than 255 bytes");
}

/// What a server says until it is cut off: 20 MB of a piece.
async fn pours(piece: &'static [u8], first: &'static [u8]) -> Server {
    Server::start(move |_, mut stream| async move {
        let _ = stream.write_all(first).await;
        let piece = piece.repeat(1 + 16_000 / piece.len());
        for sent in 0..20_000_000 / piece.len() {
            if stream.write_all(&piece).await.is_err() {
                // What the buffers between hold, and no more, was taken.
                assert!(sent * piece.len() < 19_000_000);
                return;
            }
        }
        panic!("all of it was taken");
    })
    .await
}

#[tokio::test]
async fn twenty_megabytes_are_not_read() {
    assert_eq!(outcome_at(settings(), &pours(b"a banner without end\r\n", b"").await).await, Outcome::NotTls);
    assert_eq!(outcome_at(settings(), &pours(b"a line without end", b"").await).await, Outcome::NotTls);
    assert_eq!(outcome_at(settings(), &pours(&[2; 100], HELLO).await).await, Outcome::Malformed);
    let ignored = packet(&[&[2][..], &string(&[0; 30_000])].concat()).leak();
    assert_eq!(outcome_at(settings(), &pours(ignored, HELLO).await).await, Outcome::Malformed);
}

#[tokio::test]
async fn silence_and_tarpits_end_in_time() {
    let silent =
        Server::start(|_, mut stream| async move { while stream.read(&mut [0; 999]).await.is_ok_and(|n| n > 0) {} });
    let mute_after = says_and_waits(HELLO.to_vec());
    let drip = Server::start(|_, mut stream| async move {
        for byte in [HELLO, &kexinit("curve25519-sha256", "ssh-ed25519")].concat() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    });
    for server in [silent.await, mute_after.await, drip.await] {
        let started = Instant::now();
        assert_eq!(outcome_at(impatient(), &server).await, Outcome::Timeout);
        assert!(started.elapsed() < Duration::from_secs(15));
    }
}

async fn says_and_waits(bytes: Vec<u8>) -> Server {
    Server::start(move |_, mut stream| {
        let bytes = bytes.clone();
        async move {
            let _ = stream.write_all(&bytes).await;
            while stream.read(&mut [0; 999]).await.is_ok_and(|n| n > 0) {}
        }
    })
    .await
}

#[tokio::test]
async fn the_target_policy_holds_for_ssh() {
    let server = says(HELLO).await;
    let settings = ProbeSettings { targets: TargetPolicy::public(), ..settings() };
    assert_eq!(outcome_at(settings, &server).await, Outcome::NotAllowed);
    assert_eq!(server.connections(), 0);
}
