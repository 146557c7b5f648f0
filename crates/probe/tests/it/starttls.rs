//! Servers that begin in the clear: the way to TLS over real sockets, and who misbehaves on it. Real Postfix, Dovecot,
//! slapd and PostgreSQL stand in `interop/`.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use parallax_core::{Observation, Outcome, Scheme, Starttls};
use parallax_probe::{ProbeSettings, sha256};
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::support::{Ca, Server, impatient, look_at, settings, tls_config};

use Starttls::{NotOffered, Offered, Refused};

/// One protocol as a server speaks it, a message for each that it waits for.
#[derive(Clone, Copy)]
struct Protocol {
    scheme: Scheme,
    /// What it says before it is asked.
    greeting: &'static [u8],
    /// The question about capabilities and the answer with the offer; empty where nobody asks.
    question: &'static [u8],
    offer: &'static [u8],
    /// The answer without it, or the whole answer where none is asked for.
    no_offer: &'static [u8],
    /// The demand and the go-ahead.
    demand: &'static [u8],
    go: &'static [u8],
    refusal: &'static [u8],
    /// The go-ahead to somebody else's demand.
    wrong_tag: &'static [u8],
    /// It ends the conversation at once, in words.
    error: &'static [u8],
    /// What somebody on the way would like to be taken as said under TLS.
    injected: &'static [u8],
}

const SMTP: Protocol = Protocol {
    scheme: Scheme::Smtp,
    greeting: b"220-mail.test ESMTP\r\n220 at your service\r\n",
    question: b"EHLO [127.0.0.1]\r\n",
    offer: b"250-mail.test\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n",
    no_offer: b"250-mail.test\r\n250 8BITMIME\r\n",
    demand: b"STARTTLS\r\n",
    go: b"220 2.0.0 go on\r\n",
    refusal: b"454 4.7.0 TLS not available\r\n",
    wrong_tag: b"250 2.0.0 go on\r\n",
    error: b"554 5.7.1 not from there\r\n",
    injected: b"250-mail.test\r\n250 AUTH PLAIN\r\n",
};

const SUBMISSION: Protocol = Protocol { scheme: Scheme::Submission, ..SMTP };

const IMAP: Protocol = Protocol {
    scheme: Scheme::Imap,
    greeting: b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n",
    question: b"p1 CAPABILITY\r\n",
    offer: b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\np1 OK done\r\n",
    no_offer: b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\np1 OK done\r\n",
    demand: b"p2 STARTTLS\r\n",
    go: b"p2 OK begin\r\n",
    refusal: b"p2 NO not now\r\n",
    wrong_tag: b"p3 OK begin\r\n",
    error: b"* BYE too many\r\n",
    injected: b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
};

const POP3: Protocol = Protocol {
    scheme: Scheme::Pop3,
    greeting: b"+OK ready\r\n",
    question: b"CAPA\r\n",
    offer: b"+OK\r\nUIDL\r\nSTLS\r\n.\r\n",
    no_offer: b"+OK\r\nUIDL\r\n.\r\n",
    demand: b"STLS\r\n",
    go: b"+OK begin\r\n",
    refusal: b"-ERR not now\r\n",
    wrong_tag: b"OK begin\r\n",
    error: b"-ERR too many\r\n",
    injected: b"+OK logged in\r\n",
};

const LDAP: Protocol = Protocol {
    scheme: Scheme::Ldap,
    greeting: b"",
    question: b"",
    offer: b"",
    no_offer: b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\0\x04\0",
    demand: b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037",
    go: b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0",
    refusal: b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\0\x04\0",
    wrong_tag: b"\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\0\x04\0\x04\0",
    error: b"\x30\x0c\x02\x01\0\x78\x07\x0a\x01\x34\x04\0\x04\0",
    injected: b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\0\x04\0\x04\0",
};

const POSTGRES: Protocol = Protocol {
    scheme: Scheme::Postgres,
    greeting: b"",
    question: b"",
    offer: b"",
    no_offer: b"N",
    demand: b"\0\0\0\x08\x04\xd2\x16\x2f",
    go: b"S",
    // It has no other word for it than the one for not having it.
    refusal: b"N",
    wrong_tag: b"T",
    error: b"E\0\0\0\x0eSFATAL\0\0",
    injected: b"R\0\0\0\x08\0\0\0\0",
};

const ALL: [Protocol; 6] = [SMTP, SUBMISSION, IMAP, POP3, LDAP, POSTGRES];

impl Protocol {
    /// Whether it has capabilities that are asked for.
    fn asks(&self) -> bool {
        !self.question.is_empty()
    }

    /// Up to the demand, as an honest server goes; `None` when the client says anything else.
    async fn up_to_demand(self, stream: &mut TcpStream) -> Option<()> {
        stream.write_all(self.greeting).await.ok()?;
        if self.asks() {
            hear(stream, self.question).await?;
            stream.write_all(self.offer).await.ok()?;
        }
        hear(stream, self.demand).await
    }

    async fn look(self, settings: ProbeSettings, server: &Server) -> Observation {
        look_at(settings, &format!("{}://site.test", self.scheme.as_str()), server.address).await
    }

    /// What a look sees of a server that does this on each connection.
    async fn meets<F>(self, serve: impl Fn(TcpStream) -> F + Send + 'static) -> (Outcome, Option<Starttls>)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let server = Server::start(move |_, stream| serve(stream)).await;
        ends(&self.look(settings(), &server).await)
    }

    /// What a look sees of a server that goes along up to the demand and then says this.
    async fn answered(self, bytes: Vec<u8>) -> (Outcome, Option<Starttls>) {
        self.meets(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                if self.up_to_demand(&mut stream).await.is_some() {
                    say(stream, &bytes).await;
                }
            }
        })
        .await
    }

    /// What a look sees of a server that says this and nothing else.
    async fn said(self, bytes: Vec<u8>) -> (Outcome, Option<Starttls>) {
        self.meets(move |stream| {
            let bytes = bytes.clone();
            async move { say(stream, &bytes).await }
        })
        .await
    }

    fn name(&self) -> &'static str {
        self.scheme.as_str()
    }
}

fn ends(now: &Observation) -> (Outcome, Option<Starttls>) {
    assert_eq!(now.met.is_some(), now.outcome == Outcome::Seen);
    (now.outcome, now.starttls)
}

/// Waits for exactly these bytes.
async fn hear(stream: &mut TcpStream, wanted: &[u8]) -> Option<()> {
    let mut heard = vec![0; wanted.len()];
    stream.read_exact(&mut heard).await.ok()?;
    (heard == wanted).then_some(())
}

async fn say(mut stream: TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    // Until the other side has gone: closing with unread bytes would cut off what was said.
    while stream.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {}
}

async fn tls_after_upgrade(protocol: Protocol, config: ServerConfig) -> Server {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::start(move |_, mut stream| {
        let acceptor = acceptor.clone();
        async move {
            if protocol.up_to_demand(&mut stream).await.is_some() && stream.write_all(protocol.go).await.is_ok() {
                let _ = acceptor.accept(stream).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn the_certificate_behind_the_upgrade() {
    let ca = Ca::root("Example Trust");
    let (leaf, key) = ca.issue("site.test");
    for protocol in ALL {
        for (versions, wanted) in [(&[&TLS13][..], "TLSv1.3"), (&[&TLS12], "TLSv1.2")] {
            let server = tls_after_upgrade(protocol, tls_config(vec![leaf.clone(), ca.der()], &key, versions)).await;
            let now = protocol.look(settings(), &server).await;
            assert_eq!(ends(&now), (Outcome::Seen, Some(Offered)), "{}", protocol.name());
            let met = now.proved().unwrap();
            assert_eq!((met.leaf, met.protocol.as_str()), (sha256(&leaf), wanted));
            assert_eq!(met.issuer_key, Some(ca.key()));
            assert_eq!(server.connections(), 1);
        }
    }
}

/// A server of old is sighted as it would be without an upgrade: on a second connection, upgraded again.
#[tokio::test]
async fn a_server_that_modern_tls_does_not_speak_to_is_sighted() {
    let (leaf, _) = Ca::root("Old").issue("site.test");
    let sized = |body: &[u8]| [&u32::try_from(body.len()).unwrap().to_be_bytes()[1..], body].concat();
    let record =
        |kind: u8, body: &[u8]| [&[kind, 3, 1], &u16::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat();
    let hello = [&[2][..], &sized(&[&[3, 1][..], &[7; 32], &[0, 0, 0x35, 0]].concat())].concat();
    let shown = [&[11][..], &sized(&sized(&sized(&leaf)))].concat();
    let flight = Arc::new(record(22, &[hello, shown].concat()));
    for protocol in ALL {
        let flight = Arc::clone(&flight);
        let server = Server::start(move |number, mut stream| {
            let flight = Arc::clone(&flight);
            async move {
                let go = [protocol.go, &[][..]].concat();
                if protocol.up_to_demand(&mut stream).await.is_some() && stream.write_all(&go).await.is_ok() {
                    let mut hello = [0; 5];
                    let _ = stream.read_exact(&mut hello).await;
                    let alert = [21, 3, 1, 0, 2, 2, 70];
                    say(stream, if number == 0 { &alert } else { &flight }).await;
                }
            }
        })
        .await;
        let now = protocol.look(settings(), &server).await;
        assert_eq!(ends(&now), (Outcome::Seen, Some(Offered)), "{}", protocol.name());
        let met = now.met.unwrap();
        assert_eq!((met.proved, met.protocol.as_str(), met.leaf), (false, "TLSv1.0", sha256(&leaf)));
        assert_eq!(server.connections(), 2);
    }
}

/// Nothing is sent but what the upgrade needs, and nothing before the server has spoken where it speaks first.
#[tokio::test]
async fn nothing_else_is_sent() {
    for protocol in ALL {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        let (outcome, _) = protocol
            .meets(move |mut stream| {
                let all = Arc::clone(&all);
                async move {
                    let mut early = [0; 64];
                    if protocol.asks() {
                        // Who pipelines would be caught here.
                        let quiet = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut early)).await;
                        assert!(quiet.is_err(), "it spoke first");
                        let _ = stream.write_all(protocol.greeting).await;
                        hear(&mut stream, protocol.question).await.expect("the question");
                        let _ = stream.write_all(protocol.no_offer).await;
                    } else {
                        hear(&mut stream, protocol.demand).await.expect("the demand");
                        let _ = stream.write_all(protocol.no_offer).await;
                    }
                    let mut rest = Vec::new();
                    let _ = stream.read_to_end(&mut rest).await;
                    all.lock().unwrap().extend(rest);
                }
            })
            .await;
        assert_eq!(outcome, Outcome::NotTls);
        assert_eq!(*heard.lock().unwrap(), b"", "{}", protocol.name());
    }
}

#[tokio::test]
async fn trick_1_words_behind_the_go_ahead() {
    for protocol in ALL {
        let together = [protocol.go, protocol.injected].concat();
        assert_eq!(protocol.answered(together).await, (Outcome::Malformed, Some(Offered)), "{}", protocol.name());
        // The same a moment later, in a packet of its own.
        let late = protocol
            .meets(move |mut stream| async move {
                if protocol.up_to_demand(&mut stream).await.is_some() {
                    let _ = stream.write_all(protocol.go).await;
                    let mut hello = [0; 5];
                    let _ = stream.read_exact(&mut hello).await;
                    say(stream, protocol.injected).await;
                }
            })
            .await;
        assert_eq!(late, (Outcome::Malformed, Some(Offered)), "{}, late", protocol.name());
        // TLS itself must not come early either.
        let tls = [protocol.go, &[22, 3, 3, 0, 2, 0, 0]].concat();
        assert_eq!(protocol.answered(tls).await, (Outcome::Malformed, Some(Offered)), "{}, TLS", protocol.name());
    }
}

#[tokio::test]
async fn trick_2_an_offer_that_was_taken_out_or_is_not_kept() {
    for protocol in ALL {
        let stripped = protocol
            .meets(move |mut stream| async move {
                let _ = stream.write_all(protocol.greeting).await;
                let wanted = if protocol.asks() { protocol.question } else { protocol.demand };
                if hear(&mut stream, wanted).await.is_some() {
                    say(stream, protocol.no_offer).await;
                }
            })
            .await;
        assert_eq!(stripped, (Outcome::NotTls, Some(NotOffered)), "{}", protocol.name());
        let wanted = if protocol.scheme == Scheme::Postgres { NotOffered } else { Refused };
        let refused = protocol.answered(protocol.refusal.to_vec()).await;
        assert_eq!(refused, (Outcome::NotTls, Some(wanted)), "{}", protocol.name());
    }
}

#[tokio::test]
async fn trick_3_an_endless_banner() {
    let lines: [(Protocol, &[u8], Outcome); 4] = [
        (SMTP, b"220-and another thing\r\n", Outcome::Malformed),
        (SUBMISSION, b"220-and another thing\r\n", Outcome::Malformed),
        (IMAP, b"* OK and another thing\r\n", Outcome::Malformed),
        (POP3, b"+OK\r\n", Outcome::Malformed),
    ];
    for (protocol, line, wanted) in lines {
        // Without an end: the look hangs up, or the test would go on for ever.
        let (outcome, learnt) =
            protocol.meets(move |mut stream| async move { while stream.write_all(line).await.is_ok() {} }).await;
        assert_eq!((outcome, learnt), (wanted, None), "{}", protocol.name());
    }
    // Where a message has a length it can't be endless: one that claims to be is none.
    assert_eq!(LDAP.said(b"\x30\x84\x7f\xff\xff\xff\x02\x01\x01".to_vec()).await, (Outcome::NotTls, None));
    let endless =
        POSTGRES.meets(|mut stream| async move { while stream.write_all(b"SSSSSSSS").await.is_ok() {} }).await;
    assert_eq!(endless, (Outcome::Malformed, Some(Offered)));
}

#[tokio::test]
async fn trick_4_a_line_that_does_not_end() {
    for protocol in [SMTP, SUBMISSION, IMAP, POP3] {
        let start = protocol.greeting.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let long = [start, &[b'x'; 10_000]].concat();
        assert_eq!(protocol.said(long.clone()).await, (Outcome::NotTls, None), "{}", protocol.name());
        let later = [protocol.greeting, &long].concat();
        assert_eq!(protocol.said(later).await, (Outcome::Malformed, None), "{}", protocol.name());
    }
    let long = [&b"\x30\x82\x27\x10\x02\x01\x01\x78"[..], &[0; 10_000]].concat();
    assert_eq!(LDAP.said(long).await, (Outcome::NotTls, None));
    assert_eq!(POSTGRES.said(vec![b'x'; 10_000]).await, (Outcome::NotTls, None));
}

#[tokio::test]
async fn trick_5_the_answer_to_something_else() {
    for protocol in ALL {
        // Without an answer of its own kind there is only another protocol.
        let wanted = match protocol.scheme {
            Scheme::Postgres => (Outcome::NotTls, None),
            Scheme::Ldap => (Outcome::Malformed, None),
            _ => (Outcome::Malformed, Some(Offered)),
        };
        assert_eq!(protocol.answered(protocol.wrong_tag.to_vec()).await, wanted, "{}", protocol.name());
    }
}

#[tokio::test]
async fn trick_6_an_error_in_words() {
    for protocol in ALL {
        assert_eq!(protocol.said(protocol.error.to_vec()).await, (Outcome::Alert, None), "{}", protocol.name());
    }
    // The server of another protocol.
    for protocol in ALL {
        for banner in
            [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.9\r\n", b"\x15\x03\x03\0\x02\x02\x46"]
        {
            let found = protocol.said(banner.to_vec()).await;
            // A PostgreSQL server says S with one letter, and so does an SSH server.
            let wanted = match (protocol.scheme, banner.first()) {
                (Scheme::Postgres, Some(b'S')) => (Outcome::Malformed, Some(Offered)),
                _ => (Outcome::NotTls, None),
            };
            assert_eq!(found, wanted, "{} {banner:?}", protocol.name());
        }
    }
}

#[tokio::test]
async fn trick_7_a_slow_drip_ends_with_the_look() {
    for protocol in ALL {
        let whole = if protocol.asks() { protocol.greeting } else { &protocol.no_offer[..protocol.no_offer.len() - 1] };
        let drip = b"220-a greeting that takes its time, and then some more of it".as_slice();
        let bytes = if protocol.scheme == Scheme::Smtp { drip } else { &whole[..whole.len().saturating_sub(2)] };
        let server = Server::start(move |_, mut stream| async move {
            for byte in bytes {
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
        })
        .await;
        let begun = Instant::now();
        let now = protocol.look(impatient(), &server).await;
        assert_eq!(ends(&now), (Outcome::Timeout, None), "{}", protocol.name());
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    // After the go-ahead too, and what is known of the offer by then is told.
    for protocol in ALL {
        let server = Server::start(move |_, mut stream| async move {
            if protocol.up_to_demand(&mut stream).await.is_some() {
                let _ = stream.write_all(protocol.go).await;
                while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
            }
        })
        .await;
        let now = protocol.look(impatient(), &server).await;
        assert_eq!(ends(&now), (Outcome::Timeout, Some(Offered)), "{}", protocol.name());
    }
}

#[tokio::test]
async fn trick_8_bytes_that_are_no_text() {
    for protocol in [SMTP, SUBMISSION, IMAP, POP3] {
        for bytes in [&b"\0\0\0\0\r\n"[..], b"\xff\xfe\xfd\r\n", b"\r\n", b"\x1b[2J\r\n"] {
            let found = protocol.said(bytes.to_vec()).await;
            assert_eq!(found, (Outcome::NotTls, None), "{} {bytes:?}", protocol.name());
        }
        // Within what is its protocol so far.
        let nul = [protocol.greeting, b"250-a\0b\r\n"].concat();
        assert_eq!(protocol.said(nul).await, (Outcome::Malformed, None), "{}", protocol.name());
        // Letters beyond ASCII in a greeting do no harm.
        let mut words = protocol.greeting.strip_suffix(b"\r\n").unwrap().to_vec();
        words.extend_from_slice("grüß dich\r\n".as_bytes());
        let polite = protocol
            .meets(move |mut stream| {
                let words = words.clone();
                async move {
                    let _ = stream.write_all(&words).await;
                    if hear(&mut stream, protocol.question).await.is_some() {
                        say(stream, protocol.no_offer).await;
                    }
                }
            })
            .await;
        assert_eq!(polite, (Outcome::NotTls, Some(NotOffered)), "{}", protocol.name());
    }
    for protocol in [LDAP, POSTGRES] {
        for bytes in [&b"\0\0\0\0"[..], b"\xff\xfe\xfd\xfc"] {
            assert_eq!(protocol.said(bytes.to_vec()).await, (Outcome::NotTls, None), "{}", protocol.name());
        }
    }
}

#[tokio::test]
async fn closed_half_way() {
    for protocol in ALL {
        assert_eq!(protocol.said(Vec::new()).await, (Outcome::Reset, None), "{}", protocol.name());
        let learnt = protocol.asks().then_some(Offered);
        assert_eq!(protocol.answered(Vec::new()).await, (Outcome::Reset, learnt), "{}", protocol.name());
        assert_eq!(
            protocol.answered(protocol.go.to_vec()).await,
            (Outcome::Reset, Some(Offered)),
            "{}",
            protocol.name()
        );
    }
}

/// A service without an upgrade has nothing to say of one.
#[tokio::test]
async fn plain_tls_says_nothing_of_an_upgrade() {
    let server = Server::start(|_, stream| async move { say(stream, SMTP.greeting).await }).await;
    let now = look_at(settings(), "site.test", server.address).await;
    assert_eq!((now.outcome, now.starttls), (Outcome::NotTls, None));
}
