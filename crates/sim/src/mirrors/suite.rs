//! A cheap stand-in for signatures and hashes: the simulation verifies millions, and attacks none of them. A signature is
//! a hash of key and message, so whatever was changed or signed by another key is found out, as it is with real ones; but
//! who knows the public key could sign. The state machine is the real one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parallax_core::{AeadKey, AeadKind, Signer, SigningFailed, Suite, Timestamp, VantageId};
use parallax_proto::mirror::Peer;
use parallax_proto::{DESCRIPTOR_LIFE, Descriptor, StatementKey, VANTAGE_FORMAT, vantage_id};

/// Hashes that are no SHA-256 and signatures that are none.
#[derive(Clone, Copy, Debug)]
pub struct Cheap;

impl Suite for Cheap {
    fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        digest(&[bytes])
    }

    fn verify_ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
        signature == signed(key, message)
    }

    fn verify_p256(&self, point: &[u8], message: &[u8], signature: &[u8]) -> bool {
        signature == signed(point, message)
    }

    fn verify_rsa_pss(&self, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        signature == signed(key, message)
    }

    /// Mirrors speak over TLS, which is not simulated: nothing here is ever sealed.
    fn aead(&self, _: AeadKind, _: &[u8; 32]) -> Option<Box<dyn AeadKey>> {
        None
    }
}

/// Signs with what the verifier knows.
#[derive(Clone, Debug)]
pub struct CheapKey {
    algorithm: &'static str,
    public: Vec<u8>,
}

impl Signer for CheapKey {
    fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(signed(&self.public, message))
    }
}

fn signed(key: &[u8], message: &[u8]) -> Vec<u8> {
    let digest = digest(&[key, message]);
    [digest, digest].concat()
}

/// Four lanes of multiply and rotate, side by side, and mixed at the end of each part.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut lanes: [u64; 4] =
        [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89];
    for part in parts {
        let (blocks, rest) = part.as_chunks::<32>();
        for block in blocks {
            let (words, _) = block.as_chunks::<8>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                let mixed = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(0x9fb2_1c65_1e98_df25);
                *lane = (mixed ^ (mixed >> 32)).rotate_left(23);
            }
        }
        for chunk in rest.chunks(8) {
            let word = match chunk.try_into() {
                Ok(eight) => u64::from_le_bytes(eight),
                Err(_) => chunk.iter().fold(chunk.len() as u64, |word, byte| word << 8 | u64::from(*byte)),
            };
            lanes = mixed(lanes, word);
        }
        lanes = mixed(lanes, part.len() as u64);
    }
    for _ in 0..4 {
        lanes = mixed(lanes, 0);
    }
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().zip(lanes.iter().flat_map(|lane| lane.to_le_bytes())) {
        *place = byte;
    }
    bytes
}

fn mixed([a, b, c, d]: [u64; 4], word: u64) -> [u64; 4] {
    let a = (a ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25);
    let a = a ^ (a >> 32);
    [b.wrapping_add(a.rotate_left(17)), c ^ a.wrapping_mul(0xd6e8_feb8_6659_fd93), d.rotate_left(29).wrapping_add(b), a]
}

/// Who a simulated mirror is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its vantage id.
    pub vantage: VantageId,
    /// Its statement key.
    pub statement: CheapKey,
    ca: CheapKey,
    certificate: Vec<u8>,
    statement_key: StatementKey,
}

/// What a simulated mirror says of itself.
#[derive(Clone, Debug)]
pub struct Portrait {
    /// Its address, such as `https://10.0.0.1`.
    pub address: String,
    /// The region it claims.
    pub region: String,
    /// Who says to run it.
    pub operator: String,
}

impl Identity {
    /// The identity of that number.
    pub fn new(number: u64) -> Self {
        let half = digest(&[b"identity", &number.to_le_bytes()]);
        let point = [&[4], half.as_slice(), &digest(&[&half])].concat();
        let certificate = certificate(&point);
        let vantage = vantage_id(&Cheap, &certificate).unwrap_or_else(|_| VantageId::from_bytes(half));
        Self { ca: CheapKey { algorithm: "ES256", public: point }, ..Self::keyed(vantage, certificate, number, 0) }
    }

    fn keyed(vantage: VantageId, certificate: Vec<u8>, number: u64, generation: u64) -> Self {
        let key = digest(&[b"statement", &number.to_le_bytes(), &generation.to_le_bytes()]);
        let statement = CheapKey { algorithm: "EdDSA", public: key.to_vec() };
        let statement_key = StatementKey::from_bytes(key);
        Self { vantage, ca: statement.clone(), statement, certificate, statement_key }
    }

    /// The same mirror with another statement key.
    pub fn rekeyed(&self, number: u64, generation: u64) -> Self {
        let new = Self::keyed(self.vantage, self.certificate.clone(), number, generation);
        Self { ca: self.ca.clone(), ..new }
    }

    /// Its statement key, as others know it.
    pub fn statement_key(&self) -> StatementKey {
        self.statement_key
    }

    /// A descriptor signed at that moment, as a mirror of others' lists.
    pub fn peer(&self, portrait: &Portrait, at: Timestamp) -> Option<Peer> {
        self.peer_of(&self.descriptor(portrait, at), at)
    }

    /// A descriptor, signed and verified.
    pub fn peer_of(&self, descriptor: &Descriptor, at: Timestamp) -> Option<Peer> {
        let signed = descriptor.sign(&self.ca, &self.certificate).ok()?;
        Peer::verify(&Cheap, signed, at).ok()
    }

    /// What that descriptor says.
    pub fn descriptor(&self, portrait: &Portrait, at: Timestamp) -> Descriptor {
        Descriptor {
            format: VANTAGE_FORMAT.into(),
            vantage: self.vantage,
            ca: format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                lines(&STANDARD.encode(&self.certificate))
            ),
            statement_key: self.statement_key,
            addresses: vec![portrait.address.clone()],
            region: Some(portrait.region.clone()),
            rir: None,
            domain: None,
            operator: Some(portrait.operator.clone()),
            version: "simulated".into(),
            issued_at: at,
            valid_until: at.plus(DESCRIPTOR_LIFE),
        }
    }
}

fn lines(base64: &str) -> String {
    let lines: Vec<String> =
        base64.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    lines.join("\n")
}

/// The smallest X.509 certificate with that key (RFC 5280 section 4.1); nothing verifies its signature.
fn certificate(point: &[u8]) -> Vec<u8> {
    const ECDSA_SHA256: [u8; 12] = [0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    const P256: [u8; 21] =
        [0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let time = der(0x17, b"250101000000Z");
    let key = der(0x30, &[P256.as_slice(), &der(3, &[&[0], point].concat())].concat());
    let name = der(0x30, &[]);
    let validity = der(0x30, &[time.clone(), time].concat());
    let version = der(0xa0, &der(2, &[2]));
    let parts = [version, der(2, &[1]), ECDSA_SHA256.to_vec(), name.clone(), validity, name, key];
    der(0x30, &[der(0x30, &parts.concat()), ECDSA_SHA256.to_vec(), der(3, &[0, 0])].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u16;
    let head = match length {
        0..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [head.as_slice(), content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_mirror_is_one_for_the_real_verifier_and_a_forged_one_is_not() {
        let (one, other) = (Identity::new(1), Identity::new(2));
        let now = Timestamp::from_unix_secs(1_800_000_000);
        let portrait = Portrait { address: "https://10.1.2.3".into(), region: "eu".into(), operator: "example".into() };
        let peer = one.peer(&portrait, now).unwrap();
        assert_eq!(peer.vantage(), one.vantage);
        assert_ne!(one.vantage, other.vantage);
        let mut forged = one.descriptor(&portrait, now).sign(&other.ca, &one.certificate).unwrap();
        assert!(Peer::verify(&Cheap, forged.clone(), now).is_err());
        forged = peer.signed().clone();
        forged.body = forged.body.replace("10.1.2.3", "10.1.2.4");
        assert!(Peer::verify(&Cheap, forged, now).is_err());
    }
}
