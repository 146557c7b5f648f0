//! TLS to a node: chained to the CA whose key the vantage id names, no name check, no public CA.

use std::sync::{Arc, Mutex, PoisonError};

use crate::janus::OwnIdentity;
use parallax_core::{Suite, VantageId};
use parallax_probe::AwsLc;
use parallax_proto::vantage_id;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};

/// The server's chain does not lead to the pinned CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the certificate does not chain to the pinned vantage point")]
pub(crate) struct PinError {
    pub(crate) found: Option<VantageId>,
}

/// Verifies a node's chain; without a pin it learns whom it meets.
#[derive(Debug)]
pub(crate) struct PinVerifier {
    pin: Option<VantageId>,
    met: Mutex<Option<VantageId>>,
    provider: Arc<CryptoProvider>,
}

impl PinVerifier {
    pub(crate) fn new(pin: Option<VantageId>) -> Arc<Self> {
        Arc::new(Self { pin, met: Mutex::new(None), provider: provider() })
    }

    /// Whom the last verified handshake met.
    pub(crate) fn met(&self) -> Option<VantageId> {
        *self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// TLS settings under this verifier. With an identity the client shows its certificate when it is asked for one, and
    /// speaks TLS 1.3 alone: in TLS 1.2 whoever listens would read the mailbox in it.
    pub(crate) fn client_config(
        self: &Arc<Self>,
        identity: Option<&OwnIdentity>,
    ) -> Result<ClientConfig, rustls::Error> {
        let versions = if identity.is_some() { &[&rustls::version::TLS13] } else { rustls::DEFAULT_VERSIONS };
        let config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(self.clone());
        let mut config = match identity.map(OwnIdentity::for_tls) {
            Some((chain, key)) => config.with_client_auth_cert(chain, key)?,
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn verify(
        &self,
        chain: (&CertificateDer<'_>, &[CertificateDer<'_>]),
        now: UnixTime,
    ) -> Result<VantageId, rustls::Error> {
        let (leaf, issuers) = chain;
        let suite: &dyn Suite = &AwsLc;
        let ids: Vec<_> = issuers.iter().take(4).map(|ca| (ca, vantage_id(suite, ca).ok())).collect();
        let wanted = ids.iter().find(|(_, id)| id.is_some() && self.pin.is_none_or(|pin| *id == Some(pin)));
        let Some((ca, Some(id))) = wanted else {
            let found = ids.iter().find_map(|(_, id)| *id);
            return Err(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(PinError {
                found,
            })))));
        };
        let invalid = |error: webpki::Error| {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
        };
        let anchor = webpki::anchor_from_trusted_cert(ca).map_err(invalid)?;
        webpki::EndEntityCert::try_from(leaf)
            .map_err(invalid)?
            .verify_for_usage(
                self.provider.signature_verification_algorithms.all,
                &[anchor],
                &[],
                now,
                webpki::KeyUsage::server_auth(),
                None,
                None,
            )
            .map_err(invalid)?;
        Ok(*id)
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let id = self.verify((end_entity, intermediates), now)?;
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
