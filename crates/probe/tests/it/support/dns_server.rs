//! A DNS server that says what the test wants, over UDP and TCP.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

/// What to say to one question.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// These records, with their owners.
    Records(Vec<(String, RData)>),
    /// A response code, and nothing else.
    Code(ResponseCode),
    /// Nothing at all.
    Silence,
    /// Bytes that are no message.
    Garbage,
}

type Sources = Arc<Mutex<Vec<IpAddr>>>;
type Asked = Arc<Mutex<Vec<(String, RecordType)>>>;

/// Answers until dropped.
pub(crate) struct DnsServer {
    pub(crate) address: SocketAddr,
    asked: Asked,
    sources: Sources,
    tasks: Vec<JoinHandle<()>>,
}

impl DnsServer {
    pub(crate) async fn start(say: impl Fn(&str, RecordType) -> Say + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1", say).await
    }

    pub(crate) async fn start_at(ip: &str, say: impl Fn(&str, RecordType) -> Say + Send + Sync + 'static) -> Self {
        let (udp, tcp) = bind_both(ip).await;
        let address = udp.local_addr().unwrap();
        let (say, asked, sources) = (Arc::new(say), Asked::default(), Sources::default());
        let tasks = vec![
            tokio::spawn(serve_udp(udp, Arc::clone(&say), Arc::clone(&asked), Arc::clone(&sources))),
            tokio::spawn(serve_tcp(tcp, say, Arc::clone(&asked))),
        ];
        Self { address, asked, sources, tasks }
    }

    /// One that knows no name.
    pub(crate) async fn silent_nothing() -> Self {
        Self::start(|_, _| Say::Code(ResponseCode::NXDomain)).await
    }

    /// Everything that was asked, in lower case without the last dot.
    pub(crate) fn asked(&self) -> Vec<(String, RecordType)> {
        self.asked.lock().unwrap().clone()
    }

    /// Where the questions over UDP came from.
    pub(crate) fn sources(&self) -> Vec<IpAddr> {
        self.sources.lock().unwrap().clone()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A zone by `name TYPE data` lines: aliases are given as they stand, other types of a known name are empty, unknown names
/// do not exist.
pub(crate) fn zone(lines: &str) -> impl Fn(&str, RecordType) -> Say + Send + Sync + 'static {
    let records: Vec<(String, RecordType, RData)> = parse(lines);
    move |name, kind| {
        let known =
            |name: &str| records.iter().any(|(owner, ..)| owner == name || owner.ends_with(&format!(".{name}")));
        let mut said = Vec::new();
        let (mut at, mut hops) = (name.to_owned(), 0);
        loop {
            let here = records.iter().filter(|(owner, ..)| *owner == at);
            said.extend(
                here.clone().filter(|(_, of, _)| *of == kind).map(|(owner, _, data)| (owner.clone(), data.clone())),
            );
            match here.clone().find(|(_, of, _)| *of == RecordType::CNAME && kind != RecordType::CNAME) {
                Some((owner, _, data @ RData::CNAME(to))) if hops < 20 => {
                    said.push((owner.clone(), data.clone()));
                    at = to.0.to_ascii().trim_end_matches('.').to_owned();
                    hops += 1;
                }
                _ => break,
            }
        }
        if said.is_empty() && !known(name) { Say::Code(ResponseCode::NXDomain) } else { Say::Records(said) }
    }
}

/// The records of such lines, with their owners.
pub(crate) fn records_of(lines: &str) -> Vec<(String, RData)> {
    parse(lines).into_iter().map(|(owner, _, data)| (owner, data)).collect()
}

fn parse(lines: &str) -> Vec<(String, RecordType, RData)> {
    lines.lines().filter(|line| !line.trim().is_empty()).map(line).collect()
}

fn line(line: &str) -> (String, RecordType, RData) {
    let mut parts = line.trim().splitn(3, ' ');
    let (name, kind, data) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let kind: RecordType = kind.parse().unwrap();
    (name.to_owned(), kind, RData::try_from_str(kind, data).unwrap_or_else(|error| panic!("{line}: {error}")))
}

/// The same port for both.
async fn bind_both(ip: &str) -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind((ip, 0)).await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

async fn serve_udp(socket: UdpSocket, say: Arc<impl Fn(&str, RecordType) -> Say>, asked: Asked, sources: Sources) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        sources.lock().unwrap().push(from.ip());
        if let Some(reply) = reply(&buffer[..length], &*say, &asked, 1200) {
            let _ = socket.send_to(&reply, from).await;
        }
    }
}

async fn serve_tcp<S: Fn(&str, RecordType) -> Say + Send + Sync + 'static>(
    listener: TcpListener,
    say: Arc<S>,
    asked: Asked,
) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let (say, asked) = (Arc::clone(&say), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok(length) = stream.read_u16().await {
                let mut query = vec![0; usize::from(length)];
                if stream.read_exact(&mut query).await.is_err() {
                    break;
                }
                if let Some(reply) = reply(&query, &*say, &asked, 65535) {
                    let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
                    let _ = stream.write_all(&[&length, reply.as_slice()].concat()).await;
                }
            }
        });
    }
}

fn reply(query: &[u8], say: impl Fn(&str, RecordType) -> Say, asked: &Asked, most: usize) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first()?;
    let name = question.name().to_ascii().to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    asked.lock().unwrap().push((name.to_owned(), question.query_type()));
    let mut answer = Message::new(query.id, MessageType::Response, OpCode::Query);
    answer.add_query(question.clone());
    answer.metadata.recursion_available = true;
    match say(name, question.query_type()) {
        Say::Silence => return None,
        Say::Garbage => return Some(vec![(query.id >> 8) as u8, query.id as u8, 0xff, 0xff, 0xff]),
        Say::Code(code) => answer.metadata.response_code = code,
        Say::Records(records) => records.into_iter().for_each(|(owner, data)| {
            answer.add_answer(Record::from_rdata(Name::from_ascii(format!("{owner}.")).unwrap(), 300, data));
        }),
    }
    let bytes = answer.to_vec().unwrap();
    if bytes.len() <= most {
        return Some(bytes);
    }
    answer.answers.clear();
    answer.metadata.truncation = true;
    Some(answer.to_vec().unwrap())
}
