//! Certificates.

use parallax_core::Fingerprint;
use parallax_probe::{Roots, sha256};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use rustls_pki_types::CertificateDer;

/// A CA of the tests, a root or one under another.
pub(crate) struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn root(organisation: &str) -> Self {
        Self::root_with(ca_params(organisation))
    }

    pub(crate) fn root_with(params: CertificateParams) -> Self {
        Self { issuer: CertifiedIssuer::self_signed(params, key()).unwrap() }
    }

    pub(crate) fn under(&self, organisation: &str) -> Self {
        self.under_with(ca_params(organisation), key())
    }

    pub(crate) fn under_with(&self, params: CertificateParams, key: KeyPair) -> Self {
        Self { issuer: CertifiedIssuer::signed_by(params, key, &self.issuer).unwrap() }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn key(&self) -> Fingerprint {
        spki(self.issuer.key())
    }

    pub(crate) fn issue(&self, name: &str) -> (CertificateDer<'static>, KeyPair) {
        self.issue_with(leaf_params(name))
    }

    pub(crate) fn issue_with(&self, params: CertificateParams) -> (CertificateDer<'static>, KeyPair) {
        let key = key();
        (self.sign(&params, &key), key)
    }

    pub(crate) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> CertificateDer<'static> {
        params.signed_by(key, &self.issuer).unwrap().der().clone()
    }
}

pub(crate) fn ca_params(organisation: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    params.distinguished_name.push(DnType::CommonName, format!("{organisation} CA"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(params)
}

pub(crate) fn leaf_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    valid(params)
}

fn valid(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params
}

pub(crate) fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn spki(key: &KeyPair) -> Fingerprint {
    sha256(&key.subject_public_key_info())
}

pub(crate) fn roots_of(ca: &Ca) -> Roots {
    Roots::pem(ca.pem().as_bytes()).unwrap()
}
