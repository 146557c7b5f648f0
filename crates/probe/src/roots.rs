//! The roots that count as public.

use std::fmt;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::settings::ProbeError;

/// The roots that count as public: evidence for a verdict, never a gate.
#[derive(Clone, Default)]
pub enum Roots {
    /// Those that Mozilla ships.
    #[default]
    Mozilla,
    /// Nobody is public: only the network decides.
    None,
    /// Those of a file, such as the one that a lab declares public. Made by [`Roots::pem`].
    Listed(Arc<[TrustAnchor<'static>]>),
}

impl Roots {
    /// The certificates of a PEM file. At least one must be usable as a root.
    pub fn pem(file: &[u8]) -> Result<Self, ProbeError> {
        let anchors = CertificateDer::pem_slice_iter(file)
            .map(|certificate| {
                let certificate = certificate.map_err(|error| ProbeError::Roots(error.to_string()))?;
                let anchor = webpki::anchor_from_trusted_cert(&certificate)
                    .map_err(|error| ProbeError::Roots(format!("a certificate in it is no root: {error}")))?;
                Ok(anchor.to_owned())
            })
            .collect::<Result<Vec<_>, ProbeError>>()?;
        if anchors.is_empty() {
            return Err(ProbeError::Roots("it holds no certificate in PEM form".into()));
        }
        Ok(Self::Listed(anchors.into()))
    }

    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        match self {
            Self::Mozilla => webpki_roots::TLS_SERVER_ROOTS,
            Self::None => &[],
            Self::Listed(anchors) => anchors,
        }
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mozilla => f.write_str("Mozilla"),
            Self::None => f.write_str("None"),
            Self::Listed(anchors) => write!(f, "Listed({})", anchors.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_roots_is_refused() {
        for file in [
            b"".as_slice(),
            b"no certificate",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            b"-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n",
        ] {
            assert!(matches!(Roots::pem(file), Err(ProbeError::Roots(_))));
        }
        assert!(Roots::Mozilla.anchors().len() > 50);
        assert!(Roots::None.anchors().is_empty());
    }
}
