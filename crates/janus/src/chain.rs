//! What whoever relies on a certificate checks: all of it again, without asking who sent it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Fingerprint, Suite, Timestamp};
use x509_cert::certificate::{Certificate, Version};
use x509_cert::der::Encode as _;
use x509_cert::name::Name;
use x509_cert::time::Time;

use crate::authority::{LONGEST_LIFE, SHORTEST_LIFE};
use crate::denied::{Denied, NoDenyList};
use crate::der::{self, NotRead};
use crate::key::{BadKey, ECDSA_SHA256, KeyKind, SubjectKey};
use crate::mailbox::{BadMailbox, Mailbox};
use crate::profile::{BadNames, Extensions};

/// The most certificates in a chain: the user's, the issuing one, and the root if it is sent along.
pub const LONGEST_CHAIN: usize = 3;

/// The largest certificate: one with an RSA key of 4096 bits has 1.1 KiB.
const LARGEST: usize = 4 * 1024;

/// The most roots that are believed at once: one, and its successor.
const MOST_ROOTS: usize = 4;

/// Which certificate of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The user's.
    Leaf,
    /// The issuing one.
    Issuing,
    /// The root.
    Root,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Leaf => "the client's certificate",
            Place::Issuing => "the issuing certificate",
            Place::Root => "the root certificate",
        })
    }
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Too large; it was not read.
    #[error("has {0} bytes; 4096 are the most")]
    TooLarge(usize),
    /// No X.509.
    #[error("is not X.509 in DER")]
    Unreadable,
    /// Written in another way than DER has it.
    #[error("is not strict DER")]
    NotCanonical,
    /// Not version 3, or with unique identifiers.
    #[error("is not an X.509 version 3 certificate without unique identifiers")]
    Version,
    /// RFC 5280 section 4.1.2.2.
    #[error("has a serial number that is not positive, or longer than 20 bytes")]
    Serial,
    /// Signed in another way.
    #[error("is not signed with ecdsa-with-SHA256")]
    Algorithm,
    /// Another issuer.
    #[error("was not issued by the authority above it")]
    Issuer,
    /// The signature does not hold.
    #[error("is not signed by the key above it")]
    Signature,
    /// Not valid now.
    #[error("is valid from {from} to {to}; it is {now} now")]
    NotCurrent {
        /// Its begin.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// Too short or too long a life.
    #[error("lives for {} h; 24 h to 7 days are right", .0.as_secs() / 3600)]
    Life(Duration),
    /// It outlives what issued it.
    #[error("outlives the certificate that issued it")]
    Outlives,
    /// A subject where there must be none, or none where there must be one.
    #[error("has a Subject where there must be none, or none where there must be one")]
    Subject,
    /// What stands in its subjectAltName.
    #[error("is not right: its {0}")]
    Names(#[from] BadNames),
    /// RFC 5280 section 4.2.1.6.
    #[error("has a subjectAltName that is not critical, though the Subject is empty")]
    NamesNotCritical,
    /// The address.
    #[error("names an address that is not taken: {0}")]
    Mailbox(#[from] BadMailbox),
    /// The key usage.
    #[error("has another key usage than its place demands")]
    KeyUsage,
    /// The extended key usage.
    #[error("is not for client authentication alone")]
    Purpose,
    /// The basic constraints.
    #[error("has other basic constraints than its place demands")]
    Constraints,
    /// The key identifiers.
    #[error("lacks a key identifier, or has another than the key above it")]
    KeyIdentifier,
    /// An extension that does not belong there, or can't be read.
    #[error("has the extension {0}, which does not belong there or can't be read")]
    Extension(String),
    /// One extension more than once.
    #[error("has the extension {0} more than once")]
    ExtensionTwice(String),
    /// The key.
    #[error("has a key that is not taken: {0}")]
    Key(#[from] BadKey),
    /// The key is on the deny list.
    #[error("holds a key that is on the deny list")]
    Denied,
}

/// Why a chain proves nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChain {
    /// One of its certificates.
    #[error("{place} {fault}")]
    Certificate {
        /// Which.
        place: Place,
        /// What is wrong.
        fault: Fault,
    },
    /// Too few or too many.
    #[error("the chain has {0} certificates; it must be the client's and the issuing one, and may end in the root")]
    Length(usize),
    /// Its end is not the root that is believed.
    #[error("the chain does not lead to a root that is believed here")]
    Root,
    /// Too few or too many roots were given.
    #[error("{0} roots were given; 1 to 4 can be believed at once")]
    Roots(usize),
    /// There is no valid deny list, and without one no certificate counts.
    #[error(transparent)]
    NoDenyList(#[from] NoDenyList),
}

/// On whose behalf a client acts. Only [`Judge::judge`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    mailbox: Mailbox,
    key: SubjectKey,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Identity {
    /// The one address in the certificate.
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// The key of the certificate. That the client holds it is proved by the handshake or the signature it came with.
    pub fn key(&self) -> &SubjectKey {
        &self.key
    }

    /// When the certificate began.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// When the certificate ends, and with it whatever was opened with it.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

/// Judges chains by the roots it believes.
#[derive(Clone)]
pub struct Judge {
    suite: Arc<dyn Suite>,
    roots: Vec<Issuer>,
}

impl Judge {
    /// A judge that believes these roots (DER): one, and its successor while they change.
    pub fn new<R: AsRef<[u8]>>(suite: Arc<dyn Suite>, roots: &[R]) -> Result<Self, BadChain> {
        if !(1..=MOST_ROOTS).contains(&roots.len()) {
            return Err(BadChain::Roots(roots.len()));
        }
        let at = |fault| BadChain::Certificate { place: Place::Root, fault };
        let roots = roots.iter().map(|root| Issuer::root(&*suite, root.as_ref())).collect::<Result<_, _>>();
        Ok(Self { roots: roots.map_err(at)?, suite })
    }

    /// Judges a chain, leaf first: root, time, purpose, no Subject, one address, and no key of it denied.
    pub fn judge<C: AsRef<[u8]>>(&self, chain: &[C], denied: &Denied, now: Timestamp) -> Result<Identity, BadChain> {
        if !(2..=LONGEST_CHAIN).contains(&chain.len()) {
            return Err(BadChain::Length(chain.len()));
        }
        let [leaf, issuing, rest @ ..] = chain else { return Err(BadChain::Length(chain.len())) };
        denied.check_current(now)?;
        let suite = &*self.suite;
        let at = |place| move |fault| BadChain::Certificate { place, fault };
        let issuing = Opened::read(issuing.as_ref()).map_err(at(Place::Issuing))?;
        let root = self.root_of(&issuing, rest.first().map(AsRef::as_ref))?;
        root.check_time(now).map_err(at(Place::Root))?;
        let issuing = Issuer::issuing(suite, &issuing, root).map_err(at(Place::Issuing))?;
        issuing.check_time(now).map_err(at(Place::Issuing))?;
        let identity = check_leaf(suite, leaf.as_ref(), &issuing, now).map_err(at(Place::Leaf))?;
        for (place, key) in [(Place::Root, root.id()), (Place::Issuing, issuing.id()), (Place::Leaf, identity.key.id())]
        {
            denied.check(&key).map_err(|()| at(place)(Fault::Denied))?;
        }
        Ok(identity)
    }

    fn root_of(&self, issuing: &Opened, sent: Option<&[u8]>) -> Result<&Issuer, BadChain> {
        let issuer = issuing.certificate.tbs_certificate().issuer();
        let root = self.roots.iter().find(|root| root.subject == *issuer).ok_or(BadChain::Root)?;
        if sent.is_some_and(|sent| sent != root.der) { Err(BadChain::Root) } else { Ok(root) }
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.roots.iter().map(Issuer::id)).finish()
    }
}

/// A certificate that was read and may be anything.
pub(crate) struct Opened {
    certificate: Certificate,
    der: Vec<u8>,
    from: Timestamp,
    to: Timestamp,
}

impl Opened {
    pub(crate) fn read(der: &[u8]) -> Result<Self, Fault> {
        if der.len() > LARGEST {
            return Err(Fault::TooLarge(der.len()));
        }
        let certificate: Certificate = der::read(der).map_err(|why| match why {
            NotRead::Unreadable => Fault::Unreadable,
            NotRead::NotCanonical => Fault::NotCanonical,
        })?;
        let content = certificate.tbs_certificate();
        let unique = content.issuer_unique_id().is_some() || content.subject_unique_id().is_some();
        if content.version() != Version::V3 || unique {
            return Err(Fault::Version);
        }
        let serial = content.serial_number().as_bytes();
        if serial.len() > 20 || serial.first().is_none_or(|byte| *byte >= 0x80) || serial.iter().all(|byte| *byte == 0)
        {
            return Err(Fault::Serial);
        }
        let ecdsa = |id: &x509_cert::spki::AlgorithmIdentifierOwned| id.oid == ECDSA_SHA256 && id.parameters.is_none();
        if !ecdsa(content.signature()) || !ecdsa(certificate.signature_algorithm()) {
            return Err(Fault::Algorithm);
        }
        let validity = content.validity();
        let [from, to] = [&validity.not_before, &validity.not_after].map(moment);
        Ok(Self { der: der.to_vec(), from, to, certificate })
    }

    fn check_issued_by(&self, suite: &dyn Suite, name: &Name, key: &SubjectKey) -> Result<(), Fault> {
        let content = self.certificate.tbs_certificate();
        if content.issuer() != name {
            return Err(Fault::Issuer);
        }
        let message = content.to_der().map_err(|_| Fault::Unreadable)?;
        let signature = self.certificate.signature().as_bytes().ok_or(Fault::Signature)?;
        if key.verify_x509(suite, &message, signature) { Ok(()) } else { Err(Fault::Signature) }
    }

    fn key(&self, suite: &dyn Suite) -> Result<SubjectKey, Fault> {
        Ok(SubjectKey::of(suite, self.certificate.tbs_certificate().subject_public_key_info())?)
    }
}

/// A certificate that may issue: a root, or one under it.
#[derive(Clone)]
pub(crate) struct Issuer {
    der: Vec<u8>,
    subject: Name,
    key: SubjectKey,
    key_identifier: Vec<u8>,
    from: Timestamp,
    to: Timestamp,
}

impl Issuer {
    pub(crate) fn root(suite: &dyn Suite, der: &[u8]) -> Result<Self, Fault> {
        let opened = Opened::read(der)?;
        let extensions = Extensions::read(&opened.certificate)?;
        extensions.check_root()?;
        let authority = Self::of(suite, &opened, &extensions)?;
        opened.check_issued_by(suite, &authority.subject, &authority.key)?;
        Ok(authority)
    }

    pub(crate) fn issuing(suite: &dyn Suite, opened: &Opened, root: &Issuer) -> Result<Self, Fault> {
        let extensions = Extensions::read(&opened.certificate)?;
        extensions.check_issuing(&root.key_identifier)?;
        let authority = Self::of(suite, opened, &extensions)?;
        opened.check_issued_by(suite, &root.subject, &root.key)?;
        if opened.to > root.to { Err(Fault::Outlives) } else { Ok(authority) }
    }

    fn of(suite: &dyn Suite, opened: &Opened, extensions: &Extensions) -> Result<Self, Fault> {
        let subject = opened.certificate.tbs_certificate().subject().clone();
        if subject.is_empty() {
            return Err(Fault::Subject);
        }
        let key = opened.key(suite)?;
        if key.kind() != KeyKind::P256 {
            return Err(Fault::Algorithm);
        }
        let key_identifier = extensions.own_key().to_vec();
        Ok(Self { der: opened.der.clone(), subject, key, key_identifier, from: opened.from, to: opened.to })
    }

    pub(crate) fn id(&self) -> Fingerprint {
        self.key.id()
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn not_before(&self) -> Timestamp {
        self.from
    }

    pub(crate) fn not_after(&self) -> Timestamp {
        self.to
    }

    fn check_time(&self, now: Timestamp) -> Result<(), Fault> {
        check_time(self.from, self.to, now)
    }
}

pub(crate) fn check_leaf(suite: &dyn Suite, der: &[u8], issuing: &Issuer, now: Timestamp) -> Result<Identity, Fault> {
    let opened = Opened::read(der)?;
    let extensions = Extensions::read(&opened.certificate)?;
    opened.check_issued_by(suite, &issuing.subject, &issuing.key)?;
    if !opened.certificate.tbs_certificate().subject().is_empty() {
        return Err(Fault::Subject);
    }
    let mailbox = extensions.check_leaf(&issuing.key_identifier)?;
    let life = opened.to.since(opened.from);
    if !(SHORTEST_LIFE..=LONGEST_LIFE).contains(&life) {
        return Err(Fault::Life(life));
    }
    check_time(opened.from, opened.to, now)?;
    if opened.to > issuing.to || opened.from < issuing.from {
        return Err(Fault::Outlives);
    }
    Ok(Identity { mailbox, key: opened.key(suite)?, not_before: opened.from, not_after: opened.to })
}

fn check_time(from: Timestamp, to: Timestamp, now: Timestamp) -> Result<(), Fault> {
    if (from..=to).contains(&now) { Ok(()) } else { Err(Fault::NotCurrent { from, to, now }) }
}

fn moment(time: &Time) -> Timestamp {
    Timestamp::from_unix_secs(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
}
