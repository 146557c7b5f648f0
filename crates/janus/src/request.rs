//! A certificate signing request (PKCS #10, RFC 2986), and all that must hold before it is one here.

use parallax_core::{Fingerprint, Suite};
use x509_cert::attr::Attribute;
use x509_cert::der::Encode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::request::CertReq;

use crate::der::{self, NotRead};
use crate::key::{BadKey, SubjectKey};
use crate::mailbox::{BadMailbox, Mailbox};
use crate::profile::{BadNames, SUBJECT_ALT_NAME, the_mailbox};

/// The largest request: an RSA key of 4096 bits, its signature and an address take 1.4 KiB.
pub const LARGEST_REQUEST: usize = 8 * 1024;

/// RFC 2985 section 5.4.2.
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");

/// Why a request is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Too large; it was not read.
    #[error("the request has {0} bytes; 8192 are the most")]
    TooLarge(usize),
    /// No PKCS #10.
    #[error("the request is not PKCS #10 in DER (RFC 2986, version 1)")]
    Unreadable,
    /// Written in another way than DER has it.
    #[error("the request is not strict DER; what reads it must write the same bytes again")]
    NotCanonical,
    /// It names a subject.
    #[error("the request has a Subject; leave it empty, the address stands in the subjectAltName alone")]
    Subject,
    /// Attributes other than the one.
    #[error("the request has the attribute {0}; only an extension request with a subjectAltName is taken")]
    Attribute(String),
    /// The extension request is there twice, or with more or less than one value.
    #[error("the request must have one extension request with one value (RFC 2985 section 5.4.2)")]
    ExtensionRequest,
    /// It asks for another extension.
    #[error("the request asks for the extension {0}; only a subjectAltName is taken")]
    Extension(String),
    /// What stands in the subjectAltName.
    #[error("the request's {0}")]
    Names(#[from] BadNames),
    /// The address.
    #[error("the request's address is not taken: {0}")]
    Mailbox(#[from] BadMailbox),
    /// The key.
    #[error(transparent)]
    Key(#[from] BadKey),
    /// Signed in a way that is not the key's.
    #[error("the request is signed with the algorithm {found}; for its key it must be {expected}")]
    Algorithm {
        /// The right one.
        expected: &'static str,
        /// An object identifier.
        found: String,
    },
    /// The signature does not hold.
    #[error("the request's signature is not that of its own key")]
    Signature,
}

/// A request that was checked: one mailbox, and a key whose owner wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    mailbox: Mailbox,
    key: SubjectKey,
    hash: Fingerprint,
}

impl Request {
    /// Checks a request in DER.
    pub fn parse(suite: &dyn Suite, der: &[u8]) -> Result<Self, BadRequest> {
        // Before anything is read: a megabyte of attributes costs nobody a thing.
        if der.len() > LARGEST_REQUEST {
            return Err(BadRequest::TooLarge(der.len()));
        }
        let request: CertReq = der::read(der).map_err(|why| match why {
            NotRead::Unreadable => BadRequest::Unreadable,
            NotRead::NotCanonical => BadRequest::NotCanonical,
        })?;
        if !request.info.subject.is_empty() {
            return Err(BadRequest::Subject);
        }
        let mailbox = mailbox_asked_for(request.info.attributes.iter().collect())?;
        let key = SubjectKey::of(suite, &request.info.public_key)?;
        check_signature(suite, &request, &key)?;
        Ok(Self { mailbox, key, hash: Fingerprint::from_bytes(suite.sha256(der)) })
    }

    /// Whom the certificate is asked for.
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// The key that asks.
    pub fn key(&self) -> &SubjectKey {
        &self.key
    }

    /// SHA-256 of the request as it came: what the answer to an order signs.
    pub fn hash(&self) -> Fingerprint {
        self.hash
    }
}

fn mailbox_asked_for(attributes: Vec<&Attribute>) -> Result<Mailbox, BadRequest> {
    if let Some(other) = attributes.iter().find(|attribute| attribute.oid != EXTENSION_REQUEST) {
        return Err(BadRequest::Attribute(other.oid.to_string()));
    }
    let attribute = match attributes.as_slice() {
        [] => return Err(BadNames::Missing.into()),
        [attribute] if attribute.values.len() == 1 => attribute,
        _ => return Err(BadRequest::ExtensionRequest),
    };
    let value = attribute.values.iter().next().ok_or(BadRequest::ExtensionRequest)?;
    let value = value.to_der().map_err(|_| BadRequest::Unreadable)?;
    let extensions: Vec<Extension> = der::read(&value).map_err(|_| BadRequest::ExtensionRequest)?;
    if let Some(other) = extensions.iter().find(|extension| extension.extn_id != SUBJECT_ALT_NAME) {
        return Err(BadRequest::Extension(other.extn_id.to_string()));
    }
    match extensions.as_slice() {
        [] => Err(BadNames::Missing.into()),
        [names] => Ok(the_mailbox(names.extn_value.as_bytes())??),
        _ => Err(BadNames::Twice.into()),
    }
}

fn check_signature(suite: &dyn Suite, request: &CertReq, key: &SubjectKey) -> Result<(), BadRequest> {
    if !key.signs_with(&request.algorithm) {
        let found = request.algorithm.oid.to_string();
        return Err(BadRequest::Algorithm { expected: key.signature_algorithm(), found });
    }
    let message = request.info.to_der().map_err(|_| BadRequest::Unreadable)?;
    let signature = request.signature.as_bytes().ok_or(BadRequest::Signature)?;
    if key.verify_x509(suite, &message, signature) { Ok(()) } else { Err(BadRequest::Signature) }
}
