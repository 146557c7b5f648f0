//! The CPU of one look against a bare rustls handshake loop.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Outcome, Scheme, ServiceId};
use parallax_probe::{ProbeSettings, Prober, Roots, TargetPolicy};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use crate::measure::{Cost, cpu_us, each, heading, in_turn, line, ratio, wall_us};
use crate::sites::Sites;

const ROUNDS: usize = 9;
const COUNT: u32 = 400;

pub(crate) fn run() {
    heading("look: one look against a bare rustls TLS 1.3 handshake loop (signature checked, resumption off)");
    let sites = Sites::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let prober = prober(&sites);
    let bare = Bare::new();
    let by_address =
        ServiceId::new(Scheme::Tls, &sites.address.ip().to_string(), sites.address.port()).expect("a service");
    let by_name = sites.name.clone();

    let looks = |service: &ServiceId| -> Cost {
        each(COUNT, || {
            runtime.block_on(async {
                for _ in 0..COUNT {
                    let look = prober.look(service).await;
                    assert!(look.now.outcome == Outcome::Seen && look.now.proved().is_some(), "{look:?}");
                }
            });
        })
    };
    let handshakes = || {
        each(COUNT, || {
            for _ in 0..COUNT {
                bare.handshake(sites.address);
            }
        })
    };
    for (what, service) in
        [("an address: no DNS", &by_address), ("a name: A, AAAA, TLSA, CAA, _ca-auth asked", &by_name)]
    {
        let (ours, theirs) = in_turn(ROUNDS, || looks(service), handshakes);
        line("bare handshake", format_args!("{:.0} µs CPU, {:.0} µs wall", cpu_us(&theirs), wall_us(&theirs)));
        line(&format!("look at {what}"), format_args!("{:.0} µs CPU, {:.0} µs wall", cpu_us(&ours), wall_us(&ours)));
        line(
            "CPU of a look over that of a bare handshake",
            format_args!("{:.2}", ratio(&ours, &theirs, |cost| cost.cpu)),
        );
    }
}

pub(crate) fn prober(sites: &Sites) -> Prober {
    prober_of(sites.resolver, &sites.roots)
}

pub(crate) fn prober_of(resolver: SocketAddr, roots: &[u8]) -> Prober {
    Prober::new(ProbeSettings {
        resolver: Some(resolver),
        targets: TargetPolicy::any(),
        roots: Roots::pem(roots).expect("the lab's roots"),
        ..ProbeSettings::default()
    })
    .expect("a prober")
}

/// A TLS client that does no more than shake hands.
pub(crate) struct Bare(Arc<ClientConfig>);

impl Bare {
    pub(crate) fn new() -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(SignatureOnly(provider)))
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Self(Arc::new(config))
    }

    pub(crate) fn handshake(&self, address: SocketAddr) {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an option");
        let mut connection = ClientConnection::new(self.0.clone(), ServerName::from(address.ip())).expect("a client");
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).expect("a handshake");
        }
    }
}

#[derive(Debug)]
struct SignatureOnly(Arc<CryptoProvider>);

impl ServerCertVerifier for SignatureOnly {
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
