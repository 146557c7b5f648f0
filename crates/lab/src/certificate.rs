//! Certificate authorities and what they issue, good and bad.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use parallax_core::{CaId, Fingerprint, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

use crate::ct::{self, CtLog};
use crate::error::LabError;

const DAY: Duration = Duration::from_secs(86_400);
const TEN_YEARS: Duration = Duration::from_secs(3650 * 86_400);

/// Now, by the clock of this machine, which all that runs in a lab shares.
pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ms(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// From when until when a certificate is good. Certificates hold whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: Timestamp,
    /// The last moment.
    pub not_after: Timestamp,
}

impl Validity {
    /// From a day ago, for 90 days.
    pub fn current() -> Self {
        Self::around(DAY, DAY * 89)
    }

    /// For 90 days until a day ago.
    pub fn expired() -> Self {
        Self { not_before: now().minus(DAY * 91), not_after: now().minus(DAY) }
    }

    /// For 90 days from tomorrow on.
    pub fn not_yet() -> Self {
        Self { not_before: now().plus(DAY), not_after: now().plus(DAY * 91) }
    }

    /// From so long ago until so far ahead.
    pub fn around(past: Duration, ahead: Duration) -> Self {
        Self { not_before: now().minus(past), not_after: now().plus(ahead) }
    }
}

/// A certificate authority: ECDSA P-256, a root of its own or an intermediate under one.
///
/// Whether the public believes in it is not its own affair: [`crate::Lab::public_ca`] makes those that are.
#[derive(Clone)]
pub struct Ca(Arc<CaParts>);

struct CaParts {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
    key: Fingerprint,
    organisation: String,
    parent: Option<Ca>,
}

impl Ca {
    /// A self-signed root of an organisation. Two of the same name are two CAs.
    pub fn root(organisation: &str) -> Result<Self, LabError> {
        Self::make(organisation, &format!("{organisation} Root"), None)
    }

    /// An intermediate of the same organisation under this CA. Each call makes another.
    pub fn intermediate(&self) -> Result<Self, LabError> {
        let organisation = &self.0.organisation;
        Self::make(organisation, &format!("{organisation} Intermediate {}", next_number()), Some(self.clone()))
    }

    /// A certificate for DNS names and addresses, with a key of its own.
    pub fn issue(&self, names: &[&str], validity: Validity) -> Result<Certificate, LabError> {
        Certificate::make(names, validity, Some(self), Arc::new(new_key(&names.join(", "))?))
    }

    /// The same, having been shown to these logs at these moments: it carries their timestamps.
    pub fn issue_logged(
        &self,
        names: &[&str],
        validity: Validity,
        shown: &[(&CtLog, Timestamp)],
    ) -> Result<Certificate, LabError> {
        let what = names.join(", ");
        let key_pair = Arc::new(new_key(&what)?);
        let mut params = leaf_params(names, validity).map_err(|source| failed(&what, source))?;
        let bare = params.signed_by(&*key_pair, &self.0.issuer).map_err(|source| failed(&what, source))?;
        params.custom_extensions.push(ct::extension(bare.der(), self.key(), shown)?);
        Certificate::sign(&params, names, validity, Some(self), key_pair)
    }

    /// Another certificate with the names and the key of an earlier one, whoever issued that.
    pub fn renew(&self, earlier: &Certificate, validity: Validity) -> Result<Certificate, LabError> {
        let names: Vec<&str> = earlier.0.names.iter().map(String::as_str).collect();
        Certificate::make(&names, validity, Some(self), Arc::clone(&earlier.0.key_pair))
    }

    /// Its own certificate as PEM.
    pub fn pem(&self) -> &str {
        &self.0.pem
    }

    /// Its own certificate.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.0.der
    }

    /// SHA-256 of its SubjectPublicKeyInfo: what `TLSA 2 1 1` and `_ca-auth` name.
    pub fn key(&self) -> Fingerprint {
        self.0.key
    }

    /// The organisation in its subject.
    pub fn organisation(&self) -> &str {
        &self.0.organisation
    }

    /// The root above it, or itself.
    pub fn top(&self) -> &Ca {
        self.0.parent.as_ref().map_or(self, Ca::top)
    }

    fn make(organisation: &str, name: &str, parent: Option<Ca>) -> Result<Self, LabError> {
        let key_pair = new_key(name)?;
        let params = ca_params(organisation, name);
        let key = fingerprint(&key_pair.subject_public_key_info());
        let signed = match &parent {
            Some(parent) => params.signed_by(&key_pair, &parent.0.issuer),
            None => params.self_signed(&key_pair),
        }
        .map_err(|source| failed(name, source))?;
        let (der, pem) = (signed.der().clone(), signed.pem());
        let organisation = organisation.to_owned();
        Ok(Self(Arc::new(CaParts { issuer: Issuer::new(params, key_pair), der, pem, key, organisation, parent })))
    }

    /// This CA and those above it, the root last.
    fn line(&self) -> impl Iterator<Item = &Ca> {
        std::iter::successors(Some(self), |ca| ca.0.parent.as_ref())
    }
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca")
            .field("organisation", &self.0.organisation)
            .field("key", &self.0.key)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Ca {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for Ca {}

/// A server certificate with its private key and the chain to send: the leaf, then each CA up to and with the root (a
/// private root is sent because nobody else could know it, RFC 7671 section 5.2.1).
#[derive(Clone)]
pub struct Certificate(Arc<CertificateParts>);

struct CertificateParts {
    chain: Vec<CertificateDer<'static>>,
    key_pair: Arc<KeyPair>,
    key: Fingerprint,
    issuer: Option<Ca>,
    names: Vec<String>,
    validity: Validity,
}

impl Certificate {
    /// A certificate that nobody but itself vouches for.
    pub fn self_signed(names: &[&str], validity: Validity) -> Result<Self, LabError> {
        Self::make(names, validity, None, Arc::new(new_key(&names.join(", "))?))
    }

    /// The same leaf, sent alone, as a badly kept server sends it.
    pub fn leaf_only(&self) -> Self {
        let parts = &self.0;
        Self(Arc::new(CertificateParts {
            chain: parts.chain.iter().take(1).cloned().collect(),
            key_pair: Arc::clone(&parts.key_pair),
            issuer: parts.issuer.clone(),
            names: parts.names.clone(),
            ..**parts
        }))
    }

    /// What is sent, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
    }

    /// SHA-256 of the leaf.
    pub fn leaf(&self) -> Fingerprint {
        self.0.chain.first().map_or(Fingerprint::from_bytes([0; 32]), |leaf| fingerprint(leaf))
    }

    /// SHA-256 of its SubjectPublicKeyInfo.
    pub fn key(&self) -> Fingerprint {
        self.0.key
    }

    /// Who issued it; `None` when it is self-signed.
    pub fn issuer(&self) -> Option<&Ca> {
        self.0.issuer.as_ref()
    }

    /// SHA-256 of the issuer's SubjectPublicKeyInfo, when its certificate is sent along.
    pub fn issuer_key(&self) -> Option<Fingerprint> {
        self.issuer().filter(|_| self.chain().len() > 1).map(Ca::key)
    }

    /// What *the same CA* means to somebody who is shown this chain and believes in these roots.
    pub fn ca_id(&self, public: &[Ca]) -> CaId {
        let whole = self.chain().len() > 1;
        match self.issuer() {
            Some(issuer) if public.contains(issuer) || (whole && public.contains(issuer.top())) => {
                CaId::Organisation(issuer.top().organisation().to_owned())
            }
            Some(issuer) if whole => CaId::Key(issuer.key()),
            _ => CaId::Key(self.key()),
        }
    }

    /// From when until when it is good.
    pub fn validity(&self) -> Validity {
        self.0.validity
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.key_pair.serialize_der()).into()
    }

    fn make(names: &[&str], validity: Validity, issuer: Option<&Ca>, key_pair: Arc<KeyPair>) -> Result<Self, LabError> {
        let params = leaf_params(names, validity).map_err(|source| failed(&names.join(", "), source))?;
        Self::sign(&params, names, validity, issuer, key_pair)
    }

    fn sign(
        params: &CertificateParams,
        names: &[&str],
        validity: Validity,
        issuer: Option<&Ca>,
        key_pair: Arc<KeyPair>,
    ) -> Result<Self, LabError> {
        let signed = match issuer {
            Some(ca) => params.signed_by(&*key_pair, &ca.0.issuer),
            None => params.self_signed(&*key_pair),
        }
        .map_err(|source| failed(&names.join(", "), source))?;
        let above = issuer.into_iter().flat_map(Ca::line).map(|ca| ca.der().clone());
        Ok(Self(Arc::new(CertificateParts {
            chain: std::iter::once(signed.der().clone()).chain(above).collect(),
            key: fingerprint(&key_pair.subject_public_key_info()),
            key_pair,
            issuer: issuer.cloned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            validity,
        })))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("names", &self.0.names).field("key", &self.0.key).finish_non_exhaustive()
    }
}

fn ca_params(organisation: &str, name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    stamp(&mut params, Validity::around(TEN_YEARS, TEN_YEARS));
    params
}

fn leaf_params(names: &[&str], validity: Validity) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name = DistinguishedName::new();
    if let Some(name) = names.first() {
        params.distinguished_name.push(DnType::CommonName, *name);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    stamp(&mut params, validity);
    Ok(params)
}

/// A number of its own for each certificate, as RFC 5280 section 4.1.2.2 wants: renewals of one key would share theirs.
fn stamp(params: &mut CertificateParams, validity: Validity) {
    params.not_before = date(validity.not_before);
    params.not_after = date(validity.not_after);
    params.serial_number = Some(SerialNumber::from(next_number()));
    params.use_authority_key_identifier_extension = true;
}

fn date(moment: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(moment.unix_secs()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn new_key(what: &str) -> Result<KeyPair, LabError> {
    KeyPair::generate().map_err(|source| failed(what, source))
}

pub(crate) fn failed(what: &str, source: rcgen::Error) -> LabError {
    LabError::Certificate { what: what.to_owned(), source }
}

pub(crate) fn fingerprint(der: &[u8]) -> Fingerprint {
    let mut bytes = [0; 32];
    // SHA-256 has 32 octets; `zip` says so without a way to fail.
    bytes.iter_mut().zip(digest::digest(&digest::SHA256, der).as_ref()).for_each(|(to, from)| *to = *from);
    Fingerprint::from_bytes(bytes)
}
