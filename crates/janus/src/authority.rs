//! The authority's certificates: a root that can stay offline, issuing keys in rotation, and what they issue.

use std::time::Duration;

use parallax_core::{Fingerprint, Signer, Suite, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use time::OffsetDateTime;

use crate::chain::{Fault, Identity, Issuer, Opened, check_leaf};
use crate::der::der_from_fixed;
use crate::key::{BadKey, KeyKind, SubjectKey};
use crate::standing::Grant;

/// The shortest life of a user's certificate.
pub const SHORTEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// The longest, and the default.
pub const LONGEST_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The life of an issuing certificate.
pub const ISSUING_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long before its end an issuing certificate gets its successor.
pub const OVERLAP: Duration = Duration::from_secs(30 * 24 * 3600);

/// The life of a root: ten years.
pub const ROOT_LIFE: Duration = Duration::from_secs(3652 * 24 * 3600);

/// How far before now a user's certificate begins: clocks of those who rely on it may be behind. It is part of its life.
const BACKDATED: Duration = Duration::from_secs(300);

/// The same of the authority's own. It is more, so that nothing issued at once begins before its issuer.
const AUTHORITY_BACKDATED: Duration = Duration::from_secs(3600);

/// The most issuing certificates that are kept: the one in use, its successor, and those whose issue may still be valid.
const MOST_ISSUING: usize = 8;

/// Why the authority can't do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The authority's own key.
    #[error("the authority's key is not taken: {0}")]
    Key(#[from] BadKey),
    /// The authority's own key is of another kind.
    #[error("the authority's keys are ECDSA P-256, and this one is not")]
    Kind,
    /// The signer has another key than its certificate, or can't sign.
    #[error("the certificate can't be made: {0}")]
    Making(String),
    /// What was made, or kept, breaks a rule.
    #[error("the {what} certificate {fault}")]
    Certificate {
        /// Which.
        what: &'static str,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The key is none of the issuing keys.
    #[error("the key {0} has no issuing certificate here")]
    UnknownKey(Fingerprint),
    /// The root lives too short.
    #[error("the root ends at {0}, before an issuing certificate of 90 days would; make a new root")]
    RootEnds(Timestamp),
    /// The issuing certificate would be outlived.
    #[error("the issuing certificate ends at {0}, before what it would issue; it needs its successor")]
    IssuingEnds(Timestamp),
    /// No issuing certificate.
    #[error("there is no issuing certificate in force; it needs a successor, signed by the root")]
    NoneInForce,
    /// A life outside of the range.
    #[error("a certificate lives for 24 h to 7 days, not for {} h", .0.as_secs() / 3600)]
    Life(Duration),
    /// Too many issuing certificates.
    #[error("{0} issuing certificates are kept; 8 are the most")]
    TooMany(usize),
}

/// A key of the authority, with what signs for it.
pub struct CaKey<'a> {
    signer: &'a dyn Signer,
    key: SubjectKey,
}

impl<'a> CaKey<'a> {
    /// The key whose SubjectPublicKeyInfo (DER) is `spki`, and which `signer` (`ES256`) signs with.
    pub fn new(suite: &dyn Suite, signer: &'a dyn Signer, spki: &[u8]) -> Result<Self, AuthorityError> {
        let key = SubjectKey::parse(suite, spki)?;
        if key.kind() != KeyKind::P256 || signer.algorithm() != "ES256" {
            return Err(AuthorityError::Kind);
        }
        Ok(Self { signer, key })
    }

    /// SHA-256 of its SubjectPublicKeyInfo.
    pub fn id(&self) -> Fingerprint {
        self.key.id()
    }
}

impl PublicKeyData for CaKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.key.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.key.algorithm()
    }
}

impl rcgen::SigningKey for CaKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.signer.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)?;
        der_from_fixed(&signature).ok_or(rcgen::Error::RemoteKeyError)
    }
}

/// A new root (DER), valid for [`ROOT_LIFE`]. `serial` is random.
pub fn make_root(
    suite: &dyn Suite,
    key: &CaKey<'_>,
    serial: [u8; 16],
    now: Timestamp,
) -> Result<Vec<u8>, AuthorityError> {
    let term = (now.minus(AUTHORITY_BACKDATED), now.plus(ROOT_LIFE));
    let mut params = authority_params("root", &key.key, serial, term);
    params.is_ca = depth(1);
    let der = params.self_signed(key).map_err(|error| AuthorityError::Making(error.to_string()))?.der().to_vec();
    Issuer::root(suite, &der).map_err(|fault| AuthorityError::Certificate { what: "root", fault })?;
    Ok(der)
}

/// A new issuing certificate (DER) for the key `issuing`, valid for [`ISSUING_LIFE`], under a root (DER) and by its key.
pub fn make_issuing(
    suite: &dyn Suite,
    root: &[u8],
    root_key: &CaKey<'_>,
    issuing: &SubjectKey,
    serial: [u8; 16],
    now: Timestamp,
) -> Result<Vec<u8>, AuthorityError> {
    let root = Issuer::root(suite, root).map_err(|fault| AuthorityError::Certificate { what: "root", fault })?;
    if root.id() != root_key.id() {
        return Err(AuthorityError::UnknownKey(root_key.id()));
    }
    let term = (now.minus(AUTHORITY_BACKDATED).max(root.not_before()), now.plus(ISSUING_LIFE));
    if term.1 > root.not_after() {
        return Err(AuthorityError::RootEnds(root.not_after()));
    }
    let mut params = authority_params("issuing", issuing, serial, term);
    params.is_ca = depth(0);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let issuer = issuer_params("root", &root_key.key);
    let der = signed(&params, issuing, &issuer, root_key)?;
    let opened = Opened::read(&der).and_then(|opened| Issuer::issuing(suite, &opened, &root));
    opened.map_err(|fault| AuthorityError::Certificate { what: "issuing", fault })?;
    Ok(der)
}

/// Whether the issuing key needs its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It does, now.
    Due,
    /// Not before then.
    NotBefore(Timestamp),
}

/// A root and the issuing certificates under it. Their keys are kept elsewhere.
#[derive(Clone)]
pub struct Authority {
    root: Issuer,
    issuing: Vec<Issuer>,
}

impl Authority {
    /// From certificates in DER that were kept; each is checked as a stranger would.
    pub fn load<C: AsRef<[u8]>>(suite: &dyn Suite, root: &[u8], issuing: &[C]) -> Result<Self, AuthorityError> {
        if issuing.len() > MOST_ISSUING {
            return Err(AuthorityError::TooMany(issuing.len()));
        }
        let root = Issuer::root(suite, root).map_err(|fault| AuthorityError::Certificate { what: "root", fault })?;
        let read = |der: &C| Issuer::issuing(suite, &Opened::read(der.as_ref())?, &root);
        let issuing = issuing.iter().map(read).collect::<Result<Vec<_>, _>>();
        let mut issuing = issuing.map_err(|fault| AuthorityError::Certificate { what: "issuing", fault })?;
        issuing.sort_by_key(|one| std::cmp::Reverse(one.not_after()));
        Ok(Self { root, issuing })
    }

    /// The root in DER.
    pub fn root(&self) -> &[u8] {
        self.root.der()
    }

    /// The root key's id.
    pub fn root_id(&self) -> Fingerprint {
        self.root.id()
    }

    /// Each issuing key's id with its certificate's end, the newest first.
    pub fn issuing(&self) -> impl Iterator<Item = (Fingerprint, Timestamp)> {
        self.issuing.iter().map(|one| (one.id(), one.not_after()))
    }

    /// The issuing certificates in DER, the newest first.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.issuing.iter().map(Issuer::der)
    }

    /// When the root ends.
    pub fn root_end(&self) -> Timestamp {
        self.root.not_after()
    }

    /// Whether the newest issuing certificate ends within [`OVERLAP`].
    pub fn rotation(&self, now: Timestamp) -> Rotation {
        match self.issuing.first().map(|newest| newest.not_after().minus(OVERLAP)) {
            Some(at) if now < at => Rotation::NotBefore(at),
            _ => Rotation::Due,
        }
    }

    /// The key that issues now: the newest in force whose certificate outlives what it issues.
    pub fn current(&self, life: Duration, now: Timestamp) -> Result<Fingerprint, AuthorityError> {
        let fits = |one: &&Issuer| one.not_before() <= begin(now) && end(now, life) <= one.not_after();
        self.issuing.iter().find(fits).map(Issuer::id).ok_or(AuthorityError::NoneInForce)
    }

    /// Issues a certificate for what was granted, built afresh: only the key and the address are copied. `serial` is random.
    pub fn issue(
        &self,
        suite: &dyn Suite,
        key: &CaKey<'_>,
        grant: &Grant,
        life: Duration,
        serial: [u8; 16],
        now: Timestamp,
    ) -> Result<Issued, AuthorityError> {
        let known = self.issuing.iter().find(|one| one.id() == key.id());
        let issuing = known.ok_or_else(|| AuthorityError::UnknownKey(key.id()))?;
        issue_leaf(suite, issuing, key, grant, life, serial, now)
    }
}

/// What was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// DER, the user's certificate first, then the issuing one.
    pub chain: Vec<Vec<u8>>,
    /// When it ends.
    pub not_after: Timestamp,
}

fn issue_leaf(
    suite: &dyn Suite,
    issuing: &Issuer,
    key: &CaKey<'_>,
    grant: &Grant,
    life: Duration,
    serial: [u8; 16],
    now: Timestamp,
) -> Result<Issued, AuthorityError> {
    let life = life.min(grant.longest_life());
    if !(SHORTEST_LIFE..=LONGEST_LIFE).contains(&life) {
        return Err(AuthorityError::Life(life));
    }
    if end(now, life) > issuing.not_after() {
        return Err(AuthorityError::IssuingEnds(issuing.not_after()));
    }
    let params = leaf_params(grant, serial, (begin(now), end(now, life)))?;
    let der = signed(&params, grant.key(), &issuer_params("issuing", &key.key), key)?;
    // What its own reader would refuse does not leave the house.
    let identity = check_leaf(suite, &der, issuing, now);
    let identity = identity.map_err(|fault| AuthorityError::Certificate { what: "issued", fault })?;
    check_same(&identity, grant)?;
    Ok(Issued { chain: vec![der, issuing.der().to_vec()], not_after: identity.not_after() })
}

fn check_same(identity: &Identity, grant: &Grant) -> Result<(), AuthorityError> {
    if identity.key() == grant.key() && identity.mailbox() == grant.mailbox() {
        return Ok(());
    }
    Err(AuthorityError::Making("it would name another key or address than was granted".into()))
}

fn begin(now: Timestamp) -> Timestamp {
    whole_seconds(now.minus(BACKDATED))
}

fn end(now: Timestamp, life: Duration) -> Timestamp {
    begin(now).plus(life)
}

fn leaf_params(
    grant: &Grant,
    serial: [u8; 16],
    term: (Timestamp, Timestamp),
) -> Result<CertificateParams, AuthorityError> {
    let address = grant.mailbox().as_str().try_into();
    let address = address.map_err(|error: rcgen::Error| AuthorityError::Making(error.to_string()))?;
    let mut params = base_params(grant.key(), serial, term);
    // rcgen marks it critical where the Subject is empty (RFC 5280 section 4.2.1.6).
    params.subject_alt_names = vec![SanType::Rfc822Name(address)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn authority_params(role: &str, key: &SubjectKey, serial: [u8; 16], term: (Timestamp, Timestamp)) -> CertificateParams {
    let mut params = base_params(key, serial, term);
    params.distinguished_name = name(role, key);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// What rcgen must know of an issuer: its name, its key identifier and that it may sign.
fn issuer_params(role: &str, key: &SubjectKey) -> CertificateParams {
    authority_params(role, key, [1; 16], (Timestamp::default(), Timestamp::default()))
}

fn base_params(key: &SubjectKey, serial: [u8; 16], (from, to): (Timestamp, Timestamp)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(&positive(serial)));
    params.key_identifier_method = key_identifier(key);
    params.not_before = moment(from);
    params.not_after = moment(to);
    params
}

fn signed(
    params: &CertificateParams,
    key: &SubjectKey,
    issuer: &CertificateParams,
    issuer_key: &CaKey<'_>,
) -> Result<Vec<u8>, AuthorityError> {
    let issuer = rcgen::Issuer::from_params(issuer, issuer_key);
    let certificate = params.signed_by(key, &issuer).map_err(|error| AuthorityError::Making(error.to_string()))?;
    Ok(certificate.der().to_vec())
}

/// Every key has a name of its own, so a chain has one way to be built.
fn name(role: &str, key: &SubjectKey) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    let id = key.id().to_string();
    name.push(DnType::CommonName, format!("Parallax janus {role} {}", id.get(..16).unwrap_or_default()));
    name
}

/// RFC 7093 section 2, method 1: the leftmost 160 bits, here of the whole SubjectPublicKeyInfo's SHA-256.
fn key_identifier(key: &SubjectKey) -> KeyIdMethod {
    KeyIdMethod::PreSpecified(key.id().as_bytes().iter().copied().take(20).collect())
}

/// RFC 5280 section 4.1.2.2: positive; and never shorter than 16 bytes.
fn positive(mut serial: [u8; 16]) -> [u8; 16] {
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    serial
}

fn depth(depth: u8) -> IsCa {
    IsCa::Ca(BasicConstraints::Constrained(depth))
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_unix_secs(at.unix_secs())
}

fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.unix_secs()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
