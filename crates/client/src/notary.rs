//! An old Perspectives notary as a vantage point (`docs/protocols/perspectives-client.md`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use md5::{Digest as _, Md5};
use parallax_core::{BadService, Host, Scheme, ServiceId, VantageId};
use parallax_proto::{LARGEST_REPLY, LegacyKind, NotaryReply, Verified};
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, RsaPublicKey};

use crate::clock::now;
use crate::http::plain_get;
use crate::vantage::{Deadline, Missing};

/// How long a notary that began to look is given before it is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Bits of the only moduli that old clients can verify: their signatures have 172 bytes.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 1369..=1376;

/// Bytes of the longest PEM that is read as a key.
const LONGEST_PEM: usize = 16 * 1024;

/// Where an old notary answers, over plain HTTP: `host:port`, port 8080 where none is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotaryAddress {
    host: Host,
    port: u16,
}

const DEFAULT_PORT: u16 = 8080;

impl fmt::Display for NotaryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for NotaryAddress {
    type Err = BadService;

    fn from_str(text: &str) -> Result<Self, BadService> {
        if text.contains(['/', '?', '#', ',']) {
            return Err(BadService::Extra(text.chars().take(60).flat_map(char::escape_debug).collect()));
        }
        // Host and port follow the rules of a service; only the default port is another.
        let service: ServiceId = format!("{}://{text}", Scheme::Tls.as_str()).parse()?;
        let has_port = text.rsplit_once(':').is_some_and(|(front, _)| !front.contains(':') || front.ends_with(']'));
        Ok(Self { host: service.host().clone(), port: if has_port { service.port() } else { DEFAULT_PORT } })
    }
}

/// The RSA key of an old notary: it verifies replies, and its SHA-256 is the notary's vantage id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotaryKey {
    key: RsaPublicKey,
    id: VantageId,
}

/// Why a text is no notary's key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNotaryKey {
    /// It is no RSA public key.
    #[error("it is not an RSA public key in PEM (BEGIN PUBLIC KEY or BEGIN RSA PUBLIC KEY)")]
    NotPem,
    /// Its signatures have another length than those of a notary.
    #[error("its modulus has {0} bits; a notary's has 1369 to 1376")]
    Bits(usize),
}

impl NotaryKey {
    /// From a public key in PEM (RFC 7468), as `SubjectPublicKeyInfo` or PKCS#1.
    pub fn from_pem(pem: &str) -> Result<Self, BadNotaryKey> {
        let pem = Some(pem.trim()).filter(|pem| pem.len() <= LONGEST_PEM).ok_or(BadNotaryKey::NotPem)?;
        let key = RsaPublicKey::from_public_key_pem(pem)
            .or_else(|_| RsaPublicKey::from_pkcs1_pem(pem))
            .map_err(|_| BadNotaryKey::NotPem)?;
        let bits = key.n().bits();
        if !MODULUS_BITS.contains(&bits) {
            return Err(BadNotaryKey::Bits(bits));
        }
        let der = key.to_public_key_der().map_err(|_| BadNotaryKey::NotPem)?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der.as_bytes());
        let id = digest.as_ref().try_into().map_err(|_| BadNotaryKey::NotPem)?;
        Ok(Self { key, id: VantageId::from_bytes(id) })
    }

    /// In PEM, as `SubjectPublicKeyInfo`.
    pub fn to_pem(&self) -> String {
        // A key that was read is written again; the one error there is concerns keys of other kinds.
        self.key.to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    /// The notary's identity: SHA-256 of the SubjectPublicKeyInfo.
    pub fn id(&self) -> VantageId {
        self.id
    }

    fn is_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify(Pkcs1v15Sign::new::<Md5>(), &Md5::digest(message), signature).is_ok()
    }
}

/// An old notary behind its key.
#[derive(Clone, Debug)]
pub struct OldNotary {
    address: NotaryAddress,
    key: NotaryKey,
}

impl OldNotary {
    /// The notary at this address, with this key.
    pub fn new(address: NotaryAddress, key: NotaryKey) -> Self {
        Self { address, key }
    }

    /// Its identity.
    pub fn id(&self) -> VantageId {
        self.key.id
    }

    /// Where it answers.
    pub fn address(&self) -> &NotaryAddress {
        &self.address
    }

    /// Its key.
    pub fn key(&self) -> &NotaryKey {
        &self.key
    }

    /// What it has seen. One that knows nothing yet begins to look, and is asked again while there is time.
    pub async fn ask(&self, service: &ServiceId, deadline: Deadline) -> Result<Verified<NotaryReply>, Missing> {
        if service.scheme() != Scheme::Tls {
            return Err(Missing::NotForNotaries);
        }
        // An address goes without brackets: names and addresses alike are signed as they were asked for.
        let host = service.host().address().map_or_else(|| service.host().to_string(), |address| address.to_string());
        let port = service.port();
        let kind = LegacyKind::Ssl.number();
        let path = format!("/?host={host}&port={port}&service_type={kind}");
        loop {
            let at = (&self.address.host, self.address.port);
            match plain_get(at, &path, LARGEST_REPLY, deadline).await? {
                (200, body) => {
                    let signed = |message: &[u8], signature: &[u8]| self.key.is_signature(message, signature);
                    return Ok(NotaryReply::verify(&body, &format!("{host}:{port},{kind}"), now(), signed)?);
                }
                (404, _) if deadline.left() > PAUSE => tokio::time::sleep(PAUSE).await,
                (404, _) => return Err(Missing::NoHistory),
                (status, _) => return Err(Missing::Refused { status, detail: None }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (given, wanted) in [
            ("notary.EXAMPLE.", "notary.example:8080"),
            ("192.0.2.7:80", "192.0.2.7:80"),
            ("[2001:db8::1]", "[2001:db8::1]:8080"),
            ("[2001:db8::1]:443", "[2001:db8::1]:443"),
            ("notary.example:443", "notary.example:443"),
        ] {
            assert_eq!(given.parse::<NotaryAddress>().unwrap().to_string(), wanted);
        }
        for bad in ["", "notary.example:0", "a b", "user@notary.example", "notary.example/x", "notary.example:80,2"] {
            assert!(bad.parse::<NotaryAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_that_are_none() {
        for bad in ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", &"x".repeat(LONGEST_PEM + 1)] {
            assert_eq!(NotaryKey::from_pem(bad), Err(BadNotaryKey::NotPem));
        }
    }
}
