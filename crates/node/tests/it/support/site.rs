//! A real TLS server that counts who connects, and can be told to let them wait.

use std::net::SocketAddr;
use std::sync::Arc;

use parallax_core::{Fingerprint, ServiceId};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::PATIENCE;

/// A site with a certificate of its own.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) leaf: Fingerprint,
    arrived: watch::Receiver<usize>,
    task: tokio::task::JoinHandle<()>,
}

/// Lets those in who wait at a site.
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    pub(crate) async fn start_at(at: &str) -> Self {
        let (site, gate) = Self::gated_at(at).await;
        gate.open();
        site
    }

    /// A site that accepts connections and says nothing until its gate is opened.
    pub(crate) async fn gated() -> (Self, Gate) {
        Self::gated_at("127.0.0.1:0").await
    }

    async fn gated_at(at: &str) -> (Self, Gate) {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (certificate, key) = certificate();
        let leaf = parallax_probe::sha256(&certificate);
        let acceptor = TlsAcceptor::from(Arc::new(config(certificate, key)));
        let (arrivals, arrived) = watch::channel(0);
        let (gate, open) = watch::channel(false);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                arrivals.send_modify(|count| *count += 1);
                let (acceptor, mut open) = (acceptor.clone(), open.clone());
                tokio::spawn(async move {
                    // A gate that is gone stays as it was left.
                    if open.wait_for(|open| *open).await.is_ok() {
                        let _ = acceptor.accept(stream).await;
                    }
                });
            }
        });
        (Self { address, leaf, arrived, task }, Gate(gate))
    }

    pub(crate) fn service(&self) -> ServiceId {
        self.address.to_string().parse().unwrap()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.arrived.borrow()
    }

    /// Resolves when so many connections have come.
    pub(crate) async fn arrived(&self, count: usize) {
        let mut arrived = self.arrived.clone();
        tokio::time::timeout(PATIENCE, arrived.wait_for(|seen| *seen >= count)).await.unwrap().unwrap();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn certificate() -> (CertificateDer<'static>, PrivatePkcs8KeyDer<'static>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()))
}

fn config(certificate: CertificateDer<'static>, key: PrivatePkcs8KeyDer<'static>) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap()
}
