//! Requests over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{PATIENCE, Reply};

/// GET over plain HTTP on a connection of its own.
pub(crate) async fn http_get(at: SocketAddr, path: &str) -> Reply {
    let exchange = async {
        let stream = TcpStream::connect(at).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get(path).header("host", "node").body(Empty::<Bytes>::new()).unwrap();
        whole(sender.send_request(request).await.unwrap()).await
    };
    tokio::time::timeout(PATIENCE, exchange).await.unwrap()
}

/// The application protocol that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// How a client speaks TLS.
pub(crate) struct Https<'a> {
    /// The CA that the server must chain to, PEM: no public root counts.
    pub(crate) ca: &'a str,
    pub(crate) name: &'a str,
    pub(crate) protocol: Protocol,
    pub(crate) version: &'static SupportedProtocolVersion,
}

impl Https<'_> {
    pub(crate) async fn connect(&self, at: SocketAddr) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = match self.protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        let stream = TcpStream::connect(at).await?;
        let name = ServerName::try_from(self.name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

/// GET over HTTPS on a connection of its own.
pub(crate) async fn https_get(https: &Https<'_>, at: SocketAddr, path: &str) -> Reply {
    let exchange = async {
        let stream = TokioIo::new(https.connect(at).await.unwrap());
        let request = Request::get(format!("https://{}{path}", https.name));
        match https.protocol {
            Protocol::Http1 => {
                let (mut sender, connection) = http1::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                let request = Request::get(path).header("host", https.name).body(Empty::<Bytes>::new()).unwrap();
                whole(sender.send_request(request).await.unwrap()).await
            }
            Protocol::Http2 => {
                let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
                tokio::spawn(connection);
                whole(sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap()).await
            }
        }
    };
    tokio::time::timeout(PATIENCE, exchange).await.unwrap()
}

/// Reads an answer to its end.
pub(crate) async fn whole(response: http::Response<hyper::body::Incoming>) -> Reply {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Reply { status: parts.status, headers: parts.headers, body }
}
