//! A client that shows whatever certificates it is told to, and says whatever it is told to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::town::PATIENCE;

/// What is shown, and the key (PEM) that signs for it, whether it fits or not.
#[derive(Debug)]
pub(crate) struct Shows(Arc<CertifiedKey>);

impl Shows {
    pub(crate) fn new(chain: &[Vec<u8>], key: &str) -> Self {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        Self(Arc::new(CertifiedKey::new(chain, any_supported_type(&key).unwrap())))
    }
}

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// One request on a connection of its own: status and body; an error where the handshake came to nothing.
pub(crate) async fn request(
    node: SocketAddr,
    shows: Option<Shows>,
    (method, path): (&str, &str),
    header: &str,
) -> io::Result<(u16, String)> {
    let asked = tokio::time::timeout(PATIENCE, exchange(node, shows, (method, path), header));
    asked.await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
}

async fn exchange(
    node: SocketAddr,
    shows: Option<Shows>,
    (method, path): (&str, &str),
    header: &str,
) -> io::Result<(u16, String)> {
    let builder = ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer));
    let config = match shows {
        Some(shows) => builder.with_client_cert_resolver(Arc::new(shows)),
        None => builder.with_no_client_auth(),
    };
    let stream = TcpStream::connect(node).await?;
    let name = ServerName::from(node.ip());
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let text = format!("{method} {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n{header}\r\n");
    stream.write_all(text.as_bytes()).await?;
    let mut answer = String::new();
    // A peer that closes without goodbye has said all it had to say.
    match stream.read_to_string(&mut answer).await {
        Err(error) if answer.is_empty() => return Err(error),
        _ => {}
    }
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    Ok((status, answer))
}

/// Asks until it is answered with this status.
pub(crate) async fn until(limit: Duration, wanted: u16, ask: impl AsyncFn() -> u16) {
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        let status = ask().await;
        if status == wanted {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{status} and not {wanted} after {limit:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
