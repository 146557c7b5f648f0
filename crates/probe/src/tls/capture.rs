//! The verifier that takes any chain, and asks only for proof of the key.

use std::sync::{Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use webpki::RawPublicKeyEntity;

use crate::chain::Parsed;
use crate::settings::Limits;

/// Takes what one connection shows. One for each look.
#[derive(Debug)]
pub(super) struct Capture {
    algorithms: WebPkiSupportedAlgorithms,
    most: usize,
    largest: usize,
    taken: Mutex<Taken>,
}

/// What was shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// The stapled OCSP response, empty when none was.
    pub(super) ocsp: Vec<u8>,
    pub(super) proved: bool,
}

impl Capture {
    pub(super) fn new(algorithms: WebPkiSupportedAlgorithms, limits: &Limits) -> Self {
        Self { algorithms, most: limits.chain, largest: limits.certificate_bytes, taken: Mutex::default() }
    }

    pub(super) fn is_proved(&self) -> bool {
        self.with(|taken| taken.proved)
    }

    pub(super) fn take(&self) -> Taken {
        self.with(std::mem::take)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Taken) -> T) -> T {
        act(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Checks the handshake signature with the key alone. The certificate around it may be of a version or kind that
    /// webpki does not read (X.509 v1): that is judged elsewhere, and the proof is of the key.
    ///
    /// An error leaves the chain taken and unproved: a weak key (RSA under 2048 bits can't be checked here), one of a kind
    /// that is not known, or a signature that is not the key's.
    fn check(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        algorithms: &[&'static dyn SignatureVerificationAlgorithm],
    ) -> Result<HandshakeSignatureValid, Error> {
        let bad = || Error::InvalidCertificate(CertificateError::BadEncoding);
        let parsed = Parsed::new(certificate).ok_or_else(bad)?;
        let spki = parsed.spki().ok_or_else(bad)?;
        let key = RawPublicKeyEntity::try_from(&spki).map_err(|_| bad())?;
        let holds = |algorithm: &&'static dyn SignatureVerificationAlgorithm| {
            key.verify_signature(*algorithm, message, signed.signature()).is_ok()
        };
        if !algorithms.iter().any(holds) {
            return Err(Error::InvalidCertificate(CertificateError::BadSignature));
        }
        self.with(|taken| taken.proved = true);
        Ok(HandshakeSignatureValid::assertion())
    }

    fn algorithms_for(&self, scheme: SignatureScheme) -> Result<&[&'static dyn SignatureVerificationAlgorithm], Error> {
        let known = self.algorithms.mapping.iter().find(|(known, _)| *known == scheme);
        known
            .map(|(_, algorithms)| *algorithms)
            .ok_or_else(|| PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
    }
}

impl ServerCertVerifier for Capture {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = || std::iter::once(leaf).chain(others);
        if others.len() >= self.most || chain().any(|certificate| certificate.len() > self.largest) {
            return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
        }
        let chain = chain().map(|certificate| certificate.clone().into_owned()).collect();
        self.with(|taken| *taken = Taken { chain, ocsp: ocsp.to_vec(), proved: false });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Before TLS 1.3 a scheme does not name the curve, so several algorithms may be meant.
        self.check(message, certificate, signed, self.algorithms_for(signed.scheme)?)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // RFC 8446 section 4.2.3: PKCS #1 v1.5 and SHA-1 sign no TLS 1.3 handshake.
        if matches!(
            signed.scheme,
            SignatureScheme::RSA_PKCS1_SHA1
                | SignatureScheme::RSA_PKCS1_SHA256
                | SignatureScheme::RSA_PKCS1_SHA384
                | SignatureScheme::RSA_PKCS1_SHA512
                | SignatureScheme::ECDSA_SHA1_Legacy
        ) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        // A TLS 1.3 scheme names its curve; the first algorithm of the mapping is the one.
        let algorithms = self.algorithms_for(signed.scheme)?;
        self.check(message, certificate, signed, algorithms.get(..1).unwrap_or_default())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
