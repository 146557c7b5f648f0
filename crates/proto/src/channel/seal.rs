//! The cryptography: what is signed, what is sealed to whom, and the keys that both ends export (*Exact bytes*).

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _};
use parallax_core::{AeadKey, AeadKind, Suite};
use rand_core::CryptoRng;

use super::key::ClientKey;
use super::wire::put_lp;

/// HPKE's info, 26 bytes.
const INFO: &[u8] = b"parallax channel created 1";
/// The length of `enc`.
const ENC: usize = 32;

type Kem = X25519HkdfSha256;

/// What the client signs.
pub(super) fn create_input(key: &ClientKey, body: &[u8]) -> Vec<u8> {
    let mut input = b"parallax channel create 1\0".to_vec();
    [key.kind().as_str().as_bytes(), key.data(), body].into_iter().for_each(|part| put_lp(&mut input, part));
    input
}

/// What the server signs.
pub(super) fn created_input(transcript: &[u8; 32], body: &[u8]) -> Vec<u8> {
    let mut input = b"parallax channel created 1\0".to_vec();
    input.extend_from_slice(transcript);
    put_lp(&mut input, body);
    input
}

/// What both ends have seen of a creation. `request` is whole, with its signature.
pub(super) struct Seen<'a> {
    pub(super) key: &'a ClientKey,
    pub(super) request: &'a [u8],
    pub(super) statement_key: &'a [u8; 32],
    pub(super) source: &'a str,
}

impl Seen<'_> {
    fn transcript(&self, suite: &dyn Suite, enc: &[u8]) -> [u8; 32] {
        let mut input = b"parallax channel transcript 1\0".to_vec();
        let parts = [
            self.key.kind().as_str().as_bytes(),
            self.key.data(),
            self.request,
            &self.statement_key[..],
            self.source.as_bytes(),
            enc,
        ];
        parts.into_iter().for_each(|part| put_lp(&mut input, part));
        suite.sha256(&input)
    }
}

/// A client's ephemeral key. It is wiped when it is dropped.
pub(super) struct Ephemeral(<Kem as hpke::Kem>::PrivateKey);

impl Ephemeral {
    /// A fresh one, and its public half.
    pub(super) fn new(mut rng: &mut dyn CryptoRng) -> (Self, [u8; 32]) {
        let (private, public) = Kem::gen_keypair_with_rng(&mut rng);
        (Self(private), public.to_bytes().into())
    }

    #[cfg(test)]
    pub(super) fn secret(&self) -> [u8; 32] {
        self.0.to_bytes().into()
    }

    /// Opens what was sealed to it: `make` turns the transcript into the check of what came out.
    pub(super) fn open(
        &self,
        suite: &dyn Suite,
        seen: &Seen<'_>,
        enc: &[u8],
        sealed: &[u8],
    ) -> Option<(Vec<u8>, [u8; 32], Exported)> {
        let transcript = seen.transcript(suite, enc);
        let enc = <Kem as hpke::Kem>::EncappedKey::from_bytes(enc).ok()?;
        let mut context =
            hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, Kem>(&OpModeR::Base, &self.0, &enc, INFO).ok()?;
        let opened = context.open(sealed, &transcript).ok()?;
        let digest = suite.sha256(&opened);
        let exported = Exported::draw(&transcript, &digest, |label, out| context.export(label, out).is_ok())?;
        Some((opened, transcript, exported))
    }
}

/// What the server makes for a client.
pub(super) struct SealedTo {
    pub(super) enc: [u8; ENC],
    pub(super) sealed: Vec<u8>,
    pub(super) exported: Exported,
}

/// Seals to a client's ephemeral key what `make` builds for the transcript. `None` for a key that gives an all-zero
/// secret, and when `make` has nothing.
pub(super) fn seal_to(
    suite: &dyn Suite,
    mut rng: &mut dyn CryptoRng,
    kex: &[u8; 32],
    seen: &Seen<'_>,
    make: impl FnOnce(&[u8; 32]) -> Option<Vec<u8>>,
) -> Option<SealedTo> {
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(kex).ok()?;
    let (enc, mut context) =
        hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(&OpModeS::Base, &public, INFO, &mut rng)
            .ok()?;
    let enc: [u8; ENC] = enc.to_bytes().into();
    let transcript = seen.transcript(suite, &enc);
    let response = make(&transcript)?;
    let sealed = context.seal(&response, &transcript).ok()?;
    let digest = suite.sha256(&response);
    let exported = Exported::draw(&transcript, &digest, |label, out| context.export(label, out).is_ok())?;
    Some(SealedTo { enc, sealed, exported })
}

/// `enc` and what is behind it.
pub(super) fn split_enc(response: &[u8]) -> Option<(&[u8], &[u8])> {
    response.split_at_checked(ENC)
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Request = 1,
    Answer = 2,
    Push = 3,
}

/// Key and nonce base of each direction.
pub(super) struct Exported([[u8; 44]; 3]);

impl Exported {
    fn draw(transcript: &[u8; 32], response: &[u8; 32], export: impl Fn(&[u8], &mut [u8]) -> bool) -> Option<Self> {
        let mut keys = [[0; 44]; 3];
        for (out, direction) in keys.iter_mut().zip([Direction::Request, Direction::Answer, Direction::Push]) {
            let label = [&b"parallax channel keys 1\0"[..], &[direction as u8], transcript, response].concat();
            if !export(&label, out) {
                return None;
            }
        }
        Some(Self(keys))
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[[u8; 44]; 3] {
        &self.0
    }
}

/// The three ciphers of a channel, the same at both ends.
pub(super) struct Ciphers {
    pub(super) request: Cipher,
    pub(super) answer: Cipher,
    pub(super) push: Cipher,
}

impl Ciphers {
    pub(super) fn new(suite: &dyn Suite, kind: AeadKind, channel: [u8; 16], exported: &Exported) -> Option<Self> {
        let [request, answer, push] = &exported.0;
        let cipher = |direction, material| Cipher::new(suite, kind, channel, direction, material);
        Some(Self {
            request: cipher(Direction::Request, request)?,
            answer: cipher(Direction::Answer, answer)?,
            push: cipher(Direction::Push, push)?,
        })
    }
}

/// One direction of one channel.
pub(super) struct Cipher {
    key: Box<dyn AeadKey>,
    iv: [u8; 12],
    channel: [u8; 16],
    direction: Direction,
}

impl Cipher {
    fn new(
        suite: &dyn Suite,
        kind: AeadKind,
        channel: [u8; 16],
        direction: Direction,
        material: &[u8; 44],
    ) -> Option<Self> {
        let (key, iv) = material.split_first_chunk::<32>()?;
        Some(Self { key: suite.aead(kind, key)?, iv: iv.try_into().ok()?, channel, direction })
    }

    /// counter ‖ AEAD. An answer is bound to the hash of its request.
    pub(super) fn seal(&self, counter: u64, request: Option<&[u8; 32]>, plaintext: &[u8]) -> Option<Vec<u8>> {
        let sealed = self.key.seal(self.nonce(counter), &self.aad(counter, request), plaintext)?;
        Some([&counter.to_be_bytes()[..], &sealed].concat())
    }

    /// What was sealed under this counter.
    pub(super) fn open(&self, counter: u64, request: Option<&[u8; 32]>, sealed: &[u8]) -> Option<Vec<u8>> {
        self.key.open(self.nonce(counter), &self.aad(counter, request), sealed)
    }

    fn nonce(&self, counter: u64) -> [u8; 12] {
        let mut nonce = self.iv;
        nonce.iter_mut().skip(4).zip(counter.to_be_bytes()).for_each(|(byte, count)| *byte ^= count);
        nonce
    }

    fn aad(&self, counter: u64, request: Option<&[u8; 32]>) -> Vec<u8> {
        let mut aad = Vec::with_capacity(84);
        aad.extend_from_slice(b"parallax channel message 1\0");
        aad.extend_from_slice(&self.channel);
        aad.push(self.direction as u8);
        aad.extend_from_slice(&counter.to_be_bytes());
        aad.extend(request.into_iter().flatten());
        aad
    }
}

/// The counter of a message and what is sealed behind it.
pub(super) fn split_counter(message: &[u8]) -> Option<(u64, &[u8])> {
    let (counter, sealed) = message.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*counter), sealed))
}
