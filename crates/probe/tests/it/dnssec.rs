//! Validated answers: a zone signed by hickory-server, and somebody between it and the prober.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::dnssec::crypto::EcdsaSigningKey;
use hickory_proto::dnssec::rdata::DNSKEY;
use hickory_proto::dnssec::{Algorithm, DnssecSigner, Nsec3HashAlgorithm, SigningKey};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};
use hickory_server::Server;
use hickory_server::dnssec::NxProofKind;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use parallax_core::{DnsAnswers, Dnssec, Look};
use parallax_probe::{ProbeSettings, Prober, Validation};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use crate::support::{Say, records_of};
use crate::support::{service, settings, zone};

const KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const OTHER: &str = "2222222222222222222222222222222222222222222222222222222222222222";

/// The world: a signed `zone` with `site.zone` and `bare.zone` in it, and an unsigned `plain.zone` below.
struct World {
    server: Server<Catalog>,
    address: SocketAddr,
    anchor: String,
}

impl World {
    async fn new() -> Self {
        let (mut zone, anchor) = signed_zone();
        zone.secure_zone_mut().unwrap();
        let mut catalog = Catalog::new();
        catalog.upsert(LowerName::from(origin()), vec![Arc::new(zone)]);
        let mut server = Server::new(catalog);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        server.register_listener(listener, Duration::from_secs(30), 4096);
        Self { server, address, anchor }
    }

    /// What is looked up through somebody who changes messages on the way.
    async fn look(&self, target: &str, meddle: fn(&mut Message)) -> DnsAnswers {
        self.full_look(target, meddle, Validation::anchors(&self.anchor).unwrap()).await.dns
    }

    async fn full_look(&self, target: &str, meddle: fn(&mut Message), dnssec: Validation) -> Look {
        let (between, task) = meddler(self.address, meddle).await;
        let settings = ProbeSettings { resolver: Some(between), dnssec, ..settings() };
        let look = Prober::new(settings).unwrap().look(&service(target)).await;
        task.abort();
        look
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.shutdown_token().cancel();
    }
}

/// Absence is proved by NSEC3: with NSEC this server names the wrong wildcard for names two labels below what exists.
fn origin() -> Name {
    Name::from_ascii("zone.").unwrap()
}

fn signed_zone() -> (InMemoryZoneHandler, String) {
    let proof =
        NxProofKind::Nsec3 { algorithm: Nsec3HashAlgorithm::SHA1, salt: [].into(), iterations: 0, opt_out: false };
    let mut handler = InMemoryZoneHandler::empty(origin(), ZoneType::Primary, AxfrPolicy::Deny, Some(proof));
    let lines = format!(
        "zone SOA ns.zone. who.zone. 1 3600 600 86400 300\nzone NS ns.zone.\nns.zone A 192.0.2.53\nsite.zone A 192.0.2.1\n\
         _443._tcp.site.zone TLSA 2 1 1 {KEY}\n_ca-auth.site.zone TXT \"v=ca1; sha256={KEY}\"\nbare.zone A 192.0.2.2\n\
         alias.zone CNAME site.zone.\nplain.zone NS ns.plain.zone."
    );
    for (owner, data) in records_of(&lines) {
        let owner = Name::from_ascii(format!("{owner}.")).unwrap();
        assert!(handler.upsert_mut(Record::from_rdata(owner, 300, data), 1));
    }
    let pkcs8 = EcdsaSigningKey::generate_pkcs8(Algorithm::ECDSAP256SHA256).unwrap();
    let key = EcdsaSigningKey::from_pkcs8(&pkcs8, Algorithm::ECDSAP256SHA256).unwrap();
    let dnskey = DNSKEY::from_key(&key.to_public_key().unwrap());
    let anchor = format!("zone. 300 IN DNSKEY {dnskey}");
    let signer = DnssecSigner::new(dnskey, Box::new(key), origin(), Duration::from_secs(86400));
    handler.add_zone_signing_key_mut(signer).unwrap();
    (handler, anchor)
}

/// Passes questions on, except those below `plain.zone`, which have unsigned answers of their own.
async fn meddler(upstream: SocketAddr, meddle: fn(&mut Message)) -> (SocketAddr, JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let plain = zone(&format!("site.plain.zone A 192.0.2.3\n_443._tcp.site.plain.zone TLSA 2 1 1 {KEY}"));
    let task = tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let question = query.queries[0].clone();
            let name = question.name().to_ascii().to_ascii_lowercase();
            let mut reply = if name.ends_with(".plain.zone.") {
                own_answer(&query, plain(name.trim_end_matches('.'), question.query_type()))
            } else {
                forward(upstream, &buffer[..length]).await
            };
            meddle(&mut reply);
            socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
        }
    });
    (address, task)
}

fn own_answer(query: &Message, say: Say) -> Message {
    let mut reply = query.clone().into_response();
    match say {
        Say::Records(records) => records.into_iter().for_each(|(owner, data)| {
            reply.add_answer(Record::from_rdata(Name::from_ascii(format!("{owner}.")).unwrap(), 300, data));
        }),
        _ => reply.metadata.response_code = ResponseCode::NXDomain,
    }
    reply
}

async fn forward(upstream: SocketAddr, query: &[u8]) -> Message {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(upstream).await.unwrap();
    stream.write_u16(u16::try_from(query.len()).unwrap()).await.unwrap();
    stream.write_all(query).await.unwrap();
    let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut reply).await.unwrap();
    let mut reply = Message::from_vec(&reply).unwrap();
    // This server proves the absence of nothing along with each record; a resolver passes no such thing on.
    if !reply.answers.is_empty() {
        reply.authorities.clear();
    }
    reply
}

fn is_about_keys(message: &Message) -> bool {
    matches!(message.queries[0].query_type(), RecordType::TLSA | RecordType::TXT)
}

#[tokio::test]
async fn signed_records_are_secure_and_their_absence_too() {
    let world = World::new().await;
    let found = world.look("site.zone", |_| ()).await;
    assert_eq!(found.dnssec, Dnssec::Secure, "{found:?}");
    assert_eq!(found.ca, Some(vec![KEY.parse().unwrap()]));
    assert_eq!(found.a, Some(vec!["192.0.2.1".parse().unwrap()]));
    let found = world.look("bare.zone", |_| ()).await;
    assert_eq!((found.dnssec, found.ca), (Dnssec::Secure, Some(vec![])));
    let found = world.look("gone.zone", |_| ()).await;
    assert_eq!((found.dnssec, found.a), (Dnssec::Secure, Some(vec![])));
    assert_eq!(world.look("alias.zone", |_| ()).await.a, Some(vec!["192.0.2.1".parse().unwrap()]));
}

#[tokio::test]
async fn an_unsigned_zone_is_insecure_and_believed_as_before() {
    let found = World::new().await.look("site.plain.zone", |_| ()).await;
    assert_eq!(found.dnssec, Dnssec::Insecure, "{found:?}");
    assert_eq!(found.ca, Some(vec![KEY.parse().unwrap()]));
}

#[tokio::test]
async fn without_validation_nothing_is_claimed() {
    let world = World::new().await;
    let found = world.full_look("site.zone", |_| (), Validation::Off).await.dns;
    assert_eq!((found.dnssec, found.ca), (Dnssec::Unchecked, Some(vec![KEY.parse().unwrap()])));
}

/// Each is bogus, and none of them is "there is no record".
#[tokio::test]
async fn meddling_is_found_out() {
    let world = World::new().await;
    type Way = (&'static str, &'static str, fn(&mut Message));
    let ways: [Way; 7] = [
        ("another key", "site.zone", |message| replace(message, |data| matches!(data, RData::TLSA(_)), &other_tlsa())),
        ("signature removed", "site.zone", |message| {
            message.answers.retain(|record| !is_about(record, RecordType::RRSIG));
        }),
        ("records removed", "site.zone", |message| {
            if is_about_keys(message) {
                message.answers.clear()
            }
        }),
        ("all removed", "site.zone", |message| {
            if is_about_keys(message) {
                empty(message, ResponseCode::NoError)
            }
        }),
        ("no such name", "site.zone", |message| {
            if is_about_keys(message) {
                empty(message, ResponseCode::NXDomain)
            }
        }),
        ("proof of absence removed", "bare.zone", |message| {
            if is_about_keys(message) {
                message.authorities.retain(|record| is_about(record, RecordType::SOA));
            }
        }),
        ("record added", "bare.zone", |message| {
            if message.queries[0].query_type() == RecordType::TLSA {
                empty(message, ResponseCode::NoError);
                let owner = message.queries[0].name().clone();
                message.add_answer(Record::from_rdata(owner, 300, other_tlsa()));
            }
        }),
    ];
    for (way, name, meddle) in ways {
        let found = world.look(name, meddle).await;
        assert_eq!((found.dnssec, found.ca), (Dnssec::Bogus, None), "{way}");
    }
}

/// Without the zone's keys nothing can be said; certainly not that there is no record.
#[tokio::test]
async fn keys_withheld_leave_no_answer() {
    let withhold = |message: &mut Message| {
        if message.queries[0].query_type() == RecordType::DNSKEY {
            empty(message, ResponseCode::NoError);
        }
    };
    let found = World::new().await.look("site.zone", withhold).await;
    assert_eq!((found.ca, found.tlsa, found.a), (None, None, None));
    assert!(matches!(found.dnssec, Dnssec::Bogus | Dnssec::Unchecked));
}

#[tokio::test]
async fn a_forged_address_is_no_answer() {
    let world = World::new().await;
    let forged = |message: &mut Message| {
        replace(message, |data| matches!(data, RData::A(_)), &RData::A("198.51.100.66".parse().unwrap()));
    };
    assert_eq!(world.look("site.zone", forged).await.a, None);
    assert_eq!(world.look("site.zone", |_| ()).await.a, Some(vec!["192.0.2.1".parse().unwrap()]));
}

#[tokio::test]
async fn another_anchor_validates_nothing() {
    let (world, stranger) = (World::new().await, World::new().await);
    let dnssec = Validation::anchors(&stranger.anchor).unwrap();
    let found = world.full_look("site.zone", |_| (), dnssec).await.dns;
    assert_eq!((found.dnssec, found.ca, found.a), (Dnssec::Bogus, None, None));
    for text in ["", "nonsense", ". 300 IN A 192.0.2.1", ". 300 IN DNSKEY 257 3 13 AAAA", ". IN DNSKEY 257 3"] {
        assert!(Validation::anchors(text).is_err(), "{text}");
    }
}

fn is_about(record: &Record, kind: RecordType) -> bool {
    record.record_type() == kind
}

fn other_tlsa() -> RData {
    RData::try_from_str(RecordType::TLSA, &format!("2 1 1 {OTHER}")).unwrap()
}

fn replace(message: &mut Message, which: fn(&RData) -> bool, with: &RData) {
    message.answers.iter_mut().filter(|record| which(&record.data)).for_each(|record| record.data = with.clone());
}

fn empty(message: &mut Message, code: ResponseCode) {
    message.answers.clear();
    message.authorities.clear();
    message.metadata.response_code = code;
}
