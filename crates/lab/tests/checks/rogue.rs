//! A vantage point that lies: a real HTTPS server under a CA of its own, whose pin the user has. What it tells comes
//! from an honest node and is changed on the way.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use parallax_client::VantageUrl;
use parallax_core::{Signer, SigningFailed, VantageId};
use parallax_lab::LabNode;
use parallax_probe::AwsLc;
use parallax_proto::{Descriptor, SIGNATURE_HEADER, Signed, StatementKey, View, vantage_id};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a rogue does to the honest answer: it gets the view with the number of the question (from 0), and what to sign
/// with; it returns the answer's status and what is sent.
pub(crate) type Lie = Box<dyn Fn(View, usize, &Keys) -> Sent + Send + Sync>;

/// What goes out.
pub(crate) struct Sent {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) signature: String,
}

impl From<Signed> for Sent {
    fn from(signed: Signed) -> Self {
        Self { status: 200, body: signed.body, signature: signed.signature }
    }
}

/// The keys of a rogue, and one that is nobody's.
pub(crate) struct Keys {
    pub(crate) statement: Statement,
    pub(crate) strangers: Statement,
    ca: CaKey,
}

/// A running rogue; dropping it ends it.
pub(crate) struct Rogue {
    pub(crate) url: VantageUrl,
    task: JoinHandle<()>,
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rogue {
    /// A rogue at an address of the lab that tells what `honest` tells, changed by `lie`.
    pub(crate) async fn start(at: Ipv4Addr, honest: &LabNode, lie: Lie) -> Self {
        Self::with_chain(at, honest, lie, |own| own).await
    }

    /// A rogue that presents another chain than its own.
    pub(crate) async fn with_chain(
        at: Ipv4Addr,
        honest: &LabNode,
        lie: Lie,
        present: impl FnOnce(Vec<CertificateDer<'static>>) -> Vec<CertificateDer<'static>>,
    ) -> Self {
        let ca = CaParts::new();
        let server_key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![at.to_string()]).unwrap().signed_by(&server_key, &ca.issuer).unwrap();
        let chain = present(vec![leaf.der().clone(), ca.certificate.clone()]);
        let config = ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivatePkcs8KeyDer::from(server_key.serialize_der()).into())
            .unwrap();
        let listener = TcpListener::bind((at, 0)).await.unwrap();
        let id = vantage_id(&AwsLc, &ca.certificate).unwrap();
        let url: VantageUrl = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let keys = Keys { statement: Statement::new(), strangers: Statement::new(), ca: ca.key };
        let descriptor = describe(honest.descriptor(), id, &ca.pem, &ca.certificate, &keys);
        let part =
            Arc::new(Part { id, descriptor, keys, lie, honest: honest.http().unwrap(), asked: AtomicUsize::new(0) });
        let task = tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), part));
        Self { url: url.with_pin(id), task }
    }
}

/// What it plays.
struct Part {
    id: VantageId,
    descriptor: Signed,
    keys: Keys,
    lie: Lie,
    honest: SocketAddr,
    asked: AtomicUsize,
}

fn describe(honest: Descriptor, id: VantageId, pem: &str, ca: &CertificateDer<'_>, keys: &Keys) -> Signed {
    let descriptor = Descriptor { vantage: id, ca: pem.to_owned(), statement_key: keys.statement.public(), ..honest };
    descriptor.sign(&keys.ca, ca).unwrap()
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, part: Arc<Part>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (acceptor, part) = (acceptor.clone(), Arc::clone(&part));
        tokio::spawn(async move {
            // Whom the client does not believe, it leaves.
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let Some(path) = read_path(&mut stream).await else { return };
            let sent = part.answer(&path).await;
            let head = format!(
                "HTTP/1.1 {} X\r\ncontent-length: {}\r\n{SIGNATURE_HEADER}: {}\r\nconnection: close\r\n\r\n",
                sent.status,
                sent.body.len(),
                sent.signature
            );
            let _gone = stream.write_all(&[head.as_bytes(), sent.body.as_bytes()].concat()).await;
            let _gone = stream.shutdown().await;
        });
    }
}

impl Part {
    async fn answer(&self, path: &str) -> Sent {
        if path == "/v1/vantage" {
            return self.descriptor.clone().into();
        }
        let view = View { vantage: self.id, ..fetch(self.honest, path).await };
        (self.lie)(view, self.asked.fetch_add(1, Ordering::SeqCst), &self.keys)
    }
}

async fn read_path(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()?.split(' ').nth(1).map(str::to_owned)
}

/// The honest node's answer over plain HTTP.
async fn fetch(honest: SocketAddr, path: &str) -> View {
    let mut stream = TcpStream::connect(honest).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {honest}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {head} {body}"))
}

/// An Ed25519 key.
pub(crate) struct Statement(Ed25519KeyPair);

impl Statement {
    fn new() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    fn public(&self) -> StatementKey {
        StatementKey::from_bytes(self.0.public_key().as_ref().try_into().unwrap())
    }
}

impl Signer for Statement {
    fn algorithm(&self) -> &'static str {
        "EdDSA"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

struct CaKey(EcdsaKeyPair);

impl Signer for CaKey {
    fn algorithm(&self) -> &'static str {
        "ES256"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.0.sign(&SystemRandom::new(), message).map_err(|_| SigningFailed)?.as_ref().to_vec())
    }
}

struct CaParts {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    key: CaKey,
}

impl CaParts {
    fn new() -> Self {
        let pair = KeyPair::generate().unwrap();
        let key = CaKey(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pair.serialize_der()).unwrap());
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&pair).unwrap();
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Self { issuer: Issuer::new(params, pair), certificate: der, pem, key }
    }
}
