//! One GET or POST over pinned TLS, with every size and time bounded.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper_util::rt::TokioIo;
use parallax_core::{Host, VantageId, plainly};
use parallax_proto::{SIGNATURE_HEADER, Signed};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::janus::OwnIdentity;
use crate::pin::{PinError, PinVerifier};
use crate::url::VantageUrl;
use crate::vantage::{Deadline, Missing};

/// Connections kept for the next question.
const IDLE_CONNECTIONS: usize = 4;

/// The largest problem document that is read.
const LARGEST_PROBLEM: usize = 16 * 1024;

type Connection = SendRequest<Full<Bytes>>;

/// What is sent: a path with its query, and a JSON body where there is one.
#[derive(Clone)]
struct Message<'a> {
    method: Method,
    path: &'a str,
    body: Option<Bytes>,
}

impl<'a> Message<'a> {
    fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, body: None }
    }

    fn post(path: &'a str, body: Bytes) -> Self {
        Self { method: Method::POST, path, body: Some(body) }
    }
}

/// A byte stream to a node.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Asks one node, keeping connections alive between questions.
pub(crate) struct Channel {
    url: VantageUrl,
    /// Without TLS: for what proves itself.
    plain: bool,
    /// The local address that it connects from; `None` leaves it to the system.
    source: Option<IpAddr>,
    verifier: Arc<PinVerifier>,
    connector: TlsConnector,
    idle: Mutex<Vec<Connection>>,
    /// The shortest handshake so far: in TLS 1.3 one round trip, and the work of both ends.
    handshake: Mutex<Handshakes>,
}

/// Of the handshakes so far.
#[derive(Clone, Copy, Default)]
struct Handshakes {
    shortest: Option<Duration>,
    newest: Option<Instant>,
}

impl Channel {
    pub(crate) fn new(url: VantageUrl) -> Result<Self, Missing> {
        Self::acting_as(url, None)
    }

    /// One that shows this identity's certificate when it is asked for.
    pub(crate) fn acting_as(url: VantageUrl, identity: Option<&OwnIdentity>) -> Result<Self, Missing> {
        let verifier = PinVerifier::new(url.pin());
        let config = verifier.client_config(identity).map_err(|error| Missing::Certificate(error.to_string()))?;
        let connector = TlsConnector::from(Arc::new(config));
        let (idle, handshake) = (Mutex::new(Vec::new()), Mutex::default());
        Ok(Self { url, plain: false, source: None, verifier, connector, idle, handshake })
    }

    /// The same over plain HTTP: nothing that comes back is the node's unless it is signed or sealed.
    pub(crate) fn plain(url: VantageUrl) -> Result<Self, Missing> {
        Ok(Self { plain: true, ..Self::new(url)? })
    }

    /// Connects from this local address.
    pub(crate) fn looking_from(self, source: Option<IpAddr>) -> Self {
        Self { source, ..self }
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> String {
        self.url.authority()
    }

    /// Posts JSON and takes any status with its body.
    pub(crate) async fn post_any(
        &self,
        path: &str,
        body: Bytes,
        limit: usize,
        deadline: Deadline,
    ) -> Result<(u16, Bytes), Missing> {
        let message = Message::post(path, body);
        let exchange = async {
            let (connection, response) = self.respond(message).await?;
            let (head, body) = response.into_parts();
            let body = collect(body, limit).await?;
            self.keep(connection);
            Ok((head.status.as_u16(), body))
        };
        self.within(deadline, exchange).await
    }

    /// The shortest handshake so far.
    pub(crate) fn shortest_handshake(&self) -> Option<Duration> {
        self.handshakes().shortest
    }

    /// When the newest handshake was answered.
    pub(crate) fn connected_at(&self) -> Option<Instant> {
        self.handshakes().newest
    }

    fn handshakes(&self) -> Handshakes {
        *self.handshake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the next question needs no new connection, unless the other side closes it just now.
    pub(crate) fn is_connected(&self) -> bool {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|connection| !connection.is_closed())
    }

    /// The vantage id that the last handshake was verified against.
    pub(crate) fn met(&self) -> Option<VantageId> {
        self.verifier.met()
    }

    /// A signed body of at most `limit` bytes.
    pub(crate) async fn get(&self, path: &str, limit: usize, deadline: Deadline) -> Result<Signed, Missing> {
        self.within(deadline, self.exchange(Message::get(path), limit)).await
    }

    /// Posts JSON; what comes back has at most `limit` bytes.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: Bytes,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Signed, Missing> {
        self.within(deadline, self.exchange(Message::post(path, body), limit)).await
    }

    /// Any method on a path, with JSON where there is any; what comes back has at most `limit` bytes and is not signed.
    pub(crate) async fn request(
        &self,
        (method, path): (Method, &str),
        body: Option<Bytes>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<String, Missing> {
        Ok(self.within(deadline, self.exchange(Message { method, path, body }, limit)).await?.body)
    }

    /// The same; whoever says when to come back is asked again then, as often as that fits before the deadline.
    pub(crate) async fn post_patiently(
        &self,
        path: &str,
        body: Bytes,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Signed, Missing> {
        let patient = async {
            loop {
                let (connection, response) = self.respond(Message::post(path, body.clone())).await?;
                let again = come_back(&response);
                let answer = self.receive(connection, response, limit).await;
                match again.filter(|wait| Instant::now() + *wait < deadline.instant()) {
                    Some(wait) if answer.is_err() => tokio::time::sleep(wait).await,
                    _ => return answer,
                }
            }
        };
        self.within(deadline, patient).await
    }

    /// The time from a request to its answer on a connection that stands.
    pub(crate) async fn round_trip(&self, path: &str, deadline: Deadline) -> Result<Duration, Missing> {
        let measure = async {
            let connection = match self.take_idle() {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            self.keep(connection);
            let started = Instant::now();
            self.exchange(Message::get(path), 0).await?;
            Ok(started.elapsed())
        };
        self.within(deadline, measure).await
    }

    async fn within<T>(
        &self,
        deadline: Deadline,
        work: impl Future<Output = Result<T, Missing>>,
    ) -> Result<T, Missing> {
        tokio::time::timeout_at(deadline.instant(), work).await.unwrap_or(Err(Missing::Timeout))
    }

    async fn exchange(&self, message: Message<'_>, limit: usize) -> Result<Signed, Missing> {
        let (connection, response) = self.respond(message).await?;
        self.receive(connection, response, limit).await
    }

    async fn respond(
        &self,
        message: Message<'_>,
    ) -> Result<(Connection, http::Response<hyper::body::Incoming>), Missing> {
        // The node may have closed an idle connection meanwhile; that is no failure, a new one is opened.
        while let Some(mut connection) = self.take_idle() {
            match self.send(&mut connection, &message).await {
                Ok(response) => return Ok((connection, response)),
                Err(error) if error.is_closed() || error.is_canceled() || error.is_incomplete_message() => continue,
                Err(error) => return Err(Missing::Protocol(error.to_string())),
            }
        }
        let mut connection = self.connect().await?;
        let response = self.send(&mut connection, &message).await;
        Ok((connection, response.map_err(|error| Missing::Protocol(error.to_string()))?))
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| !connection.is_closed());
        idle.pop()
    }

    async fn send(
        &self,
        connection: &mut Connection,
        message: &Message<'_>,
    ) -> Result<http::Response<hyper::body::Incoming>, hyper::Error> {
        connection.ready().await?;
        connection.send_request(request(message.clone(), &self.url.authority())).await
    }

    async fn receive(
        &self,
        connection: Connection,
        response: http::Response<hyper::body::Incoming>,
        limit: usize,
    ) -> Result<Signed, Missing> {
        let (head, body) = response.into_parts();
        let limit = if head.status.is_success() { limit } else { LARGEST_PROBLEM };
        let body = collect(body, limit).await?;
        self.keep(connection);
        if !head.status.is_success() {
            return Err(Missing::Refused { status: head.status.as_u16(), detail: problem_detail(&body) });
        }
        let signature = head.headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let body = String::from_utf8(body.into()).map_err(|_| Missing::Protocol("the answer is not UTF-8".into()))?;
        Ok(Signed { body, signature: signature.to_owned() })
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS && !connection.is_closed() {
            idle.push(connection);
        }
    }

    async fn connect(&self) -> Result<Connection, Missing> {
        open(self.stream().await?).await
    }

    /// A fresh connection, before anything is said on it.
    pub(crate) async fn stream(&self) -> Result<Box<dyn Stream>, Missing> {
        let unreachable = |error: std::io::Error| Missing::Unreachable(sentence(&error));
        let stream = connect_tcp(self.url.host(), self.url.port(), self.source).await?;
        stream.set_nodelay(true).map_err(unreachable)?;
        if self.plain {
            return Ok(Box::new(stream));
        }
        let name = match self.url.host() {
            Host::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|error| Missing::Unreachable(error.to_string()))?
            }
            Host::Address(address) => ServerName::from(*address),
        };
        let begun = Instant::now();
        let stream = self.connector.connect(name, stream).await.map_err(|error| self.tls_failure(&error))?;
        self.note_handshake(begun.elapsed());
        Ok(Box::new(stream))
    }

    fn note_handshake(&self, took: Duration) {
        let mut known = self.handshake.lock().unwrap_or_else(PoisonError::into_inner);
        known.shortest = Some(known.shortest.map_or(took, |before| before.min(took)));
        known.newest = Some(Instant::now());
    }

    fn tls_failure(&self, error: &std::io::Error) -> Missing {
        use rustls::{CertificateError, Error};
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return Missing::Unreachable(sentence(error));
        };
        match tls {
            Error::InvalidCertificate(CertificateError::Other(other)) => {
                match (other.0.downcast_ref::<PinError>(), self.url.pin()) {
                    (Some(pin), Some(expected)) => Missing::WrongPin { expected, found: pin.found },
                    _ => Missing::Certificate(other.0.to_string()),
                }
            }
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => Missing::Certificate(tls.to_string()),
            _ => Missing::Unreachable(tls.to_string()),
        }
    }
}

/// One GET over plain HTTP on a connection of its own: the status, and a body of at most `limit` bytes.
pub(crate) async fn plain_get(
    (host, port): (&Host, u16),
    path: &str,
    limit: usize,
    deadline: Deadline,
) -> Result<(u16, Bytes), Missing> {
    let exchange = async {
        let mut connection = open(connect_tcp(host, port, None).await?).await?;
        let response = connection.send_request(request(Message::get(path), &format!("{host}:{port}"))).await;
        let (head, body) = response.map_err(|error| Missing::Protocol(error.to_string()))?.into_parts();
        let limit = if head.status.is_success() { limit } else { LARGEST_PROBLEM };
        Ok((head.status.as_u16(), collect(body, limit).await?))
    };
    tokio::time::timeout_at(deadline.instant(), exchange).await.unwrap_or(Err(Missing::Timeout))
}

fn request(message: Message<'_>, authority: &str) -> http::Request<Full<Bytes>> {
    let has_body = message.body.is_some();
    let mut request = http::Request::new(Full::new(message.body.unwrap_or_default()));
    *request.method_mut() = message.method;
    if has_body {
        request.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    }
    if let Ok(uri) = message.path.parse() {
        *request.uri_mut() = uri;
    }
    if let Ok(host) = authority.parse() {
        request.headers_mut().insert(HOST, host);
    }
    request.headers_mut().insert(USER_AGENT, http::HeaderValue::from_static(USER_AGENT_NAME));
    request
}

/// After which time a server that has no time wants to be asked again (RFC 9110 section 10.2.3): a second at least, so that
/// nobody is asked without pause.
fn come_back<T>(response: &http::Response<T>) -> Option<Duration> {
    let is_busy = matches!(response.status().as_u16(), 429 | 503);
    let seconds: u64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    is_busy.then(|| Duration::from_secs(seconds.clamp(1, 86_400)))
}

async fn collect(body: hyper::body::Incoming, limit: usize) -> Result<Bytes, Missing> {
    let body = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { Missing::TooLarge(limit) } else { Missing::Protocol(error.to_string()) }
    })?;
    Ok(body.to_bytes())
}

async fn connect_tcp(host: &Host, port: u16, source: Option<IpAddr>) -> Result<TcpStream, Missing> {
    let result = match (host, source) {
        (Host::Address(address), None) => TcpStream::connect(SocketAddr::new(*address, port)).await,
        (Host::Name(name), None) => TcpStream::connect((name.as_str(), port)).await,
        (host, Some(source)) => connect_from(host, port, source).await,
    };
    result.map_err(|error| Missing::Unreachable(sentence(&error)))
}

/// The first address of the host that can be reached from this one.
async fn connect_from(host: &Host, port: u16, source: IpAddr) -> std::io::Result<TcpStream> {
    let targets: Vec<SocketAddr> = match host {
        Host::Address(address) => vec![SocketAddr::new(*address, port)],
        Host::Name(name) => tokio::net::lookup_host((name.as_str(), port)).await?.collect(),
    };
    let why = format!("it has no address that can be reached from {source}");
    let mut last = std::io::Error::new(std::io::ErrorKind::AddrNotAvailable, why);
    for target in targets.into_iter().filter(|target| target.is_ipv4() == source.is_ipv4()) {
        let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(source, 0))?;
        match socket.connect(target).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn open(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Connection, Missing> {
    let (sender, connection) = http1::Builder::new()
        .max_headers(64)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Missing::Protocol(error.to_string()))?;
    // Ends with the sender, or when the other side closes.
    tokio::spawn(connection);
    Ok(sender)
}

/// What the system said, in words and without its number.
fn sentence(error: &std::io::Error) -> String {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::BrokenPipe => "the connection was cut".into(),
        Kind::UnexpectedEof => "the connection was closed in the middle of the handshake".into(),
        Kind::TimedOut => "the connection timed out".into(),
        _ => plainly(error),
    }
}

/// What we call ourselves.
const USER_AGENT_NAME: &str = concat!("parallax/", env!("CARGO_PKG_VERSION"));

/// `detail` of a problem document (RFC 9457), shortened and without control characters: it is a stranger's text.
fn problem_detail(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Problem {
        detail: String,
    }
    let problem: Problem = serde_json::from_slice(body).ok()?;
    Some(problem.detail.chars().filter(|c| !c.is_control()).take(200).collect())
}
