//! DER, and what is not quite DER, byte by byte.

use x509_cert::der::Encode as _;
use x509_cert::der::asn1::ObjectIdentifier;

use super::keys::Key;

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=127 => out.push(short as u8),
        long @ 128..=255 => out.extend([0x81, long as u8]),
        long @ 256..=65_535 => out.extend([0x82, (long >> 8) as u8, long as u8]),
        long => out.extend([0x83, (long >> 16) as u8, (long >> 8) as u8, long as u8]),
    }
    out.extend(content);
    out
}

pub(crate) fn seq(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub(crate) fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

pub(crate) fn oid(text: &str) -> Vec<u8> {
    ObjectIdentifier::new_unwrap(text).to_der().unwrap()
}

pub(crate) fn int(bytes: &[u8]) -> Vec<u8> {
    tlv(2, bytes)
}

pub(crate) fn bits(content: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], content].concat())
}

pub(crate) fn octets(content: &[u8]) -> Vec<u8> {
    tlv(4, content)
}

pub(crate) fn null() -> Vec<u8> {
    vec![5, 0]
}

pub(crate) fn yes() -> Vec<u8> {
    vec![1, 1, 0xff]
}

/// A name with one attribute in UTF-8.
pub(crate) fn name(kind: &str, value: &str) -> Vec<u8> {
    seq(&[set(&[seq(&[oid(kind), tlv(0x0c, value.as_bytes())])])])
}

pub(crate) const SAN: &str = "2.5.29.17";
pub(crate) const COMMON_NAME: &str = "2.5.4.3";
pub(crate) const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";

pub(crate) fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { yes() } else { Vec::new() };
    seq(&[oid(id), critical, octets(value)])
}

pub(crate) fn rfc822(address: &[u8]) -> Vec<u8> {
    tlv(0x81, address)
}

/// A subjectAltName with these names.
pub(crate) fn san(names: &[Vec<u8>]) -> Vec<u8> {
    extension(SAN, false, &seq(names))
}

pub(crate) fn attribute(id: &str, values: &[Vec<u8>]) -> Vec<u8> {
    seq(&[oid(id), set(values)])
}

/// A PKCS #10 request in its parts, each of them DER.
#[derive(Clone)]
pub(crate) struct Csr {
    pub(crate) version: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    /// With its tag.
    pub(crate) attributes: Vec<u8>,
    pub(crate) algorithm: Vec<u8>,
}

impl Csr {
    /// As it should be.
    pub(crate) fn of(key: &Key, address: &str) -> Self {
        Self {
            version: int(&[0]),
            subject: seq(&[]),
            spki: key.spki(),
            attributes: Self::asking_for(&[san(&[rfc822(address.as_bytes())])]),
            algorithm: key.algorithm(),
        }
    }

    pub(crate) fn asking_for(extensions: &[Vec<u8>]) -> Vec<u8> {
        Self::attributes(&[attribute(EXTENSION_REQUEST, &[seq(extensions)])])
    }

    pub(crate) fn attributes(attributes: &[Vec<u8>]) -> Vec<u8> {
        tlv(0xa0, &attributes.concat())
    }

    pub(crate) fn info(&self) -> Vec<u8> {
        seq(&[self.version.clone(), self.subject.clone(), self.spki.clone(), self.attributes.clone()])
    }

    pub(crate) fn write(&self, key: &Key) -> Vec<u8> {
        self.with_signature(&bits(&key.sign_as_x509_does(&self.info())))
    }

    pub(crate) fn with_signature(&self, signature: &[u8]) -> Vec<u8> {
        seq(&[self.info(), self.algorithm.clone(), signature.to_vec()])
    }
}

/// A certificate in its parts.
#[derive(Clone)]
pub(crate) struct Cert {
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) inner_algorithm: Vec<u8>,
    pub(crate) algorithm: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    /// UTCTime, YYMMDDHHMMSSZ.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    pub(crate) unique_id: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Cert {
    pub(crate) fn content(&self) -> Vec<u8> {
        let validity = seq(&[tlv(0x17, self.from.as_bytes()), tlv(0x17, self.to.as_bytes())]);
        seq(&[
            self.version.clone(),
            self.serial.clone(),
            self.inner_algorithm.clone(),
            self.issuer.clone(),
            validity,
            self.subject.clone(),
            self.spki.clone(),
            self.unique_id.clone(),
            tlv(0xa3, &seq(&self.extensions)),
        ])
    }

    pub(crate) fn write(&self, key: &Key) -> Vec<u8> {
        let signature = key.sign_as_x509_does(&self.content());
        seq(&[self.content(), self.algorithm.clone(), bits(&signature)])
    }
}
