//! The lab's DNS server: UDP and TCP, answers by source address.
//!
//! Not built on a server library: a lab must also be able to give no answer, another one to each asker, or a wrong one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::LabError;
use crate::signing::{Signatures, ZoneKey, signed_reply};
use crate::sources::Prefix;
use crate::task::{Spawner, Task};
use crate::zone::{Answer, Reply, Zone, name};

/// The largest UDP answer (the DNS flag day 2020 figure); what is longer is fetched by TCP.
const MAX_UDP: u16 = 1232;

/// What a client without EDNS takes (RFC 1035 section 4.2.1).
const PLAIN_UDP: u16 = 512;

/// How long the root's key may be kept, in seconds: it does not change while the lab is there.
const KEY_TTL: u32 = 3600;

const MAX_CONNECTIONS: usize = 64;
const IDLE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Tries to have one port number for UDP and TCP.
const PORT_TRIES: usize = 32;

/// The lab's DNS server, authoritative for every name there is. Dropping it ends it.
#[derive(Debug)]
pub struct Dns {
    address: SocketAddr,
    zone: watch::Sender<Zone>,
    key: Arc<ZoneKey>,
    queries: Arc<AtomicU64>,
    _task: Task,
}

impl Dns {
    pub(crate) async fn open(address: Ipv4Addr, spawner: &Spawner) -> Result<Self, LabError> {
        let (udp, tcp, address) = bind_both(address).await?;
        let key = Arc::new(ZoneKey::generate()?);
        let mut root = Zone::default();
        root.set(&Name::root(), Answer::dnskey(key.dnskey()).with_ttl(KEY_TTL));
        let (sender, zone) = watch::channel(root);
        let queries = Arc::new(AtomicU64::new(0));
        let answerer = Answerer { zone, key: Arc::clone(&key), queries: Arc::clone(&queries) };
        let task = spawner.spawn(async move {
            tokio::join!(serve_udp(udp, answerer.clone()), serve_tcp(tcp, answerer));
        });
        Ok(Self { address, zone: sender, key, queries, _task: task })
    }

    /// Where it answers, by UDP and by TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets what a name has for one record type, for everybody.
    pub fn set(&self, at: &str, answer: Answer) -> Result<(), LabError> {
        let name = name(at)?;
        self.zone.send_modify(|zone| zone.set(&name, answer));
        Ok(())
    }

    /// Sets what these sources are told instead; the rule set last wins.
    pub fn set_towards(&self, sources: impl Into<Prefix>, at: &str, answer: Answer) -> Result<(), LabError> {
        let (name, sources) = (name(at)?, sources.into());
        self.zone.send_modify(|zone| zone.set_towards(sources, &name, answer));
        Ok(())
    }

    /// What the signatures of a name and of those below it are worth from now on. Everything is signed unless this says
    /// otherwise, for whoever wants signatures.
    pub fn sign(&self, at: &str, signatures: Signatures) -> Result<(), LabError> {
        let name = name(at)?;
        self.zone.send_modify(|zone| zone.signing().set(&name, signatures));
        Ok(())
    }

    /// What they are worth for these sources instead; the rule set last wins.
    pub fn sign_towards(&self, sources: impl Into<Prefix>, at: &str, signatures: Signatures) -> Result<(), LabError> {
        let (name, sources) = (name(at)?, sources.into());
        self.zone.send_modify(|zone| zone.signing().set_towards(sources, &name, signatures));
        Ok(())
    }

    /// The key that signs, as a line of a zone file: the trust anchor of whoever is to believe this server.
    pub fn anchor(&self) -> String {
        self.key.anchor()
    }

    /// Forgets a name, what some were told of it, and what is said of its signatures.
    pub fn remove(&self, at: &str) -> Result<(), LabError> {
        let name = name(at)?;
        self.zone.send_modify(|zone| zone.remove(&name));
        Ok(())
    }

    /// Tells everybody the same again, of every name.
    pub fn treat_alike(&self) {
        self.zone.send_modify(Zone::treat_alike);
    }

    /// Queries received so far, answered or not.
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Answerer {
    zone: watch::Receiver<Zone>,
    key: Arc<ZoneKey>,
    queries: Arc<AtomicU64>,
}

impl Answerer {
    /// The answer to one message, at most `limit` octets; `None` when there is none to give.
    fn answer(&self, bytes: &[u8], source: IpAddr, limit: Limit) -> Option<Vec<u8>> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        let response = match Message::from_vec(bytes) {
            // An answer to an answer could go to and fro for ever.
            Ok(query) if query.metadata.message_type == MessageType::Response => return None,
            Ok(query) => {
                let response = self.respond(&query, source)?;
                return fit(response, limit.of(&query));
            }
            Err(_) => Message::error_msg(message_id(bytes)?, OpCode::Query, ResponseCode::FormErr),
        };
        response.to_vec().ok()
    }

    fn respond(&self, query: &Message, source: IpAddr) -> Option<Message> {
        let mut response = Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
        response.metadata = Metadata::response_from_request(&query.metadata);
        response.metadata.authoritative = true;
        // To those who ask it, it is the resolver as well.
        response.metadata.recursion_available = true;
        response.add_queries(query.queries.iter().cloned());
        let wants_signatures = query.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        if query.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(MAX_UDP);
            edns.set_dnssec_ok(wants_signatures);
            response.set_edns(edns);
        }
        match (query.metadata.op_code, query.queries.as_slice()) {
            (OpCode::Query, [question]) if question.query_class() == DNSClass::IN => {
                match self.reply(source, question, wants_signatures) {
                    Reply::Silence => return None,
                    Reply::Message { rcode, answers, authorities } => {
                        response.metadata.response_code = rcode;
                        response.answers = answers;
                        response.authorities = authorities;
                    }
                }
            }
            (OpCode::Query, [_]) => response.metadata.response_code = ResponseCode::Refused,
            (OpCode::Query, _) => response.metadata.response_code = ResponseCode::FormErr,
            _ => response.metadata.response_code = ResponseCode::NotImp,
        }
        Some(response)
    }

    fn reply(&self, source: IpAddr, question: &Query, signed: bool) -> Reply {
        let (zone, name, kind) = (self.zone.borrow(), question.name(), question.query_type());
        if signed { signed_reply(&zone, &self.key, source, name, kind) } else { zone.reply(source, name, kind) }
    }
}

#[derive(Clone, Copy)]
enum Limit {
    Udp,
    Tcp,
}

impl Limit {
    fn of(self, query: &Message) -> usize {
        match self {
            Limit::Tcp => usize::from(u16::MAX),
            Limit::Udp => {
                let offered = query.edns.as_ref().map_or(PLAIN_UDP, Edns::max_payload);
                usize::from(offered.clamp(PLAIN_UDP, MAX_UDP))
            }
        }
    }
}

fn fit(response: Message, limit: usize) -> Option<Vec<u8>> {
    let bytes = response.to_vec().ok()?;
    if bytes.len() <= limit { Some(bytes) } else { response.truncate().to_vec().ok() }
}

/// The id of a message that can't be read otherwise; `None` when even that is missing, or when it is an answer.
fn message_id(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [high, low, flags, _, ..] if flags & 0x80 == 0 && bytes.len() >= 12 => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

async fn bind_both(address: Ipv4Addr) -> Result<(UdpSocket, TcpListener, SocketAddr), LabError> {
    let mut tries = 1;
    loop {
        match try_bind_both(address).await {
            Ok(bound) => return Ok(bound),
            Err(source) if tries == PORT_TRIES => {
                return Err(LabError::Listen { address: (address, 0).into(), source });
            }
            Err(_) => tries += 1,
        }
    }
}

async fn try_bind_both(address: Ipv4Addr) -> std::io::Result<(UdpSocket, TcpListener, SocketAddr)> {
    let udp = UdpSocket::bind((address, 0)).await?;
    let address = udp.local_addr()?;
    Ok((udp, TcpListener::bind(address).await?, address))
}

async fn serve_udp(socket: UdpSocket, answerer: Answerer) {
    let mut buffer = [0; 4096];
    loop {
        // An error here tells of an earlier answer that nobody took.
        let Ok((length, source)) = socket.recv_from(&mut buffer).await else { continue };
        let query = buffer.get(..length).unwrap_or_default();
        if let Some(answer) = answerer.answer(query, source.ip(), Limit::Udp) {
            let _lost = socket.send_to(&answer, source).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, answerer: Answerer) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, source)) => {
                    connections.spawn(converse(stream, source.ip(), answerer.clone()));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Messages with their length in front (RFC 1035 section 4.2.2), until one side has enough.
async fn converse(mut stream: TcpStream, source: IpAddr, answerer: Answerer) {
    while let Ok(Ok(query)) = tokio::time::timeout(IDLE, read_message(&mut stream)).await {
        let Some(answer) = answerer.answer(&query, source, Limit::Tcp) else { continue };
        let Ok(length) = u16::try_from(answer.len()) else { return };
        let framed = [length.to_be_bytes().as_slice(), &answer].concat();
        if !matches!(tokio::time::timeout(IDLE, stream.write_all(&framed)).await, Ok(Ok(()))) {
            return;
        }
    }
}

async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut query = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut query).await?;
    Ok(query)
}
