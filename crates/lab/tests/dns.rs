//! The lab's DNS on the wire: a resolver with a source address of its own, and queries no resolver would send.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use parallax_core::{Fingerprint, Tlsa};
use parallax_lab::{Answer, Failure, Lab};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const PATIENCE: Duration = Duration::from_secs(20);

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn query_with_edns(name: &str, kind: RecordType) -> Message {
    let mut message = query(name, kind);
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    message.set_edns(edns);
    message
}

async fn send(source: Ipv4Addr, server: SocketAddr, bytes: &[u8], patience: Duration) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((source, 0)).await.unwrap();
    socket.send_to(bytes, server).await.unwrap();
    let mut buffer = [0; 4096];
    let (length, from) = tokio::time::timeout(patience, socket.recv_from(&mut buffer)).await.ok()?.unwrap();
    assert_eq!(from, server);
    Some(buffer[..length].to_vec())
}

async fn ask(source: Ipv4Addr, server: SocketAddr, message: &Message) -> Message {
    let bytes = send(source, server, &message.to_vec().unwrap(), PATIENCE).await.expect("no answer");
    Message::from_vec(&bytes).unwrap()
}

async fn ask_tcp(server: SocketAddr, messages: &[Message]) -> Vec<Message> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let mut answers = Vec::new();
    for message in messages {
        let bytes = message.to_vec().unwrap();
        stream.write_u16(bytes.len() as u16).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut answer).await.unwrap();
        answers.push(Message::from_vec(&answer).unwrap());
    }
    answers
}

fn resolver(source: Ipv4Addr, server: SocketAddr) -> TokioResolver {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
        .into_iter()
        .map(|mut connection| {
            connection.port = server.port();
            connection.bind_addr = Some((source, 0).into());
            connection
        })
        .collect();
    let server = NameServerConfig::new(server.ip(), true, connections);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap()
}

#[tokio::test]
async fn a_resolver_gets_the_answers_meant_for_its_source() {
    let lab = Lab::start().await.unwrap();
    let (me, far) = (lab.address(20, 1), lab.address(21, 1));
    let (site, front, evil) = (lab.address(30, 10), lab.address(31, 10), lab.address(32, 66));
    let dns = lab.dns();
    dns.set("shop.example", Answer::a([site])).unwrap();
    dns.set("www.shop.example", Answer::cname("shop.example").unwrap()).unwrap();
    dns.set_towards(lab.network(21), "shop.example", Answer::a([front])).unwrap();
    let key = Fingerprint::from_bytes([9; 32]);
    lab.publish_tlsa("shop.example", [format!("2 1 1 {key}").parse::<Tlsa>().unwrap()]).unwrap();

    let (mine, theirs) = (resolver(me, dns.address()), resolver(far, dns.address()));
    let addresses = async |resolver: &TokioResolver, name: &str| -> Vec<std::net::IpAddr> {
        resolver.lookup_ip(name).await.unwrap().iter().collect()
    };
    assert_eq!(addresses(&mine, "www.shop.example.").await, [site]);
    assert_eq!(addresses(&theirs, "www.shop.example.").await, [front]);
    // Answers change at run time, and no cache stands in the way.
    dns.set_towards(me, "shop.example", Answer::a([evil])).unwrap();
    assert_eq!(addresses(&mine, "shop.example.").await, [evil]);
    dns.treat_alike();
    assert_eq!(addresses(&mine, "shop.example.").await, [site]);
    assert_eq!(addresses(&theirs, "shop.example.").await, [site]);

    let tlsa = mine.lookup(format!("_{}._tcp.shop.example.", lab.port()), RecordType::TLSA).await.unwrap();
    assert!(tlsa.answers()[0].data.to_string().to_lowercase().ends_with(&key.to_string()));
    let absent = mine.lookup("_ca-auth.shop.example.", RecordType::TXT).await.unwrap_err();
    assert!(absent.is_no_records_found() && absent.is_nx_domain(), "{absent}");
    let absent = mine.lookup("shop.example.", RecordType::AAAA).await.unwrap_err();
    assert!(absent.is_no_records_found() && !absent.is_nx_domain(), "{absent}");
}

#[tokio::test]
async fn failures_by_name_and_source() {
    let lab = Lab::start().await.unwrap();
    let (me, far) = (lab.address(20, 1), lab.address(21, 1));
    let (dns, server) = (lab.dns(), lab.dns().address());
    dns.set("shop.example", Answer::a([lab.address(30, 10)])).unwrap();
    dns.set_towards(me, "shop.example", Answer::failure(Failure::ServFail)).unwrap();
    let question = query("shop.example.", RecordType::A);
    assert_eq!(ask(me, server, &question).await.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(ask(far, server, &question).await.answers.len(), 1);

    dns.set_towards(me, "shop.example", Answer::failure(Failure::Silence)).unwrap();
    assert_eq!(send(me, server, &question.to_vec().unwrap(), Duration::from_millis(300)).await, None);
    assert_eq!(ask(far, server, &question).await.answers.len(), 1);
    assert_eq!(dns.queries(), 4);
}

#[tokio::test]
async fn the_header_says_what_an_authoritative_resolver_says() {
    let lab = Lab::start().await.unwrap();
    let (me, server) = (lab.address(20, 1), lab.dns().address());
    lab.dns().set("shop.example", Answer::a([lab.address(30, 10)]).with_ttl(60)).unwrap();
    let answer = ask(me, server, &query("ShOp.ExAmPlE.", RecordType::A)).await;
    assert!(answer.metadata.authoritative && answer.metadata.recursion_available);
    assert!(answer.metadata.recursion_desired && !answer.metadata.authentic_data);
    assert_eq!(answer.metadata.message_type, MessageType::Response);
    assert_eq!((answer.metadata.id, answer.answers[0].ttl), (7, 60));
    assert_eq!(answer.queries[0].name().to_string(), "ShOp.ExAmPlE.", "the case asked for (0x20)");
    assert!(answer.edns.is_none());
    let answer = ask(me, server, &query_with_edns("nowhere.example.", RecordType::A)).await;
    assert!(answer.edns.is_some());
    assert_eq!(answer.authorities[0].record_type(), RecordType::SOA);
}

#[tokio::test]
async fn what_is_too_long_for_udp_is_fetched_by_tcp() {
    let lab = Lab::start().await.unwrap();
    let (me, server) = (lab.address(20, 1), lab.dns().address());
    lab.dns().set("many.example", Answer::a((1..=60).map(|host| lab.address(30, host)))).unwrap();
    lab.dns().set("lots.example", Answer::a((1..=200).map(|host| lab.address(30, host)))).unwrap();
    for (name, edns, truncated) in
        [("many.example.", false, true), ("many.example.", true, false), ("lots.example.", true, true)]
    {
        let question = if edns { query_with_edns(name, RecordType::A) } else { query(name, RecordType::A) };
        let answer = ask(me, server, &question).await;
        assert_eq!(answer.metadata.truncation, truncated, "{name} {edns}");
        assert_eq!(answer.answers.is_empty(), truncated, "{name} {edns}");
    }
    let questions = [query("lots.example.", RecordType::A), query("nowhere.example.", RecordType::A)];
    let answers = ask_tcp(server, &questions).await;
    assert_eq!(answers[0].answers.len(), 200);
    assert_eq!(answers[1].metadata.response_code, ResponseCode::NXDomain);
    let found = resolver(me, server).lookup_ip("lots.example.").await.unwrap();
    assert_eq!(found.iter().count(), 200);
}

#[tokio::test]
async fn what_is_no_query_gets_an_error_or_nothing() {
    let lab = Lab::start().await.unwrap();
    let (me, server) = (lab.address(20, 1), lab.dns().address());
    let mut two = query("a.example.", RecordType::A);
    two.add_query(Query::query(Name::from_ascii("b.example.").unwrap(), RecordType::A));
    assert_eq!(ask(me, server, &two).await.metadata.response_code, ResponseCode::FormErr);
    let mut chaos = query("a.example.", RecordType::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(ask(me, server, &chaos).await.metadata.response_code, ResponseCode::Refused);
    let notify = Message::new(7, MessageType::Query, OpCode::Notify);
    assert_eq!(ask(me, server, &notify).await.metadata.response_code, ResponseCode::NotImp);

    let good = query("a.example.", RecordType::A).to_vec().unwrap();
    let broken = send(me, server, &good[..good.len() - 3], PATIENCE).await.expect("no answer");
    let broken = Message::from_vec(&broken).unwrap();
    assert_eq!((broken.metadata.id, broken.metadata.response_code), (7, ResponseCode::FormErr));

    let mut answer = good.clone();
    answer[2] |= 0x80;
    let mut broken_answer = answer.clone();
    broken_answer.truncate(14);
    for mute in [vec![], vec![0; 5], answer, broken_answer] {
        assert_eq!(send(me, server, &mute, Duration::from_millis(200)).await, None, "{mute:?}");
    }
    assert_eq!(ask(me, server, &query("a.example.", RecordType::A)).await.queries.len(), 1, "it is still there");
}
