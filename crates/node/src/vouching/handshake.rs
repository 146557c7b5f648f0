//! The client's side of a handshake: a certificate is asked for, and whoever shows one proves that they hold its key. Whether
//! it counts is judged for each request ([`super::Vouching`]), so that a revoked key is refused at once.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, ServerConnection, SignatureScheme};

use crate::janus::ClientChain;

/// Certificates of a chain: the user's, the issuing one, the root, and one to spare. As in channels.
const MOST: usize = parallax_proto::channel::MAX_CHAIN;

/// Bytes of a chain: four of the largest that are judged.
const LARGEST: usize = 16 * 1024;

/// The certificates that a client showed on its connection, and whose key it proved to hold; `None` where it showed none.
pub(crate) fn chain_of(connection: &ServerConnection) -> Option<ClientChain> {
    let shown = connection.peer_certificates().filter(|shown| !shown.is_empty())?;
    Some(ClientChain(Arc::new(shown.iter().map(|one| one.as_ref().to_vec()).collect())))
}

/// Asks for a certificate, and takes any whose key the client holds. Whoever shows none is served as ever.
#[derive(Debug)]
pub(crate) struct AnyCertificate(Arc<CryptoProvider>);

impl AnyCertificate {
    pub(crate) fn new(provider: Arc<CryptoProvider>) -> Arc<Self> {
        Arc::new(Self(provider))
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// No names: whom this node believes may change while it runs.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let bytes = end_entity.len() + intermediates.iter().map(|one| one.len()).sum::<usize>();
        if intermediates.len() >= MOST || bytes > LARGEST {
            return Err(CertificateError::BadEncoding.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
