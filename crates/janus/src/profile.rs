//! What stands in the certificates of janus, as its own reader sees it.

use x509_cert::certificate::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, OctetString};
use x509_cert::der::flagset::FlagSet;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};

use crate::chain::Fault;
use crate::der;
use crate::mailbox::{BadMailbox, Mailbox};

pub(crate) const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const AUTHORITY_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// Why a subjectAltName is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNames {
    /// There is none.
    #[error("subjectAltName is missing; it must name one address (rfc822Name)")]
    Missing,
    /// There are two.
    #[error("subjectAltName is there more than once")]
    Twice,
    /// It can't be read.
    #[error("subjectAltName can't be read, or has characters that an address has not")]
    Unreadable,
    /// Not exactly one name.
    #[error("subjectAltName has {0} names; one address (rfc822Name) is right")]
    Count(usize),
    /// A name of another kind.
    #[error("subjectAltName names a {0}; one address (rfc822Name) is right")]
    Kind(&'static str),
}

/// The one address in a subjectAltName.
pub(crate) fn the_mailbox(value: &[u8]) -> Result<Result<Mailbox, BadMailbox>, BadNames> {
    let names: SubjectAltName = der::read(value).map_err(|_| BadNames::Unreadable)?;
    match names.0.as_slice() {
        [GeneralName::Rfc822Name(address)] => Ok(address.as_str().parse()),
        [other] => Err(BadNames::Kind(kind(other))),
        names => Err(BadNames::Count(names.len())),
    }
}

fn kind(name: &GeneralName) -> &'static str {
    match name {
        GeneralName::OtherName(_) => "name of a kind of its own (otherName)",
        GeneralName::Rfc822Name(_) => "mailbox",
        GeneralName::DnsName(_) => "host (dNSName)",
        GeneralName::DirectoryName(_) => "directory entry (directoryName)",
        GeneralName::EdiPartyName(_) => "party (ediPartyName)",
        GeneralName::UniformResourceIdentifier(_) => "URI",
        GeneralName::IpAddress(_) => "IP address",
        GeneralName::RegisteredId(_) => "registered object (registeredID)",
    }
}

/// The extensions of a certificate, each at most once and none but these.
#[derive(Default)]
pub(crate) struct Extensions {
    names: Option<(bool, Vec<u8>)>,
    key_usage: Option<(bool, FlagSet<KeyUsages>)>,
    purposes: Option<Vec<ObjectIdentifier>>,
    constraints: Option<(bool, BasicConstraints)>,
    own_key: Option<Vec<u8>>,
    issuers_key: Option<Vec<u8>>,
}

impl Extensions {
    pub(crate) fn read(certificate: &Certificate) -> Result<Self, Fault> {
        let mut read = Self::default();
        let mut met = Vec::new();
        for extension in certificate.tbs_certificate().extensions().into_iter().flatten() {
            if met.contains(&extension.extn_id) {
                return Err(Fault::ExtensionTwice(extension.extn_id.to_string()));
            }
            met.push(extension.extn_id);
            read.take(extension.extn_id, extension.critical, extension.extn_value.as_bytes())?;
        }
        Ok(read)
    }

    fn take(&mut self, id: ObjectIdentifier, critical: bool, value: &[u8]) -> Result<(), Fault> {
        let unreadable = |_| Fault::Extension(id.to_string());
        match id {
            SUBJECT_ALT_NAME => self.names = Some((critical, value.to_vec())),
            KEY_USAGE => self.key_usage = Some((critical, der::read::<KeyUsage>(value).map_err(unreadable)?.0)),
            EXTENDED_KEY_USAGE => {
                self.purposes = Some(der::read::<ExtendedKeyUsage>(value).map_err(unreadable)?.0);
            }
            BASIC_CONSTRAINTS => self.constraints = Some((critical, der::read(value).map_err(unreadable)?)),
            SUBJECT_KEY_ID => {
                self.own_key = Some(octets(der::read::<SubjectKeyIdentifier>(value).map_err(unreadable)?.0));
            }
            AUTHORITY_KEY_ID => {
                let read: AuthorityKeyIdentifier = der::read(value).map_err(unreadable)?;
                self.issuers_key = read.key_identifier.map(octets);
            }
            _ => return Err(Fault::Extension(id.to_string())),
        }
        Ok(())
    }

    /// A user's: what it names, and that it can do nothing but authenticate a client.
    pub(crate) fn check_leaf(&self, issuers_key: &[u8]) -> Result<Mailbox, Fault> {
        self.check_key_usage(KeyUsages::DigitalSignature)?;
        self.check_purpose()?;
        if self.constraints.as_ref().is_some_and(|(_, constraints)| constraints.ca) {
            return Err(Fault::Constraints);
        }
        self.check_issuers_key(issuers_key)?;
        let (critical, names) = self.names.as_ref().ok_or(Fault::Names(BadNames::Missing))?;
        if !critical {
            return Err(Fault::NamesNotCritical);
        }
        Ok(the_mailbox(names)??)
    }

    /// An issuing certificate: it may issue for clients, and make no other authority.
    pub(crate) fn check_issuing(&self, issuers_key: &[u8]) -> Result<(), Fault> {
        self.check_authority(0)?;
        self.check_purpose()?;
        self.check_issuers_key(issuers_key)
    }

    /// A root.
    pub(crate) fn check_root(&self) -> Result<(), Fault> {
        self.check_authority(1)
    }

    /// The key identifier of an authority.
    pub(crate) fn own_key(&self) -> &[u8] {
        self.own_key.as_deref().unwrap_or_default()
    }

    fn check_authority(&self, depth: u8) -> Result<(), Fault> {
        self.check_key_usage(KeyUsages::KeyCertSign)?;
        let right = BasicConstraints { ca: true, path_len_constraint: Some(depth) };
        if self.constraints != Some((true, right)) {
            return Err(Fault::Constraints);
        }
        if self.own_key().is_empty() {
            return Err(Fault::KeyIdentifier);
        }
        if self.names.is_some() { Err(Fault::Extension(SUBJECT_ALT_NAME.to_string())) } else { Ok(()) }
    }

    fn check_key_usage(&self, one: KeyUsages) -> Result<(), Fault> {
        if self.key_usage == Some((true, FlagSet::from(one))) { Ok(()) } else { Err(Fault::KeyUsage) }
    }

    fn check_purpose(&self) -> Result<(), Fault> {
        if self.purposes.as_deref() == Some(&[CLIENT_AUTH]) { Ok(()) } else { Err(Fault::Purpose) }
    }

    fn check_issuers_key(&self, issuers_key: &[u8]) -> Result<(), Fault> {
        if self.issuers_key.as_deref() == Some(issuers_key) { Ok(()) } else { Err(Fault::KeyIdentifier) }
    }
}

fn octets(string: OctetString) -> Vec<u8> {
    string.as_bytes().to_vec()
}
