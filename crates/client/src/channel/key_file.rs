//! A client's key in a file: PKCS #8 in PEM, and for a certified one its chain behind it.

use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parallax_core::{Signer, SigningFailed};
use parallax_probe::AwsLc;
use parallax_proto::PublicKey;
use parallax_proto::channel::{BadClientKey, ClientKey, OwnKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

/// Why a file holds no key that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyFile {
    /// There is no private key in it.
    #[error("there is no private key in it; a key file is PKCS #8 in PEM, as `parallax key new` writes it")]
    Form,
    /// The key is of another kind.
    #[error("its key is neither Ed25519 nor RSA (2048 to 4096 bits), nor P-256 with a certificate behind it")]
    Kind,
    /// The public half is not taken.
    #[error("{0}")]
    Key(#[from] BadClientKey),
    /// The certificate is another key's.
    #[error("the first certificate in it is not of its key")]
    Certificate,
}

/// A new Ed25519 key as a file's content; `None` when the system gives no random numbers.
pub fn new_key_file() -> Option<String> {
    let pair = Ed25519KeyPair::generate().ok()?;
    Some(pem("PRIVATE KEY", pair.to_pkcs8v1().ok()?.as_ref()))
}

/// The public half of a key as PEM (RFC 7468 section 13).
pub fn public_key_pem(key: &PublicKey) -> String {
    pem("PUBLIC KEY", key.spki())
}

/// The public key in a file that holds it, or the private key that it belongs to.
pub fn read_public_key(text: &[u8]) -> Result<PublicKey, BadKeyFile> {
    match SubjectPublicKeyInfoDer::from_pem_slice(text) {
        Ok(spki) => public(&spki),
        Err(_) => read_key_file(text).map(|key| key.shown().public().clone()),
    }
}

/// The key of a file, with its certificates where there are any.
pub fn read_key_file(text: &[u8]) -> Result<OwnKey, BadKeyFile> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| BadKeyFile::Form)?;
    let (public, signer) = signer(key.secret_pkcs8_der())?;
    let chain: Result<Vec<Vec<u8>>, _> =
        CertificateDer::pem_slice_iter(text).map(|certificate| certificate.map(|der| der.to_vec())).collect();
    let chain = chain.map_err(|_| BadKeyFile::Form)?;
    let shown = if chain.is_empty() { bare(&public)? } else { ClientKey::certified(&AwsLc, &chain)? };
    if shown.id() != public.id() {
        return Err(BadKeyFile::Certificate);
    }
    Ok(OwnKey::new(shown, signer))
}

fn bare(public: &PublicKey) -> Result<ClientKey, BadKeyFile> {
    match public.algorithm() {
        "ES256" => Err(BadKeyFile::Kind),
        _ => Ok(ClientKey::bare(&AwsLc, public)?),
    }
}

/// The public half of a key, and what signs with it as channels do.
pub(crate) fn signer(pkcs8: &[u8]) -> Result<(PublicKey, Arc<dyn Signer>), BadKeyFile> {
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8) {
        let bytes = pair.public_key().as_ref().try_into().map_err(|_| BadKeyFile::Kind)?;
        return Ok((PublicKey::ed25519(&AwsLc, bytes), Arc::new(Ed25519(pair))));
    }
    if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8) {
        let spki = pair.public_key().as_der().map_err(|_| BadKeyFile::Kind)?;
        return Ok((public(spki.as_ref())?, Arc::new(P256(pair))));
    }
    let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| BadKeyFile::Kind)?;
    let spki = pair.public_key().as_der().map_err(|_| BadKeyFile::Kind)?;
    Ok((public(spki.as_ref())?, Arc::new(Rsa(pair))))
}

fn public(spki: &[u8]) -> Result<PublicKey, BadKeyFile> {
    PublicKey::from_spki(&AwsLc, spki).map_err(|error| BadKeyFile::Key(error.into()))
}

/// 64 characters a line (RFC 7468 section 2).
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for (place, character) in encoded.chars().enumerate() {
        if place > 0 && place % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}

struct Ed25519(Ed25519KeyPair);

impl Signer for Ed25519 {
    fn algorithm(&self) -> &'static str {
        "EdDSA"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.0.try_sign(message).map_err(|_| SigningFailed)?.as_ref().to_vec())
    }
}

struct P256(EcdsaKeyPair);

impl Signer for P256 {
    fn algorithm(&self) -> &'static str {
        "ES256"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.0.sign(&SystemRandom::new(), message).map_err(|_| SigningFailed)?.as_ref().to_vec())
    }
}

struct Rsa(RsaKeyPair);

impl Signer for Rsa {
    fn algorithm(&self) -> &'static str {
        "PS256"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let signed = self.0.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature);
        signed.map(|()| signature).map_err(|_| SigningFailed)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::KeySize;

    use super::*;

    fn signs(key: &OwnKey) {
        let signature = key.signer().sign(b"message").unwrap();
        assert!(key.shown().public().verify(&AwsLc, b"message", &signature));
        assert_eq!(key.signer().algorithm(), key.shown().public().algorithm());
    }

    #[test]
    fn keys_of_each_kind_are_read_and_sign() {
        let text = new_key_file().unwrap();
        assert!(text.lines().all(|line| line.len() <= 64));
        let key = read_key_file(text.as_bytes()).unwrap();
        signs(&key);
        let public = public_key_pem(key.shown().public());
        for file in [&public, &text] {
            assert_eq!(read_public_key(file.as_bytes()).unwrap().id(), key.id());
        }
        let rsa = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        signs(&read_key_file(pem("PRIVATE KEY", rsa.as_der().unwrap().as_ref()).as_bytes()).unwrap());
        let pair = rcgen::KeyPair::generate().unwrap();
        let bare = pem("PRIVATE KEY", &pair.serialize_der());
        assert_eq!(read_key_file(bare.as_bytes()).unwrap_err(), BadKeyFile::Kind);
        let certificate = rcgen::CertificateParams::new(vec!["x".into()]).unwrap().self_signed(&pair).unwrap();
        let certified = read_key_file(format!("{bare}{}", certificate.pem()).as_bytes()).unwrap();
        assert_eq!(certified.shown().chain().len(), 1);
        signs(&certified);
        let other = format!("{text}{}", certificate.pem());
        assert_eq!(read_key_file(other.as_bytes()).unwrap_err(), BadKeyFile::Certificate);
        for bad in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "nonsense"] {
            assert!(read_key_file(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
