//! A mirror that serves a list of its own making, signed as it must be.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use parallax_core::{Signer, SigningFailed, Timestamp};
use parallax_probe::AwsLc;
use parallax_proto::mirror::{LIST_LIFE, Listed, MIRRORS_FORMAT, MirrorList, Pair, Status};
use parallax_proto::{Descriptor, Signed, StatementKey, VANTAGE_FORMAT, vantage_id};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// It answers until it is dropped.
pub(crate) struct Liar {
    pub(crate) pair: Pair,
    lists: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A mirror's keys.
struct Identity {
    ca_der: Vec<u8>,
    ca_pem: String,
    ca: Ca,
    statement: Statement,
    tls: ServerConfig,
}

struct Ca(EcdsaKeyPair);
struct Statement(Ed25519KeyPair);

impl Signer for Ca {
    fn algorithm(&self) -> &'static str {
        "ES256"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())
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

impl Identity {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let ca = Ca(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der()).unwrap());
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        let server = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&server, &issuer).unwrap();
        let chain = vec![leaf.der().clone(), issuer.der().clone()];
        let private = PrivateKeyDer::try_from(server.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .unwrap();
        let statement = Statement(Ed25519KeyPair::generate().unwrap());
        Self { ca_der: issuer.der().to_vec(), ca_pem: issuer.pem(), ca, statement, tls }
    }

    fn vantage(&self) -> parallax_core::VantageId {
        vantage_id(&AwsLc, &self.ca_der).unwrap()
    }

    fn descriptor(&self, address: Ipv4Addr, now: Timestamp) -> Signed {
        let descriptor = Descriptor {
            format: VANTAGE_FORMAT.into(),
            vantage: self.vantage(),
            ca: self.ca_pem.clone(),
            statement_key: StatementKey::from_bytes(self.statement.0.public_key().as_ref().try_into().unwrap()),
            addresses: vec![format!("https://{address}:8443")],
            region: None,
            rir: None,
            domain: None,
            operator: None,
            version: "0".into(),
            issued_at: now,
            valid_until: now.plus(Duration::from_secs(86_400)),
        };
        descriptor.sign(&self.ca, &self.ca_der).unwrap()
    }
}

impl Liar {
    /// A mirror at this address whose list holds so many active ones, all at another one. Few of them exist, even on
    /// paper: a list of very many is too large to be read in any case.
    pub(crate) async fn start(at: Ipv4Addr, entries: usize, of: Ipv4Addr) -> Self {
        let now = super::now();
        let me = Identity::new();
        let invented: Vec<Signed> = (0..entries.min(40)).map(|_| Identity::new().descriptor(of, now)).collect();
        let mirrors = (0..entries)
            .map(|number| Listed { descriptor: invented[number % invented.len()].clone(), status: Status::Active });
        let list = MirrorList {
            format: MIRRORS_FORMAT.into(),
            vantage: me.vantage(),
            issued_at: now,
            valid_until: now.plus(LIST_LIFE),
            mirrors: mirrors.collect(),
            next: None,
        };
        Self::serve(at, me, vec![list]).await
    }

    /// One whose list names one active mirror a page.
    pub(crate) async fn paged(at: Ipv4Addr, mirrors: &[Signed]) -> Self {
        let (now, me) = (super::now(), Identity::new());
        let page = |number: usize, descriptor: &Signed| MirrorList {
            format: MIRRORS_FORMAT.into(),
            vantage: me.vantage(),
            issued_at: now,
            valid_until: now.plus(LIST_LIFE),
            mirrors: vec![Listed { descriptor: descriptor.clone(), status: Status::Active }],
            next: (number + 1 < mirrors.len()).then(|| u32::try_from(number + 1).unwrap()),
        };
        let pages = mirrors.iter().enumerate().map(|(number, one)| page(number, one)).collect();
        Self::serve(at, me, pages).await
    }

    /// Descriptors of mirrors that exist on paper alone.
    pub(crate) fn invented(many: usize, of: Ipv4Addr) -> Vec<Signed> {
        (0..many).map(|_| Identity::new().descriptor(of, super::now())).collect()
    }

    async fn serve(at: Ipv4Addr, me: Identity, pages: Vec<MirrorList>) -> Self {
        let now = super::now();
        let pages = pages.iter().map(|page| parallax_proto::mirror::sign(page, &me.statement).unwrap()).collect();
        let listener = TcpListener::bind((at, 0)).await.unwrap();
        let pair = Pair { address: listener.local_addr().unwrap(), vantage: me.vantage() };
        let descriptor = me.descriptor(at, now);
        let lists = Arc::new(AtomicUsize::new(0));
        let answers = Arc::new(Answers { descriptor, pages, lists: lists.clone() });
        let acceptor = TlsAcceptor::from(Arc::new(me.tls));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answers) = (acceptor.clone(), answers.clone());
                // Whoever hangs up in the middle has refused the list.
                tokio::spawn(async move { drop(answers.give(acceptor, stream).await) });
            }
        });
        assert!(IpAddr::from(at).is_loopback());
        Self { pair, lists, task }
    }

    /// How often its list was asked for.
    pub(crate) fn lists(&self) -> usize {
        self.lists.load(Ordering::SeqCst)
    }
}

struct Answers {
    descriptor: Signed,
    pages: Vec<Signed>,
    lists: Arc<AtomicUsize>,
}

impl Answers {
    /// One request a connection.
    async fn give(&self, acceptor: TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = acceptor.accept(stream).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
            head.push(stream.read_u8().await?);
        }
        let answer = if head.starts_with(b"GET /v1/mirrors") {
            self.lists.fetch_add(1, Ordering::SeqCst);
            let head = String::from_utf8_lossy(&head);
            let page = head.split_once("page=").and_then(|(_, rest)| rest.split(['&', ' ']).next()?.parse().ok());
            &self.pages[page.unwrap_or(0_usize)]
        } else {
            &self.descriptor
        };
        let status = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nparallax-signature: {}\r\nconnection: close\r\n\r\n",
            answer.body.len(),
            answer.signature
        );
        stream.write_all(status.as_bytes()).await?;
        stream.write_all(answer.body.as_bytes()).await?;
        stream.shutdown().await
    }
}
