//! The handshake by rustls, driven over the bare connection so that every byte is counted, and left as soon as the server
//! has proved its key.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use parallax_core::{Host, Outcome, ServiceId};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::{AlertDescription, ClientConfig, ClientConnection, Error, InvalidMessage, ProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

use super::Shown;
use super::capture::{Capture, Taken};
use super::wire::Wire;
use crate::settings::{Limits, ProbeError};

/// Makes handshakes. What is costly is made once.
#[derive(Clone, Debug)]
pub(crate) struct Handshaker {
    config: ClientConfig,
    algorithms: WebPkiSupportedAlgorithms,
}

/// No certificate was seen this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unseen {
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Whether the server may show its certificate to a client of old.
    pub(crate) try_old: bool,
}

impl From<Outcome> for Unseen {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, try_old: false }
    }
}

impl Handshaker {
    pub(crate) fn new(limits: &Limits) -> Result<Self, ProbeError> {
        let provider = Arc::new(provider());
        let algorithms = provider.signature_verification_algorithms;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Capture::new(algorithms, limits)))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self { config, algorithms })
    }

    /// One handshake, with the service's name for SNI.
    pub(crate) async fn shake(
        &self,
        stream: &mut TcpStream,
        service: &ServiceId,
        at: IpAddr,
        limits: &Limits,
    ) -> Result<Shown, Unseen> {
        // A copy of the configuration is a handful of reference counts; the verifier in it belongs to this look.
        let capture = Arc::new(Capture::new(self.algorithms, limits));
        let mut config = self.config.clone();
        config.dangerous().set_certificate_verifier(Arc::clone(&capture) as _);
        let mut connection = ClientConnection::new(Arc::new(config), server_name(service, at))
            .map_err(|_| Unseen { outcome: Outcome::Unsupported, try_old: true })?;
        let mut wire = Wire::new(stream, limits);
        let ended = drive(&mut wire, &mut connection, &capture).await;
        match (capture.take(), ended) {
            (Taken { chain, ocsp, proved }, _) if !chain.is_empty() => {
                Ok(Shown { chain, ocsp, protocol: protocol(connection.protocol_version()), proved })
            }
            (_, Err(unseen)) => Err(unseen),
            // The handshake is complete without a certificate: nothing that was offered allows that.
            (_, Ok(())) => Err(Outcome::Malformed.into()),
        }
    }
}

fn provider() -> CryptoProvider {
    use aws_lc_rs::{cipher_suite as suite, kx_group};
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    // Nothing secret is sent, so the cheapest comes first.
    provider.cipher_suites.sort_by_key(|offered| offered.suite() != suite::TLS13_AES_128_GCM_SHA256.suite());
    provider
}

/// An address is its own name and sends no SNI; so does a name that rustls can't put into SNI.
fn server_name(service: &ServiceId, at: IpAddr) -> ServerName<'static> {
    let name = match service.host() {
        Host::Name(name) => ServerName::try_from(name.clone()).ok(),
        Host::Address(_) => None,
    };
    name.unwrap_or_else(|| ServerName::from(at))
}

async fn drive(wire: &mut Wire<'_>, connection: &mut ClientConnection, capture: &Capture) -> Result<(), Unseen> {
    loop {
        let mut out = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut out).map_err(|_| Outcome::Malformed)?;
        }
        if !out.is_empty() {
            wire.send(&out).await;
        }
        let mut bytes = wire.read().await?;
        while !bytes.is_empty() {
            take(connection, &mut bytes).map_err(|error| unseen(&error))?;
        }
        if capture.is_proved() || !connection.is_handshaking() {
            return Ok(());
        }
    }
}

fn take(connection: &mut ClientConnection, bytes: &mut &[u8]) -> Result<(), Error> {
    let full = |_: io::Error| Error::InvalidMessage(InvalidMessage::MessageTooLarge);
    let read = connection.read_tls(bytes).map_err(full)?;
    connection.process_new_packets()?;
    // After a close_notify rustls takes no more bytes, and says nothing of it: the loop would never end.
    if read == 0 { Err(Error::AlertReceived(AlertDescription::CloseNotify)) } else { Ok(()) }
}

/// What rustls' complaint means, when it came before a certificate.
fn unseen(error: &Error) -> Unseen {
    use AlertDescription as Alert;
    tracing::debug!(%error, "no handshake");
    let (outcome, try_old) = match error {
        Error::AlertReceived(Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity) => {
            (Outcome::Unsupported, true)
        }
        // What some old servers say to a ClientHello that is newer than they are.
        Error::AlertReceived(Alert::IllegalParameter | Alert::DecodeError | Alert::UnsupportedExtension) => {
            (Outcome::Alert, true)
        }
        Error::AlertReceived(_) => (Outcome::Alert, false),
        Error::PeerIncompatible(_) => (Outcome::Unsupported, true),
        // A choice that was not offered, or an old version in the record header.
        Error::PeerMisbehaved(_) | Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion) => {
            (Outcome::Malformed, true)
        }
        _ => (Outcome::Malformed, false),
    };
    Unseen { outcome, try_old }
}

fn protocol(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    }
}
